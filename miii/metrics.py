"""Plain functions from logits and labels to numbers, in float64: losses near 1e-7 vanish in float32."""

import numpy as np
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def cross_entropy(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Cross-entropy of each example in nats, computed in float64. Source: Nanda et al. 2023, appendix A."""
    return F.cross_entropy(logits.double(), labels, reduction="none")


def correct(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
    """Whether the largest logit is the label's. Source: argmax accuracy, as in Power et al. 2022."""
    return logits.argmax(-1) == labels


def auc(score: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve: how often a positive example scores above a negative one; NaN without both kinds.

    Source: Hanley and McNeil 1982, by scikit-learn.
    """
    from sklearn.metrics import roc_auc_score  # takes a second to import, which not every training needs

    if positive.all() or not positive.any() or not np.isfinite(score).all():
        return float("nan")
    return float(roc_auc_score(positive, score))
