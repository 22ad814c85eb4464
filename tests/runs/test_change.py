"""Rename, delete and restore runs, but never shipped ones or runs being written."""

import os
import shutil
import time

import filelock
import pytest

from miii import runs
from miii.runs import change


@pytest.fixture
def mine(run_copy, home) -> runs.Run:
    """A run in ``runs``, called mine."""
    return runs.open(shutil.move(run_copy, home / "mine"))


def test_renaming_keeps_the_files(mine, home, tree, small_run):
    before = tree(mine.folder)
    run = runs.rename(mine, "my_run-2.b")
    assert (run.name, run.folder) == ("my_run-2.b", (home / "my_run-2.b").absolute())
    assert tree(run.folder) == before
    assert [other.name for other in runs.every() if other.folder.parent == home] == ["my_run-2.b"]
    assert run.config == small_run.config


def test_an_invalid_new_name_is_refused(mine, one_sentence):
    for name in ["", ".", "..", ".hidden", "a/b", "../b", "a b", "a\n", "é", "a=1", "x" * 81]:
        with one_sentence("name must be 1 to 80 letters"):
            runs.rename(mine, name)
        assert mine.folder.exists()


def test_a_name_that_is_taken_is_refused(mine, home, one_sentence):
    (home / "half").mkdir()
    for name in ("mine", "half", "add-113", "waiting"):
        with one_sentence("no run has yet", name):
            runs.rename(mine, name, taken=["waiting"])


def test_runs_that_may_not_change_stay(mine, home, small_run, tmp_path, one_sentence, monkeypatch):
    shipped = runs.open("add-113")
    elsewhere = runs.open(shutil.copytree(small_run.folder, tmp_path / "elsewhere"))

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    for act in (lambda run: runs.rename(run, "other"), runs.trash):
        with filelock.FileLock(mine.folder / ".lock"), one_sentence("mine", "being written"):
            act(mine)
        with one_sentence("add-113", "shipped", "read-only"):
            act(shipped)
        with one_sentence("run must be one in"):
            act(elsewhere)
        with monkeypatch.context() as patch:
            patch.setattr(type(mine.folder), "rename", refuse)
            with one_sentence("could not be moved", "Permission denied"):
                act(mine)
    assert all(run.folder.exists() for run in (mine, shipped, elsewhere))


def test_restore_brings_a_deleted_run_back(mine, home, tree):
    before = tree(mine.folder)
    place = runs.trash(mine)
    assert not mine.folder.exists()
    assert "mine" not in [run.name for run in runs.every()]
    assert runs.free_folder("mine") == home / "mine"
    run = runs.restore(place)
    assert run.folder == mine.folder.absolute()
    assert tree(run.folder) == before
    assert not list((home / change.DELETED).iterdir())


def test_two_deleted_runs_of_one_name_are_kept_apart(mine, home, small_run):
    first = runs.trash(mine)
    shutil.copytree(small_run.folder, home / "mine")
    second = runs.trash(runs.open("mine"))
    assert runs.restore(second).name == "mine"
    assert runs.restore(first, taken=["mine-2"]).name == "mine-3"


def test_deleting_removes_runs_deleted_long_before(mine, home, small_run, one_sentence):
    old = runs.trash(mine)
    then = time.time() - change.KEPT - 1
    os.utime(old.parent, (then, then))
    shutil.copytree(small_run.folder, home / "mine")
    new = runs.trash(runs.open("mine"))
    assert not old.exists()
    with one_sentence("too long ago"):
        runs.restore(old)
    assert runs.restore(new).name == "mine"


def test_discard_removes_a_run_unless_it_is_being_written(run_copy, one_sentence, tree):
    before = tree(run_copy)
    with filelock.FileLock(run_copy / ".lock"), one_sentence("copy", "being written"):
        runs.discard(runs.open(run_copy))
    assert tree(run_copy) == before | {".lock": tree(run_copy)[".lock"]}
    runs.discard(runs.open(run_copy))
    assert not run_copy.exists()
