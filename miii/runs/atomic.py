"""Files and folders that appear whole or not at all, and the removal of what killed processes leave behind."""

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

HERE: Final = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  #: identifies this computer in temporary names
OWNED: Final = re.compile(r"\..+?(?:\.([0-9a-f]{8}))?\.([0-9]{1,18})\.([0-9]{1,24})", re.DOTALL)
UNOWNED: Final = re.compile(r"\..+\.part|\.tmp[A-Za-z0-9]{6}", re.DOTALL)  #: names that do not tell their owner
STALE: Final = 3600.0  #: seconds after which files without an owner are stale
FOREIGN: Final = 86400.0  #: seconds after which another computer's files are stale


@contextmanager
def whole_folder(folder: Path) -> Iterator[Path]:
    """Yield a temporary folder for a run, and move it into place at the end; sweep the parent folder first."""
    sweep(folder.parent)
    making = _beside(folder)
    try:
        shutil.rmtree(making, ignore_errors=True)  # left by a dead process of the same number
        (making / "snapshots").mkdir(parents=True)
        yield making
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def whole_file(path: Path, write: Callable[[Path], object]) -> None:
    """Let ``write`` write a file in a hidden folder, and move it into place; sweep the parent folder first.

    The hidden folder's name tells its owner, and also holds what a library writes beside the file.
    """
    sweep(path.parent)
    making = _beside(path)
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
    """Write a JSON object with ``whole_file``."""
    whole_file(path, lambda beside: beside.write_text(json.dumps(value, indent=2) + "\n"))


def sweep(folder: Path, ours: bool = False) -> None:
    """Remove the unfinished files of killed processes from a folder, but none that a live process may own.

    Args:
        ours: whether every hidden file in the folder is miii's. Then names without a computer are removed by process
            number, and names without an owner after ``STALE`` seconds.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            with contextlib.suppress(OSError):
                if not _left_over(entry, ours):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path, ignore_errors=True)
                else:
                    os.unlink(entry.path)


def _beside(path: Path) -> Path:
    """The temporary place of a file or folder, named after this computer, process and thread."""
    return path.with_name(f".{path.name[:40]}.{HERE}.{os.getpid()}.{threading.get_ident()}")


def _left_over(entry: os.DirEntry[str], ours: bool) -> bool:
    owner = OWNED.fullmatch(entry.name)
    if owner is None:
        return ours and UNOWNED.fullmatch(entry.name) is not None and _age(entry) > STALE
    where, process, thread = owner[1], int(owner[2]), int(owner[3])
    if where is None and not ours:
        return False
    if where not in (None, HERE) or os.name == "nt":  # where os.kill(process, 0) would end the process
        return _age(entry) > FOREIGN
    return not _alive(process, thread)


def _age(entry: os.DirEntry[str]) -> float:
    return time.time() - entry.stat(follow_symlinks=False).st_mtime


def _alive(process: int, thread: int) -> bool:
    if process == os.getpid():
        return thread in sys._current_frames()
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # another user's
        pass
    return True
