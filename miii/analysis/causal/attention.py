"""Attention heads: their QK and OV circuits, their attention, and its frequencies over the operands.

QK and OV circuits act on token embeddings (the direct path). They are exact in the first layer; deeper heads also read
the output of earlier blocks.
"""

import math
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import collect
from miii.analysis.modular import fourier2d
from miii.errors import InputError
from miii.model.transformer import Transformer

CONSTANT = 1e-6  #: attention with a standard deviation below this is constant: float32's rounding


def qk(
    model: Transformer, layer: int = 0, queries: Int[Tensor, " query"] | None = None
) -> Float[Tensor, "head query pos key"]:
    """Return pre-softmax scores of each query token at the last position for each key token at each position.

    Includes position embeddings, biases and the factor 1 / sqrt(d_head): in the first layer, a softmax over the
    positions of an example's tokens is its attention pattern. Without a norm, a position adds a constant to a row.

    Args:
        queries: the query tokens; if None, all tokens.

    Raises:
        InputError: there is no such layer, or the blocks are not plain.

    Source: Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits", section on QK and OV circuits.
    """
    check_layer(model, layer)
    model.config.must_be_plain("a head's own matrices")
    block = model.blocks[layer]
    with torch.no_grad():
        tokens = torch.arange(len(model.W_E)) if queries is None else queries
        q = block.heads(model.W_E[tokens] + model.places()[-1], "Q")
        k = block.heads(model.W_E[None] + model.places()[:, None], "K")
        return einsum(q, k, "query head d, pos key head d -> head query pos key") / math.sqrt(q.shape[-1])


def ov(model: Transformer, layer: int = 0, pos: int | None = None) -> Float[Tensor, "head token d_vocab_out"]:
    """Return what each head writes to the logits if it attends only to one token, minus the mean over answers.

    This is W_E W_V W_O W_U. With ``pos``, the token is at that position and W_pos and b_V are included; the sum over
    keys of pattern times row is then the direct output of a head in the first layer.

    Raises:
        InputError: there is no such layer or position, or the blocks are not plain.

    Source: Elhage et al. 2021, section on QK and OV circuits.
    """
    check_layer(model, layer)
    model.config.must_be_plain("a head's own matrices")
    n_ctx = model.n_ctx
    if pos is not None and not 0 <= pos < n_ctx:
        raise InputError(f"pos must be in 0 .. {n_ctx - 1}, or none (got {pos}).")
    block = model.blocks[layer]
    with torch.no_grad():
        without_position = einsum(model.W_E, block.W_V, "token d_model, head d_model d -> token head d")
        v = without_position if pos is None else block.heads(model.W_E + model.places()[pos], "V")
        return einsum(v, block.W_O, centered(model.W_U), "token head d, head d m, m out -> head token out")


def check_layer(model: Transformer, layer: int) -> None:
    """Check that the model has a layer.

    Raises:
        InputError: the model has no such layer.
    """
    if not 0 <= layer < model.config.n_layers:
        raise InputError(f"layer must be in 0 .. {model.config.n_layers - 1} (got {layer}).")


def centered(W_U: Float[Tensor, "d_model d_vocab_out"]) -> Float[Tensor, "d_model d_vocab_out"]:
    """Return W_U minus its mean over answers, which softmax ignores."""
    return W_U - W_U.mean(1, keepdim=True)


def pattern(model: Transformer, tokens: Int[Tensor, "pos *part"], layer: int = 0) -> Float[Tensor, "head query key"]:
    """Return the attention pattern of every head for one input. Rows sum to 1, except with shaped attention.

    Raises:
        InputError: there is no such layer.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """
    check_layer(model, layer)
    return collect(model, tokens[None], {f"{layer}.pattern"})[f"{layer}.pattern"][0]


@dataclass(frozen=True)
class OverInputs:
    """Attention from the last position, for all examples: ``weight[head, key, example]``.

    Sums to 1 over keys, except with shaped attention.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 5.
    """

    layer: int
    weight: Float[Tensor, "head key examples"]

    def mean(self) -> Float[Tensor, "head key"]:
        """Return the mean over examples."""
        return self.weight.mean(-1)


