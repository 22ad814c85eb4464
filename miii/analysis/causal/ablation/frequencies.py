"""Remove frequencies of the operands from the embedding, or from any activation as a function of (a, b)."""

import copy
from collections.abc import Callable, Collection, Sequence
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect, last_logits
from miii.analysis.causal.ablation.score import Ablations, from_logits, last_logits_with, scored_rows
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
        groups: frequencies to remove together; if None, each of 1 .. p // 2 alone.
        examples: indices of the scored examples; all of them if None.

    Raises:
        InputError: a frequency is not in 1 .. p // 2.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.4, which removes them from the logits.
    """
    p = task.d_vocab_out
    together, rows = _groups(groups, p), scored_rows(task, examples)
    tokens, labels = task.tokens[rows], task.labels[rows]
    W, changed, ablated = fourier.operand_embedding(model, p).detach(), copy.deepcopy(model), []
    for group in together:
        with torch.no_grad():
            changed.W_E[:p] = W - _projector(group, p, W.dtype) @ W
        ablated.append(last_logits(changed, tokens))
    return from_logits("frequency", "removed", _names(together), labels, last_logits(model, tokens), ablated)


def site_frequencies(
    model: Transformer,
    task: Task,
    site: str = "logits",
    *,
    directions: Literal["all", "sum"] = "all",
    groups: Sequence[Collection[int]] | None = None,
    examples: Int[Tensor, " scored"] | None = None,
) -> Ablations:
    """Remove frequencies from an activation as a function of the pair (a, b), at every position.

    Args:
        site: such as ``"0.mlp_post"`` or ``"logits"``; any activation except ``pos_embed`` and ``scores``.
        directions: "all" removes every product of waves with the frequency in a or in b; "sum" removes only the two
            directions cos w_k (a + b) and sin w_k (a + b).
        groups, examples: as in ``embedding_frequencies``.

    Raises:
        InputError: a frequency is not in 1 .. p // 2, the task does not have all pairs, or there is no such site.

    Source: Nanda et al. 2023, section 4.4; "sum" at the logits is the excluded loss of section 5.1.
    """
    p, remove = grid.modulus(task), remover(directions)
    together, rows = _groups(groups, p), scored_rows(task, examples)
    if site.endswith(("scores", "pos_embed")):
        raise InputError(f"site must have a finite value for every pair (got {site}).")
    logits = last_logits(model, task.tokens)
    values = logits if site == "logits" else collect(model, task.tokens, {site})[site]
    left = (remove(values, group, p)[rows] for group in together)
    ablated = left if site == "logits" else (last_logits_with(model, task.tokens[rows], site, some) for some in left)
    return from_logits("frequency", "removed", _names(together), task.labels[rows], logits[rows], ablated)


def remover(directions: str) -> Callable[[Tensor, Collection[int], int], Tensor]:
    """Return the function that removes frequencies from values [pairs, ...] over all pairs of Z_p.

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
    # a function of (a + b) mod p has each value in p cells, so its length is larger by sqrt(p)
    waves = _components(group, p)[:, grid.combined(p)].to(values.dtype) / p**0.5
    flat = values.reshape(p * p, -1)
    return (flat - waves.T @ (waves @ flat)).reshape(values.shape)


def _components(group: Collection[int], p: int) -> Float[Tensor, "component p"]:
    """Return the rows of the Fourier basis with these frequencies."""
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
