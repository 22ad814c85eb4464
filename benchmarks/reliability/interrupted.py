"""Kill file commands at random moments; run them and training on a full disk."""

import errno
import hashlib
import itertools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.reliability import kills
from benchmarks.reliability.kills import DONE, REFUSED, Ended, Found, difference, go_on, hidden, sentence, start
from miii import RunConfig, foreign, runs, train

SOURCES = ("done", "stopped", "done.zip", "weights.safetensors")  #: inputs of the commands; they must not change
CHANGED = ("provenance.json", "result.json")  #: their dates and names may differ
PAGE = 4096  #: bytes, the smallest file on disk


@dataclass(frozen=True)
class Command:
    """A file command: its function, the path of its result, and its source if it moves a file."""

    work: Callable[[], object]
    out: str
    moved: Path | None = None


def prepare(place: Path) -> None:
    """Write the inputs: a finished and a stopped run, a zip file, a file of weights."""
    model = {"d_model": 16, "n_heads": 2, "d_mlp": 64, "biases": "all"}
    config = RunConfig(task={"p": 7, "train_fraction": 0.5}, model=model, steps=40, snapshots=12, device="cpu")
    done = runs.record(place / "done", train(config))
    steps = runs.follow(place / "stopped", train(config))
    for step in steps:
        if step.step == 20:
            steps.close()
    runs.write_pack(done, place / "done.zip")
    foreign.write_file(done.model(), place / "weights.safetensors")
    (place / "out").mkdir()


def _pack(place: Path, name: str) -> Command:
    run = runs.open(place / "done")
    return Command(lambda: runs.write_pack(run, place / f"out/{name}.zip"), f"out/{name}.zip")


def _pack_resumable(place: Path, name: str) -> Command:
    run = runs.open(place / "stopped")
    return Command(lambda: runs.write_pack(run, place / f"out/{name}.zip", resumable=True), f"out/{name}.zip")


def _unpack(place: Path, name: str) -> Command:
    return Command(lambda: runs.unpack(place / "done.zip", name), f"runs/{name}")


def _ship(place: Path, name: str) -> Command:
    run = runs.open(place / "done")
    return Command(lambda: runs.ship(run, place / "out" / name, 4), f"out/{name}")


def _import(place: Path, name: str) -> Command:
    file = place / "weights.safetensors"
    return Command(
        lambda: foreign.import_run(file, place / "out" / name, foreign.Claim(operation="add")), f"out/{name}"
    )


def _export_weights(place: Path, name: str) -> Command:
    model, out = runs.open(place / "done").model(), f"out/{name}.safetensors"
    return Command(lambda: foreign.write_file(model, place / out), out)


def _rename(place: Path, name: str) -> Command:
    run = _copy(place, f"runs/{name}-before")
    return Command(lambda: runs.rename(run, name), f"runs/{name}", run.folder)


def _delete(place: Path, name: str) -> Command:
    run = _copy(place, f"runs/{name}")
    return Command(lambda: runs.trash(run), f"runs/.deleted/*/{name}", run.folder)


def _restore(place: Path, name: str) -> Command:
    run = _copy(place, f"runs/.deleted/1/{name}")
    return Command(lambda: runs.restore(run.folder), f"runs/{name}", run.folder)


def _copy(place: Path, out: str) -> runs.Run:
    return runs.open(Path(shutil.copytree(place / "done", place / out)))


COMMANDS: dict[str, Callable[[Path, str], Command]] = {
    "pack": _pack,
    "pack --resumable": _pack_resumable,
    "unpack": _unpack,
    "ship": _ship,
    "import": _import,
    "export-weights": _export_weights,
    "rename": _rename,
    "delete": _delete,
    "restore": _restore,
}


def commands(draw: random.Random, turns: Iterable[int]) -> Found:
    """Kill file commands at random moments: inputs stay unchanged, results are whole or absent.

    The next run of the same command removes partial files.
    """
    found, place = Found(), runs.homes()[0].parent
    sources, measured = _trees(place), {}
    for name, make in COMMANDS.items():  # run once without a kill, for its duration and result
        ended = start((command := make(place, "whole")).work).end()
        measured[name] = ended.seconds, tree(_results(place, command)[0])
        _clear(place)
    for _, name in zip(turns, itertools.cycle(draw.sample(list(COMMANDS), len(COMMANDS))), strict=False):
        seconds, whole = measured[name]
        for after in (draw.uniform(0, seconds), None):
            ended = start((command := COMMANDS[name](place, "killed")).work).end(after)
            found.check(ended.code in (DONE, -signal.SIGKILL), f"{name}: {ended.text}")
            found.counts["kills"] += ended.code == -signal.SIGKILL
            found.lost += [f"{name}: {wrong}" for wrong in _wrong(place, command, ended, whole, sources)]
            _clear(place)
        measured[name] = min(seconds, ended.seconds), whole
        found.lost += [f"{name}: {wrong}" for wrong in hidden(place)]
    return found


