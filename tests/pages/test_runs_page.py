"""The page Runs: the table is what lies on the disk, buttons do what they say, and nobody changes others' runs."""

import importlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pytest
import torch
from safetensors.torch import save
from streamlit.testing.v1 import AppTest

import miii
from miii import runs
from miii.transformer_lens import to_state_dict

SHIPPED = [run.name for run in runs.every() if run.folder.parent == runs.homes()[1]]
LONG = 1_000_000


@pytest.fixture(autouse=True)
def registry(server) -> Iterator[Any]:
    """The app's jobs, of which none outlives the test."""
    jobs = importlib.import_module("pages._server.jobs")
    yield jobs.registry()
    jobs.registry().close()
    jobs.registry.clear()


@pytest.fixture
def mine(small_run, home) -> runs.Run:
    """A run of one's own, called mine."""
    return runs.open(shutil.copytree(small_run.folder, home / "mine"))


@pytest.fixture
def shared(monkeypatch) -> None:
    """A server that strangers share."""
    monkeypatch.setenv("MIII_SHARED", "1")


def button(at: AppTest, label: str, key: str | None = None) -> Any:
    return next(button for button in at.button if button.label == label and key in (None, button.key))


def press(at: AppTest, label: str, key: str | None = None) -> AppTest:
    """Press a button that can be pressed; no trace may be seen."""
    found = button(at, label, key)
    assert not found.disabled
    found.click().run()
    assert not at.exception
    return at


def press_late(at: AppTest, label: str, key: str | None = None) -> AppTest:
    """Press a button that a page of a moment ago still shows to who has lost the right by now."""
    kept, at.session_state["keys"] = at.session_state["keys"], ["another session's"]
    press(at, label, key)
    at.session_state["keys"] = kept
    return at


def table(at: AppTest) -> Any:
    return at.dataframe[0].value


def listed(at: AppTest) -> list[str]:
    return list(table(at)["run"]) if at.dataframe else []


def choose(at: AppTest, name: str) -> AppTest:
    at.selectbox(key="chosen").set_value(name).run()
    return at


def upload(at: AppTest, key: str, *files: tuple[str, bytes]) -> AppTest:
    found = [(name, data, "application/octet-stream") for name, data in files]
    at.file_uploader(key=key).set_value(found[0] if len(found) == 1 and key[:6] != "folder" else found).run()
    return at


# ---- the table ----


def test_the_table_is_what_lies_on_the_disk(mine, visit):
    at = visit("runs")
    told = table(at).set_index("run")
    assert list(told.index) == ["mine", *SHIPPED]
    row = runs.row(mine)
    assert told.loc["mine", "task"] == "a + b mod 7"
    assert told.loc["mine", "state"] == "done"
    assert told.loc["mine", "from"] == "yours"
    assert told.loc["mine", "steps"] == row["steps"] == 24
    assert told.loc["mine", "accuracy"] == row["test_accuracy"]
    assert told.loc["mine", "of"] == "test pairs"
    size = sum(path.stat().st_size for path in mine.folder.rglob("*") if path.suffix)
    assert told.loc["mine", "MB"] == pytest.approx(size / 1e6)
    assert told.loc["mine", "date"].isoformat() == mine.provenance["date"]
    shipped = runs.open("primes-10")
    assert told.loc["primes-10", "auc"] == shipped.rows()[-1]["auc"]
    assert told.loc["primes-10", "reached at"] == shipped.result["grokked_at"] == 350
    assert told.loc["primes-10", "reached"] == "sieves by 3"
    assert told.loc["add-113", "reached"] == "grokked"
    assert pd.isna(told.loc["miu-24", "reached"])
    assert set(told.loc[SHIPPED, "from"]) == {"shipped"}


