"""Circuits of a network for primes or MIU, one per question, on examples that differ only in that question."""

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from miii.analysis.causal import circuits
from miii.analysis.sieve.factors import draw_rows
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

EXAMPLES = 20_000  #: most examples from which pairs are drawn
FAITHFUL = 0.9  #: faithfulness of the circuit
#: Patch each edge if at most this many differ between runs; otherwise use gradients. Patching takes minutes but finds
#: smaller circuits: 31 of MIU's 297 edges, against 268 by gradients.
EXACT = 400


@dataclass(frozen=True)
class QuestionCircuit:
    """The circuit of one question. If no circuit is faithful, it has no edges and NaN scores.

    Attributes:
        question: ``base``: is it coprime to the base (the last digit)? ``3``: does 3 divide it, if it is coprime?
        method: ranks the edges, one of ``circuits.METHODS``: exact for up to ``EXACT`` edges, otherwise eap-ig.
        edges: the fewest top edges with a faithfulness of 0.9 on the examples that rank them, by name, with their
            scores in logits.
        faithfulness: with only these edges, on other examples.
        without: faithfulness of all other edges, on other examples: the circuit's ablation.

    Source: Conmy et al. 2023 (arXiv 2304.14997); faithfulness as in ``analysis.circuits``.
    """

    question: str
    method: str
    edges: tuple[tuple[str, float], ...]
    faithfulness: float
    without: float

    def to_json(self) -> dict[str, Any]:
        """Return the circuit by name; None for NaN."""
        return {
            "method": self.method,
            "edges": dict(self.edges),
            "faithfulness": finite(self.faithfulness),
            "without": finite(self.without),
        }


def question_task(task: Task, config: Primes | MIU, question: str) -> Task:
    """Return held-out examples labeled by one question only.

    Raises:
        InputError: the question is neither a prime nor ``base``.
    """
    rows = draw_rows(task, False, EXAMPLES)
    n = task.facts["n" if isinstance(config, Primes) else "I"].numpy()[rows]
    if isinstance(config, Primes):
        coprime = np.gcd(n, config.base) == 1
        if question == "base":
            kept, yes = np.ones(len(n), dtype=bool), coprime
        elif question.isdecimal() and int(question) > 1:
            kept, yes = coprime, n % int(question) != 0
        else:
            raise InputError(f"question must be base or a prime (got {question!r}).")
    else:
        kept, yes = np.ones(len(n), dtype=bool), n % 3 != 0
    chosen = rows[kept]
    return replace(
        task,
        tokens=task.tokens[chosen],
        labels=torch.from_numpy(yes[kept].astype(np.int64)),
        train_mask=torch.zeros(len(chosen), dtype=torch.bool),
        val_mask=None,
        sampling_weights=None,
        extra_targets=(),
        facts=MappingProxyType({}),
    )


def find_circuit(model: Transformer, task: Task, config: Primes | MIU, question: str, seed: int = 0) -> QuestionCircuit:
    """Score every edge, keep the fewest top edges that are faithful, and measure them on fresh examples.

    Raises:
        InputError: as ``question_task`` and ``circuits.draw_experiments``.
    """
    drawn, fresh = circuits.draw_experiments(model, question_task(task, config, question), seed=seed)
    method = "exact" if int((~drawn.inactive).sum()) <= EXACT else "eap-ig"
    scores = circuits.METHODS[method](drawn, None)
    size = circuits.smallest_faithful(drawn, scores, FAITHFUL)
    if size is None:
        return QuestionCircuit(question, method, (), float("nan"), float("nan"))
    order = circuits.ranking(scores)
    kept = torch.zeros(len(order), dtype=torch.bool)
    kept[order[:size]] = True
    return QuestionCircuit(
        question=question,
        method=method,
        edges=tuple((drawn.graph.edges[i].name, scores[i].item()) for i in order[:size].tolist()),
        faithfulness=circuits.faithfulness_of(fresh, kept),
        without=circuits.faithfulness_of(fresh, ~kept),
    )
