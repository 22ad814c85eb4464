"""Pack and unpack runs as zip files; hostile files are refused in one sentence and leave nothing."""

import io
import json
import math
import os
import pickle
import random
import re
import shutil
import stat
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import filelock
import pytest
import torch
from runs_checks import resumed, stop_at
from safetensors.torch import load, save

import miii
from miii import runs
from miii.runs import bundle
from miii.runs.checks import LIMITS, Limits, check_size


@pytest.fixture(scope="module")
def packed(small_run) -> bytes:
    return runs.pack(small_run)


@pytest.fixture(scope="module")
def files(packed) -> dict[str, bytes]:
    """The files of a good run, by their names in its folder."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        return {name.removeprefix("small/"): archive.read(name) for name in archive.namelist()}


def zipped(files: dict[str, Any], top: str = "bad/", **how: Any) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", **how) as archive:
        for name, data in files.items():
            archive.writestr(f"{top}{name}", data)
    return whole.getvalue()


def more(files: bytes, change: Callable[[zipfile.ZipFile], None]) -> bytes:
    """A zip file with a further entry."""
    whole = io.BytesIO(files)
    with zipfile.ZipFile(whole, "a") as archive:
        change(archive)
    return whole.getvalue()


def edited(data: bytes, **changes: Any) -> bytes:
    """A JSON object with other values; None takes a key out."""
    values = json.loads(data) | changes
    return json.dumps({name: value for name, value in values.items() if value is not ...}).encode()


def tensors(data: bytes) -> dict[str, torch.Tensor]:
    return load(data)


# ---- there and back ----


def test_unpacking_restores_a_packed_run(small_run, packed, home, same, tree):
    assert runs.pack(small_run) == packed
    run = runs.unpack(packed)
    assert run.folder == (home / "small").absolute()
    before, after = tree(small_run.folder), tree(run.folder)
    assert before.keys() - {".lock"} == after.keys()
    differ = {name for name in after if after[name] != before[name]}
    # weights that are written anew, and the note of when it was uploaded
    assert differ <= {"provenance.json"}
    assert run.provenance.keys() == small_run.provenance.keys() | {"uploaded"}
    for step in run.steps:
        assert same(run.weights(step), small_run.weights(step))
    assert [path.name for path in home.iterdir()] == ["small"]


def test_a_name_that_is_taken_gets_a_number(packed, home):
    names = [runs.unpack(packed).name for _ in range(3)]
    assert names == ["small", "small-2", "small-3"]
    assert runs.unpack(packed, taken=["small-4"]).name == "small-5"
    assert runs.unpack(packed, "my.own_name-1").name == "my.own_name-1"
    assert runs.open("small-2").result["run"] == "small-2"


def test_invalid_names_are_refused(packed, home, one_sentence):
    for name in ["", "..", ".hidden", "a/b", "a b", "a\n", "x" * 81]:
        with one_sentence("name must be"):
            runs.unpack(packed, name)
        assert not list(home.iterdir())


def test_the_folder_s_name_becomes_a_safe_name(files, home):
    tops = {
        "lr=0.01,seed=3/": "lr-0.01-seed-3",
        "": "add-7-seed0",
        "..x/": "x",
        "<b>é x/": "b-x",
        "?/": "add-7-seed0-2",
    }
    for top, name in tops.items():
        assert runs.unpack(zipped(files, top)).name == name


def test_the_files_of_a_folder_are_unpacked(stopped_copy, home, same):
    found = {path.relative_to(stopped_copy.parent).as_posix(): path.read_bytes() for path in stopped_copy.rglob("*.*")}
    found |= {"stopped/.lock": b"", "stopped/.DS_Store": b"x"}
    assert "stopped/resume.safetensors" in found
    run = runs.unpack_files(found)
    assert (run.name, run.steps, run.can_resume) == ("stopped", runs.open(stopped_copy).steps, True)
    assert not {".lock", ".DS_Store"} & {path.name for path in run.folder.iterdir()}
    assert same(run.weights(), runs.open(stopped_copy).weights())


def test_a_zip_file_made_by_a_desktop_is_unpacked(files, home):
    made = {f"small/{name}": data for name, data in files.items()} | {"small/snapshots/": b"", "small/": b""}
    made |= {"small/.DS_Store": b"x", "__MACOSX/small/._config.json": b"x"}
    assert runs.unpack(zipped(made, "")).steps


def test_runs_of_every_task_and_imported_runs_are_restored(adder, home, tmp_path):
    def described(run):
        return run.config, run.rows(), run.report, run.steps

    for name in ["add-113", "primes-10", "residues-113", "miu-24", "frames-10"]:
        shipped = runs.open(runs.homes()[1] / name)
        assert described(runs.unpack(runs.pack(shipped), f"{name}-again")) == described(shipped)
    model = adder(11, (2, 3), n_heads=2).requires_grad_(False)
    config = miii.RunConfig(task={"p": 11, "train_fraction": None}, model=model.config.model_dump())
    theirs = runs.create_run(tmp_path / "theirs", config, model, format="by hand")
    assert runs.unpack(runs.pack(theirs)).imported


def test_a_stopped_run_is_resumed_elsewhere_to_the_same_bits(
    small_config, small_run, home, tmp_path, same, one_sentence
):
    for stop in (0, random.randint(1, 22), 23):
        here = stop_at(stop, miii.train(small_config()), tmp_path / str(stop))
        assert not runs.unpack(runs.pack(here), "without").can_resume
        there = runs.unpack(runs.pack(here, resumable=True), f"there-{stop}")
        assert there.can_resume
        assert runs.pack(here, resumable=True) == runs.pack(here, resumable=True)
        done = resumed(there.folder)
        assert same(done.weights(), small_run.weights())
        assert [row["test_loss"] for row in done.rows()] == [row["test_loss"] for row in small_run.rows()]
        shutil.rmtree(home / "without")
    with one_sentence("small", "has ended"):
        runs.pack(small_run, resumable=True)
    with filelock.FileLock(here.folder / ".lock"), one_sentence("it is being written"):
        runs.pack(here, resumable=True)


HOSTILE_STATES: dict[str, Callable[[bytes], bytes]] = {
    "no tensors": lambda data: b"",
    "a pickle": lambda data: pickle.dumps(1),
    "a header longer than the file": lambda data: header(b"{}", 2**62),
    "a hole": lambda data: header(HOLE),
    "a tensor less": lambda data: save({n: t for n, t in load(data).items() if n != "weights.W_E"}),
    "a tensor more": lambda data: save(load(data) | {"weights.more": torch.zeros(1)}),
    "another shape": lambda data: save(load(data) | {"weights.W_U": torch.zeros(8, 8)}),
    "whole numbers": lambda data: save({n: t.int() if n != "clock" else t for n, t in load(data).items()}),
    "a step that is none": lambda data: save(load(data) | {"stepper.optimizer.0.0.step": torch.tensor(math.nan)}),
    "no clock": lambda data: save({n: t for n, t in load(data).items() if n != "clock"}),
    "a clock of text": lambda data: save(load(data) | {"clock": torch.zeros(4, dtype=torch.uint8)}),
    "an endless clock": lambda data: save(load(data) | {"clock": torch.full((4,), math.inf, dtype=torch.float64)}),
    "a negative clock": lambda data: save(load(data) | {"clock": torch.full((4,), -1.0, dtype=torch.float64)}),
}


def test_a_hostile_state_is_refused_and_leaves_nothing(stopped_run, home, one_sentence, monkeypatch):
    with zipfile.ZipFile(io.BytesIO(runs.pack(stopped_run, resumable=True))) as archive:
        given = {name.removeprefix("stopped/"): archive.read(name) for name in archive.namelist()}
    for what, change in HOSTILE_STATES.items():
        with one_sentence("resume.safetensors"):
            runs.unpack(zipped(given | {"resume.safetensors": change(given["resume.safetensors"])}))
            pytest.fail(f"{what} was taken in")
        assert not list(home.iterdir()), what
    # the config's size is looked at first: neither task nor network is built
    giant = edited(given["config.json"], model={"d_model": 4096, "n_heads": 1, "d_mlp": 16384, "n_layers": 24})
    monkeypatch.setattr("miii.runs.bundle.check_state", lambda *_: pytest.fail("was built"))
    with one_sentence("MB of memory"):
        runs.unpack(zipped(given | {"config.json": giant}))
    # a run that has ended needs none
    ended = edited(given["result.json"], stopped=False)
    assert not runs.unpack(zipped(given | {"result.json": ended, "resume.safetensors": b"x"})).has_state


def test_a_run_being_written_is_packed_without_partial_lines(run_copy, home):
    with (run_copy / "metrics.jsonl").open("a") as file:
        file.write('{"step": 24, "tra')
    (run_copy / "result.json").unlink()
    run = runs.unpack(runs.pack(runs.open(run_copy)))
    assert run.rows() == runs.open(run_copy).rows()
    assert run.result is None


def test_only_known_files_are_packed(run_copy):
    (run_copy / "owner.json").write_text("{}")
    (run_copy / "snapshots" / "notes.txt").write_text("mine")
    with zipfile.ZipFile(io.BytesIO(runs.pack(runs.open(run_copy)))) as archive:
        assert all(
            re.fullmatch(r"copy/([a-z]+\.jsonl?|snapshots/\d+\.safetensors)", name) for name in archive.namelist()
        )
        assert "copy/owner.json" not in archive.namelist()


# ---- files of zip files that are refused ----

LINK = zipfile.ZipInfo("bad/result.json")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def linked(files: dict[str, bytes]) -> bytes:
    whole = zipped({name: data for name, data in files.items() if name != "result.json"})
    return more(whole, lambda archive: archive.writestr(LINK, "/etc/passwd"))


def doubled(files: dict[str, bytes]) -> bytes:
    return more(zipped(files), lambda archive: archive.writestr("bad/config.json", files["config.json"]))


def flagged(files: dict[str, bytes]) -> bytes:
    """Says of its first file that it is encrypted."""
    data = bytearray(zipped(files))
    data[data.index(b"PK\1\2") + 8] |= 1
    return bytes(data)


def damaged(files: dict[str, bytes]) -> bytes:
    data = zipped(files)
    at = data.index(files["config.json"])
    return data[:at] + b"X" + data[at + 1 :]


def lying(files: dict[str, bytes]) -> bytes:
    """Says of a megabyte of zeros that it unpacks to ten bytes."""
    data = bytearray(zipped(files | {"report.json": b" " * 10**6}, compression=zipfile.ZIP_DEFLATED))
    for place in [match.start() for match in re.finditer(re.escape(struct.pack("<I", 10**6)), bytes(data))]:
        data[place : place + 4] = struct.pack("<I", 10)
    return bytes(data)


def commented(files: dict[str, bytes]) -> bytes:
    return more(zipped(files), lambda archive: setattr(archive, "comment", b"hello"))


def giant_list(files: dict[str, bytes]) -> bytes:
    """Says that the list of its entries is long."""
    data = zipped(files)
    return data[:-10] + struct.pack("<I", 2**30) + data[-6:]


def zip64(files: dict[str, bytes]) -> bytes:
    """Says that the list of its entries is found elsewhere."""
    data = zipped(files)
    return data[:-22] + b"PK\6\7" + bytes(16) + data[-22:]


BAD_ZIPS: dict[str, tuple[Callable[[dict[str, bytes]], bytes], str]] = {
    "not a zip": (lambda files: files["config.json"], "zip"),
    "empty": (lambda files: b"", "zip"),
    "cut off": (lambda files: zipped(files)[:-30], "zip"),
    "traversal": (lambda files: zipped(files | {"../../evil.json": b"{}"}), "must hold only"),
    "traversal as the top": (lambda files: zipped(files, "../"), "must hold only"),
    "the folder itself": (lambda files: zipped(files, "./"), "must hold only"),
    "absolute": (lambda files: zipped(files | {"/etc/config.json": b"{}"}, ""), "must hold only"),
    "absolute, known": (lambda files: zipped(files, "/"), "must hold only"),
    "of windows": (lambda files: zipped(files, "..\\..\\x/"), "must hold only"),
    "too deep": (lambda files: zipped(files, "a/b/"), "must hold only"),
    "two folders": (
        lambda files: zipped({"a/config.json": files["config.json"], "b/result.json": b"{}"}, ""),
        "one folder",
    ),
    "symlink": (linked, "links"),
    "duplicate": (doubled, "once"),
    "encrypted": (flagged, "encrypted"),
    "damaged": (damaged, "readable zip"),
    "lzma": (lambda files: zipped(files, compression=zipfile.ZIP_LZMA), "compressed"),
    "a comment": (commented, "comment"),
    "a giant list": (giant_list, "at most"),
    "a second list": (zip64, "at most"),
    "lies about a size": (lying, "zip"),
    "a pickle": (lambda files: zipped(files | {"snapshots/1.pt": pickle.dumps([1])}), "(got bad/snapshots/1.pt)"),
    "an owner": (lambda files: zipped(files | {"owner.json": b"{}"}), "must hold only"),
    "a script": (lambda files: zipped(files | {"run.py": b"print()"}), "must hold only"),
    "a strange step": (lambda files: zipped(files | {"snapshots/007.safetensors": b""}), "must hold only"),
    "another alphabet": (lambda files: zipped(files | {"snapshots/٣.safetensors": b""}), "must hold only"),
    "a step beyond": (lambda files: zipped(files | {"snapshots/25.safetensors": b""}), "24 at most"),
    "no config": (lambda files: zipped({"result.json": files["result.json"]}), "config.json"),
    "too many": (
        lambda files: zipped(files | {f"snapshots/{i}.safetensors": b"" for i in range(LIMITS.files + 1)}),
        "at most 1,100 files",
    ),
}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_hostile_zip_is_refused_and_leaves_nothing(files, home, tmp_path, tree, one_sentence):
    for make in BAD_ZIPS:
        build, word = BAD_ZIPS[make]
        before = tree(tmp_path)
        with one_sentence(word):
            runs.unpack(build(files))
        assert not list(home.iterdir())
        assert tree(tmp_path) == before


def test_a_bomb_is_stopped_while_it_unpacks(files, home, one_sentence):
    bomb = zipped(files | {"report.json": b" " * 30_000_000}, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 1_000_000
    with one_sentence("10,000,000 in a JSON file", "report.json"):
        runs.unpack(bomb)
    zeros = save({name: torch.zeros_like(value) for name, value in tensors(files[STEP]).items()})
    many = files | {f"snapshots/{i}.safetensors": zeros for i in range(24)}
    bomb = zipped(many, compression=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 50_000 < sum(map(len, many.values()))
    with one_sentence("50,000 bytes unpacked"):
        runs.unpack(bomb, limits=Limits(nbytes=50_000))
    assert not list(home.iterdir())


def test_bytes_are_counted_while_reading(files, home, one_sentence, monkeypatch):
    """An endless file is read up to the limit only."""
    asked: list[int] = []

    def endless(most: int) -> bytes:
        asked.append(most)
        return b" " * most

    with one_sentence("5,000 bytes"):
        bundle._create({"config.json": endless}, None, (), Limits(nbytes=5000))
    assert asked == [5001]


def test_a_missing_large_or_endless_file_is_refused(packed, home, tmp_path, one_sentence):
    with one_sentence("at most 1,000 bytes"):
        runs.unpack(packed, limits=Limits(nbytes=1000))
    with one_sentence("nowhere.zip"):
        runs.unpack(tmp_path / "nowhere.zip")
    os.mkfifo(tmp_path / "pipe")
    for endless in (tmp_path, tmp_path / "pipe", "/dev/zero", "x" * 5000):
        with one_sentence("cannot read the file"):
            runs.unpack(endless)


# ---- contents that are refused ----


def nested(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def header(text: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if size is None else size) + text


HOLE = b'{"W_E":{"dtype":"F32","shape":[9999999999],"data_offsets":[0,4]}}'
STEP = "snapshots/24.safetensors"
BAD_FILES: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "no JSON": ("config.json", lambda data: b"{", "JSON object"),
    "a list": ("config.json", lambda data: b"[]", "JSON object"),
    "bytes": ("config.json", lambda data: b"\xff\xfe", "JSON object"),
    "too deep": ("report.json", lambda data: nested(100), "JSON object"),
    "far too deep": ("report.json", lambda data: nested(100_000), "JSON object"),
    "NaN": ("result.json", lambda data: b'{"seconds": NaN}', "finite"),
    "beyond a float": ("result.json", lambda data: b'{"seconds": 1e999}', "finite"),
    "an unknown key": ("config.json", lambda data: edited(data, evil=1), "evil is not a known field"),
    "an unknown value": ("config.json", lambda data: edited(data, steps="many"), "steps must be"),
    "another kind of key": ("config.json", lambda data: edited(data, task={"p": {"x": []}}), "p must be"),
    "an unknown task": ("config.json", lambda data: edited(data, task={"kind": "evil"}), "config.json"),
    "giant model": (
        "config.json",
        lambda data: edited(data, model={"d_model": 4096, "n_heads": 1, "d_mlp": 16384, "n_layers": 24}),
        "MB of memory",
    ),
    "wide model": (
        "config.json",
        lambda data: edited(data, model={"d_model": 1, "n_heads": 1, "d_mlp": 16384}, task={"p": 211}),
        "MB of memory",
    ),
    "giant strings": (
        "config.json",
        lambda data: edited(data, task={"kind": "miu", "longest": 3, "longest_test": 400, "n": 500_000}),
        "MB of memory",
    ),
    "another p": ("config.json", lambda data: edited(data, task={"p": 11}), "W_E must be (12, 8) (got (8, 8))"),
    "rows that are no objects": ("metrics.jsonl", lambda data: b"1\n" + data, "metrics.jsonl"),
    "a row without a step": ("metrics.jsonl", lambda data: b"{}\n", "step"),
    "a step that is not whole": (
        "metrics.jsonl",
        lambda data: data.replace(b'"step": 5', b'"step": 5.5'),
        "integer step",
    ),
    "a step that is true": ("metrics.jsonl", lambda data: data.replace(b'"step": 0', b'"step": true'), "metrics.jsonl"),
    "a step too far": (
        "metrics.jsonl",
        lambda data: data.replace(b'"step": 24', b'"step": 99'),
        "integer step",
    ),
    "steps out of order": ("metrics.jsonl", lambda data: data + data, "ascending"),
    "words for numbers": ("metrics.jsonl", lambda data: data.replace(b'"seconds": 0.0', b'"seconds": "x"'), "numbers"),
    "a name that is markup": ("metrics.jsonl", lambda data: data.replace(b"{", b'{"<b>": 1, ', 1), "numbers by name"),
    "rows without accuracy": (
        "metrics.jsonl",
        lambda data: data.replace(b"test_accuracy", b"accuracy"),
        "test_accuracy",
    ),
    "a result without an end": ("result.json", lambda data: edited(data, stopped=...), "stopped"),
    "a result of another type": ("result.json", lambda data: edited(data, stopped="no"), "stopped must be"),
    "steps in words": ("result.json", lambda data: edited(data, steps="x"), "steps must be"),
    "grokked in words": ("result.json", lambda data: edited(data, grokked_at="x"), "grokked_at must be"),
    "seconds in words": ("result.json", lambda data: edited(data, seconds_to_grok="x"), "seconds_to_grok must be"),
    "a result with objects": ("result.json", lambda data: edited(data, run={}), "plain values"),
    "long provenance": ("provenance.json", lambda data: edited(data, commit="x" * 10_000), "plain values"),
    "a pickle by another name": (STEP, lambda data: pickle.dumps({"W_E": [1]}), "readable safetensors"),
    "a header longer than the file": (STEP, lambda data: header(b"{}", 2**62), "readable safetensors"),
    "a header of NaN": (STEP, lambda data: header(b'{"W_E": NaN}'), "readable safetensors"),
    "a hole": (STEP, lambda data: header(HOLE), "readable"),
    "a tensor more": (STEP, lambda data: save(tensors(data) | {"evil\nname": torch.zeros(1)}), "got another one"),
    "a tensor less": (STEP, lambda data: save({n: t for n, t in tensors(data).items() if n != "W_E"}), "W_E must be"),
    "another shape": (STEP, lambda data: save(tensors(data) | {"W_U": torch.zeros(3, 3)}), "W_U must be (8, 7)"),
    "whole numbers": (STEP, lambda data: save({n: t.int() for n, t in tensors(data).items()}), "floating-point"),
}


def test_a_hostile_file_is_refused_and_leaves_nothing(files, home, one_sentence):
    for what in BAD_FILES:
        name, change, word = BAD_FILES[what]
        with one_sentence(word):
            runs.unpack(zipped(files | {name: change(files.get(name, b"{}"))}))
        assert not list(home.iterdir())
        with one_sentence(word):
            runs.unpack_files(files | {name: change(files.get(name, b"{}"))})
        assert not list(home.iterdir())


def test_frequency_power_of_a_residues_run_is_checked(files, home, one_sentence):
    config = json.dumps(miii.RunConfig(task=miii.Residues(p=7)).model_dump(mode="json")).encode()
    for word, power in (("numbers", {"1": ["x"]}), ("numbers", {"1": 0.5}), ("length", {"1": [1], "2": [1, 2]})):
        report = json.dumps({"frequency_power": power}).encode()
        with one_sentence("frequency_power", word):
            runs.unpack(zipped({"config.json": config, "report.json": report}))
        assert not list(home.iterdir())
        # of another task it is something else, which is kept as it is
        kept = runs.unpack(zipped(files | {"report.json": report}))
        assert kept.report == {"frequency_power": power}
        runs.discard(kept)


def test_a_run_with_infinite_weights_is_unpacked(files, home):
    weights = {name: value * float("nan") for name, value in tensors(files[STEP]).items()}
    run = runs.unpack(zipped(files | {STEP: save(weights)}))
    assert run.weights()["W_E"].isnan().all()


def test_a_full_disk_leaves_nothing(files, home, one_sentence, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "save_file", full)
    with one_sentence("No space left"):
        runs.unpack(zipped(files))
    assert not list(home.iterdir())


# ---- sizes ----


def test_every_recipe_is_small_enough():
    for task in ["primes", "residues", "miu", "frames", "add"]:
        check_size(miii.recipe(task=miii.RunConfig(task=miii.TASKS[task]).task))
    check_size(miii.recipe("literature"))
    with pytest.raises(miii.InputError):
        check_size(miii.RunConfig(task={"p": 227}), Limits(p=211))
    with pytest.raises(miii.InputError, match="20 MB"):
        check_size(miii.RunConfig(), Limits(memory=20_000_000))
