"""How well a cheap method finds the edges that the exact one finds."""

from dataclasses import asdict, dataclass
from typing import Any

from miii.analysis.causal.circuits.circuit import Circuit
from miii.errors import InputError

FAITHFUL = 0.95  #: what the exact circuit must reach to serve as the truth


@dataclass(frozen=True)
class Agreement:
    """Two circuits of one network, compared over all its edges by |score|.

    Attributes:
        spearman: rank correlation; None where all edges of one of them score the same.
        auroc: chance that an edge of the truth outranks another edge, ties counting half; None where all edges or none
            are true. The truth is the smallest set of the exact ranking with f >= 0.95.
        positives: how many edges are true, or None where there is no f.
        edges: how many there are.
        silent: how many of them carry the same in both runs. They score 0 by any method, which makes both numbers
            larger; ``spearman_heard`` and ``auroc_heard`` leave them out.

    Source: Syed et al. 2023 (arXiv 2310.10348) for ROC curves over edges; the truth is own design.
    """

    spearman: float | None
    auroc: float | None
    spearman_heard: float | None
    auroc_heard: float | None
    positives: int | None
    edges: int
    silent: int

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        return asdict(self)


def agreement(circuit: Circuit, truth: Circuit) -> Agreement:
    """Compare a circuit with another that serves as the truth, most sensibly the exact one.

    Raises:
        InputError: they are of networks of different shape, or were measured on different examples.

    Source: as ``Agreement``.
    """
    drawn = [(c.graph, c.examples, c.seed) for c in (circuit, truth)]
    if drawn[0] != drawn[1]:
        raise InputError(f"circuits must share graph, examples and seed (got {drawn[0]} and {drawn[1]}).")
    found = dict(zip(circuit.edges, circuit.scores, strict=True))
    scores = [abs(found[edge]) for edge in truth.edges]
    exact = [abs(score) for score in truth.scores]
    positives = truth.faithfulness.smallest(FAITHFUL)
    true = [n < (positives or 0) for n in range(len(exact))]
    heard = [n for n, silent in enumerate(truth.silent) if not silent]

    def only(values: list[Any]) -> list[Any]:
        return [values[n] for n in heard]

    return Agreement(
        spearman=_spearman(scores, exact),
        auroc=_auroc(true, scores),
        spearman_heard=_spearman(only(scores), only(exact)),
        auroc_heard=_auroc(only(true), only(scores)),
        positives=positives,
        edges=len(exact),
        silent=len(exact) - len(heard),
    )


def _spearman(a: list[float], b: list[float]) -> float | None:
    if len(set(a)) < 2 or len(set(b)) < 2:
        return None
    from scipy.stats import spearmanr  # half a second to import

    return float(spearmanr(a, b).statistic)


def _auroc(true: list[bool], scores: list[float]) -> float | None:
    if len(set(true)) < 2:
        return None
    from sklearn.metrics import roc_auc_score  # a second to import

    return float(roc_auc_score(true, scores))
