"""Ablate heads and neurons, one part at a time."""

from collections.abc import Sequence
from typing import Literal, get_args

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect, last_logits
from miii.analysis.causal.ablation.score import (
    ROWS,
    Ablations,
    from_directions,
    from_logits,
    from_scores,
    last_logits_with,
    score,
    scored_rows,
)
from miii.analysis.causal.attention import at_end, check_layer
from miii.analysis.causal.counterfactuals import draw_counterfactuals
from miii.analysis.modular import fourier
from miii.errors import InputError
from miii.model.block import add_bias
from miii.model.transformer import Transformer
from miii.tasks import Task

Kind = Literal["zero", "mean", "interchange"]


def heads(
    model: Transformer,
    task: Task,
    kind: Kind = "mean",
    *,
    examples: Int[Tensor, " scored"] | None = None,
    seed: int = 0,
) -> Ablations:
    """Ablate each head of each layer: its z, at every position. Names are "layer.head".

    Args:
        examples: indices of the scored examples; all of them if None.
        seed: draws the partners of an interchange.

    Raises:
        InputError: ``kind`` is unknown.

    Source: Michel et al. 2019 (arXiv 1905.10650), section 3; interchange: Geiger et al. 2021 (arXiv 2106.02997).
    """
    check_kind(kind)
    rows, end = scored_rows(task, examples), model.config.n_layers - 1
    tokens, labels, scores = task.tokens[rows], task.labels[rows], []
    plain = model.config.plain
    for layer in range(end if plain else end + 1):
        site = f"{layer}.z"
        z = collect(model, task.tokens, {site})[site]
        replacement = _replacement(z, kind, task, rows, seed)
        for head in range(model.config.n_heads):
            changed = z[rows]
            changed[..., head, :] = replacement[..., head, :]
            scores.append(score(last_logits_with(model, tokens, site, changed), labels))
    names = [f"{layer}.{head}" for layer in range(end + 1) for head in range(model.config.n_heads)]
    if not plain:
        return from_scores("head", kind, names, [score(last_logits(model, tokens), labels), *scores])
    z, resid = at_end(model, task.tokens, end)
    baseline, *last = _scores_of_last_layer(
        model, z[rows], resid[rows], _replacement(z, kind, task, rows, seed), labels
    )
    return from_scores("head", kind, names, [baseline, *scores, *last])


def neurons(
    model: Transformer,
    task: Task,
    kind: Kind = "mean",
    *,
    groups: Sequence[Int[Tensor, " _"]] | None = None,
    names: Sequence[str] | None = None,
    layer: int | None = None,
    examples: Int[Tensor, " scored"] | None = None,
    seed: int = 0,
) -> Ablations:
    """Ablate neurons at every position: one by one, or group by group.

    In the last layer of plain blocks the logits are linear in the neurons. The ablated logits are the network's minus
    (post - replacement) W_out W_U, exactly, without another forward pass. Otherwise each group takes one.

    Args:
        groups: neurons to ablate together, such as those of one frequency; if None, each neuron alone.
        names: names of the groups; if None, their numbers.
        layer: if None, the last one.
        examples, seed: as in ``heads``.

    Raises:
        InputError: there is no such layer or neuron, a name is missing, or ``kind`` is unknown.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.4.
    """
    check_kind(kind)
    d_mlp, end = model.config.d_mlp, model.config.n_layers - 1
    layer = end if layer is None else layer
    check_layer(model, layer)
    together = [torch.tensor([j]) for j in range(d_mlp)] if groups is None else [group.unique() for group in groups]
    wrong = [int(j) for group in together for j in group if not 0 <= j < d_mlp]
    if wrong:
        raise InputError(f"groups must hold neurons in 0 .. {d_mlp - 1} (got {wrong[0]}).")
    names = [str(i) for i in range(len(together))] if names is None else names
    if len(names) != len(together):
        raise InputError(f"names must be one for each of the {len(together)} groups (got {len(names)}).")

    rows, site = scored_rows(task, examples), f"{layer}.mlp_post"
    tokens, labels = task.tokens[rows], task.labels[rows]
    base = last_logits(model, tokens)
    linear = layer == end and model.config.plain
    post = collect(model, task.tokens, {site}, last=linear)[site]
    excess = post[rows] - _replacement(post, kind, task, rows, seed)
    if not linear:
        post = post[rows]
        changed = (post.index_add(-1, group, excess[..., group], alpha=-1) for group in together)
        ablated = (last_logits_with(model, tokens, site, values) for values in changed)
        return from_logits("neurons", kind, names, labels, base, ablated)
    direction = fourier.neuron_logit(model).detach().to(base.dtype)
    if groups is None:
        return from_directions("neurons", kind, names, labels, base, excess, direction)
    ablated = (base - excess[:, group] @ direction[group] for group in together)
    return from_logits("neurons", kind, names, labels, base, ablated)


def check_kind(kind: str) -> None:
    """Check the kind of an ablation.

    Raises:
        InputError: ``kind`` is unknown.
    """
    if kind not in get_args(Kind):
        raise InputError(f"kind must be one of {', '.join(get_args(Kind))} (got {kind!r}).")


def _replacement(values: Tensor, kind: Kind, task: Task, rows: Tensor, seed: int) -> Float[Tensor, "scored_or_1 *axes"]:
    """Return the replacement for an activation of every example: zero, its mean, or its value on another example."""
    if kind == "zero":
        return torch.zeros_like(values[:1])
    if kind == "mean":
        return values.mean(0, keepdim=True)
    every = torch.arange(len(task.labels))  # partners do not depend on which examples are scored
    return values[draw_counterfactuals(task.labels, every, torch.Generator().manual_seed(seed))[rows]]


@torch.no_grad()
def _scores_of_last_layer(
    model: Transformer,
    z: Float[Tensor, "scored head d_head"],
    resid: Float[Tensor, "scored d_model"],
    replacement: Float[Tensor, "scored_or_1 head d_head"],
    labels: Int[Tensor, " scored"],
) -> list[tuple[float, float]]:
    """Return the score of the whole network, then with each head of the last layer ablated.

    Recomputes only the neurons at the last position: everything before them is linear in z.
    """
    block, W_U, to_logits = model.blocks[-1], model.W_U, fourier.neuron_logit(model).to(model.W_U.dtype)
    total = torch.zeros(1 + len(block.W_O), 2, dtype=torch.float64)
    for rows in torch.arange(len(labels)).split(ROWS):
        mid = add_bias(resid[rows] + z[rows].flatten(1) @ block.W_O.flatten(0, 1), block.b_O)
        pre, direct = add_bias(mid @ block.W_in, block.b_in), add_bias(add_bias(mid, block.b_out) @ W_U, model.b_U)
        logits = [block.act(pre) @ to_logits + direct]
        changes = (replacement.expand_as(z)[rows] - z[rows]).unbind(1)
        for change, W_O in zip(changes, block.W_O, strict=True):
            post = block.act(pre + change @ (W_O @ block.W_in))
            logits.append(post @ to_logits + direct + change @ (W_O @ W_U))
        total += len(rows) * torch.tensor([score(some, labels[rows]) for some in logits], dtype=torch.float64)
    return [(loss, accuracy) for loss, accuracy in (total / len(labels)).tolist()]
