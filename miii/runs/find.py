"""Where runs are: found by name or by folder, listed, and given a place of their own."""

import contextlib
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from miii.config import RunConfig
from miii.errors import InputError
from miii.runs.read import Run, finite, read_json


def homes() -> tuple[Path, Path]:
    """Where a name is looked up: ``runs`` below the working folder, then the shipped ``checkpoints``.

    ``MIII_RUNS`` names another place for the first. Source: own design.
    """
    return Path(os.environ.get("MIII_RUNS", "runs")), Path(__file__).parents[2] / "checkpoints"


def open(name_or_folder: str | Path) -> Run:
    """Open a run by name (in ``runs``, then in ``checkpoints``) or by folder.

    Raises:
        InputError: there is no such run, or its config cannot be read.

    Source: own design.
    """
    given = Path(name_or_folder)
    places = [given] if given.is_absolute() or len(given.parts) > 1 else [home / given for home in homes()] + [given]
    for folder in places:
        if (folder / "config.json").is_file():
            return Run(folder, _read_config(folder / "config.json"))
    if any(folder.is_dir() for folder in places):
        raise InputError(f"{name_or_folder} is a folder without a config.json, so not a run, or not yet one.")
    names = sorted({run.name for run in every()})
    raise InputError(
        f"run must be one of {', '.join(names) or '(there is none yet)'}, or a folder (got {str(given)!r})."
    )


def shipped(name: str) -> Run:
    """Open a run that came with miii, whatever runs of that name there are besides: ``seeds/primes-10-seed1``.

    Raises:
        InputError: there is no such run, or its config cannot be read.

    Source: own design.
    """
    return open(homes()[1] / name)


def every() -> list[Run]:
    """All runs that can be opened in ``runs``, the newest first, and then those in ``checkpoints``, by name.

    A name in ``runs`` hides the same in ``checkpoints``. Source: own design.
    """
    found: dict[str, Run] = {}
    own, shipped = homes()
    for home in (own, shipped):
        configs = sorted(home.glob("*/config.json"))
        if home == own:  # what a checkout wrote last says nothing
            configs.sort(key=lambda path: -path.stat().st_mtime)
        for path in configs:
            if path.parent.name not in found and not path.parent.name.startswith("."):
                with contextlib.suppress(InputError):
                    found[path.parent.name] = Run(path.parent, _read_config(path))
    return list(found.values())


def _read_config(path: Path) -> RunConfig:
    values = read_json(path)
    try:
        return RunConfig(**values)
    except InputError as error:
        raise InputError(f"{path} is not a run's config: {error}") from None


def new_folder(config: RunConfig, taken: Collection[str] = ()) -> Path:
    """A folder in ``runs`` that does not exist yet, named after the task and seed.

    Args:
        taken: further names to avoid, such as those of waiting jobs.

    Source: own design.
    """
    return free_folder(f"{config.task.name}-seed{config.task.seed}", taken)


def free_folder(stem: str, taken: Collection[str] = ()) -> Path:
    """A folder in ``runs`` that does not exist yet, of this name or, where that is taken, with a number behind it.

    Args:
        taken: as of ``new_folder``.

    Source: own design.
    """
    taken = {*taken, *(path.name for place in homes() for path in place.glob(f"{stem}*"))}
    name = next(n for n in (stem, *(f"{stem}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    return homes()[0] / name


def row(run: Run) -> dict[str, Any]:
    """A run as a row of a listing: name, task, where it stands, and how well it does. Source: own design."""
    try:
        rows, result = run.rows(), run.result
        ended = "imported" if run.imported else "done"
        status = "unfinished" if result is None else "stopped" if result["stopped"] else ended
    except InputError:  # one spoilt run must not hide the others
        rows, result, status = [], None, "spoilt"
    last = rows[-1] if rows else {}
    return {
        "run": run.name,
        "task": run.config.task.name,
        "seed": run.seed,
        "status": "running" if run.running else status,
        "steps": last.get("step"),
        "grokked_at": result and result["grokked_at"],
        "test_accuracy": finite(last.get("test_accuracy")),
        "seconds": finite(last.get("seconds")),
        "folder": str(run.folder),
    }
