"""Compare architectures on equal terms: configuration, training, and what the network computes."""

import json
import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from miii.errors import InputError
from miii.runs.atomic import write_atomically
from miii.training import flat
from miii.training.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

ADDS = "adds"  #: the measure that is 1 if the network passes the verdict of its task

#: Fields of a config that compared runs share, in addition to the task.
TERMS = (
    *("batch_size", "steps", "seconds", "steps_after_grok", "until_accuracy", "eval_every", "schedule", "warmup_steps"),
    *("dropout", "dropout_steps", "dropout_site", "dropout_shared"),
)

#: Options that ``changed`` does not list: they stand in a task's description, or do not matter for the result.
UNCHANGED = (
    "operation",
    "expression",
    "p",
    "low",
    "high",
    "base",
    "snapshots",
    "eval_every",
    "threads",
    "device",
    "precision",
)

#: The measures of a network, in the order of the table, with their descriptions.
MEASURES: dict[str, str] = {
    ADDS: "gets the verdict modular addition; for primes: sums residues modulo 3",
    "accuracy": "test accuracy at the end; for primes: ROC AUC",
    "key_frequencies": "number of key frequencies (addition)",
    "explained": "variance of the logits that the formula explains; for primes: of digits' contributions, by residues "
    "modulo 3",
    "steering": "share of answers that shift with the rotated planes; for primes: that flip with another residue",
    "single_frequency": "share of live neurons with more than 85% of their variance in one frequency (addition)",
    "gradient_symmetricity": "similarity of the gradients with respect to a and b, from Clock and Pizza (addition)",
    "distance_irrelevance": "how little the correct logit depends on a − b, from Clock and Pizza (addition)",
    "attention_entropy": "entropy of attention from the last position, in nats, mean over heads and examples",
    "sieve_depth": "the largest prime up to which every factor is seen (primes)",
}


def label(name: str) -> str:
    """Return a label for a column of ``table``: "learned", since a network may learn its task without grokking."""
    words = {
        "grokked_at": "learned at step",
        "seconds_to_grok": "seconds to that step",
        "explained": "variance explained",
    }
    return words.get(name, name.replace("_", " "))


@dataclass(frozen=True)
class ComparedRun:
    """One run of a comparison.

    Attributes:
        architecture: block, mixer and other options that differ from the task's recipe.
        optimizer: its name, learning rate and weight decay.
        terms: shared by all runs of a comparison: task (except seed), budget, schedule and dropout.
        seed: None if unknown, as ``Run.seed``.
        parameters: number of trained parameters.
        measures: those of ``MEASURES`` that its task has; None if they cannot be measured.
        curve: (step, test accuracy, or validation AUC for primes).
        precision: of the training's matrix products; None if unknown.
    """

    run: str
    architecture: str
    optimizer: str
    terms: dict[str, Any]
    seed: int | None
    parameters: int
    steps: int
    grokked_at: int | None
    seconds_to_grok: float | None
    ms_per_step: float | None
    measures: dict[str, float | int | None]
    curve: tuple[tuple[int, float], ...]
    precision: str | None = None


def architecture(config: RunConfig) -> str:
    """Return block, mixer and other differences from the task's recipe, such as ``pre-norm, gru``."""
    model, usual = config.model, flat.defaults(config.task.kind)
    named: list[str] = [model.block]
    named += [] if model.mixer == "attention" else [model.mixer]
    named += [] if model.n_layers == usual["n_layers"] else [f"{model.n_layers} layers"]
    named += [] if model.act == usual["act"] else [model.act]
    listed = ("block", "mixer", "n_layers", "act")
    named += [
        f"{name} {flat.text(value)}"
        for name, value in model.model_dump().items()
        if name not in listed and value != usual[name]
    ]
    named += [value for value in (config.loss,) if value != usual["loss"]]
    named += [value for value in (config.optimizer.name,) if value != usual["optimizer"]]
    return ", ".join(named)


def optimizer(config: RunConfig) -> str:
    """Return a short description of the optimizer, such as ``adamw, lr 0.0175, decay 2.5``."""
    chosen = config.optimizer
    return f"{chosen.name}, lr {chosen.lr:g}, decay {chosen.weight_decay:g}"


def terms(config: RunConfig) -> dict[str, Any]:
    """Return the terms that compared runs must share: task (except seed), budget, schedule, dropout, evaluations."""
    dumped = config.model_dump()
    return {"task": config.task.model_dump(exclude={"seed"})} | {name: dumped[name] for name in TERMS}


