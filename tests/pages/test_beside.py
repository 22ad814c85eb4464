"""A second run beside the first: its figures are its own, at the nearest snapshot, and what cannot be drawn says so."""

import importlib
import json
from typing import Any

import pytest
from shown import figures, move
from streamlit.testing.v1 import AppTest

import miii
from miii import runs
from miii.notebook.cells import Figure


@pytest.fixture
def second(home, small_config) -> runs.Run:
    """A smaller run modulo 11 with a single head, and other snapshots than the first one has."""
    model = {"n_heads": 1, "d_mlp": 4}
    return runs.record(home / "second", miii.train(small_config(task={"p": 11}, model=model, steps=20, snapshots=3)))


@pytest.fixture
def beside(server) -> Any:
    return importlib.import_module("pages._kit.beside")


def labels(at: AppTest) -> list[str]:
    """Which run and step the charts are said to show, in their order."""
    said = [text.value.strip("*") for text in at.markdown]
    return [text for text in said if text.startswith(("adding", "second"))]


def titles(at: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"] for chart in at.get("vega_lite_chart")]


def drawn(figure: Figure, **changed: Any) -> list[str]:
    """The titles of what a figure's function draws; none where it cannot."""
    try:
        made = figure.make(**figure.arguments | changed)
    except (miii.InputError, IndexError):
        return []
    return [str(chart.title) for chart in (made if isinstance(made, tuple) else (made,))]


def nearest(run: runs.Run, step: int) -> int:
    return min(run.steps, key=lambda other: abs(other - step))


@pytest.mark.parametrize("page", ["fourier", "formula", "train", "progress"])
def test_every_figure_of_a_page_stands_beside_the_same_one_of_the_other_run(adding, second, visit, page):
    alone, both = visit(page, run="adding"), visit(page, run="adding", beside="second")
    assert not both.warning
    assert both.selectbox(key="beside").value == "second"
    shown, last = figures(both), second.steps[-1]
    assert [figure.arguments for figure in shown] == [figure.arguments for figure in figures(alone)]
    assert len(labels(both)) == 2 * len(shown)
    wanted, refused = [], 0
    for figure in shown:
        instead = {
            "step": last,
            "snapshots": len(second.steps),
            "other": nearest(second, figure.arguments.get("other") or 0),
        }
        other = drawn(figure, name="second", **{key: instead[key] for key in instead.keys() & figure.arguments.keys()})
        wanted += drawn(figure) + other
        refused += not other
    assert titles(both) == wanted
    assert sum("cannot be drawn of second" in info.value for info in both.info) == refused < len(shown)


def test_the_other_chart_is_what_the_library_draws_of_the_other_run(adding, second, visit):
    step = adding.steps[2]
    at = visit("fourier", run="adding", beside="second", step=step)
    figure = figures(at)[0]
    assert figure.arguments == {"name": "adding", "step": step}  # what is exported is the first
    draw = importlib.import_module("pages._kit.draw")
    for chart, name, shown in zip(
        at.get("vega_lite_chart")[:2], ("adding", "second"), (step, nearest(second, step)), strict=True
    ):
        wanted = draw.drawing(figure.make(name, shown))
        assert json.loads(chart.proto.spec) == json.loads(wanted.spec)
        assert [bytes(sent.data.data) for sent in chart.proto.datasets] == list(wanted.data.values())


def test_it_follows_the_step_at_its_nearest_snapshot(adding, second, visit):
    at = visit("fourier", run="adding", beside="second")
    seen = set()
    for step in adding.steps:
        move(at, step)
        assert not at.exception
        assert labels(at)[:2] == [f"adding, step {step}", f"second, step {nearest(second, step)}"]
        seen.add(nearest(second, step))
    assert seen == set(second.steps)


def test_what_it_has_not_cannot_be_drawn_and_says_so(adding, second, visit):
    at = visit("attention", run="adding", beside="second", head=1)  # it has head 0 alone
    said = [info.value for info in at.info if info.value.startswith("This figure cannot be drawn of second")]
    assert said
    assert "Head 1: attention to a" in titles(at)
    other = visit("attention", run="adding", beside="second", head=0)
    assert not [info for info in other.info if "cannot be drawn" in info.value]


def test_why_it_cannot_be_drawn_is_the_library_s_sentence(adding, home, small_config, visit):
    runs.record(home / "seven", miii.train(small_config(steps=5)))
    at = visit("formula", run="adding", beside="seven")
    assert any(info.value.startswith("This figure cannot be drawn of seven: p must be at least 11") for info in at.info)


def test_only_other_runs_on_a_task_of_the_same_kind_are_offered(adding, second, visit):
    at = visit("fourier", run="adding")
    kinds = {run.name: run.config.task.kind for run in runs.every()}
    assert set(kinds.values()) > {"modular"}
    offered = at.selectbox(key="beside").options
    assert offered == [name for name, kind in kinds.items() if kind == "modular" and name != "adding"]
    at.selectbox(key="run").select("primes-10").run()
    assert set(at.selectbox(key="beside").options) == {
        name for name, kind in kinds.items() if kind == "primes" and name != "primes-10"
    }


@pytest.mark.parametrize("chosen", ["second", "primes-10"])
def test_it_is_let_go_where_it_cannot_stand_beside_the_chosen_run(adding, second, visit, chosen):
    at = visit("data", run="adding", beside="second")
    at.selectbox(key="run").select(chosen).run()
    assert not at.exception
    assert at.selectbox(key="beside").value is None


@pytest.mark.parametrize("asked", ["nosuch", "adding", "primes-10"])
def test_one_in_the_address_that_cannot_be_had_is_noted_once(adding, visit, asked):
    at = visit("fourier", run="adding", beside=asked)
    assert [warning.value for warning in at.warning] == [
        "The link asked for something that is not here: beside must be another run on a task of the same kind "
        f"(got {asked}); showing none."
    ]
    assert not labels(at)
    assert not at.run().warning


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ({"name": "adding"}, {"name": "second"}),
        ({"name": "adding", "step": 19, "k": 3}, {"name": "second", "step": 20, "k": 3}),
        ({"name": "adding", "step": 19, "other": 3}, {"name": "second", "step": 20, "other": 1}),
        ({"name": "adding", "step": 0, "other": None}, {"name": "second", "step": 0, "other": None}),
        ({"name": "adding", "snapshots": 5}, {"name": "second", "snapshots": 3}),
        ({"name": "second", "step": 0}, None),
        ({"p": 7}, None),
    ],
    ids=str,
)
def test_the_arguments_of_the_other_figure(beside, second, monkeypatch, arguments, wanted):
    monkeypatch.setattr("streamlit.session_state", {"beside": "second"})
    assert beside.arguments_of_second(arguments) == wanted
    monkeypatch.setattr("streamlit.session_state", {"beside": "gone"})
    assert beside.arguments_of_second(arguments) is None


def test_the_choice_outlasts_a_page_that_has_no_place_for_it(adding, second, visit):
    at = visit("fourier", run="adding", beside="second")
    at.switch_page("pages/compare.py").run()
    assert "beside" not in [box.key for box in at.selectbox]
    at.switch_page("pages/fourier.py").run()
    assert at.selectbox(key="beside").value == "second"
