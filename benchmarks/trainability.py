"""Time maps of trainability, in CPU seconds shared by two threads."""

import time

from benchmarks.table import Result, Row, at_most, log
from miii import landscape

THREADS = 2
#: Views with their goals in seconds on two cores, and whether every cell is trained.
MAPS = (
    ("width 8, 100 steps, every cell", {"width": 8, "steps": 100, "precision": "float32"}, 6.0, True),
    ("width 8, 100 steps, refined", {"width": 8, "steps": 100, "precision": "float32"}, 6.0, False),
    ("width 16, 500 steps, refined", {"width": 16, "steps": 500}, 120.0, False),
    ("width 16, 500 steps, every cell", {"width": 16, "steps": 500}, 120.0, True),
)


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
