"""The pages Sweeps, Phase diagram and Trainability: figures as in the files; buttons that train, stop and extend."""

import shutil
import time

import pytest
from shown import app, button, fine, shown, upload

from miii import landscape, runs, sweeps

# ---- Sweeps ----


@pytest.fixture
def mine(small_config, home) -> sweeps.Sweep:
    """A sweep of four runs, of which one has ended."""
    sweep = sweeps.create(home / "mine", small_config(steps=6), {"lr": [0.01, 0.02], "weight_decay": [1.0, 2.0]})
    name, config = next(iter(sweep.configs.items()))
    sweeps.finish(sweep.folder / name, config)
    return sweep


def sweep_ended(name: str) -> None:
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
    sweep_ended("mine")
    assert mine.counts() == {"done": 4}
    at = visit("sweeps", sweep="mine")
    at.text_input(key="extend-grid-mine").set_value("lr=0.05")
    fine(button(at, "Extend and train").click().run())
    sweep_ended("mine")
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
    sweep_ended("my-sweep")
    assert sweeps.open(runs.homes()[0] / "my-sweep").counts() == {"done": 2}


def test_a_zip_file_of_a_sweep_is_checked_and_shown(mine, visit, tmp_path):
    shutil.make_archive(str(tmp_path / "cluster"), "zip", mine.folder.parent, "mine")
    for data, ok in (((tmp_path / "cluster.zip").read_bytes(), True), (b"PK nonsense", False)):
        at = visit("sweeps")
        upload(at, "sweep-zip-0", ("cluster.zip", data))
        button(at, "Add to the sweeps").click().run()
        assert bool(shown(at).errors) != ok
        assert {sweep.name for sweep in sweeps.every()} == {"mine", "mine-2", "add-23-sweep", "phases-add-13"}


# ---- Phase diagram ----


def test_the_shipped_diagram_is_shown_as_its_table_says(see):
    sweep = sweeps.open("phases-add-13")
    table = sweeps.Diagram(sweep, "lr", "weight_decay").table()
    assert set(sweeps.phases.PHASES) <= set(table["phase"])
    view = see("phases")
    assert not view.errors
    found = view.numbers("phase_map")
    assert found["phase"].tolist() == table["phase"].tolist()
    assert f"{(~table['inferred']).sum()} networks were trained" in view.captions
    run = table["run"].dropna().iloc[0]
    view = see("phases", run=f"phases-add-13/{run}")
    assert len(view.charts) == 2  # the curves of the chosen run


def test_a_diagram_is_trained_from_the_form_within_the_limits(home, visit, monkeypatch):
    at = visit("phases")
    at.number_input(key="phases-count").set_value(4)
    at.number_input(key="phases-p").set_value(5)
    at.number_input(key="phases-steps").set_value(100)
    at.number_input(key="phases-lr-low").set_value(0.5)
    button(at, "Train").click().run()
    assert any("lr must run from a low value" in error for error in shown(at).errors)
    at.number_input(key="phases-lr-low").set_value(0.01)
    with monkeypatch.context() as shared:
        shared.setenv("MIII_SHARED", "1")
        shared.setenv("MIII_MAX_SWEEP", "15")
        button(at, "Train").click().run()
        assert any("at most 15 cells" in error for error in shown(at).errors)
    assert not list(home.iterdir())
    fine(button(at, "Train").click().run())
    end = time.monotonic() + 120
    while not app("_server.sweeping").get("phases-add-5-lr-weight-decay").ended and time.monotonic() < end:
        time.sleep(0.05)
    diagram = sweeps.Diagram(sweeps.open(runs.homes()[0] / "phases-add-5-lr-weight-decay"), "lr", "weight_decay")
    assert not diagram.next()
    assert len(diagram.table()) == 16
    at = visit("phases", diagram="phases-add-5-lr-weight-decay")
    assert shown(fine(at)).value("diagram") == "phases-add-5-lr-weight-decay"


# ---- Trainability ----


def map_ended(view: landscape.View) -> None:
    end = time.monotonic() + 60
    while not app("_server.mapping").get(view).ended and time.monotonic() < end:
        time.sleep(0.02)
    assert app("_server.mapping").get(view).ended


