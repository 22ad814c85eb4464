"""Convert a HookedTransformer's state dict to a network, and back.

Layouts are identical. LayerNorms with weights (``normalization_type="LN"``) map to the block ``pre-norm``. A state
dict does not record the activation, causal attention, or LayerNorms with folded weights (``LNPre``): all three are
parameters.

RMSNorms are rejected: TransformerLens adds 1e-5 to the mean square and miii 1e-6, so the logits would differ.
"""

import itertools
import re
from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import Tensor

from miii.errors import InputError
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.model.wiring import BlockName

KINDS = (
    torch.float32,
    torch.float16,
    torch.bfloat16,
    torch.float64,
)  #: accepted dtypes, converted to float32
BUFFERS = ("attn.mask", "attn.IGNORE")  #: a block's buffers, in TransformerLens 1 to 3
HOMES = {"W_E": "embed", "W_pos": "pos_embed", "W_U": "unembed", "b_U": "unembed"}
MLP = ("W_in", "b_in", "W_out", "b_out")
NORM = re.compile(r"(^|\.)(ln[^.]*|[^.]*norm[^.]*)\.", re.IGNORECASE)  # ln1.w, ln_final.b, attn.q_norm.w, embed.ln.w
PRE_NORM = re.compile(r"(blocks\.\d+\.ln[12]|ln_final)\.[wb]")  # the norms of the block pre-norm
PARTS = {r"\.mlp\.[Wb]_gate": "a gated MLP", r"\.mlp\.experts": "a mixture of experts"}  # miii has neither
BLOCK = re.compile(r"blocks\.(0|[1-9][0-9]{0,3})\.")


def from_state_dict(
    state: Mapping[str, Tensor], p: int, act: str = "relu", causal: bool = True, lnpre: bool = False
) -> tuple[Transformer, tuple[str, ...]]:
    """Return a network from a HookedTransformer's state dict, in float32 with all biases, and the unused names.

    Args:
        p: the modulus. Tokens 0 .. p - 1 are numbers, token p is "=", and each number has a logit.
        act: activation, one of ``ACTIVATIONS``.
        causal: a position sees itself and earlier positions only.
        lnpre: whether it has weightless LayerNorms (``normalization_type="LNPre"``), which files do not record.

    Returns:
        The network, and the printable names of unused tensors.

    Raises:
        InputError: a name is missing, a shape does not fit, a weight is not finite, or a part has no counterpart: an
            RMSNorm, a misplaced norm, a gated MLP, experts.

    Source: TransformerLens' ``HookedTransformer``.
    """
    for name, value in state.items():
        _check_known(name)
        check_dense(name, value)
    n_layers = 1 + max((int(block[1]) for name in state if (block := BLOCK.match(name))), default=0)
    wiring = {"n_layers": n_layers, "block": _block(state, lnpre)}
    names = {ours: _theirs(ours) for ours in _shapes(wiring | {"d_model": 1, "n_heads": 1}, 1)}
    if lnpre:  # gains of 1 and biases of 0, as initialized
        names = {ours: theirs for ours, theirs in names.items() if not NORM.search(theirs)}
    missing = [theirs for theirs in names.values() if theirs not in state]
    if missing:
        raise _incomplete(missing, state)
    sizes = _sizes(state, p) | wiring | {"act": act, "causal": causal}
    for ours, shape in _shapes(sizes, p).items():  # before anything is allocated
        if ours in names and state[names[ours]].shape != shape:
            raise InputError(f"{names[ours]} must be {_times(shape)} (got {_times(state[names[ours]].shape)}).")
    buffers = {f"blocks.{layer}.{name}" for layer in range(n_layers) for name in BUFFERS}
    for name in sorted(buffers & state.keys()):
        _check_mask(name, state[name])
    model = Transformer(ModelConfig(biases="all", **sizes), p + 1, p, 3)
    weights = {ours: _weight(theirs, state[theirs]) for ours, theirs in names.items()}
    model.load_state_dict(model.state_dict() | weights)
    known = buffers | {*names.values()}
    return model.requires_grad_(False).eval(), tuple(printable(name) for name in state if name not in known)


