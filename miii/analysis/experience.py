"""Generalization: how far a network carries beyond its training examples, and how many of them it needs.

Small trained networks are compared by experiment: ``splits`` (what training leaves out), ``primes`` and ``addition``
(learning curves over the number of training examples) and ``activations``. ``python -m benchmarks experience`` trains
them; their settings and measures are kept, their weights are not.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from miii.analysis.activations import last_logits
from miii.analysis.sieve.factors import draw_rows
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.atomic import write_atomically
from miii.runs.read import finite
from miii.tasks import Primes, Task
from miii.tasks.integers import withheld

if TYPE_CHECKING:
    import pandas as pd

MOST = 50_000  #: integers to run per part


@dataclass(frozen=True)
class Trial:
    """One small run: its settings, and its measures at the end of training.

    Attributes:
        experiment: the comparison that it belongs to.
        name: what distinguishes it there, such as "range" or "sigmoid".
        examples: number of training examples.
        steps: number of steps trained.
        config: fields of its ``RunConfig`` that differ from the defaults, without the seed.
        measures: shares and AUCs from 0 to 1; None if undefined. "untrained" ones are of the initial weights.
    """

    experiment: str
    name: str
    seed: int
    examples: int
    steps: int
    config: dict[str, Any]
    measures: dict[str, float | None]


def sieving(model: Transformer, task: Task, config: Primes, seed: int = 0) -> dict[str, float | None]:
    """Return AUCs of primes against composites, on integers like those of training and on what training leaves out.

    - ``like``: the validation part, which is split at random from the training integers;
    - ``beyond``: the test split; of a task that withholds counts, the primes and the integers with these counts;
    - ``like_3``, ``beyond_3``: the same against composites with the smallest factor 3.

    Each part has up to 50,000 integers, drawn at random.

    Raises:
        InputError: a logit is not finite.

    Source: the draft paper, section 5.2.
    """
    assert task.val_mask is not None
    test = draw_rows(task, False, len(task.labels), seed)
    if config.withheld:
        test = test[(task.labels.numpy()[test] == 1) | withheld(task.facts["n"].numpy()[test], config)]
    parts = {"like": np.flatnonzero(task.val_mask.numpy()), "beyond": test}
    found: dict[str, float | None] = {}
    for name, rows in parts.items():
        drawn = np.sort(np.random.default_rng(seed).permutation(rows)[:MOST])
        scores = _scores(model, task, drawn)
        found |= {name: finite(scores["auc"]), f"{name}_3": finite(scores["auc_3"])}
    return found


def _scores(model: Transformer, task: Task, rows: Int[np.ndarray, " rows"]) -> dict[str, float]:
    return Primes.scores(task, last_logits(model, task.tokens[rows]).numpy(), rows)


def save(path: Path, trials: Iterable[Trial]) -> None:
    """Write trials as JSON, one per line."""
    lines = sorted(trials, key=lambda each: (each.experiment, each.name, each.examples, each.seed))
    text = "".join(json.dumps(asdict(each), allow_nan=False) + "\n" for each in lines)
    write_atomically(path, lambda beside: beside.write_text(text))


def load(path: Path) -> tuple[Trial, ...]:
    """Read trials that ``save`` wrote.

    Raises:
        InputError: the file cannot be read, or a line is not a trial.
    """
    try:
        return tuple(Trial(**json.loads(line)) for line in path.read_text().splitlines())
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path} must hold one trial a line ({error}).") from None


def bands(trials: Iterable[Trial], experiment: str) -> "pd.DataFrame":
    """Return the median, least and greatest value of each measure over the seeds.

    Columns: ``name``, ``examples`` (median), ``measure``, ``low``, ``median``, ``high``, ``seeds``. Trials of one name
    whose ``train_fraction`` differs are apart.
    """
    import pandas as pd

    rows = [
        {
            "name": each.name,
            "share": each.config["task"].get("train_fraction"),
            "examples": each.examples,
            "measure": measure,
            "value": value,
        }
        for each in trials
        if each.experiment == experiment
        for measure, value in each.measures.items()
        if value is not None
    ]
    columns = ["name", "share", "measure"]
    frame = pd.DataFrame(rows, columns=["name", "share", "examples", "measure", "value"])
    grouped = frame.groupby(columns, sort=False, dropna=False)
    found = grouped["value"].agg(low="min", median="median", high="max", seeds="count")
    found.insert(0, "examples", grouped["examples"].median().astype(int))
    return found.reset_index().drop(columns="share")
