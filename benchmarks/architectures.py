"""Every architecture on the same task, split and budget, over several seeds; and depth with and without shortcuts.

The files that came with miii (``checkpoints/architectures``) were made by it::

    python -m benchmarks architectures          about two hours on one thread; goes on where it was stopped

Runs are made in a folder beside the checkout, measured, and thrown away: what is kept is a line each.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

import miii
from benchmarks.table import ROOT, Result, Row, say
from miii.analysis import compare
from miii.config import RunConfig
from miii.model.config import ModelConfig

HOME = ROOT / "checkpoints" / "architectures"
SEEDS = 5

#: Block and mixer, each as the fields of ``ModelConfig`` in which it differs from the recipe's network.
ARCHITECTURES: tuple[dict[str, Any], ...] = (
    {},
    {"block": "vaswani"},
    {"block": "pre-norm"},
    {"block": "value-skipinit"},
    {"block": "shaped"},
    {"block": "sas"},
    {"block": "sas-p"},
    {"block": "no-shortcut"},
    {"mixer": "convolution"},
    {"mixer": "gru"},
    {"mixer": "recurrence"},
    {"mixer": "mean"},
)
DEPTHS = (2, 6, 12)


def addition(seed: int) -> list[RunConfig]:
    """Addition modulo 113 by the recipe ``fast``, for 600 steps."""
    task = miii.ModularAddition(seed=seed)
    return [
        miii.recipe(task=task, model=ModelConfig(**model), steps=600, eval_every=25, snapshots=1, threads=1)
        for model in ARCHITECTURES
    ]


def primes(seed: int) -> list[RunConfig]:
    """Primes of five digits by their recipe, for 1,000 steps; nothing stops earlier."""
    base = miii.recipe(task=miii.Primes(seed=seed), steps_after_grok=None, steps=1000, snapshots=1, threads=1)
    own = base.model.model_dump()
    return [base.model_copy(update={"model": ModelConfig(**own | model)}) for model in ARCHITECTURES]


def depths(seed: int) -> list[RunConfig]:
    """Addition modulo 59 in narrow deep networks: with shortcuts and norms, and without either."""
    task = miii.ModularAddition(p=59, train_fraction=0.5, seed=seed)
    size = {"d_model": 64, "d_mlp": 256, "act": "tailored"}
    changes: dict[str, Any] = {"steps": 800, "batch_size": 512, "eval_every": 20, "snapshots": 1, "threads": 1}
    optimizer = miii.AdamW(lr=2e-3, weight_decay=2.0)
    return [
        miii.recipe(task=task, optimizer=optimizer, model=ModelConfig(**size, n_layers=n, block=block), **changes)
        for n in DEPTHS
        for block in ("pre-norm", "no-shortcut")
    ]


COMPARISONS = {"add-113": addition, "primes": primes, "depth": depths}


def run(seeds: int = SEEDS, names: tuple[str, ...] = tuple(COMPARISONS)) -> Result:
    """Train and measure what is missing in the kept files, and tell how many of each architecture grok."""
    rows, raw = [], {}
    for name in names:
        found = made(name, seeds)
        frame = compare.summary(compare.compare(found))
        raw[name] = frame.to_dict("records")
        rows += [
            Row(
                f"{name}, {row['architecture']}: groks, steps until then (median, least to most)",
                f"{row['grokked']} of {row['seeds']}"
                + (f", {row['grokked_at']:.0f} ({row['grokked_at_low']:.0f} to {row['grokked_at_high']:.0f})"
                   if row["grokked"] else ""),
            )
            for row in raw[name]
        ]  # fmt: skip
    return Result(rows, raw)


def made(name: str, seeds: int) -> list[compare.Compared]:
    """The runs of a comparison, each trained and measured unless its line is there already."""
    place = HOME / f"{name}.jsonl"
    found = {(each.architecture, each.seed): each for each in (compare.load(place) if place.exists() else ())}
    for seed in range(seeds):
        for config in COMPARISONS[name](seed):
            which = (compare.architecture(config), seed)
            if which in found:
                continue
            folder = Path(tempfile.mkdtemp()) / "run"
            try:
                run = miii.runs.record(folder, miii.train(config))
                found[which] = compare.measured(run)
            finally:
                shutil.rmtree(folder.parent, ignore_errors=True)
            say(f"architectures: {name}, {which}, grokked at {found[which].grokked_at}, {found[which].measures}")
            place.parent.mkdir(parents=True, exist_ok=True)
            compare.save(place, found.values())
    return list(found.values())
