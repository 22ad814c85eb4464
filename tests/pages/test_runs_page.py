"""The page Runs: the table is what lies on the disk, buttons do what they say, and what is brought in is checked."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pandas as pd
import pytest
import torch
from safetensors.torch import save
from shown import add, button, choose, fine, press, shown, upload
from streamlit.testing.v1 import AppTest

import miii
from miii import runs
from miii.foreign import to_state_dict

SHIPPED = [run.name for run in runs.every() if run.folder.parent == runs.homes()[1]]
LONG = 1_000_000


@pytest.fixture
def mine(small_run, home) -> runs.Run:
    """A run of one's own, called mine."""
    return runs.open(shutil.copytree(small_run.folder, home / "mine"))


def table(at: AppTest) -> Any:
    return at.dataframe[0].value.set_index("run")


def listed(at: AppTest) -> list[str]:
    return list(table(at).index) if at.dataframe else []


def weights(at: AppTest, *files: tuple[str, bytes], **fields: str) -> AppTest:
    """Bring in weights from elsewhere."""
    for field, value in fields.items():
        at.selectbox(key=f"weights-{field}").set_value(value).run()
    return add(at, "weights", *files)


# ---- the table ----


def test_the_table_is_what_lies_on_the_disk(mine, visit):
    told, row = table(visit("runs")), runs.row(mine)
    assert list(told.index) == ["mine", *SHIPPED]
    of_mine = told.loc["mine"]
    assert (of_mine["state"], of_mine["from"]) == ("done", "yours")
    assert of_mine["steps"] == row["steps"] == 24
    assert (of_mine["result"].strip(), of_mine["metric"]) == (f"{row['test_accuracy']:.1%}", "accuracy on test pairs")
    assert of_mine["changed"].startswith("train_fraction 0.5, d_model 8")
    size = sum(path.stat().st_size for path in mine.folder.rglob("*") if path.suffix)
    assert of_mine["MB"] == pytest.approx(size / 1e6)
    assert of_mine["date"].isoformat() == mine.provenance["date"]
    primes = runs.open("primes-10")
    assert told.loc["primes-10", "result"].strip() == f"{primes.rows()[-1]['auc']:.3f}"
    assert told.loc["add-113", "changed"] == "–"
    assert told.loc["primes-10", "reached at"] == primes.result["grokked_at"] == 400
    assert pd.isna(told.loc["miu-24", "reached"])
    assert set(told.loc[SHIPPED, "from"]) == {"shipped"}
    assert not told.loc[SHIPPED].duplicated(["task", "changed"]).any()


def test_search_finds_runs_by_name_task_and_origin(mine, visit):
    for search, names in (
        ("mine", ["mine"]),
        ("MOD 7 yours", ["mine"]),
        ("yours", ["mine"]),
        ("shipped theorems", ["miu-24"]),
        ("  ", ["mine", *SHIPPED]),
    ):
        at = visit("runs", search=search)
        assert listed(at) == at.selectbox(key="chosen").options == names
    at = visit("runs", search="nothing at all")
    assert not at.dataframe
    assert "nothing at all" in shown(at).text
    at.text_input(key="search").set_value("").run()
    assert listed(at) == ["mine", *SHIPPED]


def test_corrupt_runs_are_rows_with_their_reason(mine, home, visit):
    corrupt: dict[str, tuple[Callable[[Path], object], str, str]] = {
        "tomorrow": (lambda f: (f / "config.json").write_text('{"epochs": 3}'), "unreadable", "epochs"),
        "deep": (lambda f: (f / "config.json").write_text("[" * 100_000), "unreadable", "too deep"),
        "no-key": (lambda f: (f / "result.json").write_text("{}"), "corrupt", "stopped"),
        "latin": (lambda f: (f / "metrics.jsonl").write_bytes(b"\xe9\n"), "corrupt", "UTF-8"),
        "broken": (lambda f: (f / "metrics.jsonl").write_text("{\n"), "corrupt", "metrics.jsonl"),
        "no-snapshots": (
            lambda f: [shutil.rmtree(f / "snapshots"), (f / "snapshots").touch()],
            "corrupt",
            "snapshots",
        ),
        "loop": (lambda f: (f / ".lock").symlink_to(".lock"), "corrupt", ".lock"),
        "empty": (
            lambda f: [(f / name).unlink() for name in ("metrics.jsonl", "result.json", "provenance.json")],
            "unfinished",
            "",
        ),
    }
    for name, (change, _, _) in corrupt.items():
        shutil.copytree(mine.folder, home / name, ignore=shutil.ignore_patterns(".lock"))
        change(home / name)
    at = visit("runs", run="mine")
    told = table(at)
    for name, (_, state, word) in corrupt.items():
        assert told.loc[name, "state"] == state, name
        assert word in str(told.loc[name, "reason"]), name
    assert told.loc["mine", "state"] == "done"
    assert told.loc[["broken", "empty"], ["result", "steps"]].isna().all(axis=None)
    assert not {"tomorrow", "deep"} & set(at.selectbox(key="chosen").options)
    select(at, listed(at).index("deep"))
    fine(choose(at, "no-key"))
    for page in ("train", "symbolic", "compare", "data"):
        visit(page, run="mine", comparison="yours")


