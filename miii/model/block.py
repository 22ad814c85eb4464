"""One block of a network: a token mixer and an MLP, wired according to ``wiring.BLOCKS``."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from miii.model import signal
from miii.model.config import ModelConfig
from miii.model.tap import Tap, identity
from miii.model.weights import Declared, Weight, Weights, bias, constant, gain, normal
from miii.model.where import ALL_POSITIONS, Where
from miii.model.wiring import BLOCKS

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "silu": nn.functional.silu,
    "sigmoid": torch.sigmoid,
    "square": torch.square,
    "tanh": torch.tanh,
    "gelu-tanh": partial(nn.functional.gelu, approximate="tanh"),  # of GPT-2
    "identity": lambda x: x,
}


RMS_EPSILON = 1e-6  #: added to the mean square


class Norm(Declared):
    """LayerNorm or RMSNorm over the last axis, with a gain w and, for LayerNorm, a bias b.

    Source: Ba et al. 2016 (arXiv 1607.06450); Zhang and Sennrich 2019 (arXiv 1910.07467).
    """

    w: nn.Parameter
    b: nn.Parameter | None

    def __init__(self, kind: str, width: int) -> None:
        zeros = Weight((width,), constant(0.0), "gain")
        super().__init__({"w": gain(1.0, width), "b": zeros if kind == "layer" else None})

    def forward(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Normalize the rows."""
        if self.b is None:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + RMS_EPSILON) * self.w
        return nn.functional.layer_norm(x, self.w.shape, self.w, self.b)