def test_the_table_says_what_each_is_trained_on_in_words(visit):
    at = visit("runs")
    told = table(at).set_index("run")["task"]
    assert told["primes-10"] == "prime or not, 10,000 to 99,999 in base 10"
    assert told["primes-10-shuffled"] == "prime or not, 10,000 to 99,999 in base 10, labels in random order"
    assert told["residues-113"] == "residues modulo every prime below 113"
    assert told["miu-24"] == "theorems of MIU, up to 24 letters"
    assert told["frames-10"] == "4 frames, 1,000 to 9,999 in base 10"


@pytest.mark.parametrize(
    ("search", "names"),
    [
        ("mine", ["mine"]),
        ("MOD 7", ["mine"]),
        ("prime random", ["primes-10-shuffled"]),
        ("yours", ["mine"]),
        ("shipped theorems", ["miu-24"]),
        ("  ", ["mine", *SHIPPED]),
    ],
)
def test_search_finds_runs_by_name_task_and_origin(mine, visit, search, names):
    at = visit("runs", search=search)
    assert listed(at) == names
    assert at.selectbox(key="chosen").options == names


def test_a_search_without_a_hit_says_so(mine, visit, texts):
    at = visit("runs", search="nothing at all")
    assert not at.dataframe
    assert "No run has all of these words: nothing at all" in texts(at)
    at.text_input(key="search").set_value("").run()
    assert listed(at) == ["mine", *SHIPPED]


def test_a_place_without_runs_says_what_to_do(home, visit, texts, tmp_path, monkeypatch):
    from miii.runs import find

    monkeypatch.setattr(find, "__file__", str(tmp_path / "miii" / "runs" / "find.py"))
    at = visit("runs")
    assert "There is no run yet" in texts(at)
    assert len(at.file_uploader) == 3


def test_a_spoilt_run_and_a_run_without_rows_are_rows_like_others(mine, home, visit):
    shutil.copytree(mine.folder, home / "spoilt")
    (home / "spoilt" / "metrics.jsonl").write_text("{\n")
    shutil.copytree(mine.folder, home / "empty")
    for name in ("metrics.jsonl", "result.json", "provenance.json"):
        (home / "empty" / name).unlink()
    told = table(visit("runs")).set_index("run")
    assert told.loc["spoilt", "state"] == "spoilt"
    assert told.loc["empty", "state"] == "unfinished"
    assert told.loc[["spoilt", "empty"], ["accuracy", "steps"]].isna().all(axis=None)


def test_a_folder_that_cannot_be_read_is_a_row_with_its_reason_and_spoils_no_page(mine, home, visit):
    spoil: dict[str, Callable[[Path], object]] = {
        "tomorrow": lambda f: (f / "config.json").write_text('{"epochs": 3}'),
        "deep": lambda f: (f / "config.json").write_text("[" * 100_000),
        "no-key": lambda f: (f / "result.json").write_text("{}"),
        "latin": lambda f: (f / "metrics.jsonl").write_bytes(b"\xe9\n"),
        "no-snapshots": lambda f: [shutil.rmtree(f / "snapshots"), (f / "snapshots").touch()],
        "loop": lambda f: (f / ".lock").symlink_to(".lock"),
    }
    for name, change in spoil.items():
        shutil.copytree(mine.folder, home / name, ignore=shutil.ignore_patterns(".lock"))
        change(home / name)
    at = visit("runs", run="mine")
    told = table(at).set_index("run")
    assert dict(told.loc[list(spoil), "state"]) == {"tomorrow": "unreadable", "deep": "unreadable"} | dict.fromkeys(
        ("no-key", "latin", "no-snapshots", "loop"), "spoilt"
    )
    words = ("epochs", "too deep", "stopped", "UTF-8", "snapshots", ".lock")
    for name, word in zip(spoil, words, strict=True):
        assert word in told.loc[name, "reason"]
    assert told.loc["mine", "state"] == "done"
    assert not {"tomorrow", "deep"} & set(at.selectbox(key="chosen").options)
    at.session_state[at.dataframe[0].key] = {
        "selection": {"rows": [listed(at).index("deep")], "columns": [], "cells": []}
    }
    at.run()
    assert not at.exception
    choose(at, "no-key")
    assert not at.exception
    for page in ("train", "symbolic", "compare", "data"):
        visit(page, run="mine", comparison="runs of yours")