def to_state_dict(model: Transformer) -> dict[str, Tensor]:
    """Return float32 weights on the CPU, for ``HookedTransformer.load_state_dict(..., strict=False)``.

    Missing biases are zero. TransformerLens' config must set the rest: ``normalization_type`` None, or "LN" for the
    block pre-norm, the activation, and ``attention_dir="bidirectional"`` where attention is not causal.

    Raises:
        InputError: the block is neither plain nor pre-norm with LayerNorm, the mixer is not attention, or positions
            come in frames.

    Source: TransformerLens' ``HookedTransformer``.
    """
    config = model.config
    if not config.plain and (config.block, config.norm_kind, config.mixer) != ("pre-norm", "layer", "attention"):
        got = f"block {config.block!r}, norm {config.norm_kind!r}, mixer {config.mixer!r}"
        raise InputError(
            f"model must have attention, and plain blocks or pre-norm with LayerNorm, for TransformerLens (got {got})."
        )
    if model.config.positions == "frames":
        raise InputError("positions must be learned or none for TransformerLens, which has no frames (got 'frames').")
    ours = model.state_dict()
    shapes = _shapes(model.config.model_dump(exclude={"biases"}), model.W_U.shape[1])
    return {
        _theirs(name): ours[name].detach().float().cpu().clone() if name in ours else torch.zeros(shape)
        for name, shape in shapes.items()
    }


def left_out(extras: Collection[str]) -> str:
    """Return a warning about the tensors that ``from_state_dict`` skipped."""
    verb = "has" if len(extras) == 1 else "have"
    return (
        f"{_listed(extras)} {verb} no place in the imported network and {'was' if verb == 'has' else 'were'} left out."
    )


def check_dense(name: str, value: Tensor) -> None:
    """Check that a tensor is dense and has data.

    Raises:
        InputError: the tensor is nested, on the meta device, quantized or sparse.
    """
    kinds = {"nested": value.is_nested, "meta": value.is_meta, "quantized": value.is_quantized}
    kinds["sparse"] = value.layout is not torch.strided
    for kind, it_is in kinds.items():
        if it_is:
            raise InputError(f"{printable(name)} must be a dense tensor that holds its numbers (got a {kind} one).")


def printable(name: str) -> str:
    """Return a name from a file, made safe to print: no control characters, no markup, at most 103 characters."""
    safe = re.sub(r"[^A-Za-z0-9_.-]", "?", name[:100])
    return safe if len(name) <= 100 else f"{safe}..."


def _check_known(name: str) -> None:
    if NORM.search(name) and not PRE_NORM.fullmatch(name):
        raise InputError(
            f"{printable(name)} belongs to a norm that miii's networks lack: only ln1 and ln2 of each block and "
            "ln_final, with w and b, can be read."
        )
    for pattern, part in PARTS.items():
        if re.search(pattern, name):
            raise InputError(
                f"{printable(name)} belongs to {part}, which miii's networks do not have: only a HookedTransformer "
                "with plain MLPs can be read."
            )


def _block(state: Mapping[str, Tensor], lnpre: bool) -> BlockName:
    """Return the block that matches the file's norms."""
    found = [name for name in state if NORM.search(name)]
    if lnpre and found:
        raise InputError(f"lnpre must be false for a file that holds norms' weights (it has {printable(found[0])}).")
    if "ln_final.w" in found and not any(name.endswith(".b") for name in found):
        raise InputError(
            "ln_final.w has no bias ln_final.b beside it, so the norms are RMSNorms, which cannot be read exactly: "
            "TransformerLens adds 1e-5 to the mean square and miii 1e-6; LayerNorms (LN) can be read."
        )
    return "pre-norm" if found or lnpre else "plain"


def _incomplete(missing: Collection[str], state: Mapping[str, Tensor]) -> InputError:
    return InputError(
        "state dict must hold every weight of a HookedTransformer of TransformerLens 1 to 3, by its name there "
        f"(it lacks {_listed(missing)}; it holds {_listed(state, limit=4) or 'nothing'})."
    )


