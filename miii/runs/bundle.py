"""A run as one zip file of JSON and safetensors.

Zip files are untrusted: only known names are accepted, bytes are counted while reading, pickles are never opened, and
the run is rewritten from checked values.
"""

import datetime
import io
import json
import os
import re
import shutil
import stat
import zipfile
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from safetensors.torch import load, save_file
from torch import Tensor

from miii.errors import InputError, quoted
from miii.runs import checks
from miii.runs.atomic import atomic_folder, write_atomically, write_json
from miii.runs.change import NAME
from miii.runs.checks import LIMITS, Limits
from miii.runs.find import free_folder, open
from miii.runs.notes import check_notes
from miii.runs.read import STATE, Run, why_not_resumable
from miii.runs.state import check_state
from miii.runs.zipped import Read, opened
from miii.training.config import RunConfig

FILES = ("config.json", "provenance.json", "metrics.jsonl", "result.json", "report.json", "notes.json")
SNAPSHOT = re.compile(r"snapshots/(0|[1-9][0-9]{0,7})\.safetensors")
TOP = re.compile(r"[^/\\\x00-\x1f]{1,200}")  #: a valid top folder
EXCLUDED = (".lock", ".DS_Store")  #: ignored files of a run's folder
T = TypeVar("T")


def pack(run: Run, resumable: bool = False) -> bytes:
    """Return a run as a zip file: its JSON and its snapshots, in one folder named after the run.

    While the run trains, pack the files written so far.

    Args:
        resumable: whether to add a stopped run's training state, to resume it elsewhere; it is about three times the
            size of a float32 snapshot.

    Raises:
        InputError: the run cannot be read, or has no training state to add.
    """
    whole = io.BytesIO()
    places = [run.folder / name for name in FILES]
    places += [run.folder / "snapshots" / f"{step}.safetensors" for step in run.steps]
    if resumable:
        if why := "it is being written" if run.running else run.why_not_resumable:
            raise InputError(f"{run.name} has nothing to resume: {why}.")
        if not run.has_state:
            raise InputError(f"{run.name} has no training state yet: it was killed before that was first written.")
        places.append(run.folder / STATE)
    top = run.folder.name.encode(errors="replace").decode()  # a folder's name may not be valid text
    try:
        with zipfile.ZipFile(whole, "w") as archive:
            for place in places:
                if place.is_file():
                    # no date, so the same run gives the same bytes
                    entry = zipfile.ZipInfo(f"{top}/{place.relative_to(run.folder).as_posix()}")
                    entry.external_attr = (stat.S_IFREG | 0o644) << 16
                    if place.suffix != ".safetensors":  # weights barely compress
                        entry.compress_type = zipfile.ZIP_DEFLATED
                    archive.writestr(entry, place.read_bytes())
    except OSError as error:
        raise InputError(f"{run.folder} could not be read: {error.strerror or error}.") from None
    return whole.getvalue()


def write_pack(run: Run, path: str | Path, resumable: bool = False) -> None:
    """Write ``pack(run)`` to a file atomically.

    Raises:
        InputError: ``path`` exists, does not end in .zip, or cannot be written; also see ``pack``.
    """
    path = Path(path)
    if path.suffix.lower() != ".zip":
        raise InputError(f"out must end in .zip (got {str(path)!r}).")
    if os.path.lexists(path):
        raise InputError(f"out must be a file that does not exist yet (got {str(path)!r}).")
    whole = pack(run, resumable)
    try:
        write_atomically(path, lambda beside: beside.write_bytes(whole))
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror or error}.") from None


def unpack(
    file: str | Path | bytes, name: str | None = None, taken: Collection[str] = (), limits: Limits = LIMITS
) -> Run:
    """Create a run in ``runs`` from a zip file made by ``pack``; write nothing unless all of it is valid.

    Args:
        name: the run's name, by default the one in the file; a number is appended if it is taken.
        taken: other names to avoid, such as those of queued jobs.

    Raises:
        InputError: the file is not a plain zip file, holds anything but one run, or is too large.
    """
    with opened(file, limits) as entries:
        return _create(entries, name, taken, limits)


def unpack_files(
    files: Mapping[str, bytes | memoryview],
    name: str | None = None,
    taken: Collection[str] = (),
    limits: Limits = LIMITS,
) -> Run:
    """Create a run in ``runs`` from the files of a run's folder, by relative path; otherwise like ``unpack``.

    Raises:
        InputError: the files are not exactly one run, or are too large.
    """

    def reader(data: bytes | memoryview) -> Read:
        return lambda limit: bytes(data[:limit])

    return _create({path: reader(data) for path, data in files.items()}, name, taken, limits)


def _create(given: Mapping[str, Read], name: str | None, taken: Collection[str], limits: Limits) -> Run:
    if name is not None and not NAME.fullmatch(name):
        raise InputError(f"name must be letters, digits, dots, underscores and hyphens (got {quoted(name)}).")
    top, _ = _run_files(given)
    return create(given, lambda config, imported: free_folder(name or _run_name(top, config, imported), taken), limits)