def select(at: AppTest, row: int) -> AppTest:
    """Click on a row of the table."""
    at.session_state[at.dataframe[0].key] = {"selection": {"rows": [row], "columns": [], "cells": []}}
    return fine(at.run())


def test_groups_keep_runs_with_the_same_value_together(mine, visit):
    at = visit("runs", group="what changed")
    assert list(table(at)["changed"]) == sorted(table(at)["changed"])
    assert list(at.dataframe[0].value)[:2] == ["run", "task"]
    assert set(listed(at)) == {"mine", *SHIPPED}


def test_weights_from_elsewhere_have_their_accuracy_on_all_pairs(bring, visit, zoo):
    bring("theirs")
    told = table(visit("runs")).loc["theirs"]
    assert (told["state"], told["from"], told["metric"]) == ("imported", "imported", "accuracy on all pairs")
    assert told["result"].strip() == f"{zoo('theirs').rows()[0]['accuracy']:.1%}"


def test_a_click_on_a_row_and_the_select_box_choose_alike(mine, visit):
    at = visit("runs")
    assert at.selectbox(key="chosen").value == "mine"
    select(at, 3)
    assert at.selectbox(key="chosen").value == listed(at)[3]
    assert choose(at, "miu-24").selectbox(key="chosen").value == "miu-24"
    assert {"download-runs.csv"} <= {widget.key for widget in at.get("download_button")}


# ---- what is done with a run ----


def test_open_and_compare_choose_the_runs_of_every_page(mine, visit):
    at = visit("runs", run="mine")
    assert button(at, "Compare").disabled  # with itself
    press(choose(at, "add-113"), "Compare")
    assert (at.session_state["run"], at.session_state["beside"]) == ("mine", "add-113")
    press(choose(at, "miu-24"), "Open")
    assert at.session_state["run"] == "miu-24"


def test_a_renamed_run_keeps_its_place_everywhere(mine, home, visit):
    at = choose(visit("runs", run="mine"), "mine")
    at.text_input(key="rename-mine").set_value(" better ").run()
    press(at, "Rename", "rename")
    assert (home / "better" / "config.json").exists()
    assert listed(at)[0] == at.selectbox(key="chosen").value == at.session_state["run"] == "better"
    at = visit("runs", run="add-113", beside="better")
    choose(at, "better").text_input(key="rename-better").set_value("best").run()
    press(at, "Rename", "rename")
    assert (at.session_state["run"], at.session_state["beside"]) == ("add-113", "best")
    for name in ("a/b", "", "add-113"):
        at.text_input(key="rename-best").set_value(name).run()
        press(at, "Rename", "rename")
        assert len(at.error) == 1
        assert (home / "best").exists()


def test_a_deleted_run_can_be_brought_back_as_long_as_it_is_kept(mine, home, visit, tree):
    before = tree(mine.folder)
    at = press(choose(visit("runs", run="mine"), "mine"), "Delete")
    assert not mine.folder.exists()
    assert "mine" not in listed(at)
    assert at.session_state["run"] != "mine"
    press(at, "Undo")
    assert tree(mine.folder) == before
    assert listed(at)[0] == at.selectbox(key="chosen").value == "mine"
    assert not [one for one in at.button if one.label == "Undo"]
    press(at, "Delete")
    shutil.rmtree(home / ".deleted")
    press(at, "Undo")
    assert len(at.error) == 1


def test_shipped_runs_can_only_be_read(mine, visit):
    at = choose(visit("runs"), "add-113")
    assert button(at, "Delete").help
    assert button(at, "Delete").disabled
    assert button(at, "Rename", "rename").disabled


def test_a_run_that_trains_or_waits_is_left_alone(mine, stopped_run, registry, visit, small_config, home):
    half = runs.open(shutil.copytree(stopped_run.folder, home / "half"))
    late = choose(visit("runs"), "half")  # a page of a moment ago
    job = registry.start(home / "long", small_config(steps=LONG))
    waits = [registry.start(home / "waits", small_config(steps=LONG)), registry.resume(half)]
    while not job.step:
        time.sleep(0.01)
    at = visit("runs")
    assert table(at).loc[["long", "waits"], "state"].tolist() == ["training", "queued"]
    for name in ("long", "waits"):
        assert button(choose(at, name), "Delete").disabled
    assert button(at, "Compare").disabled  # nothing of it is there yet
    press(late, "Delete")
    assert len(late.error) == 1
    assert half.folder.exists()
    for each in (*waits, job):
        registry.stop(each)
    assert job.wait(30)
    with filelock.FileLock(mine.folder / ".lock"):  # another process writes it
        at = choose(visit("runs"), "mine")
        assert table(at).loc["mine", "state"] == "training"
        press(at, "Delete")
        assert len(at.error) == 1


# ---- runs from elsewhere ----


