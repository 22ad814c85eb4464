"""Architectures on equal terms: what each run is, how its training went, and what its network computes."""

import json
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from miii import runs
from miii.analysis.causal import attention
from miii.analysis.modular import verdict
from miii.errors import InputError
from miii.model.tap import sites
from miii.model.transformer import Transformer
from miii.runs.atomic import whole_file
from miii.runs.read import finite
from miii.tasks import ModularAddition, Primes, Task
from miii.training import flat
from miii.training.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

ADDS = "adds"  #: the measure that says whether a network gets the verdict of its task

#: The fields of a config that runs must share, beside the task.
TERMS = (
    *("batch_size", "steps", "seconds", "steps_after_grok", "eval_every", "schedule", "warmup_steps"),
    *("dropout", "dropout_steps"),
)

#: What is measured of a network, in the order of the table, and what each is.
MEASURES: dict[str, str] = {
    ADDS: "the verdict modular addition; of primes: sums residues modulo 3",
    "accuracy": "right answers on the test split at the end, or the ROC AUC of primes",
    "key_frequencies": "how many key frequencies (addition)",
    "explained": "variance that a formula of those waves explains; of primes: that residues modulo 3 explain",
    "steering": "share of answers that follow when the planes are turned",
    "single_frequency": "share of live neurons with more than 85 % of their variance in one frequency (addition)",
    "gradient_symmetricity": "clock and pizza: how alike the gradients by a and by b are (addition)",
    "distance_irrelevance": "clock and pizza: how little the right logit hangs on a - b (addition)",
    "attention_entropy": "of the pattern at the answer, in nats, mean over heads and examples; none without a pattern",
    "sieve_depth": "the largest prime up to which every factor is seen (primes)",
}


def label(name: str) -> str:
    """Return a column of ``compare`` in words; what learns its task need not grok."""
    return {"grokked_at": "learned at step", "seconds_to_grok": "seconds until then"}.get(name, name.replace("_", " "))


@dataclass(frozen=True)
class Compared:
    """One run of a comparison.

    Attributes:
        architecture: what its network is made of and trained by, in the names of the options.
        optimizer: which, at what learning rate and decay.
        terms: what all runs of a comparison share: task without its seed, budget, schedule and dropout.
        seed: None where it is unknown, as ``Run.seed``.
        parameters: numbers that are trained.
        measures: those of ``MEASURES`` that its task has; None where they cannot be taken.
        curve: (step, accuracy on the test split, or validation AUC of primes).
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


def architecture(config: RunConfig) -> str:
    """Block and mixer, and what else is not as in the task's recipe, such as ``pre-norm, gru`` or ``plain, stablemax``."""
    model, usual = config.model, flat.defaults(config.task.kind)
    named: list[str] = [model.block]
    named += [] if model.mixer == "attention" else [model.mixer]
    named += [] if model.n_layers == usual["n_layers"] else [f"{model.n_layers} layers"]
    named += [] if model.act == usual["act"] else [model.act]
    said = ("block", "mixer", "n_layers", "act")
    named += [
        f"{name} {flat.text(value)}"
        for name, value in model.model_dump().items()
        if name not in said and value != usual[name]
    ]
    named += [value for value in (config.loss,) if value != usual["loss"]]
    named += [value for value in (config.optimizer.name,) if value != usual["optimizer"]]
    return ", ".join(named)


def optimizer(config: RunConfig) -> str:
    """The optimiser in a few words, such as ``adamw, lr 0.0175, decay 2.5``."""
    chosen = config.optimizer
    return f"{chosen.name}, lr {chosen.lr:g}, decay {chosen.weight_decay:g}"


def terms(config: RunConfig) -> dict[str, Any]:
    """What runs must share to be compared: the task without its seed, the budget, schedule, dropout and evaluations."""
    dumped = config.model_dump()
    return {"task": config.task.model_dump(exclude={"seed"})} | {name: dumped[name] for name in TERMS}