def test_a_stopped_run_is_downloaded_with_its_training_state_on_request(mine, stopped_run, home, visit):
    shutil.copytree(stopped_run.folder, home / "stopped")
    at = choose(visit("runs"), "mine")
    assert not at.checkbox  # there is no state to take along
    assert choose(at, "stopped").checkbox[0].value is False
    at.checkbox[0].check().run()
    assert not at.exception
    press(upload(at, "zip-0", ("any.zip", runs.pack(stopped_run, resumable=True))), "Add to the runs", "add-zip")
    assert runs.open("stopped-2").can_resume


def test_other_peoples_weights_have_their_accuracy_on_all_pairs(adder, home, visit):
    model = adder(11, (2, 3), n_heads=2).requires_grad_(False)
    config = miii.RunConfig(task={"p": 11, "train_fraction": None}, model=model.config.model_dump())
    runs.adopt(home / "theirs", config, model, format="by hand")
    told = table(visit("runs")).set_index("run").loc["theirs"]
    assert (told["state"], told["from"], told["accuracy"]) == ("imported", "imported", 1.0)


def test_a_click_on_a_row_and_the_select_box_choose_alike(mine, visit):
    at = visit("runs")
    assert at.selectbox(key="chosen").value == "mine"
    at.session_state[at.dataframe[0].key] = {"selection": {"rows": [3], "columns": [], "cells": []}}
    at.run()
    assert at.selectbox(key="chosen").value == listed(at)[3]
    choose(at, "miu-24")
    assert at.selectbox(key="chosen").value == "miu-24"
    assert not at.exception


def test_every_control_says_what_it_does(mine, visit, shared):
    at = visit("runs")
    for kind in ("button", "download_button", "file_uploader", "number_input", "selectbox", "text_input", "toggle"):
        for widget in at.get(kind):
            assert widget.help, f"{kind} {widget.label} has no help"


def test_the_table_can_be_taken_away(mine, visit):
    at = visit("runs")
    assert "download-runs.csv" in [widget.key for widget in at.get("download_button")]


# ---- what is done with a run ----


def test_open_makes_it_the_run_of_every_page(mine, visit, texts):
    at = press(choose(visit("runs", run="mine"), "add-113"), "Open")
    assert at.session_state["run"] == "add-113"
    assert "add-113 is now the run" in texts(at)


def test_compare_sets_it_beside_the_run(mine, visit, texts):
    at = visit("runs", run="mine")
    assert button(at, "Compare").disabled  # with itself
    press(choose(at, "add-113"), "Compare")
    assert at.session_state["beside"] == "add-113"
    assert "add-113 now stands beside mine" in texts(at)


def test_a_renamed_run_keeps_its_place_everywhere(mine, home, visit, texts):
    at = choose(visit("runs", run="mine"), "mine")
    at.text_input(key="rename-mine").set_value(" better ").run()
    press(at, "Rename", "rename")
    assert (home / "better" / "config.json").exists()
    assert listed(at)[0] == at.selectbox(key="chosen").value == at.session_state["run"] == "better"
    assert "mine is called better now" in texts(at)
    at = visit("runs", run="add-113", beside="better")
    choose(at, "better").text_input(key="rename-better").set_value("best").run()
    press(at, "Rename", "rename")
    assert (at.session_state["run"], at.session_state["beside"]) == ("add-113", "best")


def test_a_run_that_began_to_train_a_moment_ago_is_left_alone(stopped_run, home, registry, visit):
    run = runs.open(shutil.copytree(stopped_run.folder, home / "mine"))
    at = choose(visit("runs"), "mine")
    first = registry.start(home / "long", run.config.model_copy(update={"steps": LONG}))
    waits = registry.resume(run)
    press(at, "Delete")
    assert ["stop it first" in error.value for error in at.error] == [True]
    assert run.folder.exists()
    registry.stop(waits)
    registry.stop(first)
    assert first.wait(30)