def test_a_zip_or_a_folder_becomes_a_run(small_run, stopped_run, home, visit, same):
    at = visit("runs")
    assert button(at, "Import", "add-zip").disabled
    add(at, "zip", ("any.zip", runs.pack(small_run)))
    assert at.session_state["run"] == at.selectbox(key="chosen").value == "small"
    assert table(at).loc["small", "from"] == "uploaded"
    assert same(runs.open("small").weights(), small_run.weights())
    assert button(at, "Import", "add-zip").disabled  # the uploader is empty again
    add(at, "zip", ("any.zip", runs.pack(small_run)), turn=1)
    assert set(listed(at)[:2]) == {"small-2", "small"}
    kinds = (".json", ".jsonl", ".safetensors")  # what the uploader lets through
    paths = [path for path in stopped_run.folder.rglob("*") if path.suffix in kinds]
    files = [(f"mine/{path.relative_to(stopped_run.folder).as_posix()}", path.read_bytes()) for path in paths]
    assert "mine/resume.safetensors" in dict(files)
    add(at, "folder", *files, turn=2)
    assert runs.open("mine").rows() == stopped_run.rows()


def test_a_stopped_run_is_downloaded_with_its_training_state_on_request(mine, stopped_run, home, visit, gives):
    shutil.copytree(stopped_run.folder, home / "stopped")
    at = choose(visit("runs"), "mine")
    assert not at.checkbox  # there is no state to take along
    at = choose(at, "stopped")
    for resumable in (False, True):
        if resumable:
            at.checkbox[0].check().run()
        (download,) = (one for one in at.get("download_button") if one.label == "Download")
        add(visit("runs"), "zip", ("any.zip", gives(at, download.key)))
        assert runs.open(f"stopped-{2 + resumable}").can_resume == resumable


def test_a_file_that_is_no_run_is_a_sentence_and_leaves_nothing(home, visit, tmp_path):
    large = tmp_path / "large"
    large.mkdir()
    (large / "config.json").write_text(json.dumps(miii.RunConfig(task={"p": 223}, steps=1).model_dump(mode="json")))
    for data, word in ((b"no zip", "zip file"), (runs.pack(runs.open(large)), "(got 223)")):
        at = add(visit("runs"), "zip", ("bad.zip", data))
        assert [word in error.value for error in at.error] == [True]
        assert not list(home.iterdir())


def test_weights_become_a_run_and_a_false_claim_is_doubted(adder, home, visit, same, monkeypatch):
    monkeypatch.setenv("MIII_SHARED", "1")
    state = to_state_dict(adder(11, (2, 3), n_heads=2))
    data = save(state | {"blocks.0.extra": torch.zeros(1)})
    at = weights(visit("runs"), ("their net.safetensors", data))
    run = runs.open("add-11-imported")
    assert all(words in shown(at).text for words in ("blocks.0.extra", "square (guessed", "100.00% over all pairs"))
    assert not at.warning
    assert run.provenance["file"] == "their?net.safetensors"
    assert run.rows()[0]["accuracy"] == 1.0
    assert same(to_state_dict(run.model()), state)
    at = visit("runs")
    at.text_input(key="weights-name").set_value("mine-seed7").run()
    at = weights(at, ("net.safetensors", save(state)), task="mul")
    (warning,) = at.warning
    assert all(words in warning.value for words in ("mine-seed7", "100.0% of a + b: did you mean --task add?"))
    assert runs.open("mine-seed7").seed is None


def test_weights_that_do_not_fit_are_a_sentence(adder, home, visit, monkeypatch):
    monkeypatch.setenv("MIII_SHARED", "1")
    state = to_state_dict(adder(11, (2, 3), n_heads=2))
    for files, word in (
        ([("net.safetensors", save({n: v for n, v in state.items() if n != "embed.W_E"}))], "lacks embed.W_E"),
        ([("net.safetensors", save(to_state_dict(adder(223, (2, 3)))))], "p must be at most 211"),
        ([("bad.safetensors", b"no")], "bad.safetensors is not a readable"),
    ):
        (error,) = weights(visit("runs"), *files).error
        assert word in error.value
        assert "/tmp" not in error.value
        assert not [path for path in home.iterdir() if path.name[0] != "."]


def test_pickled_weights_are_read_on_one_s_own_computer_alone(adder, home, visit, monkeypatch, tmp_path):
    torch.save(to_state_dict(adder(11, (2, 3), n_heads=2)), tmp_path / "x.pt")
    data = (tmp_path / "x.pt").read_bytes()
    at = visit("runs")
    assert ".pt" in at.file_uploader(key="weights-0").proto.type
    assert not add(
        at, "weights", ("step_1.PTH", data), ("step_20.pt", data)
    ).error  # a history, in a process of its own
    assert runs.open("add-11-imported").steps == [1, 20]
    at = visit("train", run="add-11-imported")
    assert "2 snapshots of a network" in shown(at).text
    assert len(at.get("vega_lite_chart")) >= 3
    monkeypatch.setenv("MIII_SHARED", "1")
    at = visit("runs")
    assert list(at.file_uploader(key="weights-0").proto.type) == [".safetensors"]
    assert len(upload(at, "weights-0", ("x.pt", data)).exception) == 1  # Streamlit refuses its name
    assert sorted(path.name for path in home.glob("add*")) == ["add-11-imported"]
