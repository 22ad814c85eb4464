"""Losses and metrics of logits and labels. Evaluation uses float64, since losses near 1e-7 vanish in float32."""

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def cross_entropy(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Return the cross-entropy of each example in nats, computed in float64. Source: Nanda et al. 2023, appendix A."""
    return F.cross_entropy(logits.double(), labels, reduction="none")


def stablemax(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Return the StableMax cross-entropy, with s(x) = x + 1 for x >= 0, else 1 / (1 - x), in place of exp.

    Computed in float64, in training too; in the precision of the logits on devices without float64 (MPS).

    Source: Prieto et al. 2025 (arXiv 2501.04697), section 4.1; float64 as in their code.
    """
    logits = logits if logits.device.type == "mps" else logits.double()
    size = torch.where(logits >= 0, logits.clamp(min=0).log1p(), -(-logits.clamp(max=0)).log1p())
    return torch.logsumexp(size, dim=-1) - size.gather(-1, labels[:, None])[:, 0]


def squared(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Return the squared distance of the logits from the one-hot label.

    Source: Gromov 2023 (arXiv 2301.02679), equation 5, summed over classes.
    """
    return logits.square().sum(-1) - 2 * logits.gather(-1, labels[:, None])[:, 0] + 1


LossName = Literal["cross-entropy", "stablemax", "squared"]

#: Per-example losses, in the precision of the logits; StableMax in float64.
LOSSES: dict[LossName, Callable[[Tensor, Tensor], Tensor]] = {
    "cross-entropy": lambda logits, labels: F.cross_entropy(logits, labels, reduction="none"),
    "stablemax": stablemax,
    "squared": squared,
}


def next_token(
    loss: Callable[[Tensor, Tensor], Tensor],
    logits: Float[Tensor, "batch pos d_vocab"],
    following: Int[Tensor, "batch pos"],
) -> Float[Tensor, " batch"]:
    """Return each example's mean loss over the positions with a target (``following`` >= 0).

    Source: masked next-token loss, as in Hu et al. 2023 (arXiv 2309.17080), section 2.2.
    """
    asked = following >= 0
    losses = loss(logits[asked], following[asked])
    each = torch.zeros(following.shape, dtype=losses.dtype, device=losses.device).masked_scatter(asked, losses)
    return each.sum(1) / asked.sum(1)


def correct(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
    """Return whether the largest logit is the label's, as in Power et al. 2022."""
    return logits.argmax(-1) == labels


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Return the ROC AUC, the probability that a positive scores above a negative; NaN if a class is absent.

    Source: Hanley and McNeil 1982; computed with scikit-learn.
    """
    from sklearn.metrics import roc_auc_score  # takes a second to import

    if positive.all() or not positive.any() or not np.isfinite(score).all():
        return float("nan")
    return float(roc_auc_score(positive, score))