def create(given: Mapping[str, Read], place: Path | Callable[[RunConfig, bool], Path], limits: Limits) -> Run:
    """Create a run from untrusted files by path; write nothing unless all of it is valid.

    Args:
        place: its folder, or a function of its config and of whether it was imported.

    Raises:
        InputError: the files are not exactly one run, or are too large.
    """
    if len(given) > limits.files:
        raise InputError(f"run must have at most {limits.files:,} files (got {len(given):,}).")
    _, files = _run_files(given)
    if "config.json" not in files:
        raise InputError("run must have a config.json beside its other files.")
    left = limits.nbytes

    def read(path: str, limit: int) -> bytes:
        nonlocal left
        data = files[path](min(left, limit) + 1)
        if len(data) > min(left, limit):
            raise InputError(
                f"run must have at most {limits.nbytes:,} bytes unpacked, and {limits.json_bytes:,} in a JSON file "
                f"({path} is too large)."
            )
        left -= len(data)
        return data

    def checked(path: str, check: Callable[[bytes], T]) -> T | None:
        return check(read(path, limits.json_bytes)) if path in files else None

    config = checks.read_config(read("config.json", limits.json_bytes))
    checks.check_size(config, limits)
    provenance = checked("provenance.json", checks.read_provenance) or {}
    rows = checked("metrics.jsonl", lambda data: checks.read_rows(data, config))
    result = checked("result.json", lambda data: checks.read_result(data, config))
    report = checked("report.json", lambda data: checks.read_report(data, config))
    notes = checked("notes.json", lambda data: check_notes(checks.read_object("notes.json", data)))
    snapshots = [path for path in files if SNAPSHOT.fullmatch(path)]
    goes_on = STATE in files and why_not_resumable(result, provenance, True) is None
    wanted = checks.shapes(config, config.task.build()) if snapshots else {}
    state = _read_state(read(STATE, limits.nbytes), config) if goes_on else None
    folder = place if isinstance(place, Path) else place(config, "format" in provenance)
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    try:
        with atomic_folder(folder) as making:
            write_json(making / "config.json", config.model_dump(mode="json"))
            write_json(making / "provenance.json", provenance | {"uploaded": now})
            if rows is not None:
                (making / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            if result is not None:
                write_json(making / "result.json", result | {"run": folder.name})
            if report is not None:
                write_json(making / "report.json", report)
            if notes is not None:
                write_json(making / "notes.json", {str(step): text for step, text in notes.items()})
            for path in snapshots:
                if int(Path(path).stem) > config.steps:
                    raise InputError(f"{path} must be of a step of the run, {config.steps} at most.")
                _save(making, path, checks.read_snapshot(path, read(path, limits.nbytes), wanted))
            if state is not None:
                _save(making, STATE, state)
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


def _read_state(data: bytes, config: RunConfig) -> dict[str, Tensor]:
    try:
        state = load(data)
    except Exception:  # a hostile header may raise anything
        raise InputError(f"{STATE} must be a readable safetensors file.") from None
    check_state(STATE, state, config)
    return state


def _save(making: Path, path: str, tensors: dict[str, Tensor]) -> None:
    write_atomically(making / path, partial(save_file, tensors))
    shutil.copymode(making / "config.json", making / path)  # safetensors files are readable by the owner only


def _run_files(given: Mapping[str, Read]) -> tuple[str, dict[str, Read]]:
    """Return the common top folder, if any, and the files by name in it."""
    found: dict[str, Read] = {}
    tops: set[str] = set()
    for path, read in given.items():
        if path.startswith("__MACOSX/") or path.rpartition("/")[2] in EXCLUDED:
            continue
        top, name = ("", path) if _is_run_file(path) else path.split("/", 1) if "/" in path else ("", "")
        if not _is_run_file(name) or (name != path and not TOP.fullmatch(top)) or top in (".", ".."):
            got = re.sub(r"[^A-Za-z0-9_./-]", "?", path[:100])
            known = ", ".join((*FILES, STATE))
            raise InputError(f"run must hold only {known} and snapshots/STEP.safetensors (got {got}).")
        found[name] = read
        tops.add(top)
    if len(tops) > 1:
        raise InputError("run must have all its files in one folder, or in none.")
    return next(iter(tops), ""), found


def _is_run_file(name: str) -> bool:
    return name in (*FILES, STATE) or SNAPSHOT.fullmatch(name) is not None


def _run_name(top: str, config: RunConfig, imported: bool) -> str:
    """Return a valid run name for a folder name; those of sweeps have commas and equals signs.

    The name of an imported network claims no seed: its split may be unknown.
    """
    return safe_name(top) or f"{config.task.name}-{'imported' if imported else f'seed{config.task.seed}'}"


def safe_name(top: str) -> str:
    """Return a folder's name as the name of a run or a sweep; empty if nothing is left of it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", top)[:60].strip(".-")
