"""Measure time and memory of the analyses, and how well fast circuit methods find the true edges."""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.table import ROOT, Result, Row, Unavailable, at_least, at_most, spread

TURNS, SNAPSHOTS = 5, 40


def run() -> Result:
    """Measure in a separate process, so its peak memory is that of the analyses."""
    done = subprocess.run([sys.executable, "-m", "benchmarks.analysis"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise Unavailable(f"the analyses ended with exit code {done.returncode}.")
    found = json.loads(done.stdout)
    analyze, exact = found["analyze_seconds"], found["exact_seconds"]
    return Result(
        [
            at_most("analysis: analyze, p = 113, median (range)", statistics.median(analyze), 3, "s", spread(analyze)),
            at_most(
                f"analysis: trajectory of {found['snapshots']} snapshots, p = 113", found["trajectory_seconds"], 10, "s"
            ),
            at_most("analysis: peak memory of the process", found["peak_mb"], 1000, "MB", digits=0),
            at_most(
                "analysis: exact edge patching, add-113, median (range)",
                statistics.median(exact),
                20,
                "s",
                spread(exact),
            ),
            *(
                at_least(f"analysis: AUROC of {method} on add-113", value, 0.95, "", digits=3)
                if method == "eap-ig"
                else Row(f"analysis: AUROC of {method} on add-113", f"{value:.3f}")
                for method, value in found["auroc"].items()
            ),
            at_least(
                "analysis: AUROC of eap-ig, planted network with dead heads", found["auroc_planted"], 1, "", digits=3
            ),
        ],
        found,
    )


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.perf_counter()
    found = work()
    return time.perf_counter() - began, found


def measure() -> dict[str, Any]:
    """Return all measurements, made in this process."""
    import miii
    from miii.analysis.causal import circuits
    from miii.analysis.modular import keys, trajectory, verdict
    from miii.analysis.modular.formula import Formula, Term
    from miii.analysis.oracles import planted

    run = miii.runs.open("add-113")
    model, task = run.model(), run.task()
    analyze = [_timed(lambda: verdict.analyze(model, task))[0] for _ in range(TURNS)]

    with tempfile.TemporaryDirectory() as folder:
        config = miii.recipe(task=miii.ModularAddition(p=113), snapshots=SNAPSHOTS + 10)
        trained = miii.runs.record(Path(folder) / "run", miii.train(config))
        steps = trained.steps[-SNAPSHOTS:]
        frequencies = keys.of_model(trained.model(), trained.task()).frequencies
        models = ((step, trained.model(step)) for step in steps)
        seconds, _ = _timed(lambda: trajectory.measure_all(models, trained.task(), frequencies))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    timed = [_timed(lambda: circuits.find(model, task, "exact")) for _ in range(TURNS)]
    exact = timed[0][1]
    auroc = {
        m: circuits.agreement(circuits.find(model, task, m), exact).auroc for m in circuits.METHODS if m != "exact"
    }
    formula = Formula(29, (Term(3, 3, 3, 2.0, 0.0), Term(8, 8, 8, 1.5, 0.0), Term(11, 11, 11, 1.0, 0.0)))
    network, small = planted.from_formula(formula, act="relu", n_heads=4), miii.ModularAddition(p=29).build()
    both = (circuits.find(network, small, method) for method in ("eap-ig", "exact"))
    return {
        "analyze_seconds": analyze,
        "trajectory_seconds": seconds,
        "snapshots": len(steps),
        "peak_mb": peak,
        "exact_seconds": [took for took, _ in timed],
        "auroc": auroc,
        "auroc_planted": circuits.agreement(*both).auroc,
    }


if __name__ == "__main__":
    print(json.dumps(measure()))