def full_disk(
    draw: random.Random, turns: Iterable[int], mounted: bool = False, names: Iterable[str] = tuple(COMMANDS)
) -> Found:
    """Give training and each file command room for zero writes, then one, two and so on, until it succeeds.

    A refusal is one sentence and leaves no partial file. Training resumes when there is room.

    Args:
        turns: one config is trained per turn.
        mounted: fill a small file system; False makes system calls fail instead.
        names: commands to run.
    """
    found, place = Found(), runs.homes()[0].parent
    sources = _trees(place)
    for name in names:
        make = COMMANDS[name]
        start((command := make(place, "full")).work).end()
        whole = tree(_results(place, command)[0])
        for room in itertools.count():
            _clear(place)
            command = make(place, "full")
            ended = _within(place, room, mounted, command.work)
            found.lost += [f"{name}: {wrong}" for wrong in _wrong(place, command, ended, whole, sources)]
            found.check(ended.code in (DONE, REFUSED), f"{name}, room {room}: {ended.text}")
            if ended.code != REFUSED:
                break
            found.counts["commands"] += 1
            found.check(sentence(ended.text), f"{name}, room {room}: {ended.text}")
            found.lost += [f"{name}, room {room}: {wrong}" for wrong in hidden(place)]
        _clear(place)
    for _, config in zip(turns, kills.configs(draw), strict=False):
        config = config.model_copy(update={"steps": 4, "snapshots": 2, "eval_every": 2})
        once, folder = place / "once", place / "runs" / "full"
        start(lambda: go_on(once, config)).end()  # noqa: B023
        for room in itertools.count():
            ended = _within(place, room, mounted, lambda: go_on(folder, config, state_every=0))  # noqa: B023
            what = f"{config.model_dump_json()}, room {room}"
            found.check(ended.code in (DONE, REFUSED), f"{what}: {ended.text}")
            found.check(ended.code != REFUSED or sentence(ended.text), f"{what}: {ended.text}")
            found.lost += [f"{what}: {wrong}" for wrong in kills.unreadable(set())]
            found.counts["runs"] += ended.code == REFUSED
            again = start(lambda: go_on(folder, config)).end()  # noqa: B023
            found.check(again.code == DONE, f"{what}: {again.text}")
            found.lost += [f"{what}: {wrong}" for wrong in difference(once, folder) + hidden(place)]
            _clear(place)
            if ended.code != REFUSED:
                break
        shutil.rmtree(once)
    return found


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path | None]:
    """Mount a file system of this size and yield its folder, or None if that fails."""
    with tempfile.TemporaryDirectory() as place:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place]
        try:
            mounted = subprocess.run(command, capture_output=True).returncode == 0
        except OSError:
            mounted = False
        try:
            yield Path(place) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", "-l", place], check=True)


def tree(path: Path) -> dict[str, str]:
    """Return the hash of each file at or below a path; dated files are compared by their keys only."""
    files = sorted([path] if path.is_file() else path.rglob("*"))
    return {
        str(file.relative_to(path)): str(sorted(json.loads(file.read_text())))
        if file.name in CHANGED
        else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in files
        if file.is_file() and file.name != ".lock"
    }


def _trees(place: Path) -> list[dict[str, str]]:
    return [tree(place / name) for name in SOURCES]


def _results(place: Path, command: Command) -> list[Path]:
    return list(place.glob(command.out))


def _clear(place: Path) -> None:
    """Remove results, but keep partial files."""
    for path in [*place.glob("out/*"), *place.glob("runs/*"), place / "runs" / ".deleted"]:
        if path.name == ".deleted" or not path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _wrong(
    place: Path, command: Command, ended: Ended, whole: dict[str, str], sources: list[dict[str, str]]
) -> list[str]:
    """Return the problems after a command has ended."""
    results = _results(place, command)
    there = results + [path for path in (command.moved,) if path is not None and path.exists()]
    must = 1 if command.moved else len(results)
    wrong = [f"{path} is not whole" for path in there if tree(path) != whole]
    wrong += ["its result is not there"] * (ended.code == DONE and len(results) != 1)
    wrong += [f"it is in {len(there)} places"] * (len(there) != must or must > 1)
    wrong += [f"{name} was changed" for name, a, b in zip(SOURCES, _trees(place), sources, strict=True) if a != b]
    return wrong + kills.unreadable(set())


def _within(place: Path, room: int, mounted: bool, work: Callable[[], object]) -> Ended:
    if not mounted:
        return start(lambda: (_refuse_writes(place, room), work())).end()
    ballast = place / "ballast"
    system = os.statvfs(place)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, system.f_bavail * system.f_frsize - room * PAGE))
    try:
        return start(work).end()
    finally:
        ballast.unlink()


def _refuse_writes(place: Path, room: int) -> None:
    """Make writes in a place fail in this process after ``room`` files and folders."""
    left = itertools.count(room, -1)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) if mode is None else set(mode) & set("wax+")
        else:
            path, writes = arguments[0] if arguments else "", event == "os.mkdir"
        if writes and str(path).startswith(str(place)) and next(left) <= 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    sys.addaudithook(hook)
