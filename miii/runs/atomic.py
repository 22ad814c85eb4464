"""Files and folders that appear whole or not at all."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """A run's new folder, to be filled under another name beside its place. Source: own design."""
    making = folder.with_name(f".{folder.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        (making / "snapshots").mkdir(parents=True)
        yield making
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def whole_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write a file under another name beside its place, and move it there. Source: own design."""
    beside = path.with_name(f".{path.name}.part")
    try:
        write(beside)
        beside.replace(path)
    except SafetensorError as error:  # safetensors' own wrapping of a full disk
        raise OSError(str(error)) from None
    finally:
        beside.unlink(missing_ok=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """A JSON object as a whole file. Source: own design."""
    whole_file(path, lambda beside: beside.write_text(json.dumps(value, indent=2) + "\n"))
