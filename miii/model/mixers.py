"""How positions exchange information: from values v [batch, pos, head, d_head] to what each position hears, z.

A mixer is two functions: the shapes of the weights that it adds to a block, and the mixing itself. ``at`` says which
positions are asked for, all or the last alone; what comes back is theirs. What a mixer reads beside the values it asks
``read`` for: a linear map of what the block hears, of one kind at some positions, such as the queries at the last.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from miii.model.config import ModelConfig
from miii.model.tap import Tap
from miii.model.wiring import ALL

if TYPE_CHECKING:
    from miii.model.block import Block

Shapes = dict[str, tuple[int, ...]]


@dataclass(frozen=True)
class Mixer:
    """A way for positions to exchange information.

    Attributes:
        shapes: the weights that a block needs for it, beside W_V and W_O, from the config and the number of positions.
        mix: block, read, v, tap, at -> z [batch, query, head, d_head].

    Source: own design; the draft paper's equations 4 to 6.
    """

    shapes: Callable[[ModelConfig, int], Shapes]
    mix: Callable[["Block", "Read", Tensor, Tap, slice], Tensor]


#: From "Q" or "K" and the positions asked for to [batch, pos, head, d_head].
Read = Callable[[str, slice], Tensor]


def attend(
    block: "Block", read: Read, v: Float[Tensor, "batch key head d_head"], tap: Tap, at: slice
) -> Float[Tensor, "batch query head d_head"]:
    """z = A v, with A = softmax(q k / sqrt d_head), shaped as the block's wiring says.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1; the draft paper's equation 4, which is misprinted.
    """
    q, k = tap("q", read("Q", at)), tap("k", read("K", ALL))
    scores = einsum(q, k, "batch query head d, batch key head d -> batch head query key") / math.sqrt(q.shape[-1])
    # E-SPA's target stands in the scores, so that it is seen where they are
    target, totals = block.target(scores.shape[-1], at)
    scores = scores if target is None else scores + target.to(scores.dtype)
    if block.causal:
        scores = scores.masked_fill(causal_mask(scores.shape[-1], scores.device)[at], -torch.inf)
    scores = tap("scores", scores)
    pattern = torch.softmax(scores, dim=-1)
    if totals is not None:
        pattern = pattern * totals.to(pattern.dtype)
    pattern = tap("pattern", block.shaped(pattern, at))
    return einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")


def average(block: "Block", read: Read, v: Tensor, tap: Tap, at: slice) -> Tensor:
    """z = the mean of the values of all visible positions, for each head alike. Source: own design."""
    even = uniform(v.shape[1], block.causal, v)[at]
    pattern = tap("pattern", even.expand(v.shape[0], v.shape[2], *even.shape))
    return einsum(pattern, v, "batch head query key, batch key head d -> batch query head d")


def convolve(block: "Block", read: Read, v: Tensor, tap: Tap, at: slice) -> Tensor:
    """z[i] = sum over j of W_conv[i - j] v[j], for each channel by itself. Source: the draft paper's equation 5."""
    n = v.shape[1]
    lag = torch.arange(n, device=v.device)[at, None] - torch.arange(n, device=v.device)
    first = 0 if block.causal else block.W_conv.shape[-1] // 2  # where lag 0 stands in the kernel
    kernel = block.W_conv[..., (lag + first).clamp(min=0)]
    if block.causal:
        kernel = kernel * (lag >= 0)
    return einsum(kernel, v, "head d query key, batch key head d -> batch query head d")


def convolve_spectra(block: "Block", read: Read, v: Tensor, tap: Tap, at: slice) -> Tensor:
    """The same as ``convolve``, as a product of spectra: padded, so that nothing comes round from the end.

    Source: the convolution theorem; the draft paper's introduction.
    """
    n = v.shape[1]
    first = 0 if block.causal else block.W_conv.shape[-1] // 2
    kernel = block.W_conv[..., : first + n] if block.causal else block.W_conv[..., first - n + 1 : first + n]
    size = n + kernel.shape[-1]
    product = torch.fft.rfft(kernel, size) * torch.fft.rfft(v.permute(0, 2, 3, 1).to(kernel.dtype), size)
    whole = torch.fft.irfft(product, size)
    begin = 0 if block.causal else n - 1
    return whole[..., begin : begin + n].permute(0, 3, 1, 2)[:, at]


def gate(block: "Block", read: Read, v: Tensor, tap: Tap, at: slice) -> Tensor:
    """z = the states of torch's gated recurrent unit on the values, d_model wide.

    Source: Cho et al. 2014 (arXiv 1406.1078), as in ``torch.nn.GRU``; the draft paper's equation 6.
    """
    with torch.autocast(v.device.type, enabled=False):  # which knows no recurrent unit on a processor
        states, _ = block.gru(v.flatten(2).to(block.W_V.dtype))
    return states.unflatten(-1, v.shape[2:])[:, at]


def scan(block: "Block", read: Read, v: Tensor, tap: Tap, at: slice) -> Tensor:
    """z[i] = a z[i - 1] + v[i], a = sigmoid(decay) for each channel, in log2(positions) steps.

    Each step adds what stands twice as far back as the last one's, which is right because the recurrence is linear.

    Source: Hillis and Steele 1986, "Data parallel algorithms"; linear recurrences as layers: Martin and Cundy 2018
    (arXiv 1709.04057); the draft paper's equation 6.
    """
    z, power, back = v, torch.sigmoid(block.decay), 1
    while back < v.shape[1]:
        z = z + power * torch.nn.functional.pad(z, (0, 0, 0, 0, back, 0))[:, : v.shape[1]]
        power, back = power * power, 2 * back
    return z[:, at]


def causal_mask(n: int, device: torch.device) -> Tensor:
    """True where a query [n] may not see a key [n]: the keys after it. Source: Vaswani et al. 2017, section 3.2.3."""
    return torch.ones(n, n, dtype=torch.bool, device=device).triu(1)


def uniform(n: int, causal: bool, like: Tensor) -> Float[Tensor, "query key"]:
    """The attention of zero queries: each position listens to all that it may see alike.

    Source: He and Hofmann 2023 (arXiv 2311.01906), the centring matrix C.
    """
    seen = torch.ones(n, n, dtype=like.dtype, device=like.device)
    seen = seen.tril() if causal else seen
    return seen / seen.sum(-1, keepdim=True)


def _heads(config: ModelConfig, n_ctx: int) -> Shapes:
    return {f"W_{which}": (config.n_heads, config.d_model, config.d_head) for which in "QK"}


def _kernel(config: ModelConfig, n_ctx: int) -> Shapes:
    return {"W_conv": (config.n_heads, config.d_head, n_ctx if config.causal else 2 * n_ctx - 1)}


def _decay(config: ModelConfig, n_ctx: int) -> Shapes:
    return {"decay": (config.n_heads, config.d_head)}


def _nothing(config: ModelConfig, n_ctx: int) -> Shapes:
    return {}


#: The mixers by the names of ``wiring.MIXERS``.
MIX: dict[str, Mixer] = {
    "attention": Mixer(_heads, attend),
    "convolution": Mixer(_kernel, convolve),
    "fourier-convolution": Mixer(_kernel, convolve_spectra),
    "gru": Mixer(_nothing, gate),
    "recurrence": Mixer(_decay, scan),
    "mean": Mixer(_nothing, average),
}