def over_inputs(model: Transformer, tokens: Int[Tensor, "examples pos *part"], layer: int = 0) -> OverInputs:
    """Return every head's attention from the last position of every example.

    Raises:
        InputError: there is no such layer.

    Source: Nanda et al. 2023, figure 5.
    """
    check_layer(model, layer)
    if _depends_on_tokens_alone(model, tokens, layer):
        queries, query = tokens[:, -1].unique(return_inverse=True)
        scores = qk(model, 0, queries)
        by_position = torch.stack([scores[:, query, pos, token] for pos, token in enumerate(tokens.T)], dim=1)
        return OverInputs(layer, by_position.softmax(1))
    name = f"{layer}.pattern"
    return OverInputs(layer, collect(model, tokens, {name}, last=True)[name].permute(1, 2, 0).contiguous())


def at_end(
    model: Transformer, tokens: Int[Tensor, "examples pos"], layer: int = 0
) -> tuple[Float[Tensor, "examples head d_head"], Float[Tensor, "examples d_model"]]:
    """Return ``z`` and ``resid_pre`` of a layer at the last position; in the first layer without a forward pass.

    Raises:
        InputError: there is no such layer.
    """
    check_layer(model, layer)
    if _depends_on_tokens_alone(model, tokens, layer):
        with torch.no_grad():
            embedded = model.W_E + model.places()[:, None]
            v, weight = model.blocks[0].heads(embedded, "V"), over_inputs(model, tokens).weight
            terms = [weight[:, pos].T[..., None] * v[pos, token] for pos, token in enumerate(tokens.T)]
            return torch.stack(terms).sum(0), embedded[-1, tokens[:, -1]]
    z, resid = f"{layer}.z", f"{layer}.resid_pre"
    found = collect(model, tokens, {z, resid}, last=True)
    return found[z], found[resid]


def _depends_on_tokens_alone(model: Transformer, tokens: Tensor, layer: int) -> bool:
    """Return whether a layer's scores depend only on each token and its position, so ``qk`` gives all of them."""
    return layer == 0 and model.config.plain and tokens.shape[1:] == (model.n_ctx,)


@dataclass(frozen=True)
class Periodicity:
    """The frequencies of a and b at which the last position's attention varies.

    Attributes:
        layer: index of the block.
        deviation: standard deviation of each weight over the pairs.
        power: share of that variance by the frequency of a (row) and of b (column), 0 .. p // 2. The first column
            varies with a alone, the first row with b alone. Zero if ``deviation`` is below ``CONSTANT``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4 and appendix B.
    """

    layer: int
    deviation: Float[Tensor, "head key"]
    power: Float[Tensor, "head key frequency frequency"]

    def of_a(self) -> Float[Tensor, "head key"]:
        """Return the share that varies with a alone."""
        return self.power[..., 1:, 0].sum(-1)

    def of_b(self) -> Float[Tensor, "head key"]:
        """Return the share that varies with b alone."""
        return self.power[..., 0, 1:].sum(-1)

    def single(self) -> Float[Tensor, "head key frequency"]:
        """Return the share of each k = 1 .. p // 2 alone: in a, in b, and in products of both."""
        return self.power[..., 0, 1:] + self.power[..., 1:, 0] + self.power.diagonal(dim1=-2, dim2=-1)[..., 1:]


def periodicity(over: OverInputs) -> Periodicity:
    """Return the 2-D spectrum of every head's attention over the pairs (a, b), ordered as a * p + b.

    Raises:
        InputError: the number of examples is not a square.

    Source: Nanda et al. 2023, section 4.
    """
    n_heads, n_keys, examples = over.weight.shape
    p = round(examples**0.5)
    if p * p != examples:
        raise InputError(f"over must hold all p^2 pairs, a square number of examples (got {examples}).")
    coefficients = fourier2d.transform(over.weight.permute(2, 0, 1).reshape(p, p, n_heads, n_keys))
    power = fourier2d.block_power(coefficients).permute(2, 3, 0, 1).contiguous()
    power[..., 0, 0] = 0
    total = power.sum((-2, -1))
    deviation = total.sqrt() / p
    share = power / total.clamp_min(torch.finfo(torch.float64).tiny)[..., None, None]
    return Periodicity(over.layer, deviation, share * (deviation >= CONSTANT)[..., None, None])
