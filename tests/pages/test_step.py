"""The slider of steps: None is the last snapshot, whatever that is by now; a step stands in the address."""

import json
import shutil

import pandas as pd
import pyarrow as pa
import pytest
from shown import drag, move, player, stands_at

import miii
from miii import runs


def test_none_is_the_last_and_stands_in_no_address(adding, visit):
    for asked in ({}, {"step": 30}):
        at = visit("fourier", run="adding", **asked)
        assert at.session_state["step"] is None
        assert stands_at(at) == 30
        assert "step" not in at.query_params
        assert not at.warning


def test_a_move_is_heard_shown_and_kept_in_the_address(adding, visit, texts):
    at = visit("fourier", run="adding")
    assert (player(at) or {})["steps"] == adding.steps
    for step in adding.steps[:-1]:
        drag(at, step)
        assert at.session_state["step"] == stands_at(at) == step
        assert at.query_params["step"] == str(step)
        assert f"Key frequencies at step {step}:" in texts(at)
    drag(at, 30)
    assert at.session_state["step"] is None
    assert "step" not in at.query_params


def test_a_step_is_kept_from_page_to_page(adding, visit):
    at = move(visit("fourier", run="adding"), adding.steps[1])
    for page in ("attention", "data", "neurons"):
        at.switch_page(f"pages/{page}.py").run()
        assert not at.exception
        if page != "data":
            assert stands_at(at) == adding.steps[1]


@pytest.mark.parametrize("step", ["x", "29", "-1", "1.5", ""])
def test_an_unknown_step_in_the_address_gives_the_last_one_with_a_note(adding, visit, step):
    at = visit("fourier", run="adding", step=step)
    assert stands_at(at) == 30
    assert "step" not in at.query_params
    (said,) = [warning.value for warning in at.warning]
    listed = ", ".join(map(str, adding.steps))
    assert said.endswith(f"step must be one of {listed} (got {step}); showing 30.")
    assert not at.run().warning


def test_a_way_back_in_the_browser_is_followed(adding, visit):
    at = visit("fourier", run="adding", step=adding.steps[1])
    drag(at, adding.steps[2])
    at.query_params["step"] = str(adding.steps[1])
    assert stands_at(at.run()) == adding.steps[1]


def test_the_last_follows_a_run_that_grows_and_a_chosen_step_stays(adding, visit):
    last = adding.folder / "snapshots" / "30.safetensors"
    last.rename(adding.folder / "later")
    newest, chosen = visit("fourier", run="adding"), visit("fourier", run="adding", step=adding.steps[0])
    assert stands_at(newest) == adding.steps[-1] != 30
    (adding.folder / "later").rename(last)
    for at, step in ((newest, 30), (chosen, adding.steps[0])):
        assert stands_at(at.run()) == step
        assert not at.exception
        assert (player(at) or {})["steps"][-1] == 30


def test_a_step_that_another_run_does_not_have_becomes_its_last(adding, home, small_config, visit):
    other = runs.record(home / "other", miii.train(small_config(task={"p": 11}, steps=7, snapshots=2)))
    step = next(step for step in adding.steps if step not in other.steps)
    at = visit("fourier", run="adding", step=step)
    at.selectbox(key="run").select("other").run()
    assert not at.exception
    assert stands_at(at) == other.steps[-1]
    assert at.session_state["step"] is None


def test_its_phases_are_those_of_the_library(home, visit):
    shipped = runs.shipped("add-113")
    shutil.copytree(shipped.folder, home / "mine")
    wanted = miii.analysis.phases.outline(shipped.config.task, shipped.metrics(), (shipped.result or {})["grokked_at"])
    shown = (player(visit("fourier", run="mine")) or {})["phases"]
    assert shown == [{"name": phase.name, "from": phase.start, "to": phase.end} for phase in wanted]
    assert len(shown) > 1


def test_slider_and_progress_agree_on_the_phase_of_every_snapshot(visit):
    at = visit("progress", run="add-113")
    slider = tuple(miii.analysis.phases.Phase(*phase.values()) for phase in player(at)["phases"])
    chart = json.loads(at.get("vega_lite_chart")[0].proto.spec)
    (marks,) = (rows for rows in _datasets(at.get("vega_lite_chart")[0]) if "phase" in rows)
    begun = dict(zip(marks["phase"], marks["at"], strict=True))
    assert chart["title"] == "Losses"
    for step in runs.open("add-113").steps:
        said = miii.analysis.phases.phase_at(slider, step)
        drawn = max((name for name in begun if begun[name] <= max(step, 0.7)), key=begun.__getitem__)
        assert said == drawn, step
    assert miii.analysis.phases.phase_at(slider, 52) == "circuit formation"


def _datasets(chart) -> list[pd.DataFrame]:
    return [pa.ipc.open_stream(data.data.data).read_pandas() for data in chart.proto.datasets]