@pytest.mark.parametrize(("name", "word"), [("a/b", "letters"), ("", "letters"), ("add-113", "no run has yet")])
def test_a_name_that_cannot_be_is_a_sentence(mine, visit, name, word):
    at = choose(visit("runs"), "mine")
    at.text_input(key="rename-mine").set_value(name).run()
    press(at, "Rename", "rename")
    assert [word in error.value for error in at.error] == [True]
    assert mine.folder.exists()


def test_a_deleted_run_can_be_brought_back(mine, visit, texts, tree):
    before = tree(mine.folder)
    at = press(choose(visit("runs", run="mine"), "mine"), "Delete")
    assert not mine.folder.exists()
    assert "mine" not in listed(at)
    assert "mine was deleted" in texts(at)
    assert at.session_state["run"] != "mine"
    press(at, "Undo")
    assert tree(mine.folder) == before
    assert listed(at)[0] == at.selectbox(key="chosen").value == "mine"
    assert "mine is back" in texts(at)
    assert not [one for one in at.button if one.label == "Undo"]


def test_what_came_too_late_to_be_brought_back_says_so(mine, home, visit):
    at = press(choose(visit("runs"), "mine"), "Delete")
    shutil.rmtree(home / ".deleted")
    press(at, "Undo")
    assert ["too long ago" in error.value for error in at.error] == [True]


def test_runs_that_came_with_miii_can_only_be_read(mine, visit):
    at = choose(visit("runs"), "add-113")
    assert "came with miii" in button(at, "Delete").help
    assert button(at, "Delete").disabled
    assert button(at, "Rename", "rename").disabled


def test_a_run_that_trains_is_left_alone(mine, registry, visit, small_config, home, tree):
    job = registry.start(home / "long", small_config(steps=LONG))
    waits = registry.start(home / "waits", small_config(steps=LONG))
    while not job.step:
        time.sleep(0.01)
    at = visit("runs")
    told = table(at).set_index("run")
    assert (told.loc["long", "state"], told.loc["waits", "state"]) == ("training", "queued")
    for name in ("long", "waits"):
        choose(at, name)
        assert "stop it first" in button(at, "Delete").help
        assert button(at, "Delete").disabled
    assert button(at, "Compare").disabled  # nothing of it is there yet
    registry.stop(waits)
    registry.stop(job)
    assert job.wait(30)


def test_a_run_that_another_process_writes_is_left_alone(mine, visit):
    with filelock.FileLock(mine.folder / ".lock"):
        at = choose(visit("runs"), "mine")
        assert table(at).set_index("run").loc["mine", "state"] == "training"
        press(at, "Delete")
        assert ["being written" in error.value for error in at.error] == [True]


def test_the_download_is_the_run(mine, visit):
    at = choose(visit("runs"), "mine")
    (download,) = (one for one in at.get("download_button") if one.label == "Download")
    assert not download.disabled
    assert download.proto.deferred_file_id  # made when it is asked for


# ---- runs from elsewhere ----


def test_a_zip_becomes_a_run_that_every_page_shows(small_run, home, visit, texts, same):
    at = visit("runs")
    assert button(at, "Add to the runs", "add-zip").disabled
    press(upload(at, "zip-0", ("any.zip", runs.pack(small_run))), "Add to the runs", "add-zip")
    assert "small is here" in texts(at)
    assert at.session_state["run"] == at.selectbox(key="chosen").value == "small"
    assert table(at).set_index("run").loc["small", "from"] == "uploaded"
    assert same(runs.open("small").weights(), small_run.weights())
    assert button(at, "Add to the runs", "add-zip").disabled  # the uploader is empty again
    press(upload(at, "zip-1", ("any.zip", runs.pack(small_run))), "Add to the runs", "add-zip")
    assert listed(at)[:2] == ["small-2", "small"] or set(listed(at)[:2]) == {"small-2", "small"}


