"""Compare architectures on the same task, split and budget over several seeds, and depth with and without shortcuts.

This wrote the shipped files in ``checkpoints/architectures``::

    python -m benchmarks architectures          about two hours on one thread; resumes after a stop
    python -m benchmarks spherical              the spherical block with and without weight decay alone: half an hour
    python -m benchmarks primes-float32         primes in float32 alone: ten minutes a seed

Runs are measured in a temporary folder and deleted. The files keep one line per run, and the trials that chose each
architecture's optimizer.
"""

import json
import math
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import miii
from benchmarks.table import ROOT, Result, Row, log
from miii import reports
from miii.analysis import compare
from miii.model.config import ModelConfig
from miii.runs.atomic import write_json
from miii.training.config import RunConfig
from miii.training.optim import AnyOptimizer

HOME = ROOT / "checkpoints" / "architectures"
SEEDS = 5

#: Changes to the recipe's ``ModelConfig``, by block or mixer. Two blocks between ``pre-norm`` and ``sas`` are left out;
#: docs/LOG.md has their results on one seed.
ARCHITECTURES: tuple[dict[str, Any], ...] = (
    {},
    {"block": "vaswani"},
    {"block": "pre-norm"},
    {"block": "sas"},
    {"block": "sas-p"},
    {"block": "no-shortcut"},
    {"mixer": "convolution"},
    {"mixer": "gru"},
    {"mixer": "recurrence"},
    {"mixer": "mean"},
)
DEPTHS = (2, 6, 12)


#: Optimizers of comparisons; the others keep those of their configs. On a seed that does not count, an architecture
#: takes the first if it groks within half of the steps, otherwise the better one.
OPTIMIZERS: dict[str, tuple[AnyOptimizer, ...]] = {
    "add-113": (miii.AdamW(), miii.AdamW(lr=5e-3, weight_decay=5.0)),
    "primes": (miii.Muon(weight_decay=0.2), miii.Muon(lr=1e-2, weight_decay=0.1)),
    "depth": (miii.AdamW(lr=5e-3, weight_decay=1.0),),
}
TRIED = 100  #: seed of these trials


def addition(seed: int) -> list[RunConfig]:
    """Return configs for addition modulo 113: recipe ``fast``, at most 600 steps, measured 150 steps after grokking."""
    changes: dict[str, Any] = {"steps": 600, "steps_after_grok": 150, "eval_every": 25, "snapshots": 1, "threads": 1}
    task = miii.ModularAddition(seed=seed)
    return [miii.recipe(task=task, model=ModelConfig(**model), **changes) for model in ARCHITECTURES]


def primes(seed: int) -> list[RunConfig]:
    """Return configs for five-digit primes: default recipe, at most 800 steps, measured 200 after sieving by 3."""
    # like the shipped runs: bfloat16 where the processor supports it
    changes: dict[str, Any] = {"steps": 800, "steps_after_grok": 200, "snapshots": 1, "threads": 1, "precision": "auto"}
    base = miii.recipe(task=miii.Primes(seed=seed), **changes)
    own = base.model.model_dump()
    return [base.model_copy(update={"model": ModelConfig(**own | model)}) for model in ARCHITECTURES if _few(model)]


def primes_float32(seed: int) -> list[RunConfig]:
    """Return the configs of ``primes`` in the default recipe's float32, all with its optimizer."""
    return [config.model_copy(update={"precision": "float32"}) for config in primes(seed)]


def spherical(seed: int) -> list[RunConfig]:
    """Return configs for addition modulo 113: spherical and plain blocks with and without weight decay.

    At most 600 steps, measured at grokking, at a constant learning rate: arXiv 2603.05228 asks how soon they grok.
    """
    changes: dict[str, Any] = {"steps": 600, "steps_after_grok": 0, "eval_every": 25, "snapshots": 1, "threads": 1}
    changes |= {"schedule": "constant", "precision": "float32"}
    task, ball = miii.ModularAddition(seed=seed), ModelConfig(block="spherical")
    mean = ModelConfig(block="spherical", mixer="mean")
    tried = ((ModelConfig(), 2.5), (mean, 0.0), (ball, 0.0), (ModelConfig(), 0.0), (ball, 2.5))
    return [
        miii.recipe(task=task, model=model, optimizer=miii.AdamW(weight_decay=decay), **changes)
        for model, decay in tried
    ]


def _few(model: dict[str, Any]) -> bool:
    return model.get("block") != "sas-p" and model.get("mixer") != "recurrence"


def depths(seed: int) -> list[RunConfig]:
    """Return configs for addition modulo 59 in narrow deep networks, with both shortcuts and norms or with neither.

    They train on 90% of the pairs, up to 99% test accuracy: the question is how soon they train, not when they grok.
    """
    task = miii.ModularAddition(p=59, train_fraction=0.9, seed=seed)
    size = {"d_model": 64, "d_mlp": 256, "act": "tailored"}
    changes: dict[str, Any] = {"steps": 1500, "steps_after_grok": 0, "batch_size": 512, "snapshots": 1, "threads": 1}
    return [
        miii.recipe(task=task, model=ModelConfig(**size, n_layers=n, block=block), **changes)
        for n in DEPTHS
        for block in ("pre-norm", "no-shortcut")
    ]


