"""Commands on files, killed at random moments, and these and training on a disk that is full."""

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

from benchmarks import kills
from benchmarks.kills import DONE, REFUSED, Ended, Found, difference, go_on, hidden, sentence, start
from miii import ModularAddition, RunConfig, runs, train, transformer_lens

SOURCES = ("done", "stopped", "done.zip", "weights.safetensors")  #: what the commands read and must not change
CHANGED = ("provenance.json", "result.json")  #: their dates and names may differ; they must be whole all the same
PAGE = 4096  #: bytes, the least that a file takes


@dataclass(frozen=True)
class Command:
    """A command on files: what does it, where its result is to be found, and what it moves there, if it moves."""

    work: Callable[[], object]
    out: str
    moved: Path | None = None


def prepare(place: Path) -> None:
    """Make what the commands work on: a finished and a stopped run, a zip file and a file of weights."""
    model = {"d_model": 16, "n_heads": 2, "d_mlp": 64, "biases": "all"}
    config = RunConfig(task={"p": 7, "train_fraction": 0.5}, model=model, steps=40, snapshots=12, device="cpu")
    done = runs.record(place / "done", train(config))
    steps = runs.follow(place / "stopped", train(config))
    for step in steps:
        if step.step == 20:
            steps.close()
    runs.write_pack(done, place / "done.zip")
    transformer_lens.write_file(done.model(), place / "weights.safetensors")
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
    file, task = place / "weights.safetensors", ModularAddition(p=7)
    return Command(lambda: transformer_lens.import_run(file, place / "out" / name, task), f"out/{name}")


def _export_weights(place: Path, name: str) -> Command:
    model, out = runs.open(place / "done").model(), f"out/{name}.safetensors"
    return Command(lambda: transformer_lens.write_file(model, place / out), out)


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
    """Kill commands on files at random moments: what they read is as before, what they make is whole or absent.

    The same command, used next, sweeps what the killed one left half-made.
    """
    found, place = Found(), runs.homes()[0].parent
    sources, measured = _trees(place), {}
    for name, make in COMMANDS.items():  # once to the end: how long it takes, and what is made
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
    """Give training and each command on files room for no write, one, two, and so on, until it has enough.

    What is refused is refused in a sentence and leaves nothing half-written, and training resumes once there is room.

    Args:
        turns: how many configs are trained.
        mounted: whether the place is a small file system of its own, which is then filled but for so many pages; else
            the system's calls are told to fail.
        names: of the commands.
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
    """Yield the folder of a file system of this size of its own, or None where none can be mounted."""
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
    """Return the files at and below a path, and of each the hash, or, where dates are in it, the names it has."""
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
    """Remove what commands made, and leave what they left half-made."""
    for path in [*place.glob("out/*"), *place.glob("runs/*"), place / "runs" / ".deleted"]:
        if path.name == ".deleted" or not path.name.startswith("."):
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)


def _wrong(
    place: Path, command: Command, ended: Ended, whole: dict[str, str], sources: list[dict[str, str]]
) -> list[str]:
    """Return what is wrong after a command has ended, in whatever way."""
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
    """Let this process make or open for writing so many files and folders in a place, and then no more."""
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
