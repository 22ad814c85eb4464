"""How well a network answers the other questions about sequences: similarity, next, continuation, unmasking."""

import statistics
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Int

from miii.analysis.activations import last_logits
from miii.analysis.sequences import continuation
from miii.analysis.sequences.kinds import LEAVES, features
from miii.model.transformer import Transformer
from miii.tasks import Sequences, Task
from miii.tasks.sequences.guesses import RULES
from miii.tasks.sequences.task import draw as draw  # for notebooks
from miii.tasks.sequences.typed import spelled

if TYPE_CHECKING:
    import pandas as pd

EXAMPLES = 2000  #: held-out examples that accuracy is measured on


def measure(model: Transformer, untrained: Transformer, task: Task, config: Sequences) -> dict[str, Any]:
    """Return the values for a report on a network with another target than kinds.

    ``test`` and ``validation`` have the accuracy of each answer, and of all together, on held-out families;
    ``baselines`` the share with all answers correct of the most frequent ones, and of a decision tree. A network that
    continues has the shares of ``continuation.exact`` and ``continuation.on_named``.
    """
    found: dict[str, Any] = {
        "target": config.target,
        "test": accuracy(model, task, ~task.train_mask),
        "untrained": accuracy(untrained, task, ~task.train_mask),
        "validation": None if task.val_mask is None else accuracy(model, task, task.val_mask),
    }
    if config.target != "continuation":
        return found | {"baselines": baselines(task, config)}
    named = continuation.on_named(model, config)
    return found | {
        "exact": continuation.exact(model, config).to_dict("records"),
        "named": named.to_dict("records"),
        "named_correct": float(named["correct"].mean()),
        "named_recurrence": float(named["recurrence"].mean()),
    }


def tokens_of(config: Sequences, terms: Sequence[int]) -> Int[torch.Tensor, "pos part"]:
    """Return a sequence as a network that names kinds reads it: the first ``longest`` terms, then "?"."""
    return torch.from_numpy(config.encode([terms]))[0]


def positions(config: Sequences, terms: Sequence[int], n_ctx: int) -> list[str]:
    """Return the name of each position: terms, rules of the continuation, or places if terms were put together."""
    if config.target == "continuation":
        return [*RULES, "?"]
    if config.target != "kinds":
        return [*map(str, range(1, n_ctx)), "?"]
    shown = [spelled(term) for term in terms[: n_ctx - 1]]
    return [*shown, *["·"] * (n_ctx - 1 - len(shown)), "?"]


def accuracy(model: Transformer, task: Task, mask: torch.Tensor) -> dict[str, float]:
    """Return the share of correct answers by target, and of examples with "all" correct."""
    rows = mask.nonzero()[:EXAMPLES, 0]
    logits = last_logits(model, task.tokens[rows])
    right = {t.name: logits[:, task.logits_of(t.name)].argmax(1) == t.labels[rows] for t in task.targets}
    right["all"] = torch.stack(list(right.values())).all(0)
    return {name: float(each.double().mean()) for name, each in right.items()}


def baselines(task: Task, config: Sequences) -> dict[str, float]:
    """Return the share of held-out examples whose answers are all correct, without a network.

    ``majority`` gives the most frequent answers, ``tree`` those of a decision tree on the features of ``kinds.tree``.

    Source: the classifier is scikit-learn's.
    """
    from sklearn.tree import DecisionTreeClassifier

    terms = config.goal.build(config, draw(config)).terms
    x = features(terms, max(map(len, terms)))
    y = torch.stack([target.labels for target in task.targets], dim=1).numpy()
    train, test = task.step_mask.numpy(), ~task.train_mask.numpy()
    usual = np.array([np.bincount(column).argmax() for column in y[train].T])
    fitted = DecisionTreeClassifier(min_samples_leaf=LEAVES, random_state=0).fit(x[train], y[train])
    said = fitted.predict(x[test]).reshape(test.sum(), -1)
    return {"majority": float((y[test] == usual).all(1).mean()), "tree": float((said == y[test]).all(1).mean())}


def over_seeds(found: Sequence[Mapping[str, Any]]) -> "pd.DataFrame":
    """Return one row per target and encoding of runs that ``python -m benchmarks sequences`` measured.

    Columns: target, terms, seeds, and medians over seeds on held-out families: network (macro F1 of kinds, otherwise
    the share with all answers correct) with its lowest and highest value, tree, and majority (None for kinds).
    """
    import pandas as pd

    rows = []
    for target, terms in dict.fromkeys((each["target"], each["terms"]) for each in found):
        same = [each for each in found if (each["target"], each["terms"]) == (target, terms)]
        scores = [each["test"]["macro" if target == "kinds" else "all"] for each in same]
        row = {"target": target, "terms": terms, "seeds": len(same), "network": statistics.median(scores)}
        row |= {"lowest": min(scores), "highest": max(scores), "tree": statistics.median(each["tree"] for each in same)}
        usual = None if target == "kinds" else statistics.median(each["majority"] for each in same)
        rows.append(row | {"majority": usual})
    return pd.DataFrame(rows)
