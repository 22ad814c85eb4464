"""A second run beside the first: its own figures at the nearest snapshot, or a reason."""

import json
from typing import Any

import pytest
from shown import Shown, app, fine, move, shown

import miii
from miii import runs
from miii.notebook.cells import Figure


def labels(view: Shown) -> list[str]:
    """The run and step above each chart, in their order."""
    texts = [text.strip("*") for text in view.prose["markdown"]]
    return [text for text in texts if text.startswith(("adding", "second"))]


def titles(figure: Figure, **changed: Any) -> list[str]:
    """The titles of what a figure's function draws; none where it cannot."""
    try:
        made = figure.make(**figure.arguments | changed)
    except (miii.InputError, IndexError):
        return []
    return [str(chart.title) for chart in (made if isinstance(made, tuple) else (made,))]


def nearest(run: runs.Run, step: int) -> int:
    return min(run.steps, key=lambda other: abs(other - step))


@pytest.mark.parametrize("page", ["fourier", "progress"])
def test_every_figure_of_a_page_stands_beside_the_same_one_of_the_other_run(zoo, see, page):
    second = zoo("second")
    alone, both = see(page, run="adding"), see(page, run="adding", beside="second")
    assert both.value("beside") == "second"
    assert not both.prose["warning"]
    assert [figure.arguments for figure in both.figures] == [figure.arguments for figure in alone.figures]
    assert len(labels(both)) == 2 * len(both.figures)
    wanted, refused = [], 0
    for figure in both.figures:
        instead = {
            "step": nearest(second, figure.arguments.get("step") or 0),
            "snapshots": len(second.steps),
            "other": nearest(second, figure.arguments.get("other") or 0),
        }
        other = titles(figure, name="second", **{key: instead[key] for key in instead.keys() & figure.arguments.keys()})
        wanted += titles(figure) + other
        refused += not other
    assert both.drawn == wanted
    assert sum("second" in info for info in both.infos) == refused < len(both.figures)


def test_the_other_chart_is_the_library_s_at_the_nearest_snapshot(zoo, visit):
    adding, second = zoo("adding"), zoo("second")
    drawing, seen = app("_kit.draw").drawing, set()
    at = visit("fourier", run="adding", beside="second")
    for step in adding.steps:
        view, other = shown(move(at, step)), nearest(second, step)
        assert labels(view)[:2] == [f"adding, step {step}", f"second, step {other}"]
        figure = view.figures[0]
        k = figure.arguments["k"]
        assert figure.arguments == {"name": "adding", "step": step, "k": k}  # what is exported is the first
        for chart, name, shown_at in zip(view.charts, ("adding", "second"), (step, other), strict=False):
            wanted = drawing(figure.make(name, shown_at, k))
            assert json.loads(chart.spec) == json.loads(wanted.spec)
            assert chart.data == wanted.data
        seen.add(other)
    assert seen == set(second.steps)


def test_what_the_other_run_does_not_have_is_not_drawn_for_the_library_s_reason(see):
    without = see("attention", run="adding", beside="second", head=1)  # it has head 0 alone
    assert [info for info in without.infos if "second" in info]
    assert "Head 1: attention to a" in without.drawn
    assert not see("attention", run="adding", beside="second", head=0).infos
    infos = see("neurons", run="adding", beside="seven").infos
    assert any("p must be at least 11" in info for info in infos), infos


def test_only_other_runs_on_a_task_of_the_same_kind_are_offered(zoo, visit):
    for name in ("second", "primes"):
        zoo(name)
    at = visit("fourier", run="adding", beside="second")
    kinds = {run.name: run.config.task.kind for run in runs.every()}
    assert set(at.selectbox(key="beside").options) == {n for n, kind in kinds.items() if kind == "modular"} - {"adding"}
    at.switch_page("pages/compare.py").run()  # which has no place for it
    assert "beside" not in [box.key for box in at.selectbox]
    at.switch_page("pages/fourier.py").run()
    assert at.selectbox(key="beside").value == "second"
    at.selectbox(key="run").select("primes").run()
    assert set(at.selectbox(key="beside").options) == {n for n, kind in kinds.items() if kind == "primes"} - {"primes"}
    assert fine(at).selectbox(key="beside").value is None
    at = visit("data", run="adding", beside="second")
    at.selectbox(key="run").select("second").run()
    assert at.selectbox(key="beside").value is None


def test_one_in_the_address_that_cannot_be_had_is_noted_once(visit):
    for asked in ("nosuch", "adding", "primes-10"):
        at = visit("fourier", run="adding", beside=asked)
        (note,) = shown(at).prose["warning"]
        assert f"beside must be another run on a task of the same kind (got {asked})" in note
        assert not labels(shown(at))
        assert not at.run().warning


def test_the_arguments_of_the_other_figure(zoo, monkeypatch):
    zoo("second")
    second_run = app("_kit.second_run")
    for arguments, wanted in (
        ({"name": "adding"}, {"name": "second"}),
        ({"name": "adding", "step": 19, "k": 3}, {"name": "second", "step": 20, "k": 3}),
        ({"name": "adding", "step": 19, "other": 3}, {"name": "second", "step": 20, "other": 1}),
        ({"name": "adding", "step": 0, "other": None}, {"name": "second", "step": 0, "other": None}),
        ({"name": "adding", "snapshots": 5}, {"name": "second", "snapshots": 3}),
        ({"name": "second", "step": 0}, None),
        ({"p": 7}, None),
    ):
        monkeypatch.setattr("streamlit.session_state", {"beside": "second"})
        assert second_run.arguments_of_second(arguments) == wanted
        monkeypatch.setattr("streamlit.session_state", {"beside": "gone"})
        assert second_run.arguments_of_second(arguments) is None
