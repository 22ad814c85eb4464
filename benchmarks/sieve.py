"""Measure how soon the default recipe sieves by 3, and whether longer training yields a sum of residues modulo 3."""

import statistics
from typing import Any

from benchmarks.table import Result, Row, log
from miii import recipe, training
from miii.analysis import sieve
from miii.model.transformer import Transformer
from miii.tasks import Primes
from miii.training.config import RunConfig

GOAL = 120  #: seconds


def run(seeds: int) -> Result:
    """Train the default recipe and the longer runs behind the claim, for seeds 0 .. seeds - 1."""
    found = [soon(seed) for seed in range(seeds)]
    seconds = [each["seconds_to_grok"] for each in found if each["seconds_to_grok"] is not None]
    median = statistics.median(seconds) if seconds else float("nan")
    measured = [claim(recipe(task=Primes(seed=seed), steps_after_grok=None)) for seed in range(seeds)]
    rows = [
        Row(
            "default recipe of `miii train primes`: validation AUC >= .90, and >= .99 against multiples of 3",
            f"{len(seconds)} of {seeds}, median {median:.0f} s",
            f"{seeds} of {seeds} in {GOAL} s",
            len(seconds) == seeds and median <= GOAL,
        ),
        *(_row(measured, name, text, goal) for name, text, goal in MEASURES),
    ]
    return Result(rows, {"soon": found, "claim": measured})


MEASURES = (
    ("explained", "share of the digits' contributions that their residue modulo 3 explains", 0.9),
    ("interchange", "interchange of the residue plane, share that crosses", 0.95),
    ("steering", "steering by another digit's residue, share that crosses", 0.95),
)


def soon(seed: int) -> dict[str, Any]:
    """Train the default recipe on one seed; return when and why it stopped."""
    config = recipe(task=Primes(seed=seed))
    last = next(step for step in training.train(config) if step.last)
    log(f"sieve: seed {seed}, grokked at {last.grokked_at}, {last.seconds_to_grok} s")
    return {"seed": seed, "grokked_at": last.grokked_at, "seconds_to_grok": last.seconds_to_grok}


def claim(config: RunConfig) -> dict[str, Any]:
    """Train to the last step and measure the sum of residues modulo 3 on held-out integers."""
    last = next(step for step in training.train(config) if step.last)
    assert isinstance(config.task, Primes)
    assert last.weights is not None
    task = config.task.build()
    model = Transformer.of(config.model, task)
    model.load_state_dict(last.weights)
    model.requires_grad_(False)
    (added,) = sieve.measure_addition(model, task, config.task, (3,))
    assert added.interchange is not None
    untrained = training.build_model(config, task).requires_grad_(False)
    values = {
        "seed": config.task.seed,
        "sieve_depth": sieve.depth(model, task, config.task).sieve_depth,
        "explained": added.variance_explained,
        "interchange": added.interchange.accuracy,
        "interchange_control": added.interchange.control,
        "steering": added.steering.accuracy,
        "steering_control": added.steering.control,
        "probe_r2": sieve.probe(model, task, (3,)).best(3),
        "probe_r2_untrained": sieve.probe(untrained, task, (3,)).best(3),
        "adds": added.adds,
    }
    log(f"sieve: {values}")
    return values


def _row(measured: list[dict[str, Any]], name: str, text: str, goal: float) -> Row:
    values = [each[name] for each in measured]
    reached = sum(value >= goal for value in values)
    spread = f"median {statistics.median(values):.3f} ({min(values):.3f} to {max(values):.3f})"
    return Row(f"{text}, {len(values)} seeds", f"{spread}, {reached} reach the goal", f"{goal}", reached == len(values))
