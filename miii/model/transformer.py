"""A small transformer, written to be read and analyzed.

Shapes: batch, pos (query and key where both occur), head, d_model, d_head, d_mlp, d_vocab, d_vocab_out. Weights use
TransformerLens' names and layouts, and multiply from the right: ``resid @ W_in``.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from miii.errors import InputError
from miii.model.block import Block, Norm, add_bias
from miii.model.config import ModelConfig
from miii.model.mixers import block_type
from miii.model.tap import Tap, identity
from miii.model.weights import Declared, Weight, Weights, bias, init_weights, normal
from miii.model.where import Where
from miii.model.wiring import ALL, BLOCKS, LAST
from miii.tasks.task import Task


class Transformer(Declared):
    """Embed, blocks, unembed. ``forward(tokens, tap)`` passes every activation of ``SITES`` through ``tap``.

    Args:
        seed: seed of the initial weights, with their own generator; None leaves them uninitialized, for loading.
        frame: positions per frame, for ``positions`` "frames": a position's vector is the sum of its step's (the index
            of its frame) and its slot's.

    Raises:
        InputError: ``positions`` is "frames" and ``frame`` is None.

    Source: Nanda et al. 2023 (arXiv 2301.05217), appendix A: learned positions, untied, randn / sqrt(d_model),
    W_U randn / sqrt(d_vocab). Frames as in Hu et al. 2023 (arXiv 2309.17080), section 2.2.
    """

    W_E: nn.Parameter
    W_pos: Tensor
    W_step: nn.Parameter
    W_slot: nn.Parameter
    W_U: nn.Parameter
    b_U: nn.Parameter | None
    blocks: Sequence[Block]
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
        d = config.d_model
        super().__init__(
            {"W_E": Weight((d_vocab, d), normal(d), muon="embedding")}
            | _positions(config, n_ctx, frame)
            | {
                "W_U": Weight((d, d_vocab_out), normal(d_vocab)),
                "b_U": bias(d_vocab_out) if config.biases == "all" else None,
            }
        )
        self.config, self.n_ctx = config, n_ctx
        if config.positions == "none":
            self.register_buffer("W_pos", torch.zeros(n_ctx, d))
        block = block_type(config)
        self.blocks = nn.ModuleList(block(config, n_ctx, i) for i in range(config.n_layers))  # type: ignore[assignment]
        self.ln_final = Norm(config.norm_kind, d) if config.normed_last else None
        if seed is not None:
            init_weights(self, seed, config.init == "glorot", config.init_scale)

    @classmethod
    def of(cls, config: ModelConfig, task: Task, seed: int | None = None) -> "Transformer":
        """Return a network sized for the task."""
        return cls(config, task.d_vocab, task.d_vocab_out, task.n_ctx, seed, task.frame)

    def places(self) -> Float[Tensor, "pos d_model"]:
        """Return the position embeddings: W_pos, or the sums of step and slot vectors."""
        if self.config.positions != "frames":
            return self.W_pos
        return (self.W_step[:, None] + self.W_slot).flatten(0, 1)[: self.n_ctx]

    def look_up(self, tokens: Int[Tensor, "batch pos *part"]) -> Float[Tensor, "batch pos d_model"]:
        """Return the rows of W_E; of tokens with several parts, their sums, in which row 0 adds nothing."""
        if tokens.ndim == 2:
            return self.W_E[tokens]
        parts = tokens.flatten(0, 1).int()
        return nn.functional.embedding_bag(parts, self.W_E, mode="sum", padding_idx=0).unflatten(0, tokens.shape[:2])

    def embed(self, tokens: Int[Tensor, "batch pos *part"], tap: Tap = identity) -> Float[Tensor, "batch pos d_model"]:
        """Return the residual stream before the first block."""
        embed = tap("embed", self.look_up(tokens))
        return embed + tap("pos_embed", self.places()[: tokens.shape[1]])

    def unembed(self, resid: Float[Tensor, "*rows d_model"], tap: Tap = identity) -> Float[Tensor, "*rows d_vocab_out"]:
        """Return the logits of the residual stream after the last block."""
        if self.ln_final is not None:
            resid = tap("ln_final", self.ln_final(resid))
        if (factor := BLOCKS[self.config.block].cosine) is not None:
            return add_bias(factor * (resid @ nn.functional.normalize(self.W_U, dim=0)), self.b_U)
        return add_bias(resid @ self.W_U, self.b_U)

    def forward(
        self, tokens: Int[Tensor, "batch pos *part"], tap: Tap = identity, at: slice = ALL
    ) -> Float[Tensor, "batch query d_vocab_out"]:
        """Return the logits at every position; most tasks predict at the last one.

        Args:
            at: the positions that the last block computes, all or ``wiring.LAST``.
        """
        resid, last = self.embed(tokens, tap), len(self.blocks) - 1
        for layer, block in enumerate(self.blocks):
            where = Where(at if layer == last else ALL)
            resid = block(resid, lambda name, value, layer=layer: tap(f"{layer}.{name}", value), where)
        return tap("logits", self.unembed(resid, tap))


def answer(model: Transformer, tokens: Int[Tensor, "batch pos *part"]) -> Int[Tensor, " batch"]:
    """Return the model's predictions: the largest logit at the last position (Nanda et al. 2023, section 3)."""
    with torch.no_grad():
        return torch.cat([model(chunk, at=LAST)[:, -1].argmax(-1) for chunk in tokens.split(1024)])


def _positions(config: ModelConfig, n_ctx: int, frame: int | None) -> Weights:
    d = config.d_model
    match config.positions:
        case "learned":
            sizes = {"W_pos": n_ctx}
        case "none":
            sizes = {}
        case "frames":
            if frame is None:
                raise InputError("positions must be learned or none for a task that has no frames (got 'frames').")
            sizes = {"W_step": math.ceil(n_ctx / frame), "W_slot": frame}
    return {name: Weight((size, d), normal(d)) for name, size in sizes.items()}
