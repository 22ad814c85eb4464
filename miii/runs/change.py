"""Runs of one's own, changed as a whole: renamed, deleted, brought back."""

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

NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,79}")  #: what a run may be called
DELETED = ".deleted"  #: beside the runs; what lies in it can be brought back
KEPT = 3600.0  #: seconds for which the next deletion leaves a deleted run where it is


def rename(run: Run, name: str, taken: Collection[str] = ()) -> Run:
    """Give a run of one's own another name.

    Args:
        taken: further names to avoid, such as those of waiting jobs.

    Raises:
        InputError: the name is none or taken, someone is writing the run, or it came with miii.

    Source: own design.
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
    """Delete a run of one's own so that ``restore`` can bring it back; what was deleted long before is gone then.

    Returns:
        Where it lies now.

    Raises:
        InputError: someone is writing the run, or it came with miii.

    Source: own design.
    """
    check_own(run)
    deleted = run.folder.parent / DELETED
    for place in deleted.glob("*"):
        with contextlib.suppress(OSError):  # gone meanwhile
            if time.time() - place.stat().st_mtime > KEPT:
                shutil.rmtree(place, ignore_errors=True)
    return _moved(run, deleted / str(time.time_ns()) / run.name)


def restore(place: Path, taken: Collection[str] = ()) -> Run:
    """Bring a run back from where ``trash`` put it, under its name, or with a number where that is taken by now.

    Args:
        taken: as of ``rename``.

    Raises:
        InputError: it is no longer there.

    Source: own design.
    """
    try:
        deleted = open(place.absolute())
    except InputError:
        raise InputError(f"{place.name} was deleted too long ago to be brought back.") from None
    run = open(_moved(deleted, free_folder(place.name, taken)).absolute())
    with contextlib.suppress(OSError):  # the next deletion ends it
        place.parent.rmdir()
    return run


def discard(run: Run) -> None:
    """Delete a run that nobody is writing, for good.

    Raises:
        InputError: someone is writing it, or it cannot be deleted.

    Source: own design.
    """
    _check_idle(run)
    try:
        shutil.rmtree(run.folder)
    except OSError as error:
        raise InputError(f"{run.folder} could not be deleted: {error.strerror or error}.") from None


def check_own(run: Run) -> None:
    """Check that a run lies in ``runs``, where it can be changed.

    Raises:
        InputError: it came with miii, or lies elsewhere.

    Source: own design.
    """
    own, shipped = (home.resolve() for home in homes())
    place = run.folder.absolute().parent.resolve()
    if place == shipped:
        raise InputError(f"{run.name} came with miii and can only be read.")
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
