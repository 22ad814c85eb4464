"""A transformer to be read in one sitting, and taken apart.

Shapes: batch, pos (query and key where both occur), head, d_model, d_head, d_mlp, d_vocab, d_vocab_out.
Weights carry TransformerLens' names and layouts, and multiply from the right: ``resid @ W_in``.
"""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from miii.errors import Frozen, InputError
from miii.model.tap import Tap, identity

ACTIVATIONS = {"relu": torch.relu, "gelu": nn.functional.gelu, "square": torch.square}


class ModelConfig(Frozen):
    """The shape of a transformer without norms.

    Raises:
        InputError: a size below 1, or heads that do not divide the width.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 3 and appendix A; "square" is Gromov's (arXiv 2301.02679).
    """

    n_layers: int = Field(1, ge=1, le=24, description="blocks of attention and MLP")
    d_model: int = Field(128, ge=1, le=4096, description="width of the residual stream")
    n_heads: int = Field(4, ge=1, le=256, description="attention heads of a block; they divide d_model")
    d_mlp: int = Field(512, ge=1, le=16384, description="neurons of a block")
    act: Literal["relu", "gelu", "square"] = Field("relu", description="what a neuron does to its input")
    biases: Literal["mlp", "all", "none"] = Field("mlp", description="which linear maps have a bias")
    positions: Literal["learned", "none"] = Field("learned", description="whether a place of the input has a vector")
    causal: bool = Field(True, description="whether a position sees only itself and those before it")

    @model_validator(mode="after")
    def _heads_divide(self) -> "ModelConfig":
        if self.d_model % self.n_heads:
            raise InputError(
                f"n_heads must divide d_model (got n_heads {self.n_heads} and d_model {self.d_model}; "
                f"valid: {', '.join(str(n) for n in range(1, self.d_model + 1) if self.d_model % n == 0)})."
            )
        return self

    @property
    def d_head(self) -> int:
        """Width of one head: d_model / n_heads."""
        return self.d_model // self.n_heads