def differences(*configs: RunConfig) -> dict[str, tuple[str, ...]]:
    """Return the options in which configs differ, by dotted name: the values as text, ``—`` where there is none.

    Budgets of recording (``snapshots``, ``threads``, ``device``) do not count.
    """
    each = [_flat(config.model_dump()) for config in configs]
    names = dict.fromkeys(name for values in each for name in values if name not in ("snapshots", "threads", "device"))
    found = {name: tuple(_text(values.get(name)) for values in each) for name in names}
    return {name: values for name, values in found.items() if len(set(values)) > 1}


def changed(config: RunConfig) -> str:
    """Return the options in which a run differs from its task's recipe, such as ``seed 3, weight_decay 0``.

    What the task's description says is not repeated: the operation, the modulus, the range of the integers.
    """
    usual = flat.defaults(config.task.kind)
    given = {name: value for name, value in flat.values(config).items() if name not in UNCHANGED}
    return ", ".join(f"{name} {flat.text(value)}" for name, value in given.items() if value != usual.get(name))


def _flat(values: Mapping[str, Any], within: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= _flat(value, f"{within}{name}.") if isinstance(value, dict) else {f"{within}{name}": value}
    return found


def _text(value: Any) -> str:
    return "—" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def check_terms(named: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Check that runs, given as (name, terms), have the same terms.

    Raises:
        InputError: there is no run, or runs differ in a term.
    """
    if not named:
        raise InputError("runs must be at least one (got none).")
    (first, shared), *others = named
    for name, own in others:
        for what in (what for what in shared if own[what] != shared[what]):
            raise InputError(
                f"runs must share their {what} to be compared on equal terms (got {shared[what]!r} in {first} and "
                f"{own[what]!r} in {name})."
            )


def table(found: Sequence[ComparedRun]) -> "pd.DataFrame":
    """Return a table with one row per run: architecture, seed, training, and ``MEASURES``.

    Raises:
        InputError: there is no run, or runs differ in a term.
    """
    import pandas as pd

    check_terms([(each.run, each.terms) for each in found])
    rows = [{k: v for k, v in asdict(each).items() if k not in ("terms", "measures", "curve")} for each in found]
    rows = [row | each.measures for row, each in zip(rows, found, strict=True)]
    names = [name for name in MEASURES if any(name in each.measures for each in found)]
    return pd.DataFrame(rows)[[*(name for name in rows[0] if name not in MEASURES), *names]]


def summary(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return one row per architecture and optimizer: precision, how many seeds grok, and measures over seeds.

    Each measure has a median, a minimum and a maximum: ``grokked_at``, ``grokked_at_low``, ``grokked_at_high`` and
    so on. Steps to grok cover seeds that do.
    """
    import pandas as pd

    names = ("run", "architecture", "optimizer", "seed", "steps", "precision", ADDS)
    numbers = [name for name in frame.columns if name not in names]
    rows = []
    for (name, by), group in frame.groupby(["architecture", "optimizer"], sort=False):
        row: dict[str, Any] = {
            "architecture": name,
            "optimizer": by,
            "precision": ", ".join(sorted({*group["precision"].dropna()})) or None,
            "seeds": len(group),
            "grokked": int(group["grokked_at"].notna().sum()),
            ADDS: int(group[ADDS].sum()) if group[ADDS].notna().any() else None,
        }
        for number in numbers:
            values = [float(value) for value in group[number] if value is not None and not math.isnan(float(value))]
            row[number] = statistics.median(values) if values else None
            row[f"{number}_low"], row[f"{number}_high"] = (min(values), max(values)) if values else (None, None)
        rows.append(row)
    return pd.DataFrame(rows)


def curves(found: Iterable[ComparedRun]) -> "pd.DataFrame":
    """Return one row per evaluation: run, architecture, seed, step, value."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"run": each.run, "architecture": each.architecture, "seed": each.seed, "step": step, "value": value}
            for each in found
            for step, value in each.curve
        ]
    )


def save(path: Path, found: Iterable[ComparedRun]) -> None:
    """Write a comparison as one JSON object per line. Create the folder if needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(asdict(each), allow_nan=False) + "\n" for each in found)
    write_atomically(path, lambda beside: beside.write_text(lines))


def load(path: Path) -> tuple[ComparedRun, ...]:
    """Read a comparison that ``save`` wrote.

    Raises:
        InputError: the file cannot be read, or a line is not a compared run.
    """
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return tuple(ComparedRun(**line | {"curve": tuple((s, v) for s, v in line["curve"])}) for line in lines)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} must hold one compared run a line ({error}).") from None
