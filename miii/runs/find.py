"""Find runs by name or folder, list them, and choose folders for new ones."""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, overload

from miii.errors import InputError, quoted
from miii.runs.atomic import remove_leftovers
from miii.runs.files import find_json, unreadable
from miii.runs.read import Run, RunOn, finite, locked
from miii.tasks import TaskConfig
from miii.training.config import RunConfig

SHIPPED = "checkpoints/ of https://github.com/syrkis/miii"  #: shipped runs are not part of an installed package
#: The columns of a listing.
COLUMNS = (
    *("run", "task", "seed", "status", "steps", "grokked_at"),
    *("test_accuracy", "headline", "metric", "seconds", "folder", "reason"),
)

T = TypeVar("T", bound=TaskConfig)


class Broken(NamedTuple):
    """A run folder that cannot be opened, and the reason in one sentence."""

    name: str
    folder: Path
    reason: str


def homes() -> tuple[Path, Path]:
    """Return the folders searched for names: ``runs`` in the working directory, then the shipped ``checkpoints``.

    ``MIII_RUNS`` replaces the first.
    """
    return Path(os.environ.get("MIII_RUNS", "runs")), Path(__file__).parents[2] / "checkpoints"


@overload
def open(name_or_folder: str | Path) -> Run: ...
@overload
def open(name_or_folder: str | Path, task: type[T]) -> RunOn[T]: ...
def open(name_or_folder: str | Path, task: type[TaskConfig] | None = None) -> Run:
    """Open a run by name (in ``runs``, then in ``checkpoints``) or by folder; ``sweep/name`` is a run of a sweep.

    Args:
        task: the required task kind, as in ``open("primes-10", Primes)``.

    Raises:
        InputError: there is no such run, its config cannot be read, or its task is of another kind.
    """
    run = _open(name_or_folder)
    if task is None:
        return run
    if not isinstance(run.config.task, task):
        wanted = task.model_fields["kind"].default
        raise InputError(f"run must be on {wanted} (got {run.name}, which is on {run.config.task.kind}).")
    return RunOn(run.folder, run.config)


def _open(name_or_folder: str | Path) -> Run:
    given = Path(name_or_folder)
    places = [given] if given.is_absolute() else [home / given for home in homes()] + [given]
    for folder in places:
        config = _config(folder)
        if config is not None:
            return Run(folder, config)
    if any(os.path.isdir(folder) for folder in places):
        raise InputError(f"{given} is a folder without a config.json, so not a run, or not yet one.")
    names = sorted({run.name for run in every()})
    absent = "" if homes()[1].is_dir() else f"; the runs that ship with miii are in {SHIPPED}"
    raise InputError(
        f"run must be one of {', '.join(names) or '(there are none yet)'}, or a folder (got {str(given)!r}){absent}."
    )


@overload
def shipped(name: str) -> Run: ...
@overload
def shipped(name: str, task: type[T]) -> RunOn[T]: ...
def shipped(name: str, task: type[TaskConfig] | None = None) -> Run:
    """Open a run shipped with miii, even if a run in ``runs`` has its name: ``seeds/primes-10-seed1``.

    Raises:
        InputError: see ``open``.
    """
    place = homes()[1] / name
    return open(place) if task is None else open(place, task)


def every() -> list[Run]:
    """Return all runs that can be opened: those in ``runs``, newest first, then those in ``checkpoints``, by name.

    A name in ``runs`` shadows the same name in ``checkpoints``.
    """
    return [found for found in _listed() if isinstance(found, Run)]


def broken() -> list[Broken]:
    """Return the folders that look like runs but cannot be opened, in the order of ``every``."""
    return [found for found in _listed() if isinstance(found, Broken)]


def remove_unfinished() -> None:
    """Remove the unfinished files of killed processes from ``runs`` and its folders."""
    home = homes()[0]
    remove_leftovers(home)
    for folder in home.glob("*/"):
        try:
            if locked(folder):
                continue
        except InputError:
            continue
        remove_leftovers(folder)
        remove_leftovers(folder / "snapshots")