def test_a_folder_becomes_a_run(stopped_run, home, visit, texts):
    kinds = (".json", ".jsonl", ".safetensors")  # what the uploader lets through
    found = [
        (f"mine/{path.relative_to(stopped_run.folder).as_posix()}", path.read_bytes())
        for path in stopped_run.folder.rglob("*")
        if path.suffix in kinds
    ]
    assert "mine/resume.safetensors" in dict(found)
    at = visit("runs")
    assert at.file_uploader(key="folder-0").accept_directory
    press(upload(at, "folder-0", *found), "Add to the runs", "add-folder")
    assert "mine is here" in texts(at)
    assert runs.open("mine").rows() == stopped_run.rows()


def test_a_bad_zip_is_a_sentence_and_leaves_nothing(home, visit):
    at = visit("runs")
    press(upload(at, "zip-0", ("bad.zip", b"no zip")), "Add to the runs", "add-zip")
    assert ["zip file" in error.value for error in at.error] == [True]
    assert not list(home.iterdir())


def test_a_p_beyond_the_app_is_a_sentence(home, visit, tmp_path):
    folder = tmp_path / "large"
    config = miii.RunConfig(task={"p": 223}, steps=1)
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(config.model_dump(mode="json")))
    at = visit("runs")
    press(upload(at, "zip-0", ("x.zip", runs.pack(runs.open(folder)))), "Add to the runs", "add-zip")
    assert [error.value for error in at.error] == ["p must be at most 211 here (got 223)."]
    assert not list(home.iterdir())


def test_weights_of_others_become_a_run(adder, home, visit, texts, same):
    model = adder(11, (2, 3), n_heads=2)
    state = to_state_dict(model)
    data = save(state | {"blocks.0.extra": torch.zeros(1)})
    at = visit("runs")
    at.number_input(key="weights-p").set_value(11).run()
    at.selectbox(key="weights-act").set_value("square").run()
    press(upload(at, "weights-0", ("their net.safetensors", data)), "Add to the runs", "add-weights")
    run = runs.open("add-11-imported")
    assert "add-11-imported is here" in texts(at)
    assert "blocks.0.extra" in texts(at)
    assert "as add-11: 100.0%" in texts(at)
    assert not at.warning
    assert run.provenance["file"] == "their?net.safetensors"
    assert run.rows()[0]["accuracy"] == 1.0
    assert same(to_state_dict(run.model()), state)


@pytest.mark.parametrize(
    ("name", "p", "word"),
    [
        ("net.pt", 11, "net.pt must hold tensors and nothing else"),
        ("net.safetensors", 12, "d_vocab must be p + 1"),
        ("net.safetensors", 1, "p must be at least 2"),
        ("bad.safetensors", 11, "not a readable safetensors file"),
    ],
)
def test_weights_that_do_not_fit_are_a_sentence(adder, home, visit, name, p, word):
    data = b"no" if name.startswith("bad") else save(to_state_dict(adder(11, (2, 3), n_heads=2)))
    at = visit("runs")
    at.number_input(key="weights-p").set_value(p).run()
    press(upload(at, "weights-0", (name, data)), "Add to the runs", "add-weights")
    (error,) = at.error
    assert word in error.value
    assert "/" not in error.value.replace("runs/theirs", "").replace("d_model / n_heads", "")
    assert not list(home.iterdir())


def test_a_false_claim_is_doubted_where_it_is_made(adder, home, visit):
    at = visit("runs")
    at.number_input(key="weights-p").set_value(11).run()
    at.selectbox(key="weights-act").set_value("square").run()
    at.selectbox(key="weights-task").set_value("mul").run()
    data = save(to_state_dict(adder(11, (2, 3), n_heads=2)))
    press(upload(at, "weights-0", ("net.safetensors", data)), "Add to the runs", "add-weights")
    (warning,) = at.warning
    assert "mul-11-imported" in warning.value
    assert "100.0% as add" in warning.value


