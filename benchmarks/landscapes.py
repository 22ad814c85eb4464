"""Time maps of trainability, in CPU seconds shared by two threads; compute the shipped ones.

    python -m benchmarks trainability                                        time the paper's widest view
    python -m benchmarks.landscapes [RESOLUTION ...] [CONDITION ...]             compute the shipped maps
    python -m benchmarks.landscapes grokking                                 compute those of grokking

Every condition of the paper, or those that are named, at its width and steps: the full view and two zooms into the
busiest part, each eight times narrower. For tanh also two zooms around a random cell of the boundary, as a control.
Maps that exist are refined, so it can be interrupted.

``grokking`` computes the maps of the project's own question, each cell of them: four zooms into the busiest part,
two around random cells of the boundary, each four times narrower, two other seeds, and the widest map again with all
learning rates moved by 1e-9, 1e-6 and 1e-3.
"""

import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

from benchmarks.table import ROOT, Result, Row, at_most, log
from miii import landscape

THREADS = 2
#: Views with their goals in seconds on two cores, and whether every cell is trained.
MAPS = (
    ("width 8, 100 steps, every cell", {"width": 8, "steps": 100, "precision": "float32"}, 6.0, True),
    ("width 8, 100 steps, refined", {"width": 8, "steps": 100, "precision": "float32"}, 6.0, False),
    ("width 16, 500 steps, refined", {"width": 16, "steps": 500}, 120.0, False),
    ("width 16, 500 steps, every cell", {"width": 16, "steps": 500}, 120.0, True),
)

PLACE = ROOT / "checkpoints" / "trainability"
DEPTH = 3  #: maps of a condition
ORDER = ("linear", "one", "relu", "tanh", "minibatch", "offset", "drift")
ROUGH = 64  #: resolution at which zooms are chosen
BITS = 7  #: of the shipped measures' fractions
OWN_RESOLUTION, OWN_FACTOR = 32, 4
OWN_DEPTHS = {"grokking": 4, "grokking-random": 2}
NUDGES = (1e-9, 1e-6, 1e-3)  #: distance of the learning rate, as log10


def run() -> Result:
    """Compute the paper's widest view for tanh at 128 x 128 cells, each way."""
    rows: list[Row] = []
    raw: dict[str, float] = {}
    for name, settings, goal, every_cell in MAPS:
        log(f"trainability: {name} ...")
        view, cpu, wall = landscape.View(**settings, resolution=128), time.process_time(), time.monotonic()
        (*_, tile) = landscape.compute(view, threads=THREADS, every_cell=every_cell)
        cpu, wall = time.process_time() - cpu, time.monotonic() - wall
        raw[name] = cpu
        note = f" ({cpu:.1f} CPU s in {THREADS} threads, {wall:.1f} s on the clock, {tile.trained.sum():,} networks)"
        rows.append(at_most(f"trainability: 128 x 128, {name}, {view.precision}", cpu / THREADS, goal, "s", note))
    return Result(rows, raw)


def main(resolutions: Iterable[int], conditions: Iterable[str] = ORDER) -> None:
    """Compute all maps at one resolution, then at the next."""
    for resolution in resolutions:
        for condition in conditions:
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


def grokking() -> None:
    """Compute the maps of the boundary of grokking, the most telling ones first."""
    for resolution in (16, OWN_RESOLUTION):
        widest = _own("grokking-0", landscape.View(condition="grokking", resolution=resolution))
    view = widest.view
    _zooms("grokking", widest, landscape.busiest)
    for number, distance in enumerate(NUDGES):
        moved = view.zoomed(view.x_low + distance, view.x_high + distance, view.y_low, view.y_high)
        _own(f"grokking-nudged-{number}", moved)
    for seed in (1, 2):
        _own(f"grokking-seed-{seed}", view.model_copy(update={"seed": seed}))
    _zooms("grokking-random", widest, landscape.around_boundary)


def _zooms(name: str, tile: landscape.Tile, zoom: Callable[..., landscape.View]) -> None:
    for depth in range(1, 1 + OWN_DEPTHS[name]):
        if not landscape.edges(tile.measures).any():
            return
        tile = _own(f"{name}-{depth}", zoom(tile, OWN_FACTOR))


def _own(name: str, view: landscape.View) -> landscape.Tile:
    """Return a map whose every cell is trained."""
    place = PLACE / name
    start = landscape.read(place) if (place / "view.json").exists() else None
    if start is not None and start.resolution >= view.resolution:
        return start
    before = 0.0 if start is None else start.seconds
    for tile in landscape.compute(view, start=start, every_cell=True):
        if tile.finished:
            landscape.write(place, replace(tile, seconds=tile.seconds + before))
            found = landscape.dimension([tile.measures])
            log(f"{name} {tile.resolution}: {(tile.measures < 0).mean():.0%} grok, {tile.seconds:.0f} s, {found.value}")
    return landscape.read(place)


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
    if sys.argv[1:] == ["grokking"]:
        grokking()
    else:
        words = sys.argv[1:]
        named = [word for word in words if word in ORDER]
        main([int(word) for word in words if word not in named] or [ROUGH, 128], named or ORDER)
