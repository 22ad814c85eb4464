"""Fuzz everything that reads input: each input must be accepted, or refused with one sentence.

The seed alone determines the inputs.
"""

import io
import json
import os
import random
import resource
import signal
import zipfile
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.reliability.corrupt import corrupted, corrupted_bytes, corrupted_json, words_of
from benchmarks.reliability.interrupted import tree
from benchmarks.reliability.kills import DONE, Found, configs, sentence, start
from miii import InputError, RunConfig, expression, foreign, runs
from miii.model.transformer import Transformer

ROOM = 2_000_000_000  #: bytes of address space that an input may add to the process
TIMEOUT = 30  #: seconds per input

OWN = ("runs", "out", "told.jsonl")  #: paths that inputs may create


def _config(draw: random.Random, words: list[Any]) -> dict[str, Any]:
    config = next(configs(draw)).model_dump(mode="json")
    for _ in range(draw.choice([1, 1, 2, 4])):
        changed = corrupted(config, draw, words)
        config = changed if isinstance(changed, dict) else config
    return config


def values(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield corrupted configs as values; ``folders`` and ``zips`` yield them as files."""
    words = words_of(RunConfig.model_json_schema())
    while True:
        yield partial(RunConfig, **_config(draw, words))


def zips(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield zip files: a real one with corrupted bytes, and new ones with odd entries and corrupted parts."""
    whole, words = (place / "done.zip").read_bytes(), words_of(RunConfig.model_json_schema())
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        entries = {entry.filename: archive.read(entry) for entry in archive.infolist()}
    while True:
        data = corrupted_bytes(whole, draw) if draw.random() < 0.4 else _zip(entries, draw, words)
        yield partial(runs.unpack, data)


def _zip(entries: dict[str, bytes], draw: random.Random, words: list[Any]) -> bytes:
    parts = dict(entries)
    for _ in range(draw.choice([1, 1, 2])):
        name = draw.choice(list(parts))
        match draw.randrange(6):
            case 0:
                del parts[name]
            case 1:
                top = draw.choice(["..", "/", "/tmp/x", "a/../..", "C:\\", "\0", "é" * 150, ".", "done/snapshots"])
                parts[f"{top}/{name}"] = parts.pop(name)
            case 2:
                odd = ["done/snapshots/99999999.safetensors", "done/.lock", "done/x.py", "done/resume.safetensors"]
                parts[draw.choice(odd)] = parts[name]
            case _ if name.endswith("safetensors"):
                parts[name] = corrupted_bytes(parts[name], draw)
            case _:
                parts[name] = corrupted_json(parts[name], draw, words)
        if not parts:
            break
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in parts.items():
            entry = zipfile.ZipInfo(name.replace("\0", "_"))
            entry.external_attr = draw.choice([0o100644, 0o100644, 0o120777, 0o040755, 0o020644]) << 16
            entry.compress_type = draw.choice([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
            archive.writestr(entry, data)
    return file.getvalue()


def safetensors(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield files of weights with corrupted bytes or a corrupted header."""
    whole, file = (place / "weights.safetensors").read_bytes(), place / "out" / "x.safetensors"
    size = int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8 : 8 + size])
    words = ["F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "U8", [0, 0], [49], [2**40, 2**40], [8, 0], *header]

    def read(data: bytes) -> Transformer:
        file.write_bytes(data)
        return foreign.recognize(foreign.read(file), foreign.Settings(p=7)).model

    while True:
        if draw.random() < 0.4:
            data = corrupted_bytes(whole, draw)
        else:
            text = json.dumps(corrupted(corrupted(header, draw, words), draw, words)).encode(errors="replace")
            length = len(text) if draw.random() < 0.9 else draw.choice([0, 2**63, 2**64 - 1, len(text) + 1])
            data = length.to_bytes(8, "little") + text + whole[8 + size :]
        yield partial(read, data)


def expressions(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield random and corrupted formulas, and strings of their characters, tabulated modulo a random p."""
    signs = ["a", "b", "p", "+", "-", "*", "/", "**", "%", "(", ")", " ", "% p", *"0123456789"]
    others = [*"\0\n\té²٣[.#'\ud800", "lambda", "1e9", "0x10", "1_0"]

    def table(text: str, p: int) -> object:
        return expression.parse(text).table(p)

    def formula(depth: int) -> str:
        if depth == 0 or draw.random() < 0.2:
            return draw.choice(["a", "b", "p", str(draw.randrange(20)), str(10 ** draw.randrange(9))])
        if draw.random() < 0.2:
            return f"({formula(depth - 1)})**{draw.randrange(12)}"
        return f"({formula(depth - 1)}{draw.choice('+-*/')}{formula(depth - 1)})"

    while True:
        match draw.randrange(4):
            case 0:
                text = "".join(draw.choices(signs, k=draw.choice([1, 5, 20, 150])))
            case 1:
                text = draw.choice(["(", "-", "a*", "a**", "+"]) * draw.choice([10, 60, 190, 5000]) + "a"
            case _:
                text = formula(draw.randrange(1, 6)) + draw.choice(["", " % p"])
        for _ in range(draw.choice([0, 0, 1, 3])):
            at = draw.randrange(len(text) + 1)
            text = text[:at] + draw.choice([*others, *signs]) + text[at + draw.randrange(2) :]
        p = draw.choice([-1, 0, 1, 2, 7, 12, 113, 1024, 10**9])
        yield partial(table, text, p)


def folders(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield run folders with one corrupted file, to be listed and read."""
    folder, words = place / "runs" / "corrupted", words_of(RunConfig.model_json_schema())
    names = ["config.json", "metrics.jsonl", "result.json", "provenance.json"]
    files = {name: (place / "done" / name).read_bytes() for name in names}

    def look(name: str, data: bytes) -> None:
        folder.mkdir(exist_ok=True)
        for other, right in files.items():
            (folder / other).write_bytes(data if name == other else right)
        try:
            rows = [runs.row(run) for run in runs.every() if run.folder == folder]
            rows += map(runs.broken_row, runs.broken())
            assert "corrupted" in {row["run"] for row in rows}
            assert all(row["reason"] is None or sentence(row["reason"]) for row in rows)
        except InputError as error:
            raise AssertionError(f"the listing died of {error}") from None
        run = runs.open("corrupted")
        _ = run.rows(), run.result, run.provenance, run.metrics(), run.can_resume

    while True:
        name = draw.choice(names)
        yield partial(look, name, corrupted_json(files[name], draw, words))


def names(draw: random.Random, place: Path) -> Iterator[Callable[[], object]]:
    """Yield names and paths, used to open, rename, unpack and link runs."""
    parts = [*"/\0\né\ud800\\~-*.a", "..", "runs", "done", "x" * 300, ".zip"]
    whole = (place / "done.zip").read_bytes()

    def one(name: str, what: int) -> None:
        match what:
            case 0:
                runs.open(name)
            case 1:
                runs.rename(runs.unpack(whole, "own"), name)
            case 2:
                runs.unpack(whole, name)
            case _:
                runs.shipped(name)

    while True:
        name = "".join(draw.choices(parts, k=draw.randint(1, 5)))
        yield partial(one, name, draw.randrange(4))


INPUTS: dict[str, Callable[[random.Random, Path], Iterator[Callable[[], object]]]] = {
    "configs": values,
    "zip files": zips,
    "safetensors files": safetensors,
    "expressions": expressions,
    "run folders": folders,
    "names and paths": names,
}


def fuzz(kind: str, seed: int, turns: Iterable[int]) -> Found:
    """Feed inputs of one kind to their readers in a process with bounded memory.

    The place comes from ``interrupted.prepare``; nothing outside its runs and ``out`` may change.
    """
    found, place = Found(), runs.homes()[0].parent
    told, before = place / "told.jsonl", _outside(place)

    def work() -> None:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, used + ROOM))
        os.chdir(place / "out")
        with told.open("w") as out:
            for _, one in zip(turns, INPUTS[kind](random.Random(seed), place), strict=False):
                signal.alarm(TIMEOUT)
                out.write(json.dumps(_answer(one)) + "\n")
                out.flush()
                signal.alarm(0)

    ended = start(work).end()
    answers = [json.loads(line) for line in told.read_text().splitlines()]
    told.unlink()
    found.counts.update(inputs=len(answers), refused=sum(answer is not True for answer in answers))
    for i, answer in enumerate(answers):
        if answer is not True and answer[0] != "InputError":
            found.lost.append(f"{kind}, seed {seed}, input {i}: {answer}")
    found.check(ended.code == DONE, f"{kind}, seed {seed}, input {len(answers)}: {ended.code} {ended.text}")
    found.check(_outside(place) == before, f"{kind}, seed {seed}: something was written outside the runs")
    return found


def _answer(one: Callable[[], object]) -> Any:
    """Return True for an accepted input, otherwise the error's type and message."""
    try:
        one()
    except InputError as error:
        return ["InputError" if sentence(str(error)) else "no sentence", str(error)]
    except Exception as error:
        return [type(error).__name__, str(error)[:500]]
    return True


def _outside(place: Path) -> dict[str, dict[str, str]]:
    """Return the hashes of the files in and next to a place, except those that inputs may create."""
    around = [*place.parent.iterdir(), *place.iterdir()]
    return {str(path): tree(path) for path in around if path not in (place, *(place / own for own in OWN))}