def test_the_kinds_of_weights_on_offer_are_those_that_are_read(adder, home, visit, monkeypatch, tmp_path):
    """On one's own machine .pt too; on a shared server not even one that gets by the chooser."""
    torch.save(to_state_dict(adder(11, (2, 3), n_heads=2)), tmp_path / "x.pt")
    for shared, kinds in (("0", [".safetensors", ".pt", ".pth"]), ("1", [".safetensors"])):
        monkeypatch.setenv("MIII_SHARED", shared)
        at = visit("runs")
        at.number_input(key="weights-p").set_value(11).run()
        assert list(at.file_uploader(key="weights-0").proto.type) == kinds
        data = (tmp_path / "x.pt").read_bytes()
        if shared == "1":
            assert len(upload(at, "weights-0", ("x.pt", data)).exception) == 1  # Streamlit refuses its name
            continue
        for turn, name in enumerate(("x.pt", "x.PTH")):
            press(upload(at, f"weights-{turn}", (name, data)), "Add to the runs", "add-weights")
            assert not at.error
    assert sorted(path.name for path in home.glob("add*")) == ["add-11-imported", "add-11-imported-2"]


def test_weights_beyond_the_app_are_a_sentence(home, visit, adder):
    at = visit("runs")
    at.number_input(key="weights-p").set_value(223).run()
    data = save(to_state_dict(adder(223, (2, 3))))
    press(upload(at, "weights-0", ("x.safetensors", data)), "Add to the runs", "add-weights")
    assert ["p must be at most 211" in error.value for error in at.error] == [True]
    assert not list(home.iterdir())


# ---- a shared server ----

Visit = Callable[..., AppTest]


def brought(at: AppTest, run: runs.Run) -> AppTest:
    return press(upload(at, "zip-0", ("x.zip", runs.pack(run))), "Add to the runs", "add-zip")


def test_the_page_says_that_a_shared_server_is_one(shared, home, visit, texts):
    at = visit("runs")
    said = texts(at)
    assert "This server is shared" in said
    assert "does not last" in said
    assert "at most 3,000 steps" in said


def test_on_one_s_own_computer_there_is_no_link_and_no_note(home, visit, texts, small_run):
    at = brought(visit("runs"), small_run)
    assert "shared" not in texts(at)
    assert not at.code
    assert not (home / ".owners").exists()


def test_only_who_brought_a_run_may_change_it(shared, home, visit, small_run):
    mine = brought(visit("runs"), small_run)
    assert table(mine).set_index("run").loc["small", "from"] == "uploaded"
    theirs = choose(visit("runs"), "small")
    assert table(theirs).set_index("run").loc["small", "from"] == "others"
    assert button(theirs, "Delete").disabled
    assert "Only the session that made" in button(theirs, "Delete").help
    for label, key in (("Delete", None), ("Rename", "rename")):
        press_late(choose(mine, "small"), label, key)
        assert ["Only the session" in error.value for error in mine.error] == [True]
        assert (home / "small").exists()
        mine.run()
    mine.text_input(key="rename-small").set_value("better").run()
    press(mine, "Rename", "rename")
    press(choose(mine, "better"), "Delete")
    assert not (home / "better").exists()
    press(mine, "Undo")
    assert not button(choose(mine, "better"), "Delete").disabled
    assert button(choose(theirs.run(), "better"), "Delete").disabled


def test_the_secret_link_gives_the_right_and_leaves_the_address(shared, home, visit, small_run, texts):
    mine = brought(visit("runs"), small_run)
    (link,) = (code.value for code in mine.code if "key=" in code.value)
    key = link.partition("?key=")[2]
    notes = [path.read_text() for path in (home / ".owners").iterdir()]
    assert all(part not in note for part in key.split(".") for note in notes)  # the hash alone is on the disk
    other = visit("runs", key=key)
    assert "key" not in other.query_params
    assert "secret link" in texts(other)
    assert not button(choose(other, "small"), "Delete").disabled
    stranger = visit("runs", key="x" * 32)
    assert button(choose(stranger, "small"), "Delete").disabled
    # what the other session makes is its own, and its link opens both
    brought(other, small_run)
    assert button(choose(mine.run(), "small-2"), "Delete").disabled
    (both,) = (code.value.partition("?key=")[2] for code in other.code if "key=" in code.value)
    third = visit("runs", key=both)
    for name in ("small", "small-2"):
        assert not button(choose(third, name), "Delete").disabled


