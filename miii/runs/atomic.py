"""Write files and folders atomically, and clean up after killed processes."""

import contextlib
import hashlib
import json
import os
import platform
import re
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from safetensors import SafetensorError

HOST: Final = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  #: identifies this computer in temporary names
OWNED: Final = re.compile(r"\..+?\.([0-9a-f]{8})\.([0-9]{1,18})\.([0-9]{1,24})", re.DOTALL)  #: see ``temporary_path``
FOREIGN: Final = 86400.0  #: seconds after which another computer's files are stale


@contextmanager
def atomic_folder(folder: Path, snapshots: bool = True) -> Iterator[Path]:
    """Yield a temporary folder, and move it into place at the end; sweep the parent folder first.

    Args:
        snapshots: whether it is a run's and gets a folder of snapshots.
    """
    remove_leftovers(folder.parent)
    making = temporary_path(folder)
    try:
        shutil.rmtree(making, ignore_errors=True)  # left by a dead process with the same PID
        (making / "snapshots" if snapshots else making).mkdir(parents=True)
        yield making
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file atomically with ``write``, by way of a hidden folder; sweep the parent folder first.

    The hidden folder's name identifies its owner. The folder also holds temporary files of libraries.
    """
    remove_leftovers(path.parent)
    making = temporary_path(path)
    try:
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir()
        write(making / path.name)
        (making / path.name).replace(path)
    except SafetensorError as error:  # how safetensors reports a full disk
        raise OSError(str(error)) from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON object atomically."""
    write_atomically(path, lambda beside: beside.write_text(json.dumps(value, indent=2) + "\n"))


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished files of killed processes from a folder; keep any that a live process may own."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            with contextlib.suppress(OSError):
                if not _left_over(entry):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def temporary_path(path: Path) -> Path:
    """Return the temporary path of a file or folder, named after this computer, process and thread."""
    return path.with_name(f".{path.name[:40]}.{HOST}.{os.getpid()}.{threading.get_ident()}")


def _left_over(entry: os.DirEntry[str]) -> bool:
    owner = OWNED.fullmatch(entry.name)
    if owner is None:
        return False
    if owner[1] != HOST or os.name == "nt":  # there, os.kill(process, 0) would kill the process
        return _age(entry) > FOREIGN
    return not _alive(int(owner[2]), int(owner[3]))


def _age(entry: os.DirEntry[str]) -> float:
    return time.time() - entry.stat(follow_symlinks=False).st_mtime


def _alive(process: int, thread: int) -> bool:
    if process == os.getpid():
        return thread in sys._current_frames()
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # owned by another user
        pass
    return True
