"""The page Symbolic: what it says is what the library finds."""

import importlib
import time

import pytest

import miii
from miii import analysis, runs
from miii.analysis import logic

TASK = {"operation": "expr", "expression": "3*a - b", "p": 11, "train_fraction": 0.7}


@pytest.fixture(autouse=True)
def registry(server):
    """The jobs of a server of one's own."""
    jobs = importlib.import_module("pages._server.jobs")
    yield jobs.registry()
    jobs.registry().close()
    jobs.registry.clear()


def charts(at):
    return at.get("vega_lite_chart")


def test_it_says_what_the_printed_program_and_equation_3_compute(visit, texts):
    at = visit("symbolic", p=11)
    assert not at.error
    printed, network, weights = (frame.value for frame in at.dataframe[:3])
    assert printed["program"].tolist() == logic.truth(logic.not_all_equal, 3).tolist()
    assert printed["xor"].tolist() == logic.truth(logic.xor, 3).tolist()
    assert network[["σ ₁ > 0", "σ ₂ > 0"]].to_numpy().all()
    assert weights["network"].tolist() == weights["program"].tolist()
    said = texts(at)
    assert "agree in 8 of 8 rows" in said
    assert "it agrees in 4." in said
    assert "always above 0" in said
    assert all(chart.proto.alt for chart in charts(at))
    for kind in ("button", "number_input", "slider", "text_input", "button_group"):
        assert all(widget.proto.help for widget in at.get(kind)), kind


@pytest.mark.parametrize("name", ["xor of two", "not all equal of three", "xor of three"])
def test_every_network_is_checked_on_its_whole_table(visit, texts, name):
    at = visit("symbolic", p=11, function=name)
    table = at.dataframe[2].value
    assert table["network"].tolist() == table["program"].tolist()
    assert f"**{len(table)} of {len(table)}** rows" in texts(at)
    assert len(table) == (4 if name == "xor of two" else 8)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"expression": "a.__class__"}, "expression must be made of a, b, p"),
        ({"expression": "a - a"}, "expression must depend on a or b"),
        ({"expression": "a / b"}, "expression must divide by"),
        ({"p": 1}, "p must be at least 2"),
        ({"p": 212}, "p must be at least 2 and at most 211 in the app"),
        ({"p": 2, "share": 0.01}, "train_fraction must leave"),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence_below_the_logic(visit, query, words):
    at = visit("symbolic", **query)
    assert [error.value.startswith(words) for error in at.error] == [True]
    assert len(at.dataframe) == 3
    assert not charts(at)


def test_a_sum_is_compiled_without_any_training(visit, texts):
    at = visit("symbolic", expression="3*a - b + 7", p=13)
    assert "**A modular sum**: at every pair it is $3a - b + 7$ modulo 13." in texts(at)
    compared = at.dataframe[3].value
    assert compared.columns.tolist() == ["measure", "compiled"]
    assert compared["compiled"][0] == "100.0%"
    assert compared["compiled"][3] == "3a - b"
    assert len(charts(at)) == 3


def test_a_formula_that_is_no_sum_waits_for_training(visit, texts):
    at = visit("symbolic", expression="a*b", p=13)
    assert "**No modular sum**" in texts(at)
    assert "There is nothing to compare yet" in texts(at)
    assert len(charts(at)) == 1


def test_a_p_too_small_for_frequencies_is_one_sentence(visit):
    at = visit("symbolic", p=7)
    assert [info.value for info in at.info] == ["p must be at least 11 to tell frequencies apart (got 7)."]


def test_a_recorded_run_of_the_formula_is_compared(visit, home, texts, monkeypatch):
    config = miii.recipe(task=TASK)
    runs.record(home / "mine", miii.train(config.model_copy(update={"steps": 30})))
    written = home / "mine" / "config.json"
    written.write_text(written.read_text().replace('"steps": 30', '"steps": 400'))
    at = visit("symbolic", expression="3*a - b", p=11)
    assert "Trained: the run mine." in texts(at)
    compared = at.dataframe[3].value
    assert compared.columns.tolist() == ["measure", "trained", "compiled"]
    run = runs.open("mine")
    report = analysis.verdict.analyze(run.model(), run.task())
    assert compared["trained"][0] == f"{report.accuracy:.1%}"
    assert compared["trained"][4] == f"{report.logit_variance_explained:.1%}"
    assert len(charts(at)) == 5
    assert "No network has been trained" in texts(visit("symbolic", expression="3*a - b", p=13))


def test_train_and_stop(visit, home, registry, texts):
    at = visit("symbolic", expression="a*b + a", p=11)
    next(button for button in at.button if button.label == "Train").click().run()
    assert not at.exception
    job = registry.get("expr-11-seed0")
    assert job.config == miii.recipe(task=TASK | {"expression": "a*b + a"})
    if not job.over:
        buttons = {button.label: button for button in at.button}
        assert buttons["Train"].disabled
        registry.stop(job)
    end = time.monotonic() + 60
    while not job.over and time.monotonic() < end:
        time.sleep(0.05)
    assert job.status in ("stopped", "finished"), job.message
    at.run()
    assert not at.exception
    assert "Trained: the run expr-11-seed0." in texts(at)
    assert at.dataframe[3].value.columns.tolist() == ["measure", "trained"]
