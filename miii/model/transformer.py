"""A transformer to be read in one sitting, and taken apart.

Shapes: batch, pos (query and key where both occur), head, d_model, d_head, d_mlp, d_vocab, d_vocab_out.
Weights carry TransformerLens' names and layouts, and multiply from the right: ``resid @ W_in``.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from miii.errors import InputError
from miii.model.block import Block, Norm, add_bias
from miii.model.config import ModelConfig
from miii.model.tap import Tap, identity
from miii.model.wiring import ALL, BLOCKS, LAST
from miii.tasks.task import Task


class Transformer(nn.Module):
    """Embed, blocks, unembed. ``forward(tokens, tap)`` passes every activation of ``SITES`` through ``tap``.

    Args:
        seed: draws the initial weights, with a generator of their own. None leaves them undrawn, for loading.
        frame: for ``positions`` frames, how many positions a frame has: the vector of a place is that of its step (the
            how-manieth frame) plus that of its slot in the frame.

    Raises:
        InputError: positions come in frames, and there is no ``frame``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), appendix A: learned positions, untied, randn / sqrt(d_model),
    W_U randn / sqrt(d_vocab). Frames as in Hu et al. 2023 (arXiv 2309.17080), section 2.2.
    """

    blocks: Sequence[Block]
    b_U: nn.Parameter | None
    ln_final: Norm | None

    def __init__(
        self,
        config: ModelConfig,
        d_vocab: int,
        d_vocab_out: int,
        n_ctx: int,
        seed: int | None = None,
        frame: int | None = None,
    ) -> None:
        super().__init__()
        self.config, self.n_ctx = config, n_ctx
        self.W_E = nn.Parameter(torch.empty(d_vocab, config.d_model))
        self.W_pos: Tensor
        match config.positions:
            case "learned":
                self.W_pos = nn.Parameter(torch.empty(n_ctx, config.d_model))
            case "none":
                self.register_buffer("W_pos", torch.zeros(n_ctx, config.d_model))
            case "frames":
                if frame is None:
                    raise InputError("positions must be learned or none for a task that has no frames (got 'frames').")
                self.W_step = nn.Parameter(torch.empty(math.ceil(n_ctx / frame), config.d_model))
                self.W_slot = nn.Parameter(torch.empty(frame, config.d_model))
        self.blocks = nn.ModuleList(Block(config, n_ctx, i) for i in range(config.n_layers))  # type: ignore[assignment]
        normed = BLOCKS[config.block].norm == "pre" and config.norm_kind != "none"
        self.ln_final = Norm(config.norm_kind, config.d_model) if normed else None
        self.W_U = nn.Parameter(torch.empty(config.d_model, d_vocab_out))
        self.register_parameter("b_U", nn.Parameter(torch.empty(d_vocab_out)) if config.biases == "all" else None)
        if seed is not None:
            self._draw(torch.Generator().manual_seed(seed), d_vocab)

    @classmethod
    def of(cls, config: ModelConfig, task: Task, seed: int | None = None) -> "Transformer":
        """A network of the task's sizes."""
        return cls(config, task.d_vocab, task.d_vocab_out, task.n_ctx, seed, task.frame)

    @torch.no_grad()
    def _draw(self, generator: torch.Generator, d_vocab: int) -> None:
        special = self.blocks[0].initial()
        constant = {name: value for name, value in special.items() if isinstance(value, float)}
        for name, weight in self.named_parameters():
            last = name.split(".")[-1]
            if ".ln" in name or name.startswith("ln_"):
                weight.fill_(1.0 if last == "w" else 0.0)
            elif last.startswith(("b_", "bias_")):
                weight.zero_()
            elif last == "decay":  # from forgetting at once to hardly at all
                weight.copy_(torch.linspace(-1, 5, weight.numel()).view(weight.shape))
            elif last in constant:
                weight.fill_(constant[last])
            elif special.get(last) == "orthogonal":
                weight.copy_(_orthogonal(weight, generator))
            else:
                fan = d_vocab if name == "W_U" else self.config.d_model
                if special.get(last) == "neurons":
                    fan = self.config.d_mlp
                if last == "W_conv":
                    fan = weight.shape[-1]
                weight.copy_(torch.randn(weight.shape, generator=generator) / math.sqrt(fan))

    def places(self) -> Float[Tensor, "pos d_model"]:
        """The vector of each place: W_pos, or its step's and its slot's together."""
        if self.config.positions != "frames":
            return self.W_pos
        return (self.W_step[:, None] + self.W_slot).flatten(0, 1)[: self.n_ctx]

    def embed(self, tokens: Int[Tensor, "batch pos"], tap: Tap = identity) -> Float[Tensor, "batch pos d_model"]:
        """The residual stream before the first block."""
        embed = tap("embed", self.W_E[tokens])
        return embed + tap("pos_embed", self.places()[: tokens.shape[1]])

    def unembed(self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_vocab_out"]:
        """The logits of the residual stream after the last block."""
        if self.ln_final is not None:
            resid = tap("ln_final", self.ln_final(resid))
        return add_bias(resid @ self.W_U, self.b_U)

    def forward(
        self, tokens: Int[Tensor, "batch pos"], tap: Tap = identity, at: slice = ALL
    ) -> Float[Tensor, "batch query d_vocab_out"]:
        """Logits at every position; the answer to a task's example is the last one.

        Args:
            at: the positions that the last block computes, all or ``wiring.LAST`` alone.
        """
        resid, last = self.embed(tokens, tap), len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            where = at if layer == last else ALL
            resid = block(resid, lambda name, value, layer=layer: tap(f"{layer}.{name}", value), where)
        return tap("logits", self.unembed(resid, tap))


def answer(model: Transformer, tokens: Int[Tensor, "batch pos"]) -> Int[Tensor, " batch"]:
    """What the model answers: the largest logit at the last position. Source: Nanda et al. 2023, section 3."""
    with torch.no_grad():
        return torch.cat([model(chunk, at=LAST)[:, -1].argmax(-1) for chunk in tokens.split(1024)])


def _orthogonal(weight: Tensor, generator: torch.Generator) -> Tensor:
    """A random orthogonal matrix, cut into heads: W_V's beside each other, W_O's below each other."""
    h, a, b = weight.shape
    width = max(a, b)
    q, r = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    return q.view(h, a, b) if a < b else q.view(a, h, b).transpose(0, 1)