def _sizes(state: Mapping[str, Tensor], p: int) -> dict[str, Any]:
    """Return the sizes from the tensors' shapes, checked against the task and each other."""
    d_vocab, d_model = _axes(state, "embed.W_E", "d_vocab", "d_model")
    n_ctx, _ = _axes(state, "pos_embed.W_pos", "n_ctx", "d_model")
    n_heads, _, d_head = _axes(state, "blocks.0.attn.W_Q", "n_heads", "d_model", "d_head")
    _, d_mlp = _axes(state, "blocks.0.mlp.W_in", "d_model", "d_mlp")
    _, d_vocab_out = _axes(state, "unembed.W_U", "d_model", "d_vocab_out")
    if d_vocab != p + 1:
        raise InputError(
            f'd_vocab must be p + 1 = {p + 1}, the numbers and "=" as token {p} (embed.W_E has {d_vocab}).'
        )
    if d_vocab_out != p:
        own = ", as TransformerLens has where d_vocab_out is not set" if d_vocab_out == d_vocab else ""
        raise InputError(f"d_vocab_out must be p = {p}, a logit for each number (unembed.W_U has {d_vocab_out}{own}).")
    if n_ctx != 3:
        raise InputError(f'n_ctx must be 3, for a, b and "=" (pos_embed.W_pos has {n_ctx}).')
    if n_heads * d_head != d_model:
        got = f"blocks.0.attn.W_Q has {n_heads} heads of {d_head}, and d_model is {d_model}"
        raise InputError(f"d_head must be d_model / n_heads ({got}).")
    return {"d_model": d_model, "n_heads": n_heads, "d_mlp": d_mlp}


def _axes(state: Mapping[str, Tensor], name: str, *axes: str) -> torch.Size:
    shape = state[name].shape
    if len(shape) != len(axes):
        raise InputError(f"{name} must have the axes {', '.join(axes)} (got {_times(shape)}).")
    return shape


def _shapes(sizes: dict[str, Any], p: int) -> dict[str, torch.Size]:
    """Return miii's names and shapes of the weights, with all biases; nothing is allocated."""
    with torch.device("meta"):
        model = Transformer(ModelConfig(biases="all", **sizes), p + 1, p, 3)
    return {name: value.shape for name, value in model.state_dict().items()}


def _theirs(name: str) -> str:
    """Return TransformerLens' name of a weight: ``blocks.0.W_Q`` is ``blocks.0.attn.W_Q``."""
    home, _, weight = name.rpartition(".")
    if NORM.search(name):
        return name
    return f"{HOMES[weight]}.{weight}" if not home else f"{home}.{'mlp' if weight in MLP else 'attn'}.{weight}"


def _weight(name: str, value: Tensor) -> Tensor:
    if value.dtype not in KINDS:
        kinds = ", ".join(str(kind).removeprefix("torch.") for kind in KINDS)
        raise InputError(f"{name} must be one of {kinds} (got {str(value.dtype).removeprefix('torch.')}).")
    value = value.detach().float()
    if not value.isfinite().all():
        raise InputError(f"{name} must hold numbers that are finite in float32 (got NaN or infinity).")
    return value


def _check_mask(name: str, value: Tensor) -> None:
    if value.shape != (3, 3):  # TransformerLens 3 keeps an empty one, IGNORE is a single number
        return
    if value.dtype is not torch.bool or not torch.equal(value.cpu(), torch.ones(3, 3).tril().bool()):
        raise InputError(f"{name} must let a position see itself and all before it (local attention cannot be read).")


def _times(shape: torch.Size) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _listed(names: Collection[str], limit: int = 8) -> str:
    shown = [printable(name) for name in itertools.islice(names, limit)]
    if len(names) > limit:
        return f"{', '.join(shown)} and {len(names) - limit} more"
    return " and ".join(part for part in (", ".join(shown[:-1]), *shown[-1:]) if part)
