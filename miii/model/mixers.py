"""Token mixers: map values v [batch, pos, head, d_head] to mixed values z.

Each mixer is a block that defines its weights, their initialization and the mixing.
"""

import math
from dataclasses import replace
from functools import partial

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor, nn

from miii.model import signal
from miii.model.block import Block
from miii.model.config import ModelConfig
from miii.model.tap import Tap
from miii.model.weights import Init, Weight, Weights, bias, constant, gain, normal, orthogonal, spaced
from miii.model.where import Where
from miii.model.wiring import BLOCKS


class Attention(Block):
    """z = A v with A = softmax(q k / sqrt d_head).

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1; the draft paper's equation 4, which is misprinted.
    """

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        h, d, dh = config.n_heads, config.d_model, config.d_head
        weights: Weights = {f"W_{which}": Weight((h, d, dh), normal(d), muon="columns") for which in "QK"}
        return weights | {f"b_{which}": bias(h, dh) if config.biases == "all" else None for which in "QK"}

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        q = tap("q", where.queries(stream, partial(self.heads, which="Q")))
        k = tap("k", where.keys(stream, partial(self.heads, which="K")))
        scores = einsum(q, k, "batch query head d, batch key head d -> batch head query key") / math.sqrt(q.shape[-1])
        pattern = self.pattern(scores, tap, where.at)
        return einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")

    def pattern(self, scores: Float[Tensor, "batch head query key"], tap: Tap, at: slice) -> Tensor:
        """Return the attention A [batch, head, query, key]."""
        return tap("pattern", self.attention(scores, tap, at))

    def attention(self, scores: Tensor, tap: Tap, at: slice) -> Tensor:
        """Return c softmax(scores) + 1 - c over the visible keys, with c = ``attn_coeff``, usually 1."""
        if self.causal:
            scores = scores.masked_fill(causal_mask(scores.shape[-1], scores.device)[at], -torch.inf)
        pattern = torch.softmax(tap("scores", scores), dim=-1)
        c = self.attn_coeff
        return pattern if c == 1 else c * pattern + (1 - c)


class SkipAttention(Attention):
    """z = (alpha I + beta A) v, initially the identity.

    Source: He and Hofmann 2023 (arXiv 2311.01906), "value-SkipInit".
    """

    alpha: nn.Parameter
    beta: nn.Parameter

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        h = config.n_heads
        return super().mixer_weights(config, n_ctx) | {"alpha": gain(1.0, h), "beta": gain(0.0, h)}

    def pattern(self, scores: Tensor, tap: Tap, at: slice) -> Tensor:
        return tap("pattern", self.skipped(self.attention(scores, tap, at), at))

    def skipped(self, pattern: Tensor, at: slice) -> Tensor:
        """Return alpha I + beta A."""
        alpha, beta = self.alpha[:, None, None], self.beta[:, None, None]
        own = torch.eye(pattern.shape[-1], dtype=pattern.dtype, device=pattern.device)[at]
        return alpha * own + beta * pattern


class ShapedAttention(SkipAttention):
    """z = (alpha I + beta A - gamma C) v, with C the attention of zero queries; initially the identity.

    Source: He and Hofmann 2023 (arXiv 2311.01906), section 4.
    """

    gamma: nn.Parameter

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        found = super().mixer_weights(config, n_ctx) | {"gamma": gain(1.0, config.n_heads)}
        return _with_init(found, W_Q=constant(0.0), beta=constant(1.0))

    def skipped(self, pattern: Tensor, at: slice) -> Tensor:
        even = uniform(pattern.shape[-1], self.causal, pattern)[at]
        return super().skipped(pattern, at) - self.gamma[:, None, None] * even


class TargetedAttention(Attention):
    """z = diag(d) softmax(q k / sqrt d_head + log(T / d)) v, T a target matrix and d its row sums: "E-SPA".

    Zero queries initialize the attention at T, which propagates signals without skips and norms if W_V and W_O are
    orthogonal.

    Source: He et al. 2023 (arXiv 2302.10322).
    """

    target: Tensor

    def __init__(self, config: ModelConfig, n_ctx: int, layer: int) -> None:
        super().__init__(config, n_ctx, layer)
        self.target = signal.target(layer, config.n_layers, n_ctx)  # not a buffer: some devices lack float64

    @classmethod
    def weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        found = super().weights(config, n_ctx)
        return _with_init(found, W_Q=constant(0.0), W_V=orthogonal, W_O=orthogonal, W_out=normal(config.d_mlp))

    def pattern(self, scores: Tensor, tap: Tap, at: slice) -> Tensor:
        n = scores.shape[-1]
        target = self.target[:n, :n][at]
        totals = target.sum(-1, keepdim=True)
        # in the weights' dtype: autocast changes that of the scores
        shift = (target / totals).log().to(scores.device, self.W_Q.dtype).to(scores.dtype)
        pattern = self.attention(scores + shift, tap, at)
        return tap("pattern", pattern * totals.to(pattern.device, self.W_Q.dtype).to(pattern.dtype))


class Mean(Block):
    """z = the mean of v over all visible positions, the same for every head."""

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        fixed = self.fixed(v)[..., where.at, :]
        pattern = tap("pattern", fixed.expand(v.shape[0], v.shape[2], *fixed.shape[-2:]))
        return einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")

    def fixed(self, v: Tensor) -> Float[Tensor, "*head query key"]:
        """Return the pattern, the same for all inputs."""
        return uniform(v.shape[1], self.causal, v)


