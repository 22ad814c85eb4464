"""Rename, delete and restore runs in ``runs``."""

import contextlib
import os
import re
import shutil
import time
from collections.abc import Collection
from pathlib import Path

from miii.errors import InputError, quoted
from miii.runs.find import free_folder, homes, open
from miii.runs.read import Run

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")  #: a valid run name
DELETED = ".deleted"  #: the folder of deleted runs, next to the runs
KEPT = 3600.0  #: seconds for which a deleted run can be restored; a later deletion then purges it


def rename(run: Run, name: str, taken: Collection[str] = ()) -> Run:
    """Rename a run in ``runs``.

    Args:
        taken: other names to avoid, such as those of queued jobs.

    Raises:
        InputError: the name is invalid or taken, or the run is being written or shipped.
    """
    check_own(run)
    if not NAME.fullmatch(name):
        raise InputError(
            "name must be 1 to 80 letters, digits, dots, underscores and hyphens that do not begin with a dot "
            f"(got {quoted(name)})."
        )
    if name in taken or any(os.path.lexists(home / name) for home in homes()):
        raise InputError(f"name must be one that no run has yet (got {quoted(name)}).")
    return open(_moved(run, run.folder.with_name(name)).absolute())


def trash(run: Run) -> Path:
    """Move a run to the trash, for ``restore``; purge runs deleted long before.

    Returns:
        Its path in the trash.

    Raises:
        InputError: the run is being written or shipped.
    """
    check_own(run)
    deleted = run.folder.parent / DELETED
    for place in deleted.glob("*"):
        with contextlib.suppress(OSError):  # it may already be gone
            if time.time() - place.stat().st_mtime > KEPT:
                shutil.rmtree(place, ignore_errors=True)
    return _moved(run, deleted / str(time.time_ns()) / run.name)


def restore(place: Path, taken: Collection[str] = ()) -> Run:
    """Restore a run from the trash; append a number if its name is taken.

    Args:
        taken: see ``rename``.

    Raises:
        InputError: the run is gone.
    """
    try:
        deleted = open(place.absolute())
    except InputError:
        raise InputError(f"{place.name} was deleted too long ago to be restored.") from None
    run = open(_moved(deleted, free_folder(place.name, taken)).absolute())
    with contextlib.suppress(OSError):  # the next deletion removes it
        place.parent.rmdir()
    return run


def discard(run: Run) -> None:
    """Delete a run permanently.

    Raises:
        InputError: the run is being written, or cannot be deleted.
    """
    _check_idle(run)
    try:
        shutil.rmtree(run.folder)
    except OSError as error:
        raise InputError(f"{run.folder} could not be deleted: {error.strerror or error}.") from None


def check_own(run: Run) -> None:
    """Check that a run is in ``runs`` and may be changed.

    Raises:
        InputError: the run is shipped, or outside ``runs``.
    """
    own, shipped = (home.resolve() for home in homes())
    place = run.folder.absolute().parent.resolve()
    if place == shipped:
        raise InputError(f"{run.name} is shipped with miii and read-only.")
    if place != own:
        raise InputError(f"run must be one in {homes()[0]} (got {str(run.folder)!r}).")


def _check_idle(run: Run) -> None:
    if run.running:
        raise InputError(f"{run.name} is being written: stop it first.")


def _moved(run: Run, place: Path) -> Path:
    _check_idle(run)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        run.folder.rename(place)
    except OSError as error:
        raise InputError(f"{run.folder} could not be moved: {error.strerror or error}.") from None
    return place
