"""Runs of one's own: renamed, deleted, brought back; never while they are written, nor those that came with miii."""

import os
import shutil
import time

import filelock
import pytest

from miii import runs
from miii.runs import change


@pytest.fixture
def mine(run_copy, home) -> runs.Run:
    """A run of one's own, called mine."""
    return runs.open(shutil.move(run_copy, home / "mine"))


@pytest.fixture(params=["rename", "trash"])
def act(request):
    """Does something to a run that only its owner may."""
    return {"rename": lambda run: runs.rename(run, "other"), "trash": runs.trash}[request.param]


def test_a_renamed_run_is_the_same_under_another_name(mine, home, tree, small_run):
    before = tree(mine.folder)
    run = runs.rename(mine, "my_run-2.b")
    assert (run.name, run.folder) == ("my_run-2.b", (home / "my_run-2.b").absolute())
    assert tree(run.folder) == before
    assert [other.name for other in runs.every() if other.folder.parent == home] == ["my_run-2.b"]
    assert run.config == small_run.config


def test_a_name_is_letters_digits_and_a_few_signs(mine, one_sentence):
    for name in ["", ".", "..", ".hidden", "a/b", "../b", "a b", "a\n", "é", "a=1", "x" * 81]:
        with one_sentence("name must be 1 to 80 letters"):
            runs.rename(mine, name)
        assert mine.folder.exists()


def test_a_name_that_is_taken_is_refused(mine, home, one_sentence):
    (home / "half").mkdir()
    for name in ("mine", "half", "add-113", "waiting"):
        with one_sentence("no run has yet", name):
            runs.rename(mine, name, taken=["waiting"])


def test_a_run_that_is_being_written_stays(mine, act, one_sentence):
    with filelock.FileLock(mine.folder / ".lock"), one_sentence("mine", "being written"):
        act(mine)
    assert mine.folder.exists()


def test_a_run_that_came_with_miii_stays(home, act, one_sentence):
    shipped = runs.open("add-113")
    with one_sentence("add-113", "shipped", "read-only"):
        act(shipped)
    assert shipped.folder.exists()


def test_a_run_that_lies_elsewhere_stays(run_copy, home, act, one_sentence):
    with one_sentence("run must be one in"):
        act(runs.open(run_copy))
    assert run_copy.exists()


def test_a_folder_that_cannot_be_moved_is_a_sentence(mine, act, one_sentence, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(mine.folder), "rename", refuse)
    with one_sentence("could not be moved", "Permission denied"):
        act(mine)


def test_a_deleted_run_is_brought_back_as_it_was(mine, home, tree):
    before = tree(mine.folder)
    place = runs.trash(mine)
    assert not mine.folder.exists()
    assert "mine" not in [run.name for run in runs.every()]
    assert runs.free_folder("mine") == home / "mine"
    run = runs.restore(place)
    assert run.folder == mine.folder.absolute()
    assert tree(run.folder) == before
    assert not list((home / change.DELETED).iterdir())


def test_a_deleted_run_whose_name_is_taken_by_now_gets_a_number(mine, home, run_copy, small_run):
    place = runs.trash(mine)
    shutil.copytree(small_run.folder, home / "mine")
    assert runs.restore(place, taken=["mine-2"]).name == "mine-3"


def test_two_deleted_runs_of_one_name_are_kept_apart(mine, home, small_run):
    first = runs.trash(mine)
    shutil.copytree(small_run.folder, home / "mine")
    second = runs.trash(runs.open("mine"))
    assert [runs.restore(place).name for place in (second, first)] == ["mine", "mine-2"]


def test_the_next_deletion_ends_what_was_deleted_long_before(mine, home, small_run, one_sentence):
    old = runs.trash(mine)
    then = time.time() - change.KEPT - 1
    os.utime(old.parent, (then, then))
    shutil.copytree(small_run.folder, home / "mine")
    new = runs.trash(runs.open("mine"))
    assert not old.exists()
    with one_sentence("too long ago"):
        runs.restore(old)
    assert runs.restore(new).name == "mine"


def test_a_run_is_discarded_for_good_unless_someone_is_writing_it(run_copy, one_sentence, tree):
    before = tree(run_copy)
    with filelock.FileLock(run_copy / ".lock"), one_sentence("copy", "being written"):
        runs.discard(runs.open(run_copy))
    assert tree(run_copy) == before | {".lock": tree(run_copy)[".lock"]}
    runs.discard(runs.open(run_copy))
    assert not run_copy.exists()