COMPARISONS = {
    "add-113": addition,
    "primes": primes,
    "primes-float32": primes_float32,
    "depth": depths,
    "spherical": spherical,
}


def run(seeds: int = SEEDS, names: tuple[str, ...] = tuple(OPTIMIZERS)) -> Result:
    """Train and measure the missing runs, and count how many of each architecture grok."""
    rows, raw = [], {}
    for name in names:
        found = generated(name, seeds)
        frame = compare.summary(compare.table(found))
        raw[name] = frame.to_dict("records")
        rows += [
            Row(
                f"{name}, {row['architecture']} ({row['optimizer']}): groks, steps until then (median, least to most)",
                f"{row['grokked']} of {row['seeds']}"
                + (f", {row['grokked_at']:.0f} ({row['grokked_at_low']:.0f} to {row['grokked_at_high']:.0f})"
                   if row["grokked"] else ""),
            )
            for row in raw[name]
        ]  # fmt: skip
    return Result(rows, raw)


def generated(name: str, seeds: int) -> list[compare.ComparedRun]:
    """Return the runs of a comparison; train and measure those missing from its file, by architecture."""
    place = HOME / f"{name}.jsonl"
    wanted = {_key(name, config): config for same in zip(*configs(name, seeds), strict=True) for config in same}
    kept = {_row_key(each): each for each in (compare.load(place) if place.exists() else ())}
    found = {key: each for key, each in kept.items() if key in wanted or (each.seed or 0) >= seeds}
    for key, config in wanted.items():
        if key not in found or found[key].terms != compare.terms(config):
            which, _, seed = key
            # runs of a seed share one folder name, so give each a descriptive name
            found[key] = replace(_measured(config), architecture=which, run=f"{name}, {which}, seed {seed}")
            compare.save(place, found.values())
    return list(found.values())


def configs(name: str, seeds: int) -> list[list[RunConfig]]:
    """Return the configs of a comparison for each seed, with the better of two optimizers where two are tried."""
    each = [COMPARISONS[name](seed) for seed in range(seeds)]
    if name not in OPTIMIZERS:
        return each
    best = chosen(name)
    return [[_with(config, name, best[compare.architecture(config)]) for config in some] for some in each]


def _key(name: str, config: RunConfig) -> tuple[str, str, int | None]:
    which = compare.architecture(config)
    if name == "spherical":
        which += f", decay {config.optimizer.weight_decay:g}"
    return which, compare.optimizer(config), config.task.seed


def _row_key(kept: compare.ComparedRun) -> tuple[str, str, int | None]:
    return kept.architecture, kept.optimizer, kept.seed


def chosen(name: str) -> dict[str, int]:
    """Return the index in ``OPTIMIZERS`` of each architecture's optimizer."""
    if len(OPTIMIZERS[name]) == 1:
        return dict.fromkeys(map(compare.architecture, COMPARISONS[name](TRIED)), 0)
    place = HOME / "optimizers.json"
    kept = json.loads(place.read_text()) if place.exists() else {}
    tried = kept.setdefault(name, {})
    for config in COMPARISONS[name](TRIED):
        of = tried.setdefault(compare.architecture(config), [])
        wanted = [optimizer.model_dump() for optimizer in OPTIMIZERS[name]]
        if [result["optimizer"] for result in of] != wanted[: len(of)]:
            of.clear()
        for i in range(len(of), len(wanted)):
            if of and of[0]["grokked_at"] is not None and of[0]["grokked_at"] <= config.steps / 2:
                break
            tried_config = _with(config, name, i).model_copy(update={"steps_after_grok": 0})
            last = next(step for step in miii.train(tried_config) if step.last)
            assert last.evaluation is not None
            accuracy = last.evaluation.scores.get("auc", last.evaluation.test_accuracy)
            of.append({"optimizer": wanted[i], "grokked_at": last.grokked_at, "accuracy": accuracy})
            log(f"architectures: {compare.architecture(config)}, tried {of[-1]}")
            place.parent.mkdir(parents=True, exist_ok=True)
            write_json(place, kept)

    def rank(result: dict[str, Any]) -> tuple[float, float]:
        return (math.inf if result["grokked_at"] is None else result["grokked_at"], -result["accuracy"])

    return {which: min(range(len(of)), key=lambda i: rank(of[i])) for which, of in tried.items()}


def _with(config: RunConfig, name: str, optimizer: int) -> RunConfig:
    return config.model_copy(update={"optimizer": OPTIMIZERS[name][optimizer]})


def _measured(config: RunConfig) -> compare.ComparedRun:
    folder = Path(tempfile.mkdtemp()) / "run"
    try:
        found = reports.measure(miii.runs.record(folder, miii.train(config)))
    finally:
        shutil.rmtree(folder.parent, ignore_errors=True)
    log(f"architectures: {found.architecture}, seed {found.seed}, grokked at {found.grokked_at}, {found.measures}")
    return found