class Block(nn.Module):
    """Attention, then an MLP, each added to the residual stream; no norm.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equations 1 and 2, without LayerNorm as in Nanda et al. 2023.
    """

    W_Q: nn.Parameter
    W_K: nn.Parameter
    W_V: nn.Parameter
    b_Q: nn.Parameter | None
    b_K: nn.Parameter | None
    b_V: nn.Parameter | None
    b_O: nn.Parameter | None
    b_in: nn.Parameter | None
    b_out: nn.Parameter | None

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        h, d, dh, m = config.n_heads, config.d_model, config.d_head, config.d_mlp
        self.act = ACTIVATIONS[config.act]
        self.causal = config.causal
        for name in ("W_Q", "W_K", "W_V"):
            self.register_parameter(name, nn.Parameter(torch.empty(h, d, dh)))
        self.W_O = nn.Parameter(torch.empty(h, dh, d))
        self.W_in = nn.Parameter(torch.empty(d, m))
        self.W_out = nn.Parameter(torch.empty(m, d))
        biases: dict[str, tuple[int, ...]] = {}
        if config.biases == "all":
            biases |= {"b_Q": (h, dh), "b_K": (h, dh), "b_V": (h, dh), "b_O": (d,)}
        if config.biases != "none":
            biases |= {"b_in": (m,), "b_out": (d,)}
        for name in ("b_Q", "b_K", "b_V", "b_O", "b_in", "b_out"):
            self.register_parameter(name, nn.Parameter(torch.empty(biases[name])) if name in biases else None)

    def heads(self, resid: Float[Tensor, "*rows d_model"], which: str) -> Float[Tensor, "*rows head d_head"]:
        """Queries, keys or values: one linear map of the residual stream for each head."""
        W = getattr(self, f"W_{which}")
        h, d, dh = W.shape
        out = (resid @ W.transpose(0, 1).reshape(d, h * dh)).unflatten(-1, (h, dh))
        bias = getattr(self, f"b_{which}")
        return out if bias is None else out + bias

    def attend(
        self, resid: Float[Tensor, "batch pos d_model"], tap: Tap = identity
    ) -> Float[Tensor, "batch pos d_model"]:
        """What attention adds: softmax(q k / sqrt d_head) v, heads summed through W_O (Vaswani et al., equation 1)."""
        q, k, v = (tap(name, self.heads(resid, which)) for name, which in (("q", "Q"), ("k", "K"), ("v", "V")))
        scores = einsum(q, k, "batch query head d, batch key head d -> batch head query key") / math.sqrt(q.shape[-1])
        if self.causal:
            scores = scores.masked_fill(causal_mask(scores.shape[-1], scores.device), -torch.inf)
        pattern = tap("pattern", torch.softmax(tap("scores", scores), dim=-1))
        z = tap("z", einsum(pattern, v, "batch head query key, batch key head d -> batch query head d"))
        return tap("attn_out", add_bias(z.flatten(-2) @ self.W_O.flatten(0, 1), self.b_O))

    def mlp(self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_model"]:
        """What the neurons add: act(resid W_in + b_in) W_out + b_out (Vaswani et al., equation 2)."""
        pre = tap("mlp_pre", add_bias(resid @ self.W_in, self.b_in))
        post = tap("mlp_post", self.act(pre))
        return tap("mlp_out", add_bias(post @ self.W_out, self.b_out))

    def forward(
        self, resid: Float[Tensor, "batch pos d_model"], tap: Tap = identity
    ) -> Float[Tensor, "batch pos d_model"]:
        """One block: the residual stream in, the residual stream out."""
        resid = tap("resid_pre", resid)
        resid = tap("resid_mid", resid + self.attend(resid, tap))
        return tap("resid_post", resid + self.mlp(resid, tap))


class Transformer(nn.Module):
    """Embed, blocks, unembed. ``forward(tokens, tap)`` passes every activation of ``SITES`` through ``tap``.

    Args:
        seed: draws the initial weights, with a generator of their own. None leaves them undrawn, for loading.

    Source: Nanda et al. 2023 (arXiv 2301.05217), appendix A: learned positions, untied, randn / sqrt(d_model),
    W_U randn / sqrt(d_vocab).
    """

    blocks: Sequence[Block]
    b_U: nn.Parameter | None

    def __init__(
        self, config: ModelConfig, d_vocab: int, d_vocab_out: int, n_ctx: int, seed: int | None = None
    ) -> None:
        super().__init__()
        self.config = config
        self.W_E = nn.Parameter(torch.empty(d_vocab, config.d_model))
        self.W_pos: Tensor
        if config.positions == "learned":
            self.W_pos = nn.Parameter(torch.empty(n_ctx, config.d_model))
        else:
            self.register_buffer("W_pos", torch.zeros(n_ctx, config.d_model))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.n_layers))  # type: ignore[assignment]
        self.W_U = nn.Parameter(torch.empty(config.d_model, d_vocab_out))
        self.register_parameter("b_U", nn.Parameter(torch.empty(d_vocab_out)) if config.biases == "all" else None)
        if seed is not None:
            self._draw(torch.Generator().manual_seed(seed), d_vocab)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator, d_vocab: int) -> None:
        for name, weight in self.named_parameters():
            if name.split(".")[-1].startswith("b_"):
                weight.zero_()
            else:
                fan = d_vocab if name == "W_U" else self.config.d_model
                weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(fan))

    def forward(self, tokens: Int[Tensor, "batch pos"], tap: Tap = identity) -> Float[Tensor, "batch pos d_vocab_out"]:
        """Logits at every position; the answer to a task's example is the last one."""
        embed = tap("embed", self.W_E[tokens])
        resid = embed + tap("pos_embed", self.W_pos[: tokens.shape[1]])
        for layer, block in enumerate(self.blocks):
            resid = block(resid, lambda name, value, layer=layer: tap(f"{layer}.{name}", value))
        return tap("logits", add_bias(resid @ self.W_U, self.b_U))


def answer(model: Transformer, tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, " batch"]:
    """What the model answers: the largest logit at the last position. Source: Nanda et al. 2023, section 3."""
    with torch.no_grad():
        return torch.cat([model(chunk)[:, -1].argmax(-1) for chunk in tokens.split(1024)])


def causal_mask(n: int, device: torch.device) -> Tensor:
    """True where a query [n] may not see a key [n]: the keys after it. Source: Vaswani et al. 2017, section 3.2.3."""
    return torch.ones(n, n, dtype=torch.bool, device=device).triu(1)


def add_bias(value: Tensor, bias: Tensor | None) -> Tensor:
    """``value`` [..., d] + ``bias`` [d], where there is one. Source: own design."""
    return value if bias is None else value + bias
