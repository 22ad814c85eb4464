"""The page Sweeps: its figures are the sweep's table, and its buttons train, stop, extend and import."""

import shutil
import time

import pytest
from shown import app, button, fine, shown, upload

from miii import runs, sweeps


@pytest.fixture
def mine(small_config, home) -> sweeps.Sweep:
    """A sweep of four runs, of which one has ended."""
    sweep = sweeps.create(home / "mine", small_config(steps=6), {"lr": [0.01, 0.02], "weight_decay": [1.0, 2.0]})
    name, config = next(iter(sweep.configs.items()))
    sweeps.finish(sweep.folder / name, config)
    return sweep


def until_ended(name: str) -> None:
    end = time.monotonic() + 60
    while not app("_server.sweeping").get(name).ended and time.monotonic() < end:
        time.sleep(0.02)
    assert app("_server.sweeping").get(name).ended


def test_the_shipped_sweep_is_shown_as_its_table_says(see):
    table = sweeps.open("add-23-sweep").table()
    assert (len(table), set(table["status"])) == (27, {"done"})
    view = see("sweeps", sweep="add-23-sweep", metric="Test loss")
    assert not view.errors
    assert len(view.charts) == 3
    found = view.numbers("by_two_options").set_index(["lr", "weight_decay"])
    wanted = table.groupby(["lr", "weight_decay"])["test_loss"].agg(["median", "min", "max", "count"])
    for setting, row in wanted.iterrows():
        assert found.loc[setting, ["median", "lowest", "highest", "seeds"]].tolist() == pytest.approx(list(row))
        run = table[table["run"] == found.loc[setting, "run"]].iloc[0]
        assert run["test_loss"] == pytest.approx(row["median"])
    told = view.table("changed").set_index("run")["changed"]
    assert told["lr=0.03,weight_decay=2,seed=1"] == "lr=0.03, weight_decay=2.0"


def test_a_run_of_a_sweep_is_shown_by_every_page(mine, visit):
    name = f"mine/{next(iter(mine.configs))}"
    assert shown(visit("train", run=name)).value("run") == name
    at = visit("train", run="mine/../mine")
    assert shown(at).value("run") != "mine/../mine"


def test_a_sweep_is_trained_and_extended(mine, visit):
    at = visit("sweeps", sweep="mine")
    fine(button(at, "Train the 3 left").click().run())
    until_ended("mine")
    assert mine.counts() == {"done": 4}
    at = visit("sweeps", sweep="mine")
    at.text_input(key="extend-grid-mine").set_value("lr=0.05")
    fine(button(at, "Extend and train").click().run())
    until_ended("mine")
    assert sweeps.open(mine.folder).counts() == {"done": 6}


def test_a_new_sweep_varies_the_chosen_run_within_the_limits(mine, visit, monkeypatch):
    monkeypatch.setenv("MIII_SHARED", "1")
    at = visit("sweeps", run=f"mine/{next(iter(mine.configs))}")
    assert button(at, "Train the 3 left").disabled  # another session's
    at.text_input(key="new-sweep-grid").set_value("lr=0.01,0.02")
    at.number_input(key="new-sweep-seeds").set_value(40)
    button(at, "Start sweep").click().run()
    assert any("at most 64 runs" in error for error in shown(at).errors)
    at.number_input(key="new-sweep-seeds").set_value(1)
    fine(button(at, "Start sweep").click().run())
    until_ended("my-sweep")
    assert sweeps.open(runs.homes()[0] / "my-sweep").counts() == {"done": 2}


def test_a_zip_file_of_a_sweep_is_checked_and_shown(mine, visit, tmp_path):
    shutil.make_archive(str(tmp_path / "cluster"), "zip", mine.folder.parent, "mine")
    for data, ok in (((tmp_path / "cluster.zip").read_bytes(), True), (b"PK nonsense", False)):
        at = visit("sweeps")
        upload(at, "sweep-zip-0", ("cluster.zip", data))
        button(at, "Add to the sweeps").click().run()
        assert bool(shown(at).errors) != ok
        assert {sweep.name for sweep in sweeps.every()} == {"mine", "mine-2", "add-23-sweep", "phases-add-13"}
