"""Compare the sparse grid at its paper's ranges with a digit transformer and trial division.

``grid`` and ``digits`` wrote the shipped folders in ``checkpoints/sparse``.
"""

import tempfile
from pathlib import Path
from typing import Any

import miii
from benchmarks.table import Result, Row, log
from miii import numbers, runs, sparse
from miii.sparse.evaluation import Recall, Scores
from miii.sparse.network import PAPER, GridConfig
from miii.training.config import RunConfig

PRIMES, GRID, DIGITS = 0.99, 0.787, 0.828  #: goals: recall on primes, and on composites by the grid and by digits
SIEVES = (5, 7, 13)  #: trial division by the primes up to each


def run() -> Result:
    """Train both networks on a million integers and measure them on the next two million."""
    with tempfile.TemporaryDirectory() as folder:
        found = {"grid": grid(Path(folder) / "grid").scores, "digits": digits(Path(folder) / "digits")[1]}
    rows = [
        *_rows(found["grid"], "sparse grid, 10^6 integers for training", GRID),
        *_rows(found["digits"], "digits in base 210, 10^6 integers for training", DIGITS),
    ]
    low, high = GridConfig(**PAPER).middle, GridConfig(**PAPER).end
    sieves = {q: sparse.evaluation.sieve_recall(low, high, numbers.primes_below(q + 1)) for q in SIEVES}
    rows += [Row(f"trial division by the primes up to {q}", _said(recall)) for q, recall in sieves.items()]
    return Result(rows, {name: each.to_json() for name, each in found.items()})


def grid(folder: Path) -> sparse.files.Grid:
    """Train the network on the grid and save it in a folder."""
    steps = sparse.training.train(GridConfig(**PAPER))
    found = sparse.files.save(folder, next(step for step in steps if step.last))
    log(f"sparse: grid {found.judged}")
    return found


def digits_config() -> RunConfig:
    """Return a config for the same ranges in base 210; the last digit reveals divisibility by 2, 3, 5 and 7."""
    ranges = GridConfig(**PAPER)
    share = (ranges.n_train + 0.02) / (ranges.n_train + ranges.n_test)  # slightly more, since floats round down
    task = miii.Primes(low=ranges.low, high=ranges.end - 1, base=210, split="range", train_fraction=share)
    changes: dict[str, Any] = {"steps": 1000, "steps_after_grok": None, "eval_every": 250, "threads": 1}
    return miii.recipe(task=task, snapshots=1, **changes)


def digits(folder: Path) -> tuple[runs.Run, Scores]:
    """Train the transformer on digits, save its run in a folder and its scores as the run's report."""
    config = digits_config()
    run = runs.record(folder, miii.train(config))
    assert isinstance(config.task, miii.Primes)
    found = sparse.evaluation.of_digits(run.model(), run.task(), config.task)
    runs.save_report(run, found.to_json())
    log(f"sparse: digits {found}")
    return run, found


def _rows(found: Scores, what: str, goal: float) -> list[Row]:
    recall = found.test
    return [
        Row(f"{what}: recall on held-out primes", f"{recall.primes:.4f}", f">= {PRIMES}", recall.primes >= PRIMES),
        Row(f"{what}: on composites", f"{recall.composites:.5f}", f">= {goal}", recall.composites >= goal),
        Row(f"{what}: depth of sieve", str(found.sieve_depth)),
    ]


def _said(recall: Recall) -> str:
    return f"primes {recall.primes:.0%}, composites {recall.composites:.5f}"
