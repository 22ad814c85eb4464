"""Read or replace any named activation of a forward pass, without hooks.

A model passes every named activation through ``tap(name, value) -> value``. ``capture`` stores activations,
``intervene`` replaces them. A tap is a plain function, so gradients with respect to activations and
``torch.func.vmap`` over trajectories work as usual.
"""

import contextlib
from collections.abc import Callable, Collection, Mapping

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from miii.errors import InputError
from miii.model.config import ModelConfig
from miii.model.wiring import BLOCKS

Tap = Callable[[str, Tensor], Tensor]

#: Every site and its axes. Inside a block its name is ``"<layer>.<site>"``, such as ``"0.pattern"``. ``sites`` lists
#: those of a network.
SITES: dict[str, tuple[str, ...]] = {
    "embed": ("batch", "pos", "d_model"),
    "pos_embed": ("pos", "d_model"),
    "resid_pre": ("batch", "pos", "d_model"),
    "ln1": ("batch", "pos", "d_model"),
    "q": ("batch", "pos", "head", "d_head"),
    "k": ("batch", "pos", "head", "d_head"),
    "v": ("batch", "pos", "head", "d_head"),
    "scores": ("batch", "head", "query", "key"),
    "pattern": ("batch", "head", "query", "key"),
    "z": ("batch", "pos", "head", "d_head"),
    "attn_out": ("batch", "pos", "d_model"),
    "resid_mid": ("batch", "pos", "d_model"),
    "ln2": ("batch", "pos", "d_model"),
    "mlp_pre": ("batch", "pos", "d_mlp"),
    "mlp_post": ("batch", "pos", "d_mlp"),
    "mlp_out": ("batch", "pos", "d_model"),
    "resid_post": ("batch", "pos", "d_model"),
    "ln_final": ("batch", "pos", "d_model"),
    "logits": ("batch", "pos", "d_vocab_out"),
}

#: The sites outside the blocks.
OUTSIDE = ("embed", "pos_embed", "ln_final", "logits")


def sites(config: ModelConfig) -> tuple[str, ...]:
    """Return the sites of a network; those inside a block omit the layer.

    Only attention has queries, keys and scores; only attention, the mean and concatenation have a pattern. Outputs of
    norms are sites where they are read. Parallel blocks have no ``resid_mid``.
    """
    wiring = BLOCKS[config.block]
    missing = set()
    if config.mixer != "attention":
        missing |= {"q", "k", "scores"} | ({"pattern"} if config.mixer not in ("mean", "concatenation") else set())
    if wiring.norm != "pre" or config.norm_kind == "none":
        missing |= {"ln1", "ln2"}
    if not config.normed_last:
        missing.add("ln_final")
    if wiring.parallel:
        missing |= {"resid_mid", "ln2"}
    return tuple(name for name in SITES if name not in missing)


def identity(name: str, value: Tensor) -> Tensor:
    """Return the value unchanged: the tap that does nothing."""
    return value


def capture(
    model: nn.Module, tokens: Int[Tensor, "batch pos *part"], names: Collection[str] | None = None
) -> dict[str, Tensor]:
    """Run the model and return its activations.

    Args:
        names: the activations to keep, such as ``{"0.pattern", "logits"}``; None keeps all. The forward pass stops
            after the last of them.

    Returns:
        Activations by name; ``SITES`` gives their axes.

    Raises:
        InputError: the model has no such activation, or a kept one is not finite.

    Source: TransformerLens' ``run_with_cache``, as one function.
    """
    kept: dict[str, Tensor] = {}
    met: list[str] = []

    def keep(name: str, value: Tensor) -> Tensor:
        met.append(name)
        if names is None or name in names:
            kept[name] = value
            if names is not None and len(kept) == len(set(names)):
                raise _Complete
        return value

    with contextlib.suppress(_Complete):
        model(tokens, tap=keep)
        _all_met(names or (), met)
    for name, value in kept.items():
        if not name.endswith("scores"):  # masked scores are minus infinity
            must_be_finite(value, name)
    return kept


def must_be_finite(values: Tensor, name: str) -> Tensor:
    """Return the values unchanged.

    Raises:
        InputError: one of them is infinite or NaN.
    """
    if not values.isfinite().all():
        raise InputError(f"model must give finite {name} to be taken apart (got infinite or undefined ones).")
    return values


class _Complete(Exception):
    """Raised to stop a forward pass once all requested activations are stored."""


def intervene(
    model: nn.Module,
    tokens: Int[Tensor, "batch pos *part"],
    changes: Mapping[str, Tensor | Callable[[Tensor], Tensor]],
) -> Float[Tensor, "batch pos d_vocab_out"]:
    """Run the model with some activations replaced, and return its logits.

    Args:
        changes: by activation name, a new value or a function from the old value to the new one, such as
            ``{"0.z": zero_head(0)}``.

    Raises:
        InputError: the model has no such activation, or a new value has a different shape.

    Source: TransformerLens' ``run_with_hooks``; activation patching as in Heimersheim and Nanda (arXiv 2404.15255).
    """
    met: list[str] = []

    def replace(name: str, value: Tensor) -> Tensor:
        met.append(name)
        if name not in changes:
            return value
        change = changes[name]
        new = change if isinstance(change, Tensor) else change(value)
        if new.shape != value.shape:
            raise InputError(f"{name} must keep its shape {tuple(value.shape)} (got {tuple(new.shape)}).")
        return new

    logits: Tensor = model(tokens, tap=replace)
    _all_met(changes, met)
    return logits


def zero_head(head: int) -> Callable[[Tensor], Tensor]:
    """Return a change for ``z`` [batch, pos, head, d_head] that zero-ablates one head.

    Raises:
        InputError: when called, if ``z`` has no such head.
    """

    def change(z: Tensor) -> Tensor:
        if not 0 <= head < z.shape[-2]:
            raise InputError(f"head must be in 0 .. {z.shape[-2] - 1} (got {head}).")
        keep = torch.ones(z.shape[-2], 1, dtype=z.dtype, device=z.device)
        keep[head] = 0
        return z * keep

    return change


def _all_met(names: Collection[str] | Mapping[str, object], met: list[str]) -> None:
    missing = sorted(set(names) - set(met))
    if missing:
        raise InputError(f"{', '.join(missing)} is not an activation of this model; it has {', '.join(met)}.")
