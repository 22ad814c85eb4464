"""Read and import untrusted weight files; write miii's own."""

import hashlib
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from miii import runs
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.atomic import write_atomically
from miii.tasks import ModularAddition
from miii.training.config import RunConfig
from miii.transformer_lens.state import check_dense, from_state_dict, printable, to_state_dict


def read_file(path: str | Path, allow_pt: bool = True) -> dict[str, Tensor]:
    """Return the tensors of a file by name: ``.safetensors``, or ``.pt`` and ``.pth`` through torch's safe loader.

    Args:
        allow_pt: False accepts safetensors only, for servers.

    Raises:
        InputError: the file is missing, damaged, of another format, or holds anything but dense tensors by name.

    ``torch.load(weights_only=True)`` runs no code from the file.
    """
    path = Path(path)
    if not os.path.exists(path):
        raise InputError(f"file must exist (got {str(path)!r}).")
    if not os.path.isfile(path):
        raise InputError(f"file must be a file, not a folder or a device (got {str(path)!r}).")
    kinds = (".safetensors", ".pt", ".pth") if allow_pt else (".safetensors",)
    if path.suffix.lower() not in kinds:
        raise InputError(f"file must end in {' or '.join(kinds)} (got {path.name!r}).")
    loaded = _load_safetensors(path) if path.suffix.lower() == ".safetensors" else _load_pt(path)
    if not isinstance(loaded, dict):
        raise InputError(f"{path} must hold tensors by name, as a state dict does (got {type(loaded).__name__}).")
    for name, value in loaded.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            got = f"{type(value).__name__} under {printable(str(name))}"
            raise InputError(
                f"{path} must hold tensors by name and nothing else, as a state dict does (got {got}): save the "
                "state dict alone."
            )
        check_dense(name, value)
        if value.nbytes > value.untyped_storage().nbytes():  # a small file could exhaust memory
            raise InputError(f"{printable(name)} must have all its numbers in the file (got one number repeated).")
    return loaded


def import_run(
    file: str | Path,
    out: str | Path,
    task: ModularAddition,
    act: str = "relu",
    causal: bool = True,
    allow_pt: bool = True,
    limits: runs.Limits | None = None,
    lnpre: bool = False,
) -> tuple[runs.Run, tuple[str, ...]]:
    """Create a run from a file with a HookedTransformer's state dict; write nothing unless all of it fits.

    Args:
        out: the folder of the run.
        task: the task it was trained on. ``train_fraction`` and ``seed`` give miii's own split; None means unknown.
        act, causal, lnpre: see ``from_state_dict``. allow_pt: see ``read_file``.
        limits: bounds on the network's size, for servers.

    Returns:
        The run, with one snapshot at step 0; and the printable names of skipped tensors.

    Raises:
        InputError: see ``read_file``, ``from_state_dict``, ``runs.check_size`` and ``runs.create_run``.
    """
    file = Path(file)
    model, extras = from_state_dict(read_file(file, allow_pt), task.p, act, causal, lnpre)
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    config = RunConfig(task=task, model=model.config)
    if limits is not None:
        runs.check_size(config, limits)
    return runs.create_run(out, config, model, format="transformer-lens", file=file.name, sha256=digest), extras


def write_file(model: Transformer, path: str | Path) -> None:
    """Write a network as a safetensors file with TransformerLens' names, atomically.

    Raises:
        InputError: ``path`` exists, does not end in .safetensors, or cannot be written.
    """
    path = Path(path)
    if path.suffix.lower() != ".safetensors":
        raise InputError(f"out must end in .safetensors (got {str(path)!r}).")
    if os.path.lexists(path):
        raise InputError(f"out must be a file that does not exist yet (got {str(path)!r}).")

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(to_state_dict(model), temporary)
        temporary.chmod(mode)  # safetensors restricts reading to the owner

    try:
        write_atomically(path, write)
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}.") from None


def _load_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:  # a hostile header may raise anything
        raise InputError(f"{path} is not a readable safetensors file ({type(error).__name__}).") from None


def _load_pt(path: Path) -> object:
    try:
        unpacked = _unpacked_size(path)
        if unpacked <= path.stat().st_size:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(f"{path} must hold tensors and nothing else: torch's restricted loader refuses it.") from None
    except Exception as error:  # a hostile pickle may raise anything
        raise InputError(f"{path} is not a readable torch file ({type(error).__name__}).") from None
    raise InputError(f"{path} must not unpack to more than its own size (got {unpacked} bytes).")


def _unpacked_size(path: Path) -> int:
    """Return the unpacked size of a zip file; 0 for any other file. torch.save never compresses; an attacker may."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())
