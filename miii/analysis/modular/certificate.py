"""A certificate: a lower bound on the pairs that a network answers correctly, from its formula and what that leaves."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.modular.formula import Formula

ROUNDING = 1e-9  #: a margin must exceed the residual by this share of the largest logit


@dataclass(frozen=True)
class Certificate:
    """How many pairs are proven correct, beside how many are.

    Attributes:
        certified: share of the pairs that are proven correct; at most ``correct``.
        correct: share of the pairs that the network answers correctly, counted one by one.
        margin: the formula's least margin of the correct answer over a wrong one, in logits.
        residual: the largest residual of a wrong answer relative to the correct one, median over classes, in logits.
    """

    certified: float
    correct: float
    margin: float
    residual: float

    @property
    def tightness(self) -> float:
        """The share of the correct pairs that are proven correct; 1 if none is correct."""
        return self.certified / self.correct if self.correct else 1.0


def certify(
    logits: Float[Tensor, "pairs m"],
    labels: Int[Tensor, " pairs"],
    formula: Formula,
    operands: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]] | None = None,
    others: Float[Tensor, "pairs rest"] | None = None,
) -> Certificate:
    """Prove pairs correct, class by class, from the formula's margins and the residual's worst case.

    The logits are the formula plus a residual. A class is the pairs with one correct answer. It is certified if over
    every wrong answer the formula's margin exceeds the largest residual, of either sign, on any pair of the class.
    Then every pair of the class is answered correctly, so the bound never exceeds the count. A network that the formula
    does not describe is not certified, however accurate it is.

    Args:
        logits: of all pairs in the order a * p + b, or of those in ``operands``.
        others: logits of answers that the formula does not have, such as 0 among logarithms. The correct answer must
            exceed them on every pair of the class.

    Source: a lower bound on accuracy as a compact proof: Gross et al. 2024 (arXiv 2406.11779) and, for modular addition
    by its cosines, Yip et al. 2024 (arXiv 2412.03773). Unlike theirs, the residual is measured on every pair, and not
    bounded from the weights.
    """
    m, n = logits.shape[1], torch.arange(logits.shape[1])
    a, b = operands or (n.repeat_interleave(m), n.repeat(m))
    values, explained = logits.double(), formula.logits()[a * m + b]
    wrong = (labels[:, None] + n[1:]) % m  # by distance 1 .. m - 1 from the correct answer
    lead, margins = (each.gather(1, labels[:, None]) - each.gather(1, wrong) for each in (values, explained))
    right, lost = lead.amin(1) > 0, torch.zeros(m, dtype=torch.bool)
    if others is not None and others.shape[1]:
        behind = values.gather(1, labels[:, None])[:, 0] <= others.amax(1)
        right &= ~behind
        lost[labels[behind]] = True
    rows = labels[:, None].expand_as(lead)
    least = torch.full((m, m - 1), torch.inf, dtype=torch.float64).scatter_reduce(0, rows, margins, "amin")
    worst = torch.zeros(m, m - 1, dtype=torch.float64).scatter_reduce(0, rows, (lead - margins).abs(), "amax")
    slack = ROUNDING * max(values.abs().max().item(), explained.abs().max().item())
    proven = (least > worst + slack).all(1) & ~lost
    return Certificate(
        certified=proven[labels].double().mean().item(),
        correct=right.double().mean().item(),
        margin=margins.min().item(),
        residual=worst.amax(1).median().item(),
    )
