"""Notes on steps are kept with a run, travel in its zip file, and are checked like everything in it."""

import json
import shutil

import pytest

from miii import runs
from miii.runs.checks import read_object
from miii.runs.notes import LONGEST, MOST, check_notes


@pytest.fixture
def own(small_run, home) -> runs.Run:
    return runs.open(shutil.copytree(small_run.folder, home / "small"))


def test_notes_are_kept_by_step_and_travel_with_the_run(own, home):
    first, last = own.steps[0], own.steps[-1]
    assert runs.load_notes(own) == {}
    runs.save_note(own, last, "  Here it\n groks: 数 <b> ")
    runs.save_note(own, first, "x" * LONGEST)
    wanted = {first: "x" * LONGEST, last: "Here it groks: 数 <b>"}
    assert runs.load_notes(own) == wanted
    assert runs.load_notes(runs.unpack(runs.pack(own), "again")) == wanted
    runs.save_note(own, first, " ")
    assert runs.load_notes(own) == {last: wanted[last]}


def test_invalid_notes_are_refused_and_leave_nothing(own, home, one_sentence):
    for text in ("x" * (LONGEST + 1), "a\u202eb", "\x00", "x" * 10**6):
        with one_sentence("note must be text of 1 to 280 characters"):
            runs.save_note(own, own.steps[0], text)
    with one_sentence("step must be that of a snapshot of small (got 5000)"):
        runs.save_note(own, 5000, "x")
    with one_sentence("add-113 is shipped with miii and read-only"):
        runs.save_note(runs.open("add-113"), 400, "x")
    assert not (own.folder / "notes.json").exists()
    many = {str(step): "x" for step in range(MOST + 1)}
    for values in ({"-1": "x"}, {"٣": "x"}, {"1": 5}, {"1": ""}, {"1": ["x"]}, {"9" * 19: "x"}, many):
        data = json.dumps(values).encode()
        with one_sentence("note"):
            check_notes(read_object("notes.json", data))
    (own.folder / "notes.json").write_bytes(data)
    with one_sentence("notes.json must have at most 1000 notes (got 1001)"):
        runs.unpack(runs.pack(own), "again")
    assert [path.name for path in home.iterdir()] == ["small"]
