"""Write networks for other tools: TransformerLens 3 and 4, a plain state dict, a folder as Hugging Face lays it out."""

import json
import os
import re
from pathlib import Path
from typing import Any, Final

import einops
import torch
from safetensors.torch import save_file
from torch import Tensor

from miii.errors import InputError
from miii.foreign.candidate import AXES
from miii.foreign.claim import PROMPT
from miii.foreign.layouts import LAYOUTS, Layout
from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.runs.atomic import write_atomically
from miii.tasks import TaskConfig

#: Formats, and what they are.
FORMATS: Final = {
    "transformer-lens": "TransformerLens 1 to 3",
    "transformer-lens-4": "TransformerLens 4",
    "state-dict": "miii's own names",
    "hugging-face": "a folder with config.json and model.safetensors, with miii's own names",
}


def to_state_dict(model: Transformer, format: str = "transformer-lens") -> dict[str, Tensor]:
    """Return float32 weights on the CPU under the names of a format.

    For TransformerLens, missing biases are zero, ``load_state_dict(..., strict=False)`` takes them, and its config must
    set the rest: ``normalization_type`` None, or "LN" for the block pre-norm, the activation, and
    ``attention_dir="bidirectional"`` where attention is not causal.

    Raises:
        InputError: the format is unknown; for TransformerLens, the network has parts that it has not.

    Source: TransformerLens' ``HookedTransformer`` and ``TransformerBridge``.
    """
    if format not in FORMATS:
        raise InputError(f"format must be one of {', '.join(FORMATS)} (got {format!r}).")
    ours = {name: value.detach().float().cpu().clone() for name, value in model.state_dict().items()}
    if not format.startswith("transformer-lens"):
        return ours
    _check_lens(model.config)
    layout = next(each for each in LAYOUTS if each.name == format)
    with torch.device("meta"):
        full = Transformer(model.config.model_copy(update={"biases": "all"}), *_sizes(model))
    found: dict[str, Tensor] = {}
    for name, empty in full.state_dict().items():
        theirs, value = _theirs(layout, name, ours.get(name, torch.zeros(empty.shape)))
        found[theirs] = value
    return found


def write_file(
    model: Transformer, path: str | Path, format: str = "transformer-lens", task: TaskConfig | None = None
) -> None:
    """Write a network atomically: to a ``.safetensors`` or ``.pt`` file, or to a folder for ``hugging-face``.

    Args:
        task: written to ``config.json`` of the folder, with the architecture.

    Raises:
        InputError: ``path`` exists, has another ending, or cannot be written; also see ``to_state_dict``.
    """
    path = Path(path)
    state = to_state_dict(model, format)
    if format != "hugging-face" and path.suffix.lower() not in (".safetensors", ".pt"):
        raise InputError(f"out must end in .safetensors or .pt (got {str(path)!r}).")
    if os.path.lexists(path):
        raise InputError(f"out must be a file or folder that does not exist yet (got {str(path)!r}).")

    def write(place: Path) -> None:
        file = place
        if format == "hugging-face":
            place.mkdir()
            (place / "config.json").write_text(json.dumps(_config(model.config, task), indent=2) + "\n")
            file = place / "model.safetensors"
        file.touch()
        mode = file.stat().st_mode
        if file.suffix.lower() == ".pt":
            torch.save(state, file)
        else:
            save_file(state, file, {"format": "pt"})
        file.chmod(mode)  # safetensors restricts reading to the owner

    try:
        write_atomically(path, write)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise InputError(f"{path} could not be written: {reason}.") from None


def _config(config: ModelConfig, task: TaskConfig | None) -> dict[str, Any]:
    found = {"model_type": "miii", "architectures": ["Transformer"], **config.model_dump(mode="json")}
    if task is not None:
        found["task"] = task.model_dump(mode="json")
        found |= {name: found["task"][name] for name in ("p", *PROMPT) if name in found["task"]}
    return found


def _theirs(layout: Layout, name: str, value: Tensor) -> tuple[str, Tensor]:
    """Return a weight's name and value in a layout."""
    place = layout.place(name)
    assert place is not None
    theirs = re.sub(r"\(\.weight.*\)\?", ".weight", place.names.pattern.replace("\\", ""))
    return theirs, einops.rearrange(value, f"{AXES[name.rpartition('.')[2]]} -> {place.axes}").contiguous()


def _sizes(model: Transformer) -> tuple[int, int, int]:
    return model.W_E.shape[0], model.W_U.shape[1], model.n_ctx


def _check_lens(config: ModelConfig) -> None:
    normed = (config.block, config.norm_kind, config.mixer, config.attn_coeff) == ("pre-norm", "layer", "attention", 1)
    normed &= config.normed_last
    if not config.plain and not normed:
        got = f"block {config.block!r}, norm {config.norm_kind!r}, mixer {config.mixer!r}"
        got += f", attn_coeff {config.attn_coeff:g}, last_norm {config.last_norm!r}"
        raise InputError(
            f"model must have attention, and plain blocks or pre-norm with all its LayerNorms, for TransformerLens "
            f"(got {got})."
        )
    if config.positions == "frames":
        raise InputError("positions must be learned or none for TransformerLens, which has no frames (got 'frames').")
