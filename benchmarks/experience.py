"""Train small networks on less: other splits, withheld counts, shorter integers, fewer examples, other activations.

This wrote the shipped file ``checkpoints/experience.jsonl``::

    python -m benchmarks experience             about ten minutes on one thread; resumes after a stop

Each run is measured at its end; the file keeps settings and measures, no weights.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

import miii
from benchmarks.table import ROOT, Result, Row, log
from miii.analysis import experience
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.training import build_model
from miii.training.config import RunConfig

PLACE = ROOT / "checkpoints" / "experience.jsonl"
SEEDS = 3
STEPS = 800  #: most steps on primes; all runs stop once they have learned
P = 59

#: What training leaves out of the integers, by name: changes to ``Primes``. "longer" trains on five digits and tests
#: on six.
SPLITS: dict[str, dict[str, Any]] = {
    "random": {},
    "residue": {"split": "residue"},
    "range": {"split": "range"},
    "longer": {"split": "range", "high": 999_999, "train_fraction": 90_000 / 990_000},
    "withheld": {"withheld": ("1-2-2",)},
    "shuffled": {"shuffled": True},
}
PRIMES = (0.02, 0.1, 0.5)  #: shares of the integers
ADDITION = (0.1, 0.2, 0.3, 0.5, 0.8)  #: shares of the pairs modulo P
ACTIVATIONS = ("relu", "gelu", "sigmoid", "square")


def configs(seed: int) -> Iterator[tuple[str, str, RunConfig]]:
    """Yield experiment, name and config of each run with a seed."""
    alike: dict[str, Any] = {"snapshots": 1, "threads": 1, "steps_after_grok": 0}
    for name, changes in SPLITS.items():
        if seed == 0 or name != "shuffled":  # one control is enough
            yield "splits", name, miii.recipe(task=miii.Primes(seed=seed, **changes), steps=STEPS, **alike)
    for share in PRIMES:
        task = miii.Primes(seed=seed, train_fraction=share)
        yield "primes", "primes of five digits", miii.recipe(task=task, steps=STEPS, **alike)
    for share in ADDITION:
        task = miii.ModularAddition(p=P, train_fraction=share, seed=seed)
        yield "addition", f"addition modulo {P}", miii.recipe(task=task, **alike)
    for act in ACTIVATIONS:
        task = miii.ModularAddition(p=P, train_fraction=0.5, seed=seed)
        yield "activations", act, miii.recipe(task=task, model=ModelConfig(act=act), **alike)


def run(seeds: int = SEEDS) -> Result:
    """Train and measure the missing runs; return their measures over the seeds."""
    found = {_key(each): each for each in (experience.load(PLACE) if PLACE.exists() else ())}
    for seed in range(seeds):
        for experiment, name, config in configs(seed):
            if (experiment, name, seed, str(_changed(config))) in found:
                continue
            same = (each for each in found.values() if each.seed == seed and each.config == _changed(config))
            known = next(same, None)
            trial = replace(known, experiment=experiment, name=name) if known else measured(experiment, name, config)
            found[_key(trial)] = trial
            log(f"experience: {experiment}, {name}, {trial.examples} examples, seed {seed}: {trial.measures}")
            experience.save(PLACE, found.values())
    rows = [
        Row(
            f"{experiment}: {row['name']}, {row['examples']:,} training examples, {row['measure']}",
            f"{row['median']:.3f} ({row['low']:.3f} to {row['high']:.3f}, {row['seeds']} seeds)",
        )
        for experiment in dict.fromkeys(each.experiment for each in found.values())
        for row in experience.bands(found.values(), experiment).to_dict("records")
    ]
    return Result(rows, {"trials": [vars(each) for each in found.values()]})


def measured(experiment: str, name: str, config: RunConfig) -> experience.Trial:
    """Train one run and measure it and its initial weights."""
    torch.manual_seed(0)
    last = next(step for step in miii.train(config) if step.last)
    assert last.weights is not None
    assert last.evaluation is not None
    task = config.task.build()
    measures: dict[str, float | None]
    if isinstance(config.task, miii.Primes):
        untrained = build_model(config, task).requires_grad_(False)
        trained = Transformer.of(config.model, task).requires_grad_(False)
        trained.load_state_dict(last.weights)
        before = experience.sieving(untrained, task, config.task)
        measures = experience.sieving(trained, task, config.task) | {
            f"untrained_{key}": value for key, value in before.items()
        }
    else:
        measures = {"train": last.evaluation.train_accuracy, "test": last.evaluation.test_accuracy}
        measures["chance"] = 1 / task.d_vocab_out
    grokked = {"grokked_at": None if last.grokked_at is None else float(last.grokked_at)}
    rounded = {key: None if value is None else round(value, 5) for key, value in measures.items()}
    examples, seed = config.task.n_train, config.task.seed
    return experience.Trial(experiment, name, seed, examples, last.step, _changed(config), rounded | grokked)


def _changed(config: RunConfig) -> dict[str, Any]:
    changed = config.model_dump(mode="json", exclude_defaults=True, exclude={"task": {"seed"}})
    changed.setdefault("task", {})["kind"] = config.task.kind
    return changed | {"optimizer": {"name": config.optimizer.name} | changed.get("optimizer", {})}


def _key(trial: experience.Trial) -> tuple[str, str, int, str]:
    return trial.experiment, trial.name, trial.seed, str(trial.config)