def on_equal_terms(named: Sequence[tuple[str, dict[str, Any]]]) -> None:
    """Refuse runs, by name and terms, that do not share their ``terms``.

    Raises:
        InputError: there is no run, or they do not share their terms.
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


def measured(run: runs.Run) -> Compared:
    """Measure the last network of a finished run, and read off how its training went.

    Raises:
        InputError: the run's task is neither modular arithmetic nor primes, or it has not ended.
    """
    config, task = run.config, run.config.task
    if not isinstance(task, ModularAddition | Primes):
        raise InputError(f"run must be on modular arithmetic or primes to be compared ({run.name} is on {task.kind}).")
    result = run.result
    if result is None or result["stopped"]:
        raise InputError(f"run must have come to its end to be compared ({run.name} has not).")
    of = _of_primes if isinstance(task, Primes) else _of_addition
    column = "auc" if isinstance(task, Primes) else "test_accuracy"
    model = run.model()
    measures = of(run, model) | {"attention_entropy": _entropy(model, run.task())}
    return Compared(
        run=run.name,
        architecture=architecture(config),
        optimizer=optimizer(config),
        terms=terms(config),
        seed=run.seed,
        parameters=sum(weight.numel() for weight in model.parameters()),
        steps=result["steps"],
        grokked_at=result["grokked_at"],
        seconds_to_grok=result["seconds_to_grok"],
        ms_per_step=result["ms_per_step"],
        measures={name: finite(value) for name, value in measures.items()},
        curve=tuple((int(row["step"]), row[column]) for row in run.rows() if math.isfinite(row.get(column, math.nan))),
    )


def _of_addition(run: runs.Run, model: Transformer) -> dict[str, float | int | None]:
    found = verdict.analyze(model, run.task())
    return {
        ADDS: int(found.verdict == "modular addition"),
        "accuracy": found.test_accuracy,
        "key_frequencies": len(found.key_frequencies),
        "explained": found.logit_variance_explained,
        "steering": found.steering_accuracy,
        "single_frequency": found.neurons_single_frequency,
        "gradient_symmetricity": found.gradient_symmetricity,
        "distance_irrelevance": found.distance_irrelevance,
    }


def _of_primes(run: runs.Run, model: Transformer) -> dict[str, float | int | None]:
    from miii.analysis.sieve import depth, report

    config, task = run.config.task, run.task()
    assert isinstance(config, Primes)
    judged = depth.depth(model, task, config)
    found: dict[str, float | int | None] = {"accuracy": judged.roc_auc, "sieve_depth": judged.sieve_depth}
    try:
        (added,) = report.addition(model, task, config, (3,))
    except InputError:  # what its blocks write does not add up, so there is nothing to split
        return found | {ADDS: None, "explained": None, "steering": None}
    return found | {
        ADDS: int(added.adds),
        "explained": added.variance_explained,
        "steering": added.steering.accuracy,
    }


def _entropy(model: Transformer, task: Task) -> float | None:
    if "pattern" not in sites(model.config):
        return None
    drawn = torch.randperm(len(task.tokens), generator=torch.Generator().manual_seed(0))[:EXAMPLES]
    weight = attention.over_inputs(model, task.tokens[drawn], model.config.n_layers - 1).weight
    if weight.min() < 0:  # a shaped pattern is no distribution
        return None
    share = weight / weight.sum(1, keepdim=True)
    return float(-(share * share.clamp_min(1e-30).log()).sum(1).mean())


EXAMPLES = 4096  #: drawn at random, over which the entropy is a mean


def compare(found: Sequence[Compared]) -> "pd.DataFrame":
    """One row a run: architecture, seed, training, and ``MEASURES``.

    Raises:
        InputError: there is no run, or they do not share their terms.
    """
    import pandas as pd

    on_equal_terms([(each.run, each.terms) for each in found])
    rows = [{k: v for k, v in asdict(each).items() if k not in ("terms", "measures", "curve")} for each in found]
    rows = [row | each.measures for row, each in zip(rows, found, strict=True)]
    names = [name for name in MEASURES if any(name in each.measures for each in found)]
    return pd.DataFrame(rows)[[*(name for name in rows[0] if name not in MEASURES), *names]]


def summary(frame: "pd.DataFrame") -> "pd.DataFrame":
    """One row an architecture and optimiser, over its seeds: how many grok, of every number the median, least and most.

    Columns ``grokked_at``, ``grokked_at_low``, ``grokked_at_high`` and so on; of the steps to grok over those that did.
    """
    import pandas as pd

    names = ("run", "architecture", "optimizer", "seed", "steps", ADDS)
    numbers = [name for name in frame.columns if name not in names]
    rows = []
    for (name, by), group in frame.groupby(["architecture", "optimizer"], sort=False):
        row: dict[str, Any] = {
            "architecture": name,
            "optimizer": by,
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


def curves(found: Iterable[Compared]) -> "pd.DataFrame":
    """One row an evaluation: run, architecture, seed, step, value."""
    import pandas as pd

    return pd.DataFrame(
        [
            {"run": each.run, "architecture": each.architecture, "seed": each.seed, "step": step, "value": value}
            for each in found
            for step, value in each.curve
        ]
    )


def save(path: Path, found: Iterable[Compared]) -> None:
    """Write a comparison, a JSON object a line; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(json.dumps(asdict(each), allow_nan=False) + "\n" for each in found)
    whole_file(path, lambda beside: beside.write_text(lines))


def load(path: Path) -> tuple[Compared, ...]:
    """Read what ``save`` wrote.

    Raises:
        InputError: the file cannot be read, or a line is no such object.
    """
    try:
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return tuple(Compared(**line | {"curve": tuple((s, v) for s, v in line["curve"])}) for line in lines)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} must hold one compared run a line ({error}).") from None
