"""Time networks trained together against single runs, and a phase diagram of 8 x 8 cells at p = 13.

Steps are in CPU seconds, both sides in turn. The diagram is in wall-clock seconds too, by two threads as on its page.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

from benchmarks.table import Result, Row, at_least, at_most, log

SHAPES = ((13, 32, 128), (23, 32, 128), (31, 32, 128), (13, 64, 256))  #: p, d_model, d_mlp
NETWORKS, STEPS, TURNS = 64, 10, 3
WORKERS = 2  #: threads of the diagram
TWICE, SECONDS = 2.0, 30.0  #: goals: speed-up, and the diagram on two idle cores


def run() -> Result:
    """Time steps of each shape, then the diagram."""
    import torch

    torch.set_num_threads(1)
    rows, raw = [], dict[str, Any]()
    for shape in SHAPES:
        single, together = _step(*shape)
        raw["-".join(map(str, shape))] = {"single": single, "together": together}
        p, d_model, d_mlp = shape
        what = f"ensemble: {NETWORKS} networks against single runs, p = {p}, {d_model} dimensions, {d_mlp} neurons"
        note = f" ({1000 * single:.2f} ms of CPU a step alone, {1000 * together:.2f} ms each together)"
        log(what + note)
        rows.append(at_least(what, single / together, TWICE, "x", note))
    found = _diagram()
    note = f" ({found['cpu']:.0f} CPU s for {found['networks']} networks; single runs: {found['single']:.0f} CPU s)"
    rows.append(at_most("phase diagram, 8 x 8, p = 13, two threads, wall clock", found["wall"], SECONDS, "s", note, 0))
    alone = f"{found['single']:.0f} CPU s, from every {found['every']}th"
    rows.append(Row("phase diagram: its networks as single runs (for comparison)", alone))
    return Result(rows, raw | {"diagram": found})


def _step(p: int, d_model: int, d_mlp: int) -> tuple[float, float]:
    """Return the CPU seconds of a network's step alone and among ``NETWORKS``: medians, in turn."""
    from miii.sweeps import phases
    from miii.training import ensemble, flat, train

    base = phases.base(p, d_model=d_model, d_mlp=d_mlp, eval_every=10**6, steps=10**6, snapshots=1)
    alone: Iterator[Any] = train(base)
    group = ensemble.train([flat.change(base, {"seed": seed}) for seed in range(NETWORKS)])
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(TURNS + 1):
        for steps, kept, n in ((alone, times[0], 1), (group, times[1], NETWORKS)):
            took = _cpu(lambda steps=steps: list(islice(steps, STEPS)))
            if turn:  # the first turn builds everything
                kept.append(took / STEPS / n)
    return statistics.median(times[0]), statistics.median(times[1])


def _diagram() -> dict[str, Any]:
    from miii import sweeps, training
    from miii.sweeps import phases

    axes = {"lr": phases.spaced("lr", 0.001, 0.1, 8), "weight_decay": phases.spaced("weight_decay", 0.1, 8, 8)}
    with tempfile.TemporaryDirectory() as folder:
        sweep = sweeps.create(Path(folder) / "diagram", phases.base(), axes)
        diagram, begun, trained = sweeps.Diagram(sweep, *axes), time.perf_counter(), list[str]()

        def complete() -> None:
            with ThreadPoolExecutor(WORKERS) as pool:
                while left := diagram.next():
                    trained.extend(left)
                    groups = sweeps.groups(left, -(-len(left) // WORKERS), fewest=2)
                    list(pool.map(lambda group: list(sweeps.attempt_together(sweep.folder, group)), groups))
                    log(f"diagram: {len(trained)} networks, {time.perf_counter() - begun:.0f} s")

        cpu = _cpu(complete)
        wall, every = time.perf_counter() - begun, 8
        sample = trained[::every]
        single = _cpu(lambda: [list(training.train(sweep.configs[name])) for name in sample])
    single *= len(trained) / len(sample)
    return {"cpu": cpu, "wall": wall, "single": single, "networks": len(trained), "every": every}


def _cpu(function: Callable[[], object]) -> float:
    begun = time.process_time()
    function()
    return time.process_time() - begun
