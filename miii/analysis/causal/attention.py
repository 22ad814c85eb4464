"""Where each head looks: for one input, over all of them, and in which rhythm of the operands."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.causal.heads import CHUNK, check_layer, qk
from miii.analysis.modular import fourier2d
from miii.errors import InputError
from miii.model.tap import capture
from miii.model.transformer import Transformer

CONSTANT = 1e-6  #: attention that deviates less over the inputs is constant: the rest is float32's rounding


def pattern(model: Transformer, tokens: Int[Tensor, " pos"], layer: int = 0) -> Float[Tensor, "head query key"]:
    """The attention pattern of every head for one input: each row sums to 1, but in blocks that shape their attention.

    Raises:
        InputError: there is no such layer.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1.
    """
    check_layer(model, layer)
    with torch.no_grad():
        return capture(model, tokens[None], {f"{layer}.pattern"})[f"{layer}.pattern"][0]


@dataclass(frozen=True)
class OverInputs:
    """What the last position attends to, over all examples: ``weight[head, key, example]``.

    It sums to 1 over keys, but in blocks that shape their attention.

    Source: Nanda et al. 2023 (arXiv 2301.05217), figure 5.
    """

    layer: int
    weight: Float[Tensor, "head key examples"]

    def mean(self) -> Float[Tensor, "head key"]:
        """The mean over the examples."""
        return self.weight.mean(-1)


def over_inputs(model: Transformer, tokens: Int[Tensor, "examples pos"], layer: int = 0) -> OverInputs:
    """Attention from the last position of every example, for all heads.

    Raises:
        InputError: there is no such layer.

    Source: Nanda et al. 2023, figure 5.
    """
    check_layer(model, layer)
    # there scores depend on the token and the position alone
    if layer == 0 and model.config.plain and tokens.shape[1] == model.n_ctx:
        queries, query = tokens[:, -1].unique(return_inverse=True)
        scores = qk(model, 0, queries)
        found = torch.stack([scores[:, query, pos, token] for pos, token in enumerate(tokens.T)], dim=1)
        return OverInputs(layer, found.softmax(1))
    name = f"{layer}.pattern"
    with torch.no_grad():
        # cloned, since a view would keep the other queries
        chunks = [capture(model, chunk, {name})[name][:, :, -1].clone() for chunk in tokens.split(CHUNK)]
    return OverInputs(layer, torch.cat(chunks).permute(1, 2, 0).contiguous())


def at_end(
    model: Transformer, tokens: Int[Tensor, "examples pos"], layer: int = 0
) -> tuple[Float[Tensor, "examples head d_head"], Float[Tensor, "examples d_model"]]:
    """What a layer's heads hand to W_O (its z), and the residual stream before it, at the last position.

    Raises:
        InputError: there is no such layer.

    Source: own design; the same as capturing ``z`` and ``resid_pre``, with less work in the first layer.
    """
    check_layer(model, layer)
    names = f"{layer}.z", f"{layer}.resid_pre"
    with torch.no_grad():
        if layer == 0 and model.config.plain and tokens.shape[1] == model.n_ctx:
            embedded = model.W_E + model.places()[:, None]
            v, weight = model.blocks[0].heads(embedded, "V"), over_inputs(model, tokens).weight
            terms = [weight[:, pos].T[..., None] * v[pos, token] for pos, token in enumerate(tokens.T)]
            return torch.stack(terms).sum(0), embedded[-1, tokens[:, -1]]
        chunks = [
            {name: value[:, -1].clone() for name, value in capture(model, chunk, set(names)).items()}
            for chunk in tokens.split(CHUNK)
        ]
        z, resid = (torch.cat([acts[name] for acts in chunks]) for name in names)
        return z, resid


@dataclass(frozen=True)
class Rhythm:
    """In which frequencies of a and b the last position's attention varies.

    Attributes:
        layer: which block.
        deviation: standard deviation of each weight over the pairs.
        power: share of that variance by the frequency of a (row) and of b (column), 0 .. p // 2: the first column
            varies with a alone, the first row with b alone. Zeros where the deviation is below ``CONSTANT``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4 and appendix B; own design of the shares.
    """

    layer: int
    deviation: Float[Tensor, "head key"]
    power: Float[Tensor, "head key frequency frequency"]

    def of_a(self) -> Float[Tensor, "head key"]:
        """The share that varies with a alone."""
        return self.power[..., 1:, 0].sum(-1)

    def of_b(self) -> Float[Tensor, "head key"]:
        """The share that varies with b alone."""
        return self.power[..., 0, 1:].sum(-1)

    def single(self) -> Float[Tensor, "head key frequency"]:
        """For each k = 1 .. p // 2 the share in k alone: in a, in b, and in products of both."""
        return self.power[..., 0, 1:] + self.power[..., 1:, 0] + self.power.diagonal(dim1=-2, dim2=-1)[..., 1:]


def rhythm(over: OverInputs) -> Rhythm:
    """The 2-D spectrum of every head's attention over the pairs (a, b), which come in the order a * p + b.

    Raises:
        InputError: the number of examples is no square.

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
    return Rhythm(over.layer, deviation, share * (deviation >= CONSTANT)[..., None, None])