class Concatenation(Mean):
    """z = the values of position i in head i, so that d_model is split among the positions.

    A head beyond the last position starts over at the first. If causal, a head is 0 before its position.
    """

    def fixed(self, v: Tensor) -> Tensor:
        """Return the pattern [head, query, key]: 1 where the key is the head's position."""
        n, h = v.shape[1], v.shape[2]
        copied = torch.eye(n, dtype=v.dtype, device=v.device)[torch.arange(h, device=v.device) % n]
        pattern = copied[:, None].expand(h, n, n)
        return pattern.tril() if self.causal else pattern


class Convolution(Block):
    """z[i] = sum over j of W_conv[i - j] v[j], per channel. Source: the draft paper's equation 5."""

    W_conv: nn.Parameter

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        size = n_ctx if config.causal else 2 * n_ctx - 1
        return {"W_conv": Weight((config.n_heads, config.d_head, size), normal(size))}

    @property
    def first(self) -> int:
        """The index of lag 0 in the kernel."""
        return 0 if self.causal else self.W_conv.shape[-1] // 2

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        positions = torch.arange(v.shape[1], device=v.device)
        lag = positions[where.at, None] - positions
        kernel = self.W_conv[..., (lag + self.first).clamp(min=0)]
        if self.causal:
            kernel = kernel * (lag >= 0)
        return einsum(kernel, v, "head d query key, batch key head d -> batch query head d")


class FourierConvolution(Convolution):
    """``Convolution`` computed as a product of spectra, padded against wrap-around.

    Source: the convolution theorem; the draft paper's introduction.
    """

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        n, first = v.shape[1], self.first
        kernel = self.W_conv[..., : first + n] if self.causal else self.W_conv[..., first - n + 1 : first + n]
        size = n + kernel.shape[-1]
        product = torch.fft.rfft(kernel, size) * torch.fft.rfft(v.permute(0, 2, 3, 1).to(kernel.dtype), size)
        whole = torch.fft.irfft(product, size)
        begin = 0 if self.causal else n - 1
        return whole[..., begin : begin + n].permute(0, 3, 1, 2)[:, where.at]


class GatedUnit(Block):
    """z = the hidden states of torch's gated recurrent unit on v, d_model wide.

    Source: Cho et al. 2014 (arXiv 1406.1078), as in ``torch.nn.GRU``; the draft paper's equation 6.
    """

    gru: nn.GRU

    def __init__(self, config: ModelConfig, n_ctx: int, layer: int) -> None:
        super().__init__(config, n_ctx, layer)
        d = config.d_model
        with torch.random.fork_rng(devices=[]):  # torch uses the global generator; weights are redrawn later
            self.gru = nn.GRU(d, d, bias=config.biases != "none", batch_first=True)
        for name, weight in self.gru.named_parameters():
            shape = tuple(weight.shape)
            self.declared[f"gru.{name}"] = Weight(shape, normal(d)) if len(shape) == 2 else bias(*shape)

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        with torch.autocast(v.device.type, enabled=False):  # autocast has no GRU on CPU
            states, _ = self.gru(v.flatten(2).to(self.W_in.dtype))
        return states.unflatten(-1, v.shape[2:])[:, where.at]


class Recurrence(Block):
    """z[i] = a z[i - 1] + v[i], a = sigmoid(decay) for each channel, in log2(positions) steps.

    A parallel scan: each step doubles the reach of the sums, which is exact because the recurrence is linear. Initial
    decays range from forgetting at once to barely forgetting.

    Source: Hillis and Steele 1986, "Data parallel algorithms"; linear recurrences as layers: Martin and Cundy 2018
    (arXiv 1709.04057); the draft paper's equation 6.
    """

    decay: nn.Parameter

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        return {"decay": Weight((config.n_heads, config.d_head), spaced(-1, 5), "gain")}

    def mix(self, v: Tensor, stream: Tensor, tap: Tap, where: Where) -> Tensor:
        z, power, back = v, torch.sigmoid(self.decay), 1
        while back < v.shape[1]:
            z = z + power * nn.functional.pad(z, (0, 0, 0, 0, back, 0))[:, : v.shape[1]]
            power, back = power * power, 2 * back
        return z[:, where.at]


#: Block classes by name in ``wiring.MIXERS``, and attention classes by ``Wiring.shape``.
BLOCK_TYPES: dict[str, type[Block]] = {
    "attention": Attention,
    "convolution": Convolution,
    "fourier-convolution": FourierConvolution,
    "gru": GatedUnit,
    "recurrence": Recurrence,
    "mean": Mean,
    "concatenation": Concatenation,
}
ATTENTION_TYPES: dict[str, type[Attention]] = {
    "softmax": Attention,
    "value-skipinit": SkipAttention,
    "shaped": ShapedAttention,
    "e-spa": TargetedAttention,
}


def block_type(config: ModelConfig) -> type[Block]:
    """Return the class of a network's blocks."""
    return ATTENTION_TYPES[BLOCKS[config.block].shape] if config.mixer == "attention" else BLOCK_TYPES[config.mixer]


def causal_mask(n: int, device: torch.device) -> Tensor:
    """Return the causal mask [query, key], True where the key comes after the query (Vaswani et al., section 3.2.3)."""
    return torch.ones(n, n, dtype=torch.bool, device=device).triu(1)


def uniform(n: int, causal: bool, like: Tensor) -> Float[Tensor, "query key"]:
    """Return the attention of zero queries: uniform over visible positions.

    Source: He and Hofmann 2023 (arXiv 2311.01906), the centering matrix C.
    """
    seen = torch.ones(n, n, dtype=like.dtype, device=like.device)
    seen = seen.tril() if causal else seen
    return seen / seen.sum(-1, keepdim=True)


def _with_init(weights: Weights, **inits: Init) -> Weights:
    """Return the declarations with some initializers replaced."""
    return {
        name: replace(weight, init=inits[name]) if weight is not None and name in inits else weight
        for name, weight in weights.items()
    }
