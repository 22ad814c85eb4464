"""Plain functions from logits and labels to numbers, in float64: losses near 1e-7 vanish in float32."""

import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def cross_entropy(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Float[Tensor, " batch"]:
    """Cross-entropy of each example in nats, computed in float64. Source: Nanda et al. 2023, appendix A."""
    return F.cross_entropy(logits.double(), labels, reduction="none")


def correct(logits: Float[Tensor, "batch d_vocab_out"], labels: Int[Tensor, " batch"]) -> Bool[Tensor, " batch"]:
    """Whether the largest logit is the label's. Source: argmax accuracy, as in Power et al. 2022."""
    return logits.argmax(-1) == labels
