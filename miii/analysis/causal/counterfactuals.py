"""Counterfactual partners: for each example, one with a different answer."""

from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from miii.errors import InputError


def draw_counterfactuals(
    labels: Int[Tensor, " examples"], rows: Int[Tensor, " rows"], generator: torch.Generator
) -> Int[Tensor, " rows"]:
    """Draw a partner for each example, uniformly among all examples with a different label.

    Raises:
        InputError: all labels are the same.

    Source: the corrupted input of Wang et al. 2022 (arXiv 2211.00593), section 3.
    """
    if len(labels.unique()) < 2:
        raise InputError("task must have examples with different answers (got one answer for all).")
    drawn = rows.clone()
    while len(again := (labels[drawn] == labels[rows]).nonzero().flatten()):
        drawn[again] = torch.randint(len(labels), (len(again),), generator=generator)
    return drawn


@dataclass(frozen=True)
class Pairs:
    """Pairs of indices: clean examples, and corrupted examples with different answers."""

    clean: Int[Tensor, " pairs"]
    corrupt: Int[Tensor, " pairs"]


def draw_pairs(labels: Int[Tensor, " examples"], n: int = 256, seed: int = 0) -> Pairs:
    """Draw ``n`` clean examples without replacement, or all if there are fewer, and a partner for each.

    Raises:
        InputError: ``n`` is below 1, or all labels are the same.

    Source: Wang et al. 2022, section 3.
    """
    if n < 1:
        raise InputError(f"n must be at least 1 (got {n}).")
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randperm(len(labels), generator=generator)[:n]
    return Pairs(clean, draw_counterfactuals(labels, clean, generator))