def _listed() -> list[Run | Broken]:
    found: dict[str, Run | Broken] = {}
    own, shipped = homes()
    for home in (own, shipped):
        here = list(_within(home))
        if home == own:  # file times of a checkout are meaningless
            here.sort(key=lambda one: -_changed(one.folder))
        for one in here:
            found.setdefault(one.name, one)
    return list(found.values())


def _within(home: Path) -> Iterator[Run | Broken]:
    """Yield the runs in a folder, by name; skip runs that vanish meanwhile."""
    try:
        names = sorted(os.listdir(home))
    except FileNotFoundError:
        return
    except OSError as error:
        yield Broken(home.name, home, str(unreadable(home, error)))
        return
    for name in names:
        folder = home / name
        if name.startswith("."):
            continue
        shown = os.fsencode(name).decode(errors="backslashreplace")
        try:
            if shown != name:
                raise InputError(f"name must be text in UTF-8 (got {quoted(shown)}).")
            if os.path.isdir(folder):
                config = _config(folder)
                if config is not None:
                    yield Run(folder, config)
            elif os.path.islink(folder) and not os.path.exists(folder):
                raise InputError(f"{folder} is a link to a missing folder.")
        except InputError as error:
            yield Broken(shown, folder, str(error))


def _changed(folder: Path) -> float:
    """Return when a run started; 0 if unknown."""
    try:
        return (folder / "config.json").stat().st_mtime
    except OSError:
        return 0.0


def _config(folder: Path) -> RunConfig | None:
    """Return the config of a run, or None if missing.

    Raises:
        InputError: the config cannot be read.
    """
    path = folder / "config.json"
    values = find_json(path)
    try:
        return None if values is None else RunConfig(**values)
    except InputError as error:
        raise InputError(f"{path} is not a run's config: {error}") from None
    except (TypeError, ValueError, RecursionError, OverflowError):  # an invalid value may raise anything
        raise InputError(f"{path} is not a run's config.") from None


def new_folder(config: RunConfig, taken: Collection[str] = ()) -> Path:
    """Return a new path in ``runs``, named after the task and seed; create nothing.

    Args:
        taken: other names to avoid, such as those of queued jobs.
    """
    return free_folder(f"{config.task.name}-seed{config.task.seed}", taken)


def free_folder(stem: str, taken: Collection[str] = ()) -> Path:
    """Return a new path in ``runs`` with this name, plus a number if it is taken; create nothing.

    Args:
        taken: see ``new_folder``.
    """
    taken = {*taken, *(path.name for place in homes() for path in place.glob(f"{stem}*"))}
    name = next(n for n in (stem, *(f"{stem}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    return homes()[0] / name


def row(run: Run) -> dict[str, Any]:
    """Return a run as a row of a listing: name, task, status, and its task's headline metric.

    If a file cannot be read, ``status`` is "corrupt" and ``reason`` says why. ``broken_row`` is for folders that
    cannot be opened.
    """
    rows, result, seed, reason = [], None, None, None
    try:
        rows, result, seed, _ = run.rows(), run.result, run.seed, run.steps  # steps: check that they can be read
        ended = "imported" if run.imported else "done"
        stopped = "diverged" if result is not None and "diverged_at" in result else "stopped"
        status = "unfinished" if result is None else stopped if result["stopped"] else ended
        status = "running" if run.running else status
    except InputError as error:  # one broken run must not hide the others
        rows, result, seed, status, reason = [], None, None, "corrupt", str(error)
    last = rows[-1] if rows else {}
    headline = run.config.task.headline(last)
    return {
        "run": run.name,
        "task": run.config.task.name,
        "seed": seed,
        "status": status,
        "steps": last.get("step"),
        "grokked_at": result and result["grokked_at"],
        "test_accuracy": finite(last.get("test_accuracy")),
        "headline": finite(headline.value),
        "metric": headline.name,
        "seconds": finite(last.get("seconds")),
        "folder": str(run.folder),
        "reason": reason,
    }


def broken_row(found: Broken) -> dict[str, Any]:
    """Return a listing row for a folder that cannot be opened; its ``status`` is "unreadable"."""
    known = {"run": found.name, "status": "unreadable", "folder": str(found.folder), "reason": found.reason}
    return dict.fromkeys(COLUMNS) | known
