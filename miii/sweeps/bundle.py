"""Carry a sweep: a zip file of its folder, checked like a run's, and a small copy of its metrics."""

import os
import shutil
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Final

from miii import runs
from miii.errors import InputError, quoted
from miii.runs import bundle
from miii.runs.atomic import atomic_folder, write_json
from miii.runs.checks import LIMITS, Limits
from miii.runs.files import nbytes, parsed
from miii.runs.read import SWEEP
from miii.runs.zipped import Read, opened
from miii.sweeps.folder import Sweep, open, parse
from miii.sweeps.grid import count

RUNS: Final = 1_000  #: maximum runs of an uploaded sweep


def ship(sweep: Sweep, folder: str | Path, snapshots: int = 0) -> Sweep:
    """Copy a sweep's runs, by default their metrics only; those that have not begun are left out.

    Args:
        snapshots: see ``runs.ship``.

    Raises:
        InputError: ``folder`` exists or cannot be written, or a run has not ended.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
    try:
        with atomic_folder(folder, snapshots=False) as making:
            shutil.copy2(sweep.folder / SWEEP, making / SWEEP)
            for name in filter(lambda name: os.path.lexists(sweep.folder / name), sweep.configs):
                runs.ship(runs.open((sweep.folder / name).absolute()), making / name, snapshots)
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


def unpack(file: str | Path | bytes, taken: Collection[str] = (), limits: Limits = LIMITS) -> Sweep:
    """Create a sweep in ``runs`` from a zip file of its folder; write nothing unless all of it is valid.

    Hidden files are ignored. Every run must be one of the sweep's grid, with the config of the grid.

    Args:
        taken: names to avoid.
        limits: for each run; the bytes are those of all runs together.

    Raises:
        InputError: the file is not a plain zip file, holds anything but one sweep, or is too large.
    """
    with opened(file, replace(limits, files=limits.files * RUNS)) as entries:
        top, files = _by_run(entries)
        data = _limited(entries[files.pop("")[SWEEP]], limits.json_bytes)
        values = _values(data)
        if count({**values["grid"], "seed": values["seeds"]}) > RUNS:
            raise InputError(f"sweep must have at most {RUNS:,} runs to be uploaded.")
        sweep = Sweep(Path(top), **values)
        unknown = [name for name in files if name not in sweep.configs]
        if unknown:
            raise InputError(f"sweep must hold only the runs of its grid (got {quoted(unknown[0])}).")
        folder = runs.free_folder(bundle.safe_name(top) or "sweep", taken)
        left = limits.nbytes
        try:
            with atomic_folder(folder, snapshots=False) as making:
                stored = {
                    "base": sweep.base.model_dump(mode="json"),
                    "grid": dict(sweep.grid),
                    "seeds": list(sweep.seeds),
                }
                write_json(making / SWEEP, stored | {"versions": _plain(values["versions"])})
                for name, paths in files.items():
                    given = {path: entries[whole] for path, whole in paths.items()}
                    run = bundle.create(given, making / name, replace(limits, nbytes=left))
                    if run.config != sweep.configs[name]:
                        raise InputError(f"run must have the config of the sweep's grid (got another one of {name}).")
                    left -= nbytes(run.folder)
        except OSError as error:
            raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


def _by_run(entries: dict[str, Read]) -> tuple[str, dict[str, dict[str, str]]]:
    """Return the top folder, and the whole paths by run and path; those beside ``sweep.json`` have the run ``""``."""
    places = [PurePosixPath(path) for path in entries if PurePosixPath(path).name == SWEEP]
    places = [path for path in places if len(path.parts) <= 2]
    if len(places) != 1:
        raise InputError(f"sweep must have one {SWEEP}, in its folder or at the top.")
    top = "" if len(places[0].parts) == 1 else places[0].parts[0]
    files: dict[str, dict[str, str]] = {}
    for path in entries:
        parts = path.split("/")
        if parts[0] == "__MACOSX" or any(part.startswith(".") and part not in (".", "..") for part in parts):
            continue
        if top:
            if parts[0] != top:
                raise InputError("sweep must have all its files in one folder, or in none.")
            parts = parts[1:]
        if len(parts) < 2 and parts != [SWEEP]:
            raise InputError(f"sweep must hold {SWEEP} and the folders of its runs only (got {quoted(path)}).")
        run = parts[0] if len(parts) > 1 else ""
        files.setdefault(run, {})["/".join(parts[1:]) or SWEEP] = path
    return top, files


def _limited(read: Read, limit: int) -> bytes:
    data = read(limit + 1)
    if len(data) > limit:
        raise InputError(f"{SWEEP} must have at most {limit:,} bytes.")
    return data


def _values(data: bytes) -> dict:
    try:
        values = parsed(data.decode())
    except (ValueError, RecursionError):
        raise InputError(f"{SWEEP} must hold a JSON object.") from None
    if not isinstance(values, dict):
        raise InputError(f"{SWEEP} must hold a JSON object.")
    return parse(SWEEP, values)


def _plain(versions: dict) -> dict[str, str]:
    return {str(name)[:40]: str(value)[:100] for name, value in list(versions.items())[:20]}
