"""One block of a network: a mixer of positions and an MLP, wired as ``wiring.BLOCKS`` says."""

from collections.abc import Callable
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from miii.model import signal
from miii.model.config import ModelConfig
from miii.model.mixers import MIX, uniform
from miii.model.tap import Tap, identity
from miii.model.wiring import ALL, BLOCKS

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": nn.functional.gelu,
    "square": torch.square,
}


class Norm(nn.Module):
    """LayerNorm or RMSNorm over the last axis, with a gain w and, for LayerNorm, a bias b.

    Source: Ba et al. 2016 (arXiv 1607.06450); Zhang and Sennrich 2019 (arXiv 1910.07467).
    """

    b: nn.Parameter | None

    def __init__(self, kind: str, width: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.ones(width))
        self.register_parameter("b", nn.Parameter(torch.zeros(width)) if kind == "layer" else None)

    def forward(self, x: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
        """The rows, normalised."""
        if self.b is None:
            return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6) * self.w
        return nn.functional.layer_norm(x, self.w.shape, self.w, self.b)


class Block(nn.Module):
    """A mixer, then an MLP. In a plain block each is added to the residual stream, and nothing is normalised.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equations 1 and 2; without LayerNorm as in Nanda et al. 2023; the
    other wirings as in ``wiring.BLOCKS``.
    """

    W_Q: nn.Parameter
    W_K: nn.Parameter
    W_V: nn.Parameter
    W_O: nn.Parameter
    W_in: nn.Parameter
    W_out: nn.Parameter
    W_conv: nn.Parameter
    decay: nn.Parameter
    gru: nn.GRU
    b_Q: nn.Parameter | None
    b_K: nn.Parameter | None
    b_V: nn.Parameter | None
    b_O: nn.Parameter | None
    b_in: nn.Parameter | None
    b_out: nn.Parameter | None
    ln1: Norm | None
    ln2: Norm | None
    mlp_gain: nn.Parameter | None
    mixer_gain: nn.Parameter | None
    alpha: nn.Parameter
    beta: nn.Parameter
    gamma: nn.Parameter
    espa: Tensor

    def __init__(self, config: ModelConfig, n_ctx: int, layer: int) -> None:
        super().__init__()
        h, d, dh, m = config.n_heads, config.d_model, config.d_head, config.d_mlp
        self.wiring, self.mixer, self.causal = BLOCKS[config.block], MIX[config.mixer], config.causal
        self.act: Callable[[Tensor], Tensor]
        if config.act == "tailored":
            self.act = partial(signal.tailored, slope=signal.tailored_slope(config.n_layers))
        else:
            self.act = ACTIVATIONS[config.act]
        shapes = dict(self.mixer.shapes(config, n_ctx))
        if self.wiring.projections:
            shapes |= {"W_V": (h, d, dh), "W_O": (h, dh, d)}
        shapes |= {"W_in": (d, m), "W_out": (m, d)}
        biases: dict[str, tuple[int, ...]] = {}
        if config.biases == "all":
            read = {f"b_{name[2:]}": (h, dh) for name in ("W_Q", "W_K", "W_V") if name in shapes}
            biases |= read | ({"b_O": (d,)} if self.wiring.projections else {})
        if config.biases != "none":
            biases |= {"b_in": (m,), "b_out": (d,)}
        for name, shape in shapes.items():
            self.register_parameter(name, nn.Parameter(torch.empty(shape)))
        for name in ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out"):
            self.register_parameter(name, nn.Parameter(torch.empty(biases[name])) if name in biases else None)
        if config.mixer == "gru":
            # torch draws its weights at once, and from its own generator: they are drawn anew, and its state is kept
            with torch.random.fork_rng(devices=[]):
                self.gru = nn.GRU(d, d, bias=config.biases != "none", batch_first=True)
        for name, parts in {"value-skipinit": ("alpha", "beta"), "shaped": ("alpha", "beta", "gamma")}.items():
            if self.wiring.shape == name:  # one of each a head
                for part in parts:
                    self.register_parameter(part, nn.Parameter(torch.empty(h)))
        for name in ("mlp_gain", "mixer_gain"):
            gained = getattr(self.wiring, name) is not None
            self.register_parameter(name, nn.Parameter(torch.empty(())) if gained else None)
        for name in ("ln1", "ln2"):
            wanted = config.norm_kind != "none" and not (self.wiring.parallel and name == "ln2")
            setattr(self, name, Norm(config.norm_kind, d) if wanted else None)
        if self.wiring.shape == "e-spa":
            self.espa = signal.target(layer, config.n_layers, n_ctx)  # no buffer: not every device has float64

    def initial(self) -> dict[str, float | str]:
        """The weights that are not drawn like the others: a constant, "orthogonal", or "neurons": by their number.

        Source: He and Hofmann 2023, section 4 (alpha = beta = gamma = 1 and zero queries, so that attention begins as
        the identity); He et al. 2023 (arXiv 2302.10322) for zero queries and orthogonal values and projections.
        """
        found: dict[str, float | str] = {}
        match self.wiring.shape:
            case "value-skipinit":
                found |= {"alpha": 1.0, "beta": 0.0}
            case "shaped":
                found |= {"alpha": 1.0, "beta": 1.0, "gamma": 1.0, "W_Q": 0.0}
            case "e-spa":
                found |= {"W_Q": 0.0, "W_V": "orthogonal", "W_O": "orthogonal", "W_out": "neurons"}
        for name in ("mlp_gain", "mixer_gain"):
            gain = getattr(self.wiring, name)
            found |= {name: gain} if gain is not None else {}
        return found

    def heads(self, resid: Float[Tensor, "*rows d_model"], which: str) -> Float[Tensor, "*rows head d_head"]:
        """Queries, keys or values: one linear map of the residual stream for each head."""
        W = getattr(self, f"W_{which}")
        h, d, dh = W.shape
        out = (resid @ W.transpose(0, 1).reshape(d, h * dh)).unflatten(-1, (h, dh))
        bias = getattr(self, f"b_{which}")
        return out if bias is None else out + bias

    def values(self, heard: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows head d_head"]:
        """What each position offers; without projections the stream itself, cut into heads."""
        if self.wiring.projections:
            return self.heads(heard, "V")
        return heard.unflatten(-1, self.W_Q.shape[::2])

    def mix(
        self, heard: Tensor, tap: Tap = identity, at: slice = ALL, rows: Int[Tensor, "batch pos"] | None = None
    ) -> Float[Tensor, "batch query d_model"]:
        """What the mixer writes at the positions ``at``: values, mixed, heads summed through W_O.

        ``heard`` and ``rows`` as ``forward``'s ``resid`` and ``rows``.
        """

        def read(which: str, where: slice) -> Tensor:
            if rows is None:
                return self.heads(heard[:, where], which)
            return gather(self.heads(heard, which), rows[:, where])

        v = tap("v", self.values(heard) if rows is None else gather(self.values(heard), rows))
        z = tap("z", self.mixer.mix(self, read, v, tap, at)).flatten(-2)
        out = add_bias(z @ self.W_O.flatten(0, 1), self.b_O) if self.wiring.projections else z
        return tap("attn_out", out if self.mixer_gain is None else out * self.mixer_gain)

    def written(self, v: Float[Tensor, "batch pos head d_head"]) -> Float[Tensor, "batch head pos d_model"]:
        """What each head would write of each position's values, if it listened to nothing else."""
        if self.wiring.projections:
            return torch.einsum("bphd,hdm->bhpm", v, self.W_O)
        own = torch.eye(v.shape[2], dtype=v.dtype, device=v.device)  # without W_O a head has channels of its own
        return torch.einsum("bphd,hg->bhpgd", v, own).flatten(3)

    def target(self, n: int, at: slice) -> tuple[Tensor | None, Tensor | None]:
        """What E-SPA adds to the scores [query, key], and multiplies their softmax with [query, 1]; else None."""
        if self.wiring.shape != "e-spa":
            return None, None
        matrix = self.espa[:n, :n][at]
        totals = matrix.sum(-1, keepdim=True)
        like = self.W_in
        return (matrix / totals).log().to(like.device, like.dtype), totals.to(like.device, like.dtype)

    def shaped(
        self, pattern: Float[Tensor, "batch head query key"], at: slice
    ) -> Float[Tensor, "batch head query key"]:
        """alpha I + beta A - gamma C where the block shapes its attention; else A itself."""
        if self.wiring.shape not in ("value-skipinit", "shaped"):
            return pattern
        n = pattern.shape[-1]
        alpha, beta = self.alpha[:, None, None], self.beta[:, None, None]
        found = alpha * torch.eye(n, dtype=pattern.dtype, device=pattern.device)[at] + beta * pattern
        if self.wiring.shape == "shaped":
            found = found - self.gamma[:, None, None] * uniform(n, self.causal, pattern)[at]
        return found

    def mlp(self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_model"]:
        """What the neurons add: act(resid W_in + b_in) W_out + b_out (Vaswani et al., equation 2)."""
        pre = tap("mlp_pre", add_bias(resid @ self.W_in, self.b_in))
        post = tap("mlp_post", self.act(pre))
        out = add_bias(post @ self.W_out, self.b_out)
        return tap("mlp_out", out if self.mlp_gain is None else out * self.mlp_gain)

    def forward(
        self,
        resid: Float[Tensor, "*rows d_model"],
        tap: Tap = identity,
        at: slice = ALL,
        rows: Int[Tensor, "batch pos"] | None = None,
    ) -> Float[Tensor, "batch query d_model"]:
        """One block: the residual stream in, the residual stream at the positions ``at`` out.

        Args:
            resid: [batch, pos, d_model]; with ``rows`` its distinct rows [distinct, d_model], of which ``rows`` says
                where each is met: then all that hangs on a row alone is computed once.
        """
        wiring = self.wiring
        resid = tap("resid_pre", resid)
        heard = self._read("ln1", resid, tap)
        mixed = self.mix(heard, tap, at, rows)

        def here(stream: Tensor) -> Tensor:
            return stream[:, at] if rows is None else gather(stream, rows[:, at])

        if wiring.parallel:
            return tap("resid_post", self.close(mixed, self.mlp(here(heard), tap)))
        mid = here(resid) + mixed if wiring.skip else mixed
        return self.after(tap("resid_mid", self._sum("ln1", mid)), tap)

    def after(self, mid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_model"]:
        """The rest of the block from ``resid_mid`` on; one whose neurons stand beside the mixer has no such rest."""
        return tap("resid_post", self.close(mid, self.mlp(self._read("ln2", mid, tap), tap)))

    def close(
        self, mid: Float[Tensor, "*rows d_model"], written: Float[Tensor, "*rows d_model"]
    ) -> Float[Tensor, "*rows d_model"]:
        """``resid_post`` from what the neurons find there and what they write.

        ``mid`` is ``resid_mid``, or ``attn_out`` where the neurons stand beside the mixer.
        """
        kept = self.wiring.mlp_skip or self.wiring.parallel
        return self._sum("ln2", mid + written if kept else written)

    def _read(self, name: str, resid: Tensor, tap: Tap) -> Tensor:
        norm = getattr(self, name)
        return tap(name, norm(resid)) if norm is not None and self.wiring.norm == "pre" else resid

    def _sum(self, name: str, resid: Tensor) -> Tensor:
        norm = getattr(self, name)
        return norm(resid) if norm is not None and self.wiring.norm == "post" else resid


def gather(table: Float[Tensor, "distinct *rest"], index: Int[Tensor, "batch *pos"]) -> Tensor:
    """The rows of a table at an index. Source: own design; its backward is several times as fast as table[index]'s."""
    return table.index_select(0, index.flatten()).unflatten(0, index.shape)


def add_bias(value: Tensor, bias: Tensor | None) -> Tensor:
    """``value`` [..., d] + ``bias`` [d], where there is one. Source: own design."""
    return value if bias is None else value + bias
