"""Attention as the summing operation: where each head looks, and what it adds to the sum from there."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.sieve.digits import Sum


@dataclass(frozen=True)
class Heads:
    """What each head of the last block does where the answer is read.

    Attributes:
        attends: mean attention to each position, the answer's own the last.
        adds: share of the variance between residues that a head adds from a place. Over heads and places the shares
            add up to 1; a head that takes off what the others add has a negative one. All are 0 where nothing varies.

    Source: Elhage et al. 2021 ("A Mathematical Framework for Transformer Circuits"), the QK and OV circuits.
    """

    q: int
    attends: Float[Tensor, "head pos"]
    adds: Float[Tensor, "head place"]


def heads(sums: Sum, metric: Float[Tensor, "d_model d_model"], q: int) -> Heads:
    """Divide the variance between the residues that each place adds among the heads, as the output feels it.

    A residue's mean at a place is the sum of the heads' means, so its square is the sum of each head's product with
    all of them.

    Source: own design; a decomposition of variance into covariances.
    """
    M, residues = metric.double(), sums.parts % q
    adds = torch.zeros(sums.heard.shape[1:3], dtype=torch.float64)
    W_O = sums.W_O.double()
    for place in range(adds.shape[1]):
        here, which = np.unique(residues[:, place], return_inverse=True)
        member = torch.nn.functional.one_hot(torch.from_numpy(which), len(here)).to(sums.heard.dtype)
        heard = torch.einsum("nr,nhd->rhd", member, sums.heard[:, :, place]).double()
        total = torch.einsum("rhd,hdm->rhm", heard, W_O)
        count = member.sum(0).double()
        means = total / count[:, None, None] - total.sum(0) / count.sum()
        adds[:, place] = torch.einsum("r,rhd,de,re->h", count, means, M, means.sum(1))
    whole = adds.sum()
    shares = adds / whole if whole > 0 else torch.zeros_like(adds)
    return Heads(q, sums.pattern.mean(0), shares.to(sums.heard.dtype))
