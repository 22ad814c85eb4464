"""Where in the space of two hyperparameters a network can be trained.

The boundary of trainability is fractal (Sohl-Dickstein 2024, arXiv 2402.06184)::

    view = miii.landscape.View(condition="tanh", width=8, steps=100)
    for tile in miii.landscape.compute(view):
        print(tile.resolution, tile.done, tile.total)
    print(miii.landscape.dimension([tile.measures]))
"""

from miii.landscape import film, grokking, question
from miii.landscape.dimension import (
    CONTROLS,
    Dimension,
    control,
    dimension,
    edges,
    noisy_line,
    smoothed,
    structure,
)
from miii.landscape.files import every, find, named, open, read, sequence, write
from miii.landscape.tiles import Tile, compute
from miii.landscape.training import losses
from miii.landscape.view import CONDITIONS, FULL, GROKKING, RESOLUTIONS, Condition, View, widest
from miii.landscape.zoom import around_boundary, busiest

__all__ = [
    "CONDITIONS",
    "CONTROLS",
    "FULL",
    "GROKKING",
    "RESOLUTIONS",
    "Condition",
    "Dimension",
    "Tile",
    "View",
    "around_boundary",
    "busiest",
    "compute",
    "control",
    "dimension",
    "edges",
    "every",
    "film",
    "find",
    "grokking",
    "losses",
    "named",
    "noisy_line",
    "open",
    "question",
    "read",
    "sequence",
    "smoothed",
    "structure",
    "widest",
    "write",
]
