"""Logits and activations of any number of examples, computed chunk by chunk."""

from collections.abc import Collection, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.model import fast
from miii.model.tap import capture, must_be_finite
from miii.model.transformer import Transformer

NUMBERS = 2**21  #: values in a chunk's widest activation, 8 MB in float32; larger chunks are no faster


def chunk_size(model: Transformer, n_ctx: int) -> int:
    """Return how many examples of ``n_ctx`` tokens to run at once: as many as ``NUMBERS`` allows, at least one."""
    config = model.config
    widest = max(config.d_mlp, config.d_model, config.n_heads * n_ctx, model.W_U.shape[1])
    return max(1, NUMBERS // (n_ctx * widest))


def chunks(model: Transformer, tokens: Int[Tensor, "examples pos *part"]) -> Iterator[slice]:
    """Yield consecutive slices of the examples, each of ``chunk_size`` or fewer; one empty slice if there are none."""
    size = chunk_size(model, tokens.shape[1])
    for start in range(0, max(1, len(tokens)), size):
        yield slice(start, min(start + size, len(tokens)))


@torch.no_grad()
def last_logits(model: Transformer, tokens: Int[Tensor, "examples pos *part"]) -> Float[Tensor, "examples d_vocab_out"]:
    """Return the logits of all examples at the last position, where the answer is read out.

    Raises:
        InputError: a logit is not finite.
    """
    parts = [fast.answer_logits(model, fast.plan(tokens[rows])) for rows in chunks(model, tokens)]
    return must_be_finite(torch.cat(parts), "logits")


@torch.no_grad()
def collect(
    model: Transformer,
    tokens: Int[Tensor, "examples pos *part"],
    names: Collection[str],
    *,
    last: bool | Collection[str] = False,
) -> dict[str, Float[Tensor, "examples *axes"]]:
    """Return the named activations of all examples.

    Args:
        names: activations with a batch axis, such as ``{"0.mlp_post", "0.pattern"}``.
        last: keep only the last position, of all activations or of those named; for ``pattern`` and ``scores``, the
            last query.

    Raises:
        InputError: the model has no such activation, or an activation has no batch axis or is not finite.
    """
    if "pos_embed" in names:
        raise InputError("name must be an activation with a batch axis (got pos_embed, which all examples share).")
    parts, cut = [], {*names} if last is True else {*(last or ())}
    for rows in chunks(model, tokens):
        acts = capture(model, tokens[rows], names)
        # cloned, since a view would keep the other positions in memory
        parts.append({name: _last(name, value).clone() if name in cut else value for name, value in acts.items()})
    return {name: torch.cat([part[name] for part in parts]) for name in names}


def _last(name: str, values: Tensor) -> Tensor:
    return values[:, :, -1] if name.endswith(("pattern", "scores")) else values[:, -1]
