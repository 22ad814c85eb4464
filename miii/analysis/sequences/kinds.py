"""How well a network names the kinds of sequences: held-out families, named sequences, baselines."""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from miii.analysis.activations import last_logits
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Sequences, Task, TaskConfig
from miii.tasks.sequences.kinds import KINDS as KINDS
from miii.tasks.sequences.named import labels, named
from miii.tasks.sequences.task import draw as draw  # for notebooks, like the three below
from miii.tasks.sequences.task import f1, labels_of
from miii.tasks.sequences.typed import known_kinds as known_kinds
from miii.tasks.sequences.typed import parse as parse
from miii.tasks.sequences.typed import spelled as spelled

if TYPE_CHECKING:
    import pandas as pd

LEAVES = 4  #: examples in a leaf of the decision tree, at least


def check(config: TaskConfig) -> Sequences:
    """Return the config if it asks for the kinds of sequences.

    Raises:
        InputError: it is of another task or target.
    """
    if not isinstance(config, Sequences):
        raise InputError(f"run must be on the task sequences (got {config.task_name}).")
    if config.target != "kinds":
        raise InputError(f"run must be on sequences with target kinds (got {config.target}).")
    return config


def confidences(
    model: Transformer, tokens: Int[torch.Tensor, "examples pos part"]
) -> Float[np.ndarray, "examples kinds"]:
    """Return the probability of each kind: a softmax over no and yes."""
    logits = last_logits(model, tokens).double().view(len(tokens), len(KINDS), 2)
    return (logits[..., 1] - logits[..., 0]).sigmoid().numpy()


def of_terms(model: Transformer, config: Sequences, terms: Sequence[int]) -> dict[str, float]:
    """Return the probability of each kind for one sequence, of which the first ``longest`` terms are read."""
    found = confidences(model, torch.from_numpy(config.encode([terms])))[0]
    return dict(zip(KINDS, found.tolist(), strict=True))


def scores(said: Bool[np.ndarray, "examples kinds"], true: Bool[np.ndarray, "examples kinds"]) -> dict[str, float]:
    """Return the F1 score of each kind, and their mean as "macro"."""
    each = {kind: f1(said[:, i], true[:, i]) for i, kind in enumerate(KINDS)}
    return each | {"macro": float(np.mean(list(each.values())))}


def held_out(model: Transformer, task: Task) -> dict[str, float]:
    """Return the F1 scores on all sequences of held-out families."""
    test = ~task.train_mask
    true = torch.stack([target.labels for target in task.targets], dim=1)[test].numpy() == 1
    return scores(confidences(model, task.tokens[test]) > 0.5, true)


def on_named(model: Transformer, config: Sequences) -> "pd.DataFrame":
    """Return what a network predicts for the named sequences.

    The leading kind, the one with the highest probability, is correct if it holds. For a sequence of no kind, to lead
    with none (no probability above 1/2) is correct.

    Returns:
        One row per sequence: ``name``, ``leading``, ``confidence``, ``correct``, ``true`` (its kinds, with commas).
    """
    import pandas as pd

    names = list(named())
    tokens = torch.from_numpy(config.encode([named()[name].terms for name in names]))
    found, true = confidences(model, tokens), labels(names)
    rows = []
    for name, p, holds in zip(names, found, true, strict=True):
        lead = int(p.argmax())
        says = p[lead] > 0.5
        correct = bool(holds[lead]) if says else not holds.any()
        kinds = ", ".join(kind for kind, yes in zip(KINDS, holds, strict=True) if yes)
        leading = tuple(KINDS)[lead] if says else "none"
        rows.append({"name": name, "leading": leading, "confidence": p[lead], "correct": correct, "true": kinds})
    return pd.DataFrame(rows)


def tree(config: Sequences) -> dict[str, float]:
    """Return the F1 scores of a decision tree on differences and ratios, on the same split.

    Its features: signed logarithms of the terms and of their first and second differences, and ratios of neighbors.

    Source: the classifier is scikit-learn's.
    """
    from sklearn.tree import DecisionTreeClassifier

    drawn = draw(config)
    x, y = features([each.rule.terms for each in drawn], config.longest), labels_of(drawn)
    train = np.arange(len(drawn)) < config.n_train
    fitted = DecisionTreeClassifier(min_samples_leaf=LEAVES, random_state=0).fit(x[train], y[train])
    return scores(fitted.predict(x[~train]) == 1, y[~train])


def features(sequences: Sequence[Sequence[int]], longest: int) -> Float[np.ndarray, "sequences features"]:
    """Return the decision tree's features; 0 where a sequence has ended."""
    found = np.zeros((len(sequences), 4, longest))
    for row, terms in zip(found, sequences, strict=True):
        first = [b - a for a, b in itertools.pairwise(terms)]
        second = [b - a for a, b in itertools.pairwise(first)]
        for part, values in zip(row, (terms, first, second), strict=False):
            part[: len(values)] = [_signed_log(value) for value in values]
        row[3, : len(terms) - 1] = [float(Fraction(b, a)) if a else 0.0 for a, b in itertools.pairwise(terms)]
    return found.reshape(len(sequences), -1)


def _signed_log(x: int) -> float:
    return math.copysign(math.log2(1 + abs(x)), x)
