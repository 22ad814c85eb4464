"""Read untrusted files of weights: ``.pt .pth .ckpt .bin``, ``.npz`` and ``.safetensors``; folders and patterns."""

import argparse
import glob
import math
import os
import pickle
import re
import types
import warnings
import zipfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PosixPath
from typing import Any, Final

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor

from miii.errors import InputError, quoted
from miii.foreign.settings import beside
from miii.foreign.unwrap import STATES, Contents, numbers_of, printable, unwrap

TORCH: Final = (".pt", ".pth", ".ckpt", ".bin")
KINDS: Final = (*TORCH, ".npz", ".safetensors")
LARGEST: Final = 4_000_000_000  #: maximum bytes of a file, unpacked
RATIO: Final = 20  #: maximum compression of an .npz file
#: What torch's restricted loader may make beside tensors: numpy's numbers, such as an accuracy, and plain containers.
ALLOWED: Final[list[Any]] = [
    argparse.Namespace,
    types.SimpleNamespace,
    defaultdict,
    list,
    PosixPath,
    np.dtype,
    *(type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i4", "i8", "u1", "?")),
    *((np.float64(0).__reduce__()[0], f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
]
WHOLE: Final = ("model.safetensors", "pytorch_model.bin")  #: a network in a folder as Hugging Face lays it out
OTHERS: Final = re.compile(r"optim|sched|scaler|rng|training_args|trainer", re.IGNORECASE)  #: files without a network
#: How files begin that are saved under a wrong name, and what they are.
WRONG: Final = {b"<": "is a web page", b"\x1f\x8b": "is packed by gzip", b"{": "is JSON"}
LFS: Final = b"version https://git-lfs"  #: how a file begins whose contents Git has not fetched
FILES: Final = 10_000  #: maximum files of a history


def read(path: str | Path, allow_pt: bool = True) -> Contents:
    """Return the networks in a file, in a folder of files, or in the files that a pattern such as ``run/*.pt`` names.

    A folder with ``model.safetensors`` or ``pytorch_model.bin`` is one network, as Hugging Face lays it out. Files of a
    history that cannot be read are left out and noted, if others can.

    Args:
        allow_pt: False accepts safetensors only, for servers.

    Raises:
        InputError: a file is missing, damaged, too large, of another format, or holds no network.

    ``torch.load(weights_only=True)`` and ``numpy.load(allow_pickle=False)`` run no code from a file.
    """
    path = Path(path)
    if os.path.isdir(path):
        for pattern in ("*", "*/*"):  # files, or a folder for each step
            found = sorted(p for p in path.glob(pattern) if p.suffix.lower() in KINDS and p.is_file())
            if found or pattern == "*/*":
                whole = [p for name in WHOLE for p in found if p.name == name and (allow_pt or p.suffix not in TORCH)]
                folders = {p.parent: p for p in reversed(whole)}  # Hugging Face's trainer writes others beside it
                kept = [p for p in found if folders.get(p.parent, p) == p]
                return _history([p for p in kept if not OTHERS.search(p.stem)] or kept, path, allow_pt)
    if not os.path.lexists(path) and glob.has_magic(str(path)):
        return _history([Path(found) for found in sorted(glob.glob(str(path)))], path, allow_pt)
    return read_file(path, allow_pt)


def read_file(path: Path, allow_pt: bool = True) -> Contents:
    """Return the networks in one file; otherwise like ``read``.

    Raises:
        InputError: see ``read``.
    """
    if not os.path.exists(path):
        raise InputError(f"file must exist (got {str(path)!r}).")
    if not os.path.isfile(path):
        raise InputError(f"file must be a file, not a folder or a device (got {str(path)!r}).")
    kinds = KINDS if allow_pt else (".safetensors",)
    suffix = path.suffix.lower()
    if suffix not in kinds:
        raise InputError(f"file must end in {' or '.join(kinds)} (got {path.name!r}).")
    if path.stat().st_size > LARGEST:
        raise InputError(f"file must have at most {LARGEST:,} bytes (got {path.stat().st_size:,}).")
    if suffix == ".safetensors":
        loaded: object = _load_safetensors(path)
    else:
        loaded = _load_npz(path) if suffix == ".npz" else _load_pt(path)
    contents = unwrap(loaded, str(path))
    config, origin = beside(path)
    return replace(contents, beside=config, origin=origin)


def _history(paths: list[Path], asked: Path, allow_pt: bool) -> Contents:
    if not paths:
        raise InputError(
            f"file must name at least one file of weights, ending in {' or '.join(KINDS)} (got {str(asked)!r})."
        )
    if len(paths) > FILES:
        raise InputError(f"history must have at most {FILES:,} files (got {len(paths):,}).")
    if len(paths) == 1:
        return read_file(paths[0], allow_pt)
    order = _steps_in_names(paths)
    named = len(order) > 1
    without = [path for path in paths if path not in order] if named else []  # final.pt or init.pt among numbered files
    if named:
        paths = sorted(order, key=lambda path: order[path])
    kept = paths if len(paths) <= STATES else [paths[round(i * (len(paths) - 1) / (STATES - 1))] for i in range(STATES)]
    states: dict[int, Mapping[str, Tensor]] = {}
    contents: Contents | None = None
    unreadable: dict[Path, InputError] = {}
    for index, path in enumerate(kept):
        try:
            each = read_file(path, allow_pt)
        except InputError as error:
            unreadable[path] = error
            continue
        contents = each
        inside = next((each.config[n] for n in ("step", "epoch") if type(each.config.get(n)) is int), None)
        step = order[path] if named else inside if inside is not None else index
        if each.history or step is None or step in states or step < 0:
            raise InputError(
                f"history must have one network and a step of its own in each file, in its name or as step or epoch "
                f"({path.name} does not)."
            )
        states[step] = each.last
    if contents is None:
        raise next(iter(unreadable.values()))
    notes = [f"{len(states)} files are the snapshots."] if len(kept) == len(paths) else [
        f"Of {len(paths):,} files, {len(kept)} are kept, evenly spaced."
    ]  # fmt: skip
    for what, left in (("a step in their names", without), ("a network that can be read", list(unreadable))):
        names = ", ".join(printable(path.name) for path in left[:4]) + ", ..." * (len(left) > 4)
        notes += [f"Files without {what} were left out: {names}."] if left else []
    return replace(contents, states=dict(sorted(states.items())), notes=(*contents.notes, *notes))


def _steps_in_names(paths: list[Path]) -> dict[Path, int]:
    """Return the steps in the names of files, or in those of their folders; empty if a step occurs twice."""
    for places in (paths, [path.parent for path in paths]):
        numbers = {path: numbers_of(place) for path, place in zip(paths, places, strict=True)}
        for column in range(max(map(len, numbers.values()), default=0)):  # the likeliest first
            steps = {path: found[column] for path, found in numbers.items() if len(found) > column}
            if len(steps) > 1 and len(set(steps.values())) == len(steps):
                return steps
    return {}


def _load_safetensors(path: Path) -> object:
    try:
        return load_file(path)
    except Exception as error:  # a hostile header may raise anything
        raise InputError(f"{path} is not a readable safetensors file ({type(error).__name__}).") from None


def _load_pt(path: Path) -> object:
    with path.open("rb") as file:
        head = file.read(len(LFS))
    if head == LFS:
        raise InputError(f"{path} must hold weights, but is a pointer to them: run git lfs pull in its repository.")
    if head[8:10] == b'{"':
        raise InputError(f"{path} must be a torch file, but is a safetensors file: rename it to end in .safetensors.")
    for begin, what in WRONG.items():
        if head.startswith(begin):
            raise InputError(f"{path} must be a torch file, but {what}: unpack it, or download the file itself.")
    try:
        unpacked = _unpacked_size(path)
        if _is_script(path):
            raise InputError(
                f"{path} must hold tensors, but is a TorchScript program; run: import torch; "
                f"torch.save(torch.jit.load({quoted(path.name)}).state_dict(), 'tensors.pt')."
            )
        if unpacked <= path.stat().st_size:
            with warnings.catch_warnings(), torch.serialization.safe_globals(ALLOWED):
                warnings.simplefilter("ignore")
                return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except pickle.UnpicklingError as error:
        raise _not_tensors(path, str(error)) from None
    except Exception as error:  # a hostile pickle may raise anything
        raise InputError(f"{path} is not a readable torch file ({type(error).__name__}).") from None
    raise InputError(f"{path} must not unpack to more than its own size (got {unpacked} bytes).")


def _not_tensors(path: Path, text: str) -> InputError:
    """Return the error for a pickled object: its class, and how to save the tensors alone."""
    found = re.search(r"(?:GLOBAL|class|type) `?([A-Za-z_]\w*(?:\.\w+)+)", text)
    which = found[1] if found else None
    if which is None:
        return InputError(f"{path} is not a readable torch file, or holds more than tensors.")
    return InputError(
        f"{path} must hold tensors and nothing else, but holds an object of {printable(which)}, which torch's "
        "restricted loader refuses; where "
        f"that class is installed and you trust the file, run: import torch; old = torch.load({quoted(path.name)}, "
        "weights_only=False); torch.save(old.state_dict() if hasattr(old, 'state_dict') else {k: v for k, v in "
        "old.items() if isinstance(v, (dict, list, torch.Tensor))}, 'tensors.pt')."
    )


def _unpacked_size(path: Path) -> int:
    """Return the unpacked size of a zip file; 0 for any other file. torch.save never compresses; an attacker may."""
    if not zipfile.is_zipfile(path):
        return 0
    with zipfile.ZipFile(path) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def _is_script(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def _load_npz(path: Path) -> dict[str, Tensor]:
    """Return the numeric arrays of a numpy file; each header is checked against its size before it is read."""
    found: dict[str, Tensor] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len({entry.filename for entry in entries}) < len(entries):
                raise InputError(f"{path} must hold each array once.")
            unpacked, most = sum(entry.file_size for entry in entries), RATIO * path.stat().st_size
            if unpacked > most:  # weights barely compress
                raise InputError(f"{path} must unpack to at most {RATIO} times its size (got {unpacked:,} bytes).")
            for entry in entries:
                name = entry.filename.removesuffix(".npy").replace("/", ".")
                with archive.open(entry) as file:
                    array = _array(printable(name), file)
                if array is not None:
                    found[name] = torch.from_numpy(array)
    except InputError:
        raise
    except Exception as error:  # a hostile file may raise anything
        raise InputError(f"{path} is not a readable .npz file ({type(error).__name__}).") from None
    return found


def _array(name: str, file: Any) -> np.ndarray | None:
    """Return the array of an open ``.npy`` file, its header checked first; None if it does not hold numbers."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise InputError(f"{name} must be an array of numbers (got Python objects, which are pickled).")
    size = math.prod(shape) * dtype.itemsize
    data = file.read(min(size, LARGEST) + 1)  # no more than is there
    if len(data) != size:
        raise InputError(f"{name} must hold the {size:,} bytes that its header names.")
    if dtype.kind not in "biuf":
        return None
    array = np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
    wide = dtype.kind == "f" and dtype.itemsize > 8
    return np.array(array, np.float64 if wide else dtype.newbyteorder("="), order="C")