class Sphere(Norm):
    """Division by the length of each row, without weights.

    Source: Yildirim 2026 (arXiv 2603.05228).
    """

    def __init__(self) -> None:
        Declared.__init__(self, {})

    def forward(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """Return rows of length 1."""
        return nn.functional.normalize(x, dim=-1)


def norm_of(kind: str, width: int) -> Norm:
    """Return a norm by its name in ``wiring.NormName``."""
    return Sphere() if kind == "sphere" else Norm(kind, width)


class Block(Declared):
    """A mixer, then an MLP. A plain block adds both to the residual stream, without norms.

    Subclasses implement the mixer: see ``miii.model.mixers``.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equations 1 and 2; without LayerNorm as in Nanda et al. 2023; the
    other wirings as in ``wiring.BLOCKS``.
    """

    W_Q: nn.Parameter  # only attention has queries and keys
    W_K: nn.Parameter
    W_V: nn.Parameter
    W_O: nn.Parameter
    W_in: nn.Parameter
    W_out: nn.Parameter
    b_Q: nn.Parameter | None
    b_K: nn.Parameter | None
    b_V: nn.Parameter | None
    b_O: nn.Parameter | None
    b_in: nn.Parameter | None
    b_out: nn.Parameter | None
    mlp_gain: nn.Parameter | None
    mixer_gain: nn.Parameter | None

    def __init__(self, config: ModelConfig, n_ctx: int, layer: int) -> None:
        super().__init__(self.weights(config, n_ctx))
        self.wiring, self.causal = BLOCKS[config.block], config.causal
        self.head_shape, self.attn_coeff = (config.n_heads, config.d_head), config.attn_coeff
        self.act = _activation(config)
        normed = config.norm_kind != "none"
        self.ln1 = norm_of(config.norm_kind, config.d_model) if normed else None
        self.ln2 = norm_of(config.norm_kind, config.d_model) if normed and not self.wiring.parallel else None
        self.reads_embedding = layer == 0

    @classmethod
    def weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        """Declare a block's weights: the mixer's, then values, output and neurons."""
        h, d, dh, m = config.n_heads, config.d_model, config.d_head, config.d_mlp
        wiring, every, some = BLOCKS[config.block], config.biases == "all", config.biases != "none"
        found = cls.mixer_weights(config, n_ctx)
        if wiring.projections:
            found |= {
                "W_V": Weight((h, d, dh), normal(d), muon="columns"),
                "W_O": Weight((h, dh, d), normal(d), muon="rows"),
            }
        return found | {
            "W_in": Weight((d, m), normal(d), muon="matrix"),
            "W_out": Weight((m, d), normal(d), muon="matrix"),
            "b_V": bias(h, dh) if every and wiring.projections else None,
            "b_O": bias(d) if every and wiring.projections else None,
            "b_in": bias(m) if some else None,
            "b_out": bias(d) if some else None,
            "mlp_gain": None if wiring.mlp_gain is None else gain(wiring.mlp_gain),
            "mixer_gain": None if wiring.mixer_gain is None else gain(wiring.mixer_gain),
        }

    @classmethod
    def mixer_weights(cls, config: ModelConfig, n_ctx: int) -> Weights:
        """Declare the mixer's weights other than W_V and W_O."""
        return {}

    def mix(
        self, v: Float[Tensor, "batch key head d_head"], stream: Tensor, tap: Tap, where: Where
    ) -> Float[Tensor, "batch query head d_head"]:
        """Return z: the values mixed across positions, at the positions to compute.

        Args:
            stream: the block's input, stored as described by ``where``.
        """
        raise NotImplementedError

    def forward(
        self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity, where: Where = ALL_POSITIONS
    ) -> Float[Tensor, "batch query d_model"]:
        """Return the residual stream after the block, at the positions to compute.

        Args:
            resid: [batch, pos, d_model], or distinct rows: see ``Where``.
        """
        if self.reads_embedding and self.wiring.norm_kind == "sphere":
            resid = nn.functional.normalize(resid, dim=-1)  # the embedding; later blocks get rows of length 1
        resid = tap("resid_pre", resid)
        stream = self._read("ln1", resid, tap)
        mixed = self.mixed(stream, tap, where)
        if self.wiring.parallel:
            return tap("resid_post", self.add_mlp(mixed, self.mlp(where.queries(stream), tap)))
        mid = where.queries(resid) + mixed if self.wiring.skip else mixed
        return self.from_mid(tap("resid_mid", self._sum("ln1", mid)), tap)

    def from_mid(self, mid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_model"]:
        """Apply the second half of the block, from ``resid_mid`` on; not for parallel blocks."""
        return tap("resid_post", self.add_mlp(mid, self.mlp(self._read("ln2", mid, tap), tap)))

    def add_mlp(
        self, mid: Float[Tensor, "*rows d_model"], written: Float[Tensor, "*rows d_model"]
    ) -> Float[Tensor, "*rows d_model"]:
        """Return ``resid_post`` from ``resid_mid`` (``attn_out`` in parallel blocks) and the MLP output."""
        skip = self.wiring.mlp_skip or self.wiring.parallel
        return self._sum("ln2", mid + written if skip else written)

    def mixed(self, stream: Tensor, tap: Tap, where: Where) -> Float[Tensor, "batch query d_model"]:
        """Return the mixer's output: mixed values, projected by W_O and summed over heads."""
        v = tap("v", where.keys(stream, self.values))
        z = tap("z", self.mix(v, stream, tap, where)).flatten(-2)
        out = add_bias(z @ self.W_O.flatten(0, 1), self.b_O) if self.wiring.projections else z
        return tap("attn_out", out if self.mixer_gain is None else out * self.mixer_gain)

    def mlp(self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_model"]:
        """Return the MLP output: act(resid W_in + b_in) W_out + b_out (Vaswani et al., equation 2)."""
        pre = tap("mlp_pre", add_bias(resid @ self.W_in, self.b_in))
        post = tap("mlp_post", self.act(pre))
        out = add_bias(post @ self.W_out, self.b_out)
        return tap("mlp_out", out if self.mlp_gain is None else out * self.mlp_gain)

    def heads(self, resid: Float[Tensor, "*rows d_model"], which: str) -> Float[Tensor, "*rows head d_head"]:
        """Return queries ("Q"), keys ("K") or values ("V"): one linear map per head."""
        W = getattr(self, f"W_{which}")
        h, d, dh = W.shape
        out = (resid @ W.transpose(0, 1).reshape(d, h * dh)).unflatten(-1, (h, dh))
        return add_bias(out, getattr(self, f"b_{which}"))

    def values(self, stream: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows head d_head"]:
        """Return the values; without projections, the stream split into heads (in layer 0 too: see ``BLOCKS``)."""
        return self.heads(stream, "V") if self.wiring.projections else stream.unflatten(-1, self.head_shape)

    def _read(self, name: str, resid: Tensor, tap: Tap) -> Tensor:
        norm = getattr(self, name)
        return tap(name, norm(resid)) if norm is not None and self.wiring.norm == "pre" else resid

    def _sum(self, name: str, resid: Tensor) -> Tensor:
        norm = getattr(self, name)
        return norm(resid) if norm is not None and self.wiring.norm == "post" else resid


def add_bias(value: Tensor, bias: Tensor | None) -> Tensor:
    """Return ``value`` [..., d] + ``bias`` [d], or ``value`` without a bias."""
    return value if bias is None else value + bias


def _activation(config: ModelConfig) -> Callable[[Tensor], Tensor]:
    if config.act == "tailored":
        return partial(signal.tailored, slope=signal.tailored_slope(config.n_layers))
    return ACTIVATIONS[config.act]
