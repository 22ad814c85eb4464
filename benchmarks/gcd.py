"""Train the gcd in several bases, and compare the learned divisors with those that the base makes easy.

This wrote the shipped file ``checkpoints/gcd.jsonl``::

    python -m benchmarks gcd              5 seeds, half an hour on an idle core; resumes after a stop

Each run is measured at its end; the file keeps settings and measures, no weights.
"""

import statistics
import time
from pathlib import Path
from typing import Any

import miii
from benchmarks.table import ROOT, Result, Row, log, rounded, write_lines
from miii.analysis import sieve
from miii.model.transformer import Transformer
from miii.training.config import RunConfig

PLACE = ROOT / "checkpoints" / "gcd.jsonl"
SEEDS = 5
BASES = (2, 3, 4, 5, 6, 7, 10, 12, 15, 30, 210)
STEPS = 600
DRAWN = {"uniform": "uniform", "log-uniform": "log"}  #: distributions of the operands, by name
GOAL = 8 / 10  #: share of the bases whose list is the predicted one in most seeds


def config(base: int, drawn: str, seed: int) -> RunConfig:
    """Return the config of a run."""
    task = miii.GCD(base=base, operands=DRAWN[drawn], seed=seed)
    return miii.recipe(task=task, steps=STEPS, snapshots=1, threads=1, eval_every=STEPS)


def run(seeds: int = SEEDS, place: Path = PLACE) -> Result:
    """Train and measure the missing runs; return what they learn, by base and distribution."""
    found = sieve.load_runs(place) if place.exists() else []
    known = {(each["base"], each["drawn"], each["seed"]) for each in found}
    for seed in range(seeds):
        for drawn in DRAWN:
            for base in BASES:
                if (base, drawn, seed) not in known:
                    found.append({"base": base, "drawn": drawn, "seed": seed} | measure(config(base, drawn, seed)))
                    write_lines(place, found)
    return Result(rows(found), {"runs": found})


def measure(config: RunConfig) -> dict[str, Any]:
    """Train a run and measure its last network."""
    task, began = config.task, time.process_time()
    assert isinstance(task, miii.GCD)
    last = next(step for step in miii.train(config) if step.last)
    assert last.weights is not None
    seconds, built = time.process_time() - began, task.build()
    model = Transformer.of(config.model, built)
    model.load_state_dict(last.weights)
    found = sieve.divisors(model.requires_grad_(False), built, task)
    log(f"gcd: {task.description}, seed {task.seed}: {found.learned}, {found.follows_new:.3f}")
    values = found.to_json()
    del values["answers"]
    values["differ"] = {str(each.gcd): [each.common, each.rule] for each in found.answers if each.common != each.rule}
    return {"steps": config.steps, "cpu_seconds": round(seconds, 1)} | rounded(values)


def rows(found: list[dict[str, Any]]) -> list[Row]:
    """Return a row for each base and distribution, and one for each distribution."""
    lines, totals = [], []
    for drawn in DRAWN:
        equal = []
        for base in BASES:
            each = [one for one in found if (one["base"], one["drawn"]) == (base, drawn)]
            if not each:
                continue
            count = {name: sum(one["predicted"][name] for one in each) for name in ("equal", "between")}
            equal.append(2 * count["equal"] > len(each))
            common = set.intersection(*(set(one["learned"]) for one in each))
            lines.append(
                Row(
                    f"gcd, base {base}, {drawn}: learned divisors are those of base^m",
                    f"{count['equal']} of {len(each)} seeds ({count['between']} with some of base^(m + 1)); "
                    f"all learn {', '.join(map(str, sorted(common)))}; the list explains "
                    f"{_median(each, 'follows_new')} of other gcds (random lists {_median(each, 'follows_random')})",
                )
            )
        if equal:
            totals.append(
                Row(
                    f"gcd, {drawn}: bases with the predicted list in most seeds",
                    f"{sum(equal)} of {len(equal)}",
                    f"{GOAL:.0%}",
                    sum(equal) >= GOAL * len(equal),
                )
            )
    return lines + totals


def _median(found: list[dict[str, Any]], name: str) -> str:
    return f"{statistics.median(one[name] for one in found):.1%}"