def test_the_shipped_maps_are_shown_with_their_dimensions(see):
    view = see("trainability")
    assert not view.errors
    tile = landscape.open("tanh-0")
    assert view.numbers("map_of")["value"].tolist() == [float(f"{v:.4g}") for v in tile.measures.ravel()]
    rows = view.table("paper").set_index("condition")
    for name, condition in landscape.CONDITIONS.items():
        maps = landscape.sequence(name)
        if maps:
            found = landscape.dimension([each.measures for each in maps])
            assert rows.loc[condition.title, ["paper", "here", "from", "to"]].tolist() == [
                condition.dimension,
                found.value,
                found.low,
                found.high,
            ]
    assert "(1.5, 1.5)" in view.captions


def test_a_map_is_computed_in_the_background_and_left_again(home, visit, monkeypatch):
    controls = app("_parts.trainability.controls")
    monkeypatch.setitem(controls.NETWORKS, controls.SMALL, {"width": 2, "steps": 20, "precision": "float32"})
    at = visit("trainability", networks=controls.SMALL, cells="16")
    assert "not been computed" in shown(at).infos[0]
    fine(button(at, "Compute this map").click().run())
    view = landscape.View(width=2, steps=20, precision="float32", resolution=16)
    map_ended(view)
    at = fine(at.run())
    assert (shown(at).numbers("map_of")["value"] < 0).sum() == (
        landscape.open(landscape.named(view)).measures < 0
    ).sum()
    at.text_input(key="across").set_value("1 1.5")
    at.text_input(key="upward").set_value("2 2.5")
    fine(at.run())
    fine(button(at, "Zoom out").click().run())
    wider = view.zoomed(-0.75, 3.25, 0.25, 4.25)
    map_ended(wider)
    at = fine(at.run())
    assert [at.text_input(key=key).value for key in ("across", "upward")] == ["-0.75 3.25", "0.25 4.25"]
    fine(button(at, "Back").click().run())
    assert at.text_input(key="across").value == "1 1.5"


def test_bounds_that_cannot_be_shown_are_refused(visit):
    for across, match in (
        ("2 1", "x_high must be greater"),
        ("one two", "two numbers"),
        ("1 1.0000000000001", "float64"),
        ("nan inf", "finite"),
    ):
        at = visit("trainability", across=across)
        assert any(match in error for error in shown(at).errors)
        assert not shown(at).charts


def test_a_film_of_a_zoom_is_computed_and_offered(home, visit, monkeypatch):
    controls, mapping = app("_parts.trainability.controls"), app("_server.mapping")
    monkeypatch.setitem(controls.NETWORKS, controls.SMALL, {"width": 2, "steps": 20, "precision": "float32"})
    view = landscape.View(width=2, steps=20, precision="float32", resolution=16, x_low=1, x_high=2, y_low=1, y_high=2)
    landscape.write(mapping.place(view), list(landscape.compute(view))[-1])
    at = visit("trainability", networks=controls.SMALL, cells="16", across="1 2", upward="1 2")
    at.number_input(key="film-frames").set_value(2)
    at = fine(at.run())
    fine(button(at, "Compute 2 maps of 16 x 16 cells").click().run())
    map_ended(view)
    at = fine(at.run())
    assert {"Film (GIF)", "Frames (PNG)"} <= {each.proto.label for each in at.get("download_button")}
    at = visit("trainability", networks=controls.SMALL, cells="16")
    assert all("number_input" not in str(each.key) and each.key != "film-frames" for each in at.number_input)


def test_the_map_of_grokking_is_shown_with_its_answer(see):
    view = see("trainability", condition="Modular addition: does it grok?", cells="32")
    assert not view.errors
    tile = landscape.open("grokking-0")
    assert view.numbers("map_of")["value"].tolist() == [float(f"{v:.4g}") for v in tile.measures.ravel()]
    table = landscape.question.table()
    assert landscape.question.answer(table, landscape.question.moved()) in view.text
    assert view.table("dimension").iloc[0]["dimension"] == round(table["dimension"].iloc[0], 3)
