"""Zoom into a map: where to, and the dimension over several depths."""

import numpy as np

from miii.errors import InputError
from miii.landscape.dimension import edges
from miii.landscape.tiles import Tile
from miii.landscape.view import View


def around_boundary(tile: Tile, factor: int = 8, seed: int = 0) -> View:
    """Return the view of a map's part around a cell of its boundary, drawn at random.

    A random cell is a fair sample of the boundary; the part with the most boundary would bias the dimension upward.

    Args:
        factor: how many times narrower the view is.

    Raises:
        InputError: the map has no boundary.
    """
    rows, columns = np.nonzero(edges(tile.measures))
    if not len(rows):
        raise InputError("map must have a boundary to zoom into (got one phase).")
    chosen = np.random.default_rng(seed).integers(len(rows))
    view, size = tile.view, tile.resolution
    bounds = []
    for low, high, cell in (
        (view.x_low, view.x_high, columns[chosen]),
        (view.y_low, view.y_high, rows[chosen]),
    ):
        half = (high - low) / factor / 2
        middle = low + (high - low) * (cell + 0.5) / size
        middle = min(max(middle, low + half), high - half)
        bounds += [float(middle - half), float(middle + half)]
    return view.zoomed(*bounds)
