"""A circuit: the edges in order of their importance, and what the first of them achieve."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.causal.circuits.acdc import acdc_scores
from miii.analysis.causal.circuits.attribution import eap, eap_ig
from miii.analysis.causal.circuits.exact import exact
from miii.analysis.causal.circuits.experiment import CORRUPTION, EXAMPLES, METRIC, Experiment, Progress, experiment
from miii.analysis.causal.circuits.faithfulness import Faithfulness, faithfulness
from miii.analysis.causal.circuits.graph import Edge, Graph
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task

METHODS: dict[str, Callable[[Experiment, Progress | None], Float[Tensor, " edges"]]] = {
    "exact": exact,
    "acdc": acdc_scores,
    "eap": eap,
    "eap-ig": eap_ig,
}


@dataclass(frozen=True)
class Circuit:
    """All edges of a network, ranked by one method: the first n are its circuit of n edges.

    The rank is by |score|: a circuit is to do what the network does, and an edge that works against the answer is part
    of that. Among equal scores the edge nearer to the logits comes first.

    Attributes:
        method: one of ``METHODS``.
        edges: the most important first.
        scores: theirs, in ``unit``: by how much the metric falls without the edge; for "acdc" the largest tau.
        silent: whether each edge carries the same in the run on the corruptions; its score is 0.
        examples, seed: how many examples were drawn, and with which seed.

    Source: ranking by |score| as in Hanna et al. 2024 (arXiv 2403.17806).
    """

    method: str
    graph: Graph
    edges: tuple[Edge, ...]
    scores: tuple[float, ...]
    silent: tuple[bool, ...]
    faithfulness: Faithfulness
    examples: int
    seed: int
    metric: str = METRIC
    corruption: str = CORRUPTION

    @property
    def unit(self) -> str:
        """What the scores count in: "nats" for ACDC, else "logits"."""
        return "nats" if self.method == "acdc" else "logits"

    def to_json(self) -> dict[str, Any]:
        """Everything as plain values."""
        found = self.faithfulness
        curve = zip(found.n_edges, found.f, strict=True) if found.f is not None else ()
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
            "cpr": found.cpr,
            "cmd": found.cmd,
            "faithfulness": [{"edges": n, "f": f} for n, f in curve],
        }


def find(
    model: Transformer,
    task: Task,
    method: str = "exact",
    examples: int = EXAMPLES,
    seed: int = 0,
    progress: Progress | None = None,
) -> Circuit:
    """Score every edge of a model by one method, and measure what the best achieve alone.

    Args:
        method: "exact" removes each edge by itself, "acdc" one after another, "eap" and "eap-ig" use gradients.
        examples: drawn from all examples of the task, those for training and those for testing.
        seed: fixes the draw; circuits that are to be compared must share it.
        progress: told the steps done and to do, first of the scoring, then of the measuring.

    Raises:
        InputError: ``method`` is unknown, or the task does not allow the experiment.

    Source: own design; see the methods for theirs.
    """
    if method not in METHODS:
        raise InputError(f"method must be one of {', '.join(METHODS)} (got {method!r}).")
    drawn = experiment(model, task, examples, seed)
    scores = METHODS[method](drawn, progress)
    order = ranking(scores)
    found = faithfulness(drawn, order, progress)
    return Circuit(
        method=method,
        graph=drawn.graph,
        edges=tuple(drawn.graph.edges[i] for i in order.tolist()),
        scores=tuple(scores[order].tolist()),
        silent=tuple(drawn.silent[order].tolist()),
        faithfulness=found,
        examples=len(drawn.labels),
        seed=seed,
    )


def ranking(scores: Float[Tensor, " edges"]) -> Int[Tensor, " edges"]:
    """The edges by |score|, descending; among equals the last in the order of ``Graph``. Source: as ``Circuit``."""
    last = len(scores) - 1
    return last - torch.sort(scores.abs().flip(0), descending=True, stable=True).indices
