"""Frequencies of the operands, removed in turn: from the embedding, or from any activation over the pairs (a, b)."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.causal.ablation.score import Ablations, activation, answers, answers_with, every_example, scored
from miii.analysis.modular import fourier, grid
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task


def embedding_frequencies(
    model: Transformer,
    task: Task,
    *,
    groups: Sequence[Collection[int]] | None = None,
    examples: Int[Tensor, " scored"] | None = None,
) -> Ablations:
    """Remove frequencies from W_E: the cosine and sine components of the operands' embeddings.

    Args:
        groups: the frequencies removed together; each of 1 .. p // 2 alone unless given.
        examples: indices of those that are scored; all of them unless given.

    Raises:
        InputError: a frequency is not in 1 .. p // 2.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.4, which removes them from the logits.
    """
    p = task.d_vocab_out
    together, rows = _groups(groups, p), every_example(task, examples)
    W, changed, ablated = fourier.operand_embedding(model, p).detach(), copy.deepcopy(model), []
    for group in together:
        with torch.no_grad():
            changed.W_E[:p] = W - _projector(group, p, W.dtype) @ W
        ablated.append(answers(changed, task, rows))
    return scored("frequency", "removed", _names(together), task.labels[rows], answers(model, task, rows), ablated)


def site_frequencies(
    model: Transformer,
    task: Task,
    site: str = "logits",
    *,
    directions: Literal["all", "sum"] = "all",
    groups: Sequence[Collection[int]] | None = None,
    examples: Int[Tensor, " scored"] | None = None,
) -> Ablations:
    """Remove frequencies from an activation, seen as a function of the pair (a, b), at every position.

    Args:
        site: such as ``"0.mlp_post"`` or ``"logits"``; every activation but ``pos_embed`` and ``scores``.
        directions: "all" removes every product of waves that has the frequency in a or in b; "sum" only the two
            directions cos w_k (a + b) and sin w_k (a + b).
        groups, examples: as in ``embedding_frequencies``.

    Raises:
        InputError: a frequency is not in 1 .. p // 2, the task is not made of all pairs, or there is no such site.

    Source: Nanda et al. 2023, section 4.4; "sum" at the logits is the excluded loss of section 5.1.
    """
    p, remove = grid.modulus(task), remover(directions)
    together, rows = _groups(groups, p), every_example(task, examples)
    if site.endswith(("scores", "pos_embed")):
        raise InputError(f"site must have a finite value for every pair (got {site}).")
    everything = answers(model, task, torch.arange(p * p))
    values = everything if site == "logits" else activation(model, task, site)
    left = (remove(values, group, p)[rows] for group in together)
    ablated = left if site == "logits" else (answers_with(model, task.tokens[rows], site, some) for some in left)
    return scored("frequency", "removed", _names(together), task.labels[rows], everything[rows], ablated)


def remover(directions: str) -> Callable[[Tensor, Collection[int], int], Tensor]:
    """The function that removes some frequencies from values [pairs, ...] of all pairs of Z_p.

    Raises:
        InputError: ``directions`` is neither "all" nor "sum".
    """
    known = {"all": _without_products, "sum": _without_sum}
    if directions not in known:
        raise InputError(f"directions must be one of {', '.join(known)} (got {directions!r}).")
    return known[directions]


def _without_products(values: Tensor, group: Collection[int], p: int) -> Float[Tensor, "pairs *axes"]:
    keep = torch.eye(p, dtype=values.dtype) - _projector(group, p, values.dtype)
    rows_kept = keep @ values.reshape(p, -1)
    return (keep @ rows_kept.view(p, p, -1)).reshape(values.shape)


def _without_sum(values: Tensor, group: Collection[int], p: int) -> Float[Tensor, "pairs *axes"]:
    # a function of (a + b) mod p takes each of its values in p cells, so its length grows by the root of p
    waves = _components(group, p)[:, grid.combined(p)].to(values.dtype) / p**0.5
    flat = values.reshape(p * p, -1)
    return (flat - waves.T @ (waves @ flat)).reshape(values.shape)


def _components(group: Collection[int], p: int) -> Float[Tensor, "component p"]:
    """The rows of the Fourier basis that have one of these frequencies."""
    return fourier.basis(p)[[row for row, k in enumerate(fourier.frequency_of(p)) if k in group]]


def _projector(group: Collection[int], p: int, dtype: torch.dtype) -> Float[Tensor, "p p"]:
    rows = _components(group, p)
    return (rows.T @ rows).to(dtype)


def _groups(groups: Sequence[Collection[int]] | None, p: int) -> Sequence[Collection[int]]:
    together = [(k,) for k in range(1, p // 2 + 1)] if groups is None else groups
    wrong = [k for group in together for k in group if not 1 <= k <= p // 2]
    if wrong:
        raise InputError(f"groups must hold frequencies in 1 .. {p // 2} (got {wrong[0]}).")
    return together


def _names(groups: Sequence[Collection[int]]) -> list[str]:
    return [", ".join(map(str, sorted(group))) for group in groups]
