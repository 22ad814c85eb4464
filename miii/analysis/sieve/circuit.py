"""The circuits of a network that was asked for primes, each found on examples that differ in one question only."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from miii.analysis.causal import circuits
from miii.analysis.sieve import numbers
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

MOST = 20_000  #: examples that pairs are drawn from
FAITHFUL = 0.9  #: of the way from all edges corrupted to none
#: Up to so many edges that carry anything, each is patched by itself; of more, gradients tell. Exact is worth minutes:
#: of MIU's 297 edges it finds a circuit of 31, and gradients one of 268.
EXACT = 400


@dataclass(frozen=True)
class Asked:
    """The circuit behind one question.

    Attributes:
        question: ``base``: is it coprime to the base (the last digit)? ``3``: does 3 divide it, among those that are?
        method: how edges are ranked, by its name in ``circuits.METHODS``: exact for up to ``EXACT`` edges, else eap-ig.
        edges: the fewest best edges that bring 90 % of the evidence back, by name, with what each is worth in logits.
        faithfulness: what these edges alone bring back, 1 being all of it.
        without: what all others bring back when these are corrupted: the circuit's ablation.

    Without a circuit that does so, there are no edges, and both are NaN.

    Source: Conmy et al. 2023 (arXiv 2304.14997); faithfulness as in ``analysis.circuits``.
    """

    question: str
    method: str
    edges: tuple[tuple[str, float], ...]
    faithfulness: float
    without: float

    def to_json(self) -> dict[str, Any]:
        """The circuit by name; None for NaN."""
        return {
            "method": self.method,
            "edges": dict(self.edges),
            "faithfulness": finite(self.faithfulness),
            "without": finite(self.without),
        }


def question(task: Task, config: Primes | MIU, asked: str) -> Task:
    """Held-out examples that answer a question with "prime" (or "theorem") or with its opposite, and nothing else.

    Raises:
        InputError: the question is no prime, and not ``base``.
    """
    rows = numbers.side(task, False, MOST)
    n = task.facts["n" if isinstance(config, Primes) else "I"].numpy()[rows]
    if isinstance(config, Primes):
        coprime = np.gcd(n, config.base) == 1
        if asked == "base":
            kept, yes = np.ones(len(n), dtype=bool), coprime
        elif asked.isdecimal() and int(asked) > 1:
            kept, yes = coprime, n % int(asked) != 0
        else:
            raise InputError(f"question must be base or a prime (got {asked!r}).")
    else:
        kept, yes = np.ones(len(n), dtype=bool), n % 3 != 0
    chosen = rows[kept]
    return replace(
        task,
        tokens=task.tokens[chosen],
        labels=torch.from_numpy(yes[kept].astype(np.int64)),
        train_mask=torch.zeros(len(chosen), dtype=torch.bool),
        val_mask=None,
        chances=None,
        more=(),
        facts=MappingProxyType({}),
    )


def find(model: Transformer, task: Task, config: Primes | MIU, asked: str, seed: int = 0) -> Asked:
    """Score every edge, and take the best ones until they do.

    Raises:
        InputError: as ``question``.

    Source: ``analysis.circuits``.
    """
    drawn = circuits.experiment(model, question(task, config, asked), seed=seed)
    method = "exact" if int((~drawn.silent).sum()) <= EXACT else "eap-ig"
    scores = circuits.METHODS[method](drawn, None)
    order = circuits.ranking(scores)
    found = circuits.faithfulness(drawn, order)
    size = found.smallest(FAITHFUL)
    if size is None:
        return Asked(asked, method, (), float("nan"), float("nan"))
    kept = torch.zeros(len(order), dtype=torch.bool)
    kept[order[:size]] = True

    def brought(kept: Bool[Tensor, " edges"]) -> float:
        metric = drawn.metric(circuits.run(drawn, kept, 0))
        return (metric - found.m_empty) / (found.m_full - found.m_empty)

    return Asked(
        question=asked,
        method=method,
        edges=tuple((drawn.graph.edges[i].name, scores[i].item()) for i in order[:size].tolist()),
        faithfulness=brought(kept),
        without=brought(~kept),
    )
