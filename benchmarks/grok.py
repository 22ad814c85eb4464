"""Measure how soon and how reliably the default recipe groks addition modulo 113, one process per seed.

The recipe was chosen on seeds 0 to 9. Seeds 10 to 49 are held out.
"""

import json
import statistics
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log, seeds_of, spread

MEDIAN_STEP, MEDIAN_SECONDS = 150, 2.5  #: goals


def run(sets: Sequence[range]) -> Result:
    """Train every seed and summarize each set."""
    rows, runs = [], []
    for seeds in sets:
        found = []
        for seed in seeds:
            found.append(_fresh(seed))
            log(f"grok: seed {seed}: {_brief(found[-1])}")
        rows += _rows(found, seeds_of(seeds))
        runs += found
    return Result(rows, {"runs": runs})


def _brief(one: dict[str, Any]) -> str:
    end = f"test accuracy {one['test_accuracy']:.4f} at step {one['steps']}, {one['seconds']:.1f} s"
    if one["grokked_at"] is None:
        return f"did not grok; {end}"
    at = f"grokked at step {one['grokked_at']}, {one['seconds_to_grok']:.2f} s"
    return f"{at}; from there on at least {one['lowest_after']:.4f}; {end}"


def _rows(runs: list[dict[str, Any]], which: str) -> list[Row]:
    n = len(runs)
    grokked = [one for one in runs if one["grokked_at"] is not None]
    stayed = [one for one in grokked if one["stayed"]]
    seconds = [one["seconds_to_grok"] for one in grokked]
    total = [one["seconds"] for one in runs]
    # a seed that never groks counts as infinitely late, so a failure cannot improve the median
    late = [float("inf")] * (n - len(grokked))
    at = statistics.median([one["grokked_at"] for one in grokked] + late)
    to = statistics.median(seconds + late)
    lowest = min(runs, key=lambda one: one["test_accuracy"])
    what = f"grok, {which}"
    return [
        Row(
            f"{what} (p = 113, 30% train, default recipe): reach test accuracy 0.99",
            f"{len(grokked)} of {n}",
            f"{n} of {n}",
            len(grokked) == n,
        ),
        Row(
            f"{what}: >= 0.99 at every later evaluation until the end",
            f"{len(stayed)} of {n}",
            f"{n} of {n}",
            len(stayed) == n,
        ),
        at_most(
            f"{what}: grokked_at, median (range)",
            None if at == float("inf") else at,
            MEDIAN_STEP,
            "steps",
            spread([one["grokked_at"] for one in grokked], 0) if grokked else "",
            digits=0,
        ),
        at_most(
            f"{what}: seconds_to_grok, median (min to max), evaluations included",
            None if to == float("inf") else to,
            MEDIAN_SECONDS,
            "s",
            spread(seconds) if seconds else "",
        ),
        Row(
            f"{what}: whole run to the end of the schedule, median (min to max)",
            f"{statistics.median(total):.1f} s{spread(total, 1)}",
        ),
        Row(f"{what}: final test accuracy, lowest", f"{lowest['test_accuracy']:.4f} (seed {lowest['seed']})"),
        Row(
            f"{what}: step within these runs, median over seeds",
            f"{statistics.median(one['ms_per_step'] for one in runs):.1f} ms",
        ),
    ]


def _fresh(seed: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.grok", str(seed)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unavailable(f"seed {seed} ended with exit code {done.returncode}.")
    value: dict[str, Any] = json.loads(done.stdout)
    return value


def one_seed(seed: int) -> dict[str, Any]:
    """Train one seed with the default recipe in this process, through ``miii.train``."""
    import torch

    import miii
    from miii.tasks.task import GROKKED

    config = miii.recipe(task=miii.ModularAddition(p=113, train_fraction=0.3, seed=seed))
    evaluated: list[tuple[int, float]] = []
    step_seconds: list[float] = []
    for step in miii.train(config):
        if step.step:
            step_seconds.append(step.step_seconds)
        if step.evaluation is not None:
            evaluated.append((step.step, step.evaluation.test_accuracy))
    at = step.grokked_at
    after = [accuracy for when, accuracy in evaluated if at is not None and when >= at]
    return {
        "seed": seed,
        "grokked_at": at,
        "seconds_to_grok": step.seconds_to_grok,
        "lowest_after": min(after, default=None),
        "stayed": bool(after) and min(after) >= GROKKED,
        "steps": step.step,
        "seconds": step.seconds,
        "test_accuracy": evaluated[-1][1],
        "ms_per_step": 1000 * statistics.median(step_seconds),
        "threads": torch.get_num_threads(),
        "evaluations": evaluated,
    }


if __name__ == "__main__":
    print(json.dumps(one_seed(int(sys.argv[1]))))
