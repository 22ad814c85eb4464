"""Read a file of weights in a process of its own, with limits on size, memory and time."""

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file
from torch import Tensor

from miii.errors import InputError
from miii.foreign.files import read
from miii.foreign.unwrap import Contents

NBYTES: Final = 100_000_000  #: maximum bytes of a file
MEMORY: Final = 3_000_000_000  #: maximum address space of the process; torch itself takes 1 GB
SECONDS: Final = 30  #: maximum seconds of computing; it may wait for a processor four times as long


def read_in_sandbox(path: Path, memory: int = MEMORY, seconds: int = SECONDS, nbytes: int = NBYTES) -> Contents:
    """Return what ``read`` returns for a file or folder, read by a process with limits.

    Raises:
        InputError: the file is too large, the process ran out of memory or time, or see ``read``.
    """
    files = [path] if path.is_file() else list(path.iterdir())
    size = sum(file.stat().st_size for file in files)
    if size > nbytes:
        raise InputError(f"file must have at most {nbytes:,} bytes (got {size:,}).")
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", __spec__.name, str(path), folder, str(memory), str(seconds)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=4 * seconds)
        except subprocess.TimeoutExpired:
            raise InputError(f"file must be read within {seconds} seconds (it took longer).") from None
        answer = Path(folder) / "answer.json"
        if done.returncode or not answer.exists():
            raise InputError(
                f"file must be read within {memory / 1e9:g} GB of memory and {seconds} seconds (the reader was "
                f"stopped with code {done.returncode})."
            )
        told = json.loads(answer.read_text())
        if "error" in told:
            raise InputError(told["error"])
        tensors = load_file(Path(folder) / "tensors.safetensors")
    states: dict[int, dict[str, Tensor]] = {int(step): {} for step in told.pop("steps")}
    for name, value in tensors.items():
        step, _, index = name.partition(".")
        states[int(step)][told["names"][int(index)]] = value
    return Contents(states, told["own"], told["beside"], tuple(told["ignored"]), tuple(told["notes"]), told["origin"])


def _flat(states: Mapping[int, Mapping[str, Tensor]]) -> tuple[dict[str, Tensor], list[str]]:
    """Return all tensors by step and index of their name, and the names: these may be anything."""
    names: dict[str, int] = {}
    found = {}
    for step, state in states.items():
        for name, value in state.items():
            found[f"{step}.{names.setdefault(name, len(names))}"] = value.detach().clone().contiguous()
    return found, list(names)


def main() -> None:
    """Read the file of the first argument; write ``tensors.safetensors`` and ``answer.json`` to the second's folder."""
    path, folder, memory, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        contents = read(path)
        tensors, names = _flat(contents.states)
        save_file(tensors, folder / "tensors.safetensors")
        told: dict[str, Any] = {"steps": list(contents.states), "names": names}
        told |= {name: getattr(contents, name) for name in ("own", "beside", "ignored", "notes", "origin")}
    except InputError as error:
        told = {"error": str(error)}
    except MemoryError:
        told = {"error": f"file must be read within {memory / 1e9:g} GB of memory (it needs more)."}
    (folder / "answer.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main()
