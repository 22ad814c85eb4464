"""Train the other targets of integer sequences, and kinds by encoding, on three seeds each.

This wrote the shipped file ``checkpoints/sequences.jsonl``::

    python -m benchmarks sequences        a quarter of an hour on an idle core; resumes after a stop

Each run is measured at its end on held-out families; the file keeps settings and measures, no weights. Encodings were
chosen on the families that validate, which are neither trained on nor tested.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import miii
from benchmarks.table import ROOT, Result, Row, log, rounded, write_lines
from miii.analysis import kinds, moduli, sieve, targets
from miii.model.transformer import Transformer
from miii.sweeps import finish
from miii.training.config import RunConfig

PLACE = ROOT / "checkpoints" / "sequences.jsonl"
RUNNING = ROOT / "runs" / "sequences-measured"  #: runs in training; deleted once measured
SEEDS = 3
STEPS, N = 250, 12_000
#: Target and encoding: the other targets, then kinds by encoding. One budget for all.
RUNS = (
    ("next", "differences"),
    ("unmasking", "residues"),
    ("similarity", "differences"),
    *(("kinds", terms) for terms in ("residues", "digits", "magnitude", "differences")),
)
VALIDATION = 0.125
EXAMPLES = 400  #: held-out sequences of a spectrum


def config(target: str, terms: str, seed: int) -> RunConfig:
    """Return the config of a run."""
    task = {"kind": "sequences", "target": target, "terms": terms, "n": N, "validation": VALIDATION, "seed": seed}
    return miii.recipe(task=task, steps=STEPS, eval_every=STEPS, snapshots=1, threads=1)


def run(seeds: int = SEEDS, place: Path = PLACE) -> Result:
    """Train and measure the missing runs; return the medians over seeds."""
    found = sieve.load_runs(place) if place.exists() else []
    known = [(each["target"], each["terms"], each["seed"]) for each in found]
    for seed in range(seeds):
        for target, terms in RUNS:
            if (target, terms, seed) not in known:
                about = {"target": target, "terms": terms, "seed": seed, "n": N, "steps": STEPS}
                found.append(about | measure(config(target, terms, seed)))
                write_lines(place, found)
    return Result(list(rows(found)), {"runs": found})


def measure(config: RunConfig) -> dict[str, Any]:
    """Train a run, which resumes after a stop, and measure its last network on held-out families."""
    task, place = config.task, RUNNING / f"{config.task.target}-{config.task.terms}-{config.task.seed}"  # type: ignore[union-attr]
    assert isinstance(task, miii.Sequences)
    finish(place, config)
    model, built = miii.runs.open(place).model(), task.build()
    if task.target == "kinds":
        found: dict[str, Any] = {"test": kinds.held_out(model, built), "tree": kinds.tree(task)["macro"]}
        if task.terms == "differences":
            found |= parts(model, task)
    else:
        found = {"test": targets.accuracy(model, built, ~built.train_mask)} | targets.baselines(built, task)
    shutil.rmtree(place)
    log(f"sequences: {task.target} from {task.terms}, seed {task.seed}: {found['test']}")
    return rounded(found)


def parts(model: Transformer, config: miii.Sequences) -> dict[str, Any]:
    """Return what the parts of the terms are worth: the modulo spectrum, and what an interchange leaves."""
    task = config.build()
    spectrum = moduli.spectrum(model, task, config, EXAMPLES)
    found = moduli.carriers(model, task, config, EXAMPLES)
    return {
        "lost": dict(zip(spectrum.parts, spectrum.needed.mean(1).tolist(), strict=True)),
        "carriers": {each.kind: [each.yes, each.no, each.residues, each.size] for each in found},
    }


def rows(found: list[dict[str, Any]]) -> Iterator[Row]:
    """Yield a row for each target and encoding: medians over seeds, and their range."""
    for each in targets.over_seeds(found).to_dict("records"):
        score = "macro F1" if each["target"] == "kinds" else "all answers correct"
        usual = "" if each["target"] == "kinds" else f", majority {each['majority']:.3f}"
        yield Row(
            f"sequences, {each['target']} from {each['terms']}, {STEPS} steps, {each['seeds']} seeds: {score}",
            f"{each['network']:.3f} ({each['lowest']:.3f} to {each['highest']:.3f}; tree {each['tree']:.3f}{usual})",
        )
