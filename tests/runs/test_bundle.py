"""A run as a zip file: there and back, and every hostile file refused in a sentence that leaves nothing behind."""

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors.torch import load

import miii
from miii import runs
from miii.runs.checks import Limits, check_size


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
    """A zip file with something more in it."""
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


def test_a_run_comes_back_as_it_was(small_run, packed, home, same, tree):
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


def test_the_same_run_gives_the_same_bytes(small_run, packed):
    assert runs.pack(small_run) == packed


def test_a_name_that_is_taken_gets_a_number(packed, home):
    names = [runs.unpack(packed).name for _ in range(3)]
    assert names == ["small", "small-2", "small-3"]
    assert runs.unpack(packed, taken=["small-4"]).name == "small-5"
    assert runs.unpack(packed, "my.own_name-1").name == "my.own_name-1"
    assert runs.open("small-2").result["run"] == "small-2"


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a b", "a\n", "x" * 81])
def test_a_name_must_be_one(packed, home, one_sentence, name):
    with one_sentence("name must be"):
        runs.unpack(packed, name)
    assert not list(home.iterdir())


@pytest.mark.parametrize(
    ("top", "name"),
    [
        ("lr=0.01,seed=3/", "lr-0.01-seed-3"),
        ("", "add-7-seed0"),
        ("..x/", "x"),
        ("<b>é x/", "b-x"),
        ("?/", "add-7-seed0"),
    ],
)
def test_a_run_is_called_as_its_folder_in_letters_that_are_safe(files, home, top, name):
    assert runs.unpack(zipped(files, top)).name == name


def test_a_folder_is_taken_in_as_it_lies_there(stopped_copy, home, same):
    found = {path.relative_to(stopped_copy.parent).as_posix(): path.read_bytes() for path in stopped_copy.rglob("*.*")}
    found |= {"stopped/.lock": b"", "stopped/.DS_Store": b"x"}
    assert "stopped/resume.safetensors" in found
    run = runs.unpack_files(found)
    assert (run.name, run.steps, run.can_resume) == ("stopped", runs.open(stopped_copy).steps, False)
    assert not {".lock", ".DS_Store", "resume.safetensors"} & {path.name for path in run.folder.iterdir()}
    assert same(run.weights(), runs.open(stopped_copy).weights())


def test_a_zip_that_a_desktop_made_is_taken_in(files, home):
    made = {f"small/{name}": data for name, data in files.items()} | {"small/snapshots/": b"", "small/": b""}
    made |= {"small/.DS_Store": b"x", "__MACOSX/small/._config.json": b"x"}
    assert runs.unpack(zipped(made, "")).steps


@pytest.mark.parametrize("task", ["primes", "residues", "miu", "frames", "add"])
def test_every_recipe_is_small_enough(task):
    check_size(miii.recipe(task=miii.KINDS[miii.tasks.named(task)](**miii.TASKS[task])))
    check_size(miii.recipe("literature"))
    with pytest.raises(miii.InputError):
        check_size(miii.RunConfig(task={"p": 227}), Limits(p=211))
    with pytest.raises(miii.InputError, match="20 MB"):
        check_size(miii.RunConfig(), Limits(memory=20_000_000))
