"""Circuits: edges ranked by importance, their faithfulness, and the agreement between methods."""

from dataclasses import asdict, dataclass
from typing import Any

from miii.analysis.causal.circuits.experiment import CORRUPTION, EXAMPLES, METRIC, Progress, draw_experiments
from miii.analysis.causal.circuits.faithfulness import Faithfulness, measure_faithfulness, ranking, smallest_faithful
from miii.analysis.causal.circuits.graph import Edge, Graph
from miii.analysis.causal.circuits.methods import METHODS
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task

FAITHFUL = 0.95  #: faithfulness of the exact circuit, the ground truth


@dataclass(frozen=True)
class Circuit:
    """All edges of a network, ranked by one method: the first n are its circuit of n edges.

    The ranking is by |score|, since edges that work against the answer are part of the computation. In a tie, the edge
    nearer to the logits comes first.

    Attributes:
        method: one of ``METHODS``.
        edges: the most important first.
        scores: fall of the metric without the edge, in ``unit``; for "acdc" the largest tau.
        inactive: whether each edge carries the same value in both runs; its score is 0.
        enough: the fewest of these edges with f >= 0.95 on the examples that rank them; None if there is no f.
        faithfulness: on as many other examples, which share no input with the first.
        examples, seed: the number of examples of either kind, and the seed of the draw.

    Source: ranking by |score| as in Hanna et al. 2024 (arXiv 2403.17806).
    """

    method: str
    graph: Graph
    edges: tuple[Edge, ...]
    scores: tuple[float, ...]
    inactive: tuple[bool, ...]
    enough: int | None
    faithfulness: Faithfulness
    examples: int
    seed: int
    metric: str = METRIC
    corruption: str = CORRUPTION

    @property
    def unit(self) -> str:
        """The unit of the scores: "nats" for ACDC, otherwise "logits"."""
        return "nats" if self.method == "acdc" else "logits"

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        found = self.faithfulness
        curve = zip(found.n_edges, found.f or (), found.f_signed or (), strict=found.f is not None)
        return {
            "method": self.method,
            "metric": self.metric,
            "corruption": self.corruption,
            "examples": self.examples,
            "seed": self.seed,
            "unit": self.unit,
            "edges": [
                {"source": edge.source.name, "target": edge.reader, "score": score}
                for edge, score in zip(self.edges, self.scores, strict=True)
            ],
            "m_full": found.m_full,
            "m_empty": found.m_empty,
            "enough": self.enough,
            "cpr": found.cpr,
            "cmd": found.cmd,
            "faithfulness": [{"edges": n, "f": f, "f_signed": signed} for n, f, signed in curve],
        }


def find(
    model: Transformer,
    task: Task,
    method: str = "exact",
    examples: int = EXAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Circuit:
    """Score every edge of a model by one method, and measure the faithfulness of the best edges on fresh examples.

    Args:
        method: "exact" removes each edge alone, "acdc" one after another; "eap" and "eap-ig" use gradients.
        examples: number to draw for the scores, and again for the faithfulness, from training and test examples alike.
        seed: seed of the draw; only circuits with the same seed can be compared.
        progress: called with the steps done and to do, first for the scoring, then for the measurement.

    Raises:
        InputError: ``method`` is unknown, or as ``draw_experiments``.
    """
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)} (got {method!r}).")
    drawn, fresh = draw_experiments(model, task, examples, seed)
    scores = METHODS[method](drawn, progress)
    order = ranking(scores)
    return Circuit(
        method=method,
        graph=drawn.graph,
        edges=tuple(drawn.graph.edges[i] for i in order.tolist()),
        scores=tuple(scores[order].tolist()),
        inactive=tuple(drawn.inactive[order].tolist()),
        enough=smallest_faithful(drawn, scores, FAITHFUL),
        faithfulness=measure_faithfulness(fresh, scores, progress),
        examples=len(drawn.labels),
        seed=seed,
    )


@dataclass(frozen=True)
class Agreement:
    """Agreement of two circuits of one network, over all edges, by |score|.

    Attributes:
        spearman: rank correlation; None if a circuit's scores are all equal.
        auroc: probability that a true edge outranks another edge, ties counting half; None if all edges or none are
            true. The true edges are the ``enough`` first of the exact ranking.
        positives: number of true edges; None if there is no f.
        edges: number of edges.
        inactive: number of edges with the same value in both runs. They score 0 by any method, which raises both
            numbers; ``spearman_active`` and ``auroc_active`` leave them out.

    Source: ROC curves over edges: Syed et al. 2023 (arXiv 2310.10348).
    """

    spearman: float | None
    auroc: float | None
    spearman_active: float | None
    auroc_active: float | None
    positives: int | None
    edges: int
    inactive: int

    def to_json(self) -> dict[str, Any]:
        """Return everything as plain values."""
        return asdict(self)


def agreement(circuit: Circuit, truth: Circuit) -> Agreement:
    """Compare a circuit with the ground truth, usually the exact circuit.

    Raises:
        InputError: the circuits differ in graph, examples or seed.
    """
    drawn = [(c.graph, c.examples, c.seed) for c in (circuit, truth)]
    if drawn[0] != drawn[1]:
        raise InputError(f"circuits must share graph, examples and seed (got {drawn[0]} and {drawn[1]}).")
    found = dict(zip(circuit.edges, circuit.scores, strict=True))
    scores = [abs(found[edge]) for edge in truth.edges]
    exact = [abs(score) for score in truth.scores]
    positives = truth.enough
    true = [n < (positives or 0) for n in range(len(exact))]
    differing = [n for n, inactive in enumerate(truth.inactive) if not inactive]

    def only(values: list[Any]) -> list[Any]:
        return [values[n] for n in differing]

    return Agreement(
        spearman=_spearman(scores, exact),
        auroc=_auroc(true, scores),
        spearman_active=_spearman(only(scores), only(exact)),
        auroc_active=_auroc(only(true), only(scores)),
        positives=positives,
        edges=len(exact),
        inactive=len(exact) - len(differing),
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