@pytest.mark.parametrize("key", ["", ".", "x", "..." * 50, "é" * 20, "a" * 5000])
def test_a_key_that_is_none_shows_no_trace(shared, home, visit, key):
    at = visit("runs", key=key)
    assert not at.exception
    assert "key" not in at.query_params


def test_a_run_without_a_note_belongs_to_nobody(shared, mine, visit):
    assert button(choose(visit("runs"), "mine"), "Delete").disabled


def test_only_who_started_a_run_may_stop_it_even_in_the_queue(shared, home, registry, visit, monkeypatch):
    monkeypatch.setenv("MIII_MAX_STEPS", str(LONG))

    def begun() -> AppTest:
        at = visit("train")
        at.get_by_key("form-modular-fast-p").set_value(5).run()
        at.get_by_key("form-modular-fast-train_fraction").set_value(0.5).run()
        at.get_by_key("form-modular-fast-steps").set_value(LONG).run()
        return press(at, "Start")

    first = begun()
    second = begun()
    names = [job.name for job in registry.all()]
    assert len(names) == 2
    # the one that trains, seen by the other session; and the one that waits, seen by the first
    for at, name in ((second, names[0]), (first, names[1])):
        at.run().selectbox(key="run").set_value(name).run()
        assert button(at, "Stop").disabled
        assert "Only the session" in button(at, "Stop").help
        assert button(at, "Pause").disabled
    second.selectbox(key="run").set_value(names[1]).run()
    press_late(second, "Stop")
    assert not registry.get(names[1]).over
    press(second.run(), "Stop")
    assert registry.get(names[1]).over
    first.selectbox(key="run").set_value(names[0]).run()
    for label in ("Pause", "Stop"):
        press_late(first, label)
        assert not registry.get(names[0]).stop.is_set()
        first.run()
    press(first, "Stop")
    assert registry.get(names[0]).wait(30)
    second.selectbox(key="run").set_value(names[0]).run()
    assert button(second, "Resume").disabled
    press_late(first.run(), "Resume")
    assert registry.get(names[0]).over
    assert ["Only the session" in error.value for error in first.error] == [True]
    assert not button(first.run(), "Resume").disabled


def test_no_page_lets_another_session_stop_a_run(shared, home, registry, visit, monkeypatch):
    monkeypatch.setenv("MIII_MAX_STEPS", str(LONG))
    control = importlib.import_module("pages._server.control")
    at = visit("train")
    at.get_by_key("form-modular-fast-steps").set_value(LONG).run()
    press(at, "Start")
    first = press(visit("symbolic", expression="a*b + a", p=11), "Train")  # waits for the one above
    name = registry.all()[-1].name
    for page, query in (("symbolic", {"expression": "a*b + a", "p": 11}), ("train", {"run": name})):
        second = visit(page, **query)
        assert button(second, "Pause").disabled
        assert button(second, "Stop").disabled
    press_late(first, "Stop")
    assert ["Only the session" in error.value for error in first.error] == [True]
    for change in (control.pause, control.stop, control.resume):  # whatever calls it
        change(name)
        assert not registry.get(name).over
    press(first.run(), "Stop")
    assert registry.get(name).over


# ---- limits ----


def test_a_run_beyond_the_limit_of_steps_cannot_be_started(home, visit, texts, monkeypatch, registry):
    monkeypatch.setenv("MIII_MAX_STEPS", "500")
    at = visit("train")
    assert "at most 500 steps" in texts(at)
    at.get_by_key("form-modular-fast-steps").set_value(501).run()
    assert [error.value for error in at.error] == ["steps must be at most 500 on this server (got 501)."]
    assert button(at, "Start").disabled
    at.get_by_key("form-modular-fast-steps").set_value(500).run()
    assert not at.error
    assert not button(at, "Start").disabled


