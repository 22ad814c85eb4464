"""Compute the shipped maps of trainability: ``python -m benchmarks.landscapes [RESOLUTION ...]``.

Every condition of the paper, at its width and steps: the full view and two zooms into the busiest part, each eight
times narrower. For tanh also two zooms around a random cell of the boundary, as a control. Maps that exist are
refined, so it can be interrupted.
"""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.table import ROOT, log
from miii import landscape

PLACE = ROOT / "checkpoints" / "trainability"
DEPTH = 3  #: maps of a condition
ORDER = ("linear", "one", "relu", "tanh", "minibatch", "offset", "drift")
ROUGH = 64  #: resolution at which zooms are chosen
BITS = 7  #: of the shipped measures' fractions


def main(resolutions: Iterable[int]) -> None:
    """Compute all maps at one resolution, then at the next."""
    for resolution in resolutions:
        for condition in ORDER:
            _sequence(condition, resolution, "", landscape.busiest)
            if condition == "tanh":
                _sequence(condition, resolution, "random-", landscape.around_boundary)


def _sequence(condition: str, resolution: int, how: str, zoom: Callable[[landscape.Tile], landscape.View]) -> None:
    """Compute the maps of a condition, each inside the one before."""
    view = landscape.View(condition=condition, resolution=ROUGH)
    for depth in range(DEPTH):
        place = PLACE / f"{condition}-{how if depth else ''}{depth}"
        tile = _finish(place, view, ROUGH)
        if tile.resolution < resolution:
            _finish(place, tile.view, resolution)
        if not landscape.edges(tile.measures).any():
            return
        view = zoom(tile)


def _finish(place: Path, view: landscape.View, resolution: int) -> landscape.Tile:
    """Return a map at one resolution, computed or refined if need be."""
    wanted = landscape.View(**view.model_dump() | {"resolution": resolution})
    start = landscape.read(place) if (place / "view.json").exists() else None
    if start is not None and start.resolution >= resolution:
        step = start.resolution // resolution  # the points of a coarser map are among those of a finer one
        return replace(start, measures=start.measures[::step, ::step], trained=start.trained[::step, ::step])
    (*_, tile) = landscape.compute(wanted, start=start)
    tile = replace(tile, seconds=tile.seconds + (start.seconds if start else 0))
    landscape.write(place, tile, BITS)
    found = landscape.dimension([tile.measures])
    log(f"{place.name} {resolution}: {tile.trained.mean():.0%} trained, {tile.seconds:.0f} s, dimension {found.value}")
    return tile


if __name__ == "__main__":
    main([int(word) for word in sys.argv[1:]] or [ROUGH, 128])
