"""Train on primes in many bases, and measure which factors the networks see from labels alone.

This wrote the shipped file ``checkpoints/bases.jsonl``::

    python -m benchmarks bases              20 CPU seconds a run on one thread; resumes after a stop

Each run is measured at its end; the file keeps settings and measures, no weights. The bases are in a random order,
fixed before the first run. The rule of ``analysis.sieve.bases`` is fitted on every other base and tested on the rest.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import miii
from benchmarks.table import ROOT, Result, Row, log, write_lines
from miii.analysis import sieve
from miii.model.transformer import Transformer
from miii.numbers import primes_below
from miii.tasks import Primes
from miii.training.config import RunConfig

PLACE = ROOT / "checkpoints" / "bases.jsonl"
SEEDS = 3
STEPS = 400
LIMIT = 24  #: factors are below this
EDGE = (0.6, 0.95)  #: an AUC in between is neither chance nor a finished sieve


def config(base: int, seed: int) -> RunConfig:
    """Return the config of a run: the default recipe, stopped early, so with a constant learning rate."""
    task = Primes(base=base, seed=seed)
    short = {"steps": STEPS, "schedule": "constant", "steps_after_grok": None, "eval_every": STEPS}
    return miii.recipe(task=task, snapshots=1, threads=1, **short)


def jobs(seeds: int, found: Sequence[dict[str, Any]]) -> Iterator[tuple[int, int]]:
    """Yield base and seed of every run: all bases, then the next seeds, of bases with a factor at the edge first.

    Args:
        found: the runs so far, which may grow meanwhile.
    """
    yield from ((base, 0) for base in sieve.BASES)
    at_edge = {
        run["base"]
        for run in found
        if run["seed"] == 0 and any(EDGE[0] <= auc < EDGE[1] for auc, *_ in run["factors"].values())
    }
    for first in (True, False):
        for seed in range(1, seeds):
            yield from ((base, seed) for base in sieve.BASES if (base in at_edge) == first)


def measure(config: RunConfig) -> dict[str, Any]:
    """Train a run and measure its last network on the held-out integers."""
    task, began = config.task, time.process_time()
    assert isinstance(task, Primes)
    last = next(step for step in miii.train(config) if step.last)
    assert last.weights is not None
    seconds, built = time.process_time() - began, task.build()
    model = Transformer.of(config.model, built)
    model.load_state_dict(last.weights)
    rows = np.flatnonzero(~built.train_mask.numpy())
    score = sieve.evidence(model.requires_grad_(False), built.tokens[rows])
    n, spf = built.facts["n"].numpy()[rows], built.facts["spf"].numpy()[rows]
    factors = sieve.auc_by_factor(score, spf, n == spf, tuple(q for q in primes_below(LIMIT) if task.base % q))
    log(f"bases: {task.description}, seed {task.seed}: { ({f.q: round(f.auc, 2) for f in factors}) }")
    values = {str(f.q): [round(f.auc, 4), round(f.low, 4), round(f.high, 4), f.integers] for f in factors}
    return {"base": task.base, "seed": task.seed, "steps": config.steps, "cpu_seconds": round(seconds, 1)} | {
        "factors": values,
        "correlations": correlations(task.base, values),
    }


def correlations(base: int, factors: Iterable[str]) -> dict[str, float]:
    """Return the correlation of every factor with its best neuron, which is slow to measure."""
    return {q: sieve.traits(base, int(q)).correlation for q in factors}


def run(seeds: int = SEEDS, place: Path = PLACE) -> Result:
    """Train and measure the missing runs; return what the rule and its controls predict."""
    found = sieve.load_runs(place) if place.exists() else []
    for each in found:
        if "correlations" not in each:
            each["correlations"] = correlations(each["base"], each["factors"])
    write_lines(place, found)
    known = {(each["base"], each["seed"]) for each in found}
    for base, seed in jobs(seeds, found):
        if (base, seed) not in known:
            found.append(measure(config(base, seed)))
            write_lines(place, found)
    table = sieve.auc_by_base(found)
    rules = sieve.compare_rules(table, sieve.UNUSED)
    rows = [
        Row(
            f"primes by base: {each['rule']}, on {len(sieve.UNUSED & {*table['base']})} unused bases",
            f"AUC {each['auc']:.3f}, accuracy {each['accuracy']:.3f}, rank correlation {each['rank']:.2f}",
        )
        for each in rules.to_dict("records")
    ]
    return Result(rows, {"runs": found})