def test_starting_checks_the_limits_whatever_page_asks(home, server, monkeypatch, registry, small_config, shared):
    settings = importlib.import_module("pages._server.settings")
    monkeypatch.setenv("MIII_MAX_STEPS", "20")
    small = small_config(steps=20)
    settings.check_start(small, 2, 1)
    wide = small_config(task={"kind": "primes", "low": 10**6, "high": 1_700_000, "base": 2}, steps=5)
    deep = small_config(task={"p": 211}, model={"n_layers": 24, "d_mlp": 512, "d_model": 128}, steps=5)
    for config, busy, own, words in (
        (small_config(), 0, 0, "at most 20"),
        (small, 3, 0, "runs that train or wait must be at most 3"),
        (small, 2, 2, "runs of yours that train or wait must be at most 2"),
        (wide, 0, 0, "MB of memory"),
    ):
        with pytest.raises(miii.InputError, match=words):
            settings.check_start(config, busy, own)
    monkeypatch.setenv("MIII_MAX_MEMORY", "100000")
    with pytest.raises(miii.InputError, match="training step must take at most 5 seconds"):
        settings.check_start(deep, 0, 0)
    (home / "large").write_bytes(bytes(2_000_000))
    monkeypatch.setenv("MIII_MAX_DISK", "2")
    with pytest.raises(miii.InputError, match="of which 2 MB are taken"):
        settings.check_start(small, 0, 0)


def test_one_job_too_many_is_a_sentence(home, visit, monkeypatch, registry, small_config):
    monkeypatch.setenv("MIII_MAX_JOBS", "1")
    job = registry.start(home / "long", small_config(steps=LONG))
    at = press(visit("train"), "Start")
    assert ["at most 1 on this server" in error.value for error in at.error] == [True]
    assert registry.all() == [job]
    registry.stop(job)
    assert job.wait(30)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MIII_SHARED", "yes"),
        ("MIII_MAX_STEPS", "many"),
        ("MIII_MAX_STEPS", "0"),
        ("MIII_MAX_JOBS", "-1"),
        ("MIII_MAX_JOBS", "1.5"),
        ("MIII_MAX_JOBS", "٣"),
        ("MIII_MAX_MEMORY", "0"),
        ("MIII_MAX_DISK", "x" * 1000),
    ],
)
def test_a_setting_that_is_none_is_a_sentence_in_the_app(home, monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    at = AppTest.from_file(str(Path(__file__).parents[2] / "app.py"), default_timeout=60).run()
    assert not at.exception
    assert [error.value.startswith(f"{name} must be") for error in at.error] == [True]


def test_nothing_is_limited_on_one_s_own_computer(server, home):
    settings = importlib.import_module("pages._server.settings")
    found = settings.read()
    assert (found.shared, found.sentence()) == (False, "")
    assert {getattr(found, name) for name in settings.SHARED} == {None}


def test_the_community_cloud_is_a_shared_server(server, home, monkeypatch):
    settings = importlib.import_module("pages._server.settings")
    monkeypatch.setattr(settings, "CLOUD", Path(__file__).parents[2])
    assert settings.read() == settings.Settings(shared=True, **settings.SHARED)
    monkeypatch.setenv("MIII_SHARED", "0")
    assert not settings.read().shared


def test_a_shared_server_writes_into_a_temporary_folder_alone(shared, visit, small_run, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setenv("MIII_RUNS", "")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = {path.name for path in Path(__file__).parents[2].iterdir()}
    at = brought(visit("runs"), small_run)
    assert "small" in listed(at)
    assert {path.name for path in (tmp_path / "temporary" / "miii-runs").iterdir()} == {"small", ".owners"}
    assert {path.name for path in Path(__file__).parents[2].iterdir()} == before


def test_a_disk_that_lasts_is_not_said_to_be_lost(shared, home, visit, texts, tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    assert "does not last" not in texts(visit("runs"))
