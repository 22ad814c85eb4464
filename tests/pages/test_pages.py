"""Each page of the app, run whole: what it says agrees with the library, and it never shows a trace."""

import importlib
import json
import os
import re
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import filelock
import pytest
import streamlit as st
from safetensors.torch import load_file, save_file
from shown import move, player, stands_at, steps_drawn
from streamlit.testing.v1 import AppTest

import miii
from miii import RunConfig, analysis, runs
from miii.expression import EXAMPLE
from miii.tasks import TASKS, Operation
from miii.training import flat

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "pages").glob("*.py"))
# tested in files of their own: they show other runs than these, or none
ELSEWHERE = ("paper", "sieve", "frames", "sparse", "symbolic", "compare", "runs")
PAGES = {path.stem: path.relative_to(ROOT).as_posix() for path in SCRIPTS if path.stem not in ELSEWHERE}
WITH_RUN = [name for name in PAGES if name != "data"]
WITH_STEP = ["attention", "circuits", "formula", "fourier", "neurons", "try"]
INSIDE = [*WITH_STEP, "progress"]  # which show nothing where there is no run
WIDGETS = (
    "button",
    "button_group",
    "download_button",
    "number_input",
    "select_slider",
    "selectbox",
    "slider",
    "toggle",
)
LONG = 1_000_000
#: A form's values for a network that trains in no time.
TINY = {"p": 5, "d_model": 8, "n_heads": 2, "d_mlp": 8, "train_fraction": 0.5, "eval_every": 5, "precision": "float32"}


@pytest.fixture(scope="session")
def made(recorded_adder) -> Path:
    """A run whose last snapshot adds modulo 11, exactly, by the frequencies 2 and 3."""
    return recorded_adder("adds", act="square")


@pytest.fixture
def adds(made, home) -> runs.Run:
    """That run, where the app looks for runs."""
    return runs.open(shutil.copytree(made, home / "adds"))


@pytest.fixture(autouse=True)
def server(home, monkeypatch) -> Iterator[None]:
    """A server of one's own: no cached result and no job of the test before."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()
    yield
    registry().close()
    registry.clear()


def ui(module: str) -> Any:
    return importlib.import_module(f"pages.{module}")


class registry:
    """The app's own job registry, importable once the repository is on the path."""

    def __new__(cls) -> Any:
        return ui("_server.jobs").registry()

    @staticmethod
    def clear() -> None:
        ui("_server.jobs").registry.clear()


def visit(page: str, **query: object) -> AppTest:
    """Open a page as a link with these query parameters does."""
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.switch_page(PAGES[page])
    for name, value in query.items():
        at.query_params[name] = str(value)
    return at.run()


def fine(at: AppTest) -> None:
    assert not at.exception
    assert len(at.title) == 1


def texts(at: AppTest) -> str:
    kinds = (at.markdown, at.caption, at.info, at.success, at.error, at.warning)
    return "\n".join(element.value for kind in kinds for element in kind)


def button(at: AppTest, label: str) -> Any:
    return next(button for button in at.button if button.label == label)


def fill(at: AppTest, **values: Any) -> AppTest:
    """Fill in the form on the Train page."""
    for name, value in values.items():
        at.get_by_key(widget_key(at, name)).set_value(value)
    return at.run()


def widget_key(at: AppTest, name: str) -> str:
    """The key of an option's widget, whatever the recipe or the optimizer it belongs to."""
    shown = [
        widget.key or "" for kind in ("number_input", "selectbox", "text_input", "toggle") for widget in at.get(kind)
    ]
    (key,) = (key for key in shown if re.fullmatch(rf"form-.*-{name}", key))
    return key


def wait(until: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


# ---- every page ----


def test_the_pages_of_the_app_are_these():
    assert {path.stem for path in SCRIPTS} == {"train", "data", *INSIDE, *ELSEWHERE}


@pytest.mark.parametrize("page", PAGES)
def test_a_page_shows_the_run_in_the_url_with_one_title_and_no_complaint(adds, home, run_copy, page):
    shutil.copytree(run_copy, home / "newer")
    at = visit(page, run="adds")
    fine(at)
    assert not at.error
    assert not at.warning
    assert at.selectbox(key="run").value == "adds"
    charts = at.get("vega_lite_chart")
    assert charts
    assert all(chart.proto.alt for chart in charts), "a chart without alt text"
    for kind in WIDGETS:
        for widget in at.get(kind):
            assert widget.proto.label, f"a {kind} without a label"
            assert widget.proto.help, f"{widget.proto.label} does not say what it is for"
    assert not any(text.value.lstrip().startswith("# ") for text in at.markdown), "a second title"


@pytest.mark.parametrize("page", ["train", "data", "attention", "progress"])
def test_a_page_of_an_app_without_runs_says_what_to_do(home, tmp_path, monkeypatch, page):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (home, tmp_path / "checkpoints"))
    at = visit(page)
    fine(at)
    assert not at.error
    assert at.selectbox(key="run").options == []
    if page in INSIDE:
        assert "There is no run yet" in at.info[0].value
    else:
        assert at.number_input


def test_a_page_visited_after_the_others_is_the_same(adds):
    at, alone = visit("train"), {page: texts(visit(page)) for page in PAGES}
    for page in [*PAGES, *reversed(PAGES)]:
        fine(at.switch_page(PAGES[page]).run())
        assert texts(at) == alone[page]


# ---- which run, which step ----


def test_the_picker_lists_runs_by_name_the_newest_first(adds, home, run_copy):
    shutil.copytree(run_copy, home / "older")
    os.utime(home / "older" / "config.json", (0, 0))
    at = visit("data")
    assert at.selectbox(key="run").options[:2] == ["adds", "older"]
    shipped = [run.name for run in runs.every()][2:]
    assert at.selectbox(key="run").options[2:] == shipped


@pytest.mark.parametrize("page", ["data", "attention"])
def test_an_unknown_run_in_the_url_gives_another_with_a_note(adds, page):
    at = visit(page, run="nosuch")
    fine(at)
    assert "nosuch" in at.warning[0].value
    assert at.selectbox(key="run").value == "adds"
    at.run()  # and the note is gone once the URL says what is shown
    assert not at.warning


@pytest.mark.parametrize("page", WITH_STEP)
def test_a_step_in_the_url_is_the_one_shown(adds, page):
    at = visit(page, run="adds", step=adds.steps[1])
    fine(at)
    assert stands_at(at) == adds.steps[1]
    assert steps_drawn(at) == {adds.steps[1]}


@pytest.mark.parametrize(("page", "step"), [("fourier", "x"), *(("attention", step) for step in ("x", 29, -1, ""))])
def test_an_unknown_step_in_the_url_gives_the_last_one(adds, page, step):
    assert step not in adds.steps
    at = visit(page, run="adds", step=step)
    fine(at)
    assert not at.error
    assert stands_at(at) == adds.steps[-1]


@pytest.mark.parametrize("page", ["attention", "formula"])
def test_another_run_brings_its_own_steps(adds, home, run_copy, page):
    other = runs.open(shutil.copytree(run_copy, home / "other"))
    at = visit(page, run="adds", step=adds.steps[-2])
    at.selectbox(key="run").select("other").run()
    fine(at)
    assert (player(at) or {})["steps"] == other.steps


@pytest.mark.parametrize("page", ["fourier", "neurons", "formula"])
def test_a_run_with_one_snapshot_needs_no_slider(adds, page):
    for step in adds.steps[:-1]:
        (adds.folder / "snapshots" / f"{step}.safetensors").unlink()
    at = visit(page)
    fine(at)
    assert player(at) is None
    assert steps_drawn(at) == {adds.steps[-1]}


# ---- runs that are half-written or spoilt ----


@pytest.mark.parametrize("page", ["train", "attention", "progress"])
def test_a_run_that_has_only_begun_is_no_error(adds, page):
    shutil.rmtree(adds.folder / "snapshots")
    (adds.folder / "snapshots").mkdir()
    for name in ("metrics.jsonl", "result.json"):
        (adds.folder / name).unlink()
    at = visit(page, run="adds")
    fine(at)
    assert not at.error
    if page in INSIDE:
        assert "adds has not begun to train" in at.info[0].value


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def widen(path: Path) -> None:
    weights = load_file(path)
    save_file({**weights, "W_E": weights["W_E"].repeat(1, 2)}, path)


@pytest.mark.parametrize(
    ("name", "spoil", "pages"),
    [
        ("snapshots/30.safetensors", truncate, WITH_RUN),
        ("snapshots/30.safetensors", widen, ["train", "fourier"]),
        ("snapshots/0.safetensors", truncate, ["fourier", "neurons", "progress"]),
        ("metrics.jsonl", lambda path: path.write_text("{\n" + path.read_text()), ["train"]),
        ("result.json", truncate, ["train"]),
    ],
    ids=["half a snapshot", "a snapshot of another shape", "half an old snapshot", "bad metrics", "half a result"],
)
def test_a_spoilt_run_is_a_sentence_that_names_the_file(adds, name, spoil, pages):
    spoil(adds.folder / name)
    for page in pages:
        at = visit(page, run="adds")
        fine(at)
        assert any(Path(name).name in error.value for error in at.error), f"{page} says nothing of {name}"
    fine(at.switch_page(PAGES["data"]).run())


def test_a_run_whose_config_is_spoilt_is_not_offered(adds, home, run_copy):
    shutil.copytree(run_copy, home / "other")
    truncate(adds.folder / "config.json")
    for page in ("data", "train"):
        at = visit(page, run="adds")
        fine(at)
        assert "adds" not in at.selectbox(key="run").options
        assert "adds" in at.warning[0].value


# ---- Data ----


def test_data_says_what_the_task_is():
    at = visit("data", task="mul", p=7, fraction=0.4, seed=3)
    fine(at)
    config = miii.ModularAddition(operation="mul", p=7, train_fraction=0.4, seed=3)
    task = config.build()
    assert [metric.value for metric in at.metric] == ["49", str(config.n_train), str(49 - config.n_train), "8"]
    table = at.dataframe[0].value
    assert table["a"].tolist() == task.tokens[:, 0].tolist()
    assert table["b"].tolist() == task.tokens[:, 1].tolist()
    assert table["c"].tolist() == task.labels.tolist()
    assert (table["split"] == "train").tolist() == task.train_mask.tolist()
    assert table["tokens"][8] == "1 1 ="


def test_data_shows_how_the_chosen_pair_becomes_tokens():
    at = visit("data", p=7)
    at.slider[1].set_value(3 * 7 + 5).run()
    fine(at)
    assert "**(3, 5)**" in texts(at)
    assert "`3 5 =`" in texts(at)
    assert "`[3, 5, 7]`" in texts(at)
    assert "is **1**" in texts(at)


@pytest.mark.parametrize("operation", get_args(Operation))
def test_data_shows_every_operation(operation):
    at = visit("data", p=5)
    at.selectbox(key="task").select(operation).run()
    fine(at)
    custom = {"expression": EXAMPLE} if operation == "expr" else {}
    labels = miii.ModularAddition(operation=operation, p=5, **custom).build().labels
    assert at.dataframe[0].value["c"].tolist() == labels.tolist()


@pytest.mark.parametrize("p", [2, 3, 211])
def test_data_shows_the_smallest_and_the_largest(p):
    at = visit("data")
    at.number_input(key="p").set_value(p).run()
    fine(at)
    assert not at.error
    assert at.metric[0].value == f"{p * p:,}"


def test_data_with_a_split_that_leaves_a_side_empty_says_so_in_a_sentence():
    at = visit("data")
    at.number_input(key="p").set_value(2)
    at.slider(key="fraction").set_value(0.01).run()
    fine(at)
    assert len(at.error) == 1
    assert "train_fraction must leave at least one of the 4 pairs on each side" in at.error[0].value
    assert not at.get("vega_lite_chart")


@pytest.mark.parametrize(
    "query",
    [{"p": 1}, {"p": 212}, {"p": "x"}, {"p": 2.5}, {"fraction": 7}, {"task": "divide"}, {"seed": -1}, {"p": ""}],
    ids=str,
)
def test_data_with_a_bad_value_in_the_url_shows_no_trace(query):
    at = visit("data", **query)
    fine(at)
    assert at.metric or at.error


# ---- Attention ----


@pytest.mark.parametrize("step", [0, 30])
def test_attention_answers_for_the_chosen_pair_as_the_network_does(adds, step):
    at = visit("attention", run="adds", step=step)
    task, model = adds.task(), adds.model(step)
    answers = model(task.tokens)[:, -1].argmax(-1).tolist()
    for a, b in ((3, 9), (10, 0), (7, 7)):
        at.number_input(key="a").set_value(a)
        at.number_input(key="b").set_value(b).run()
        fine(at)
        answer, truth = answers[a * 11 + b], (a + b) % 11
        said = next(text.value for text in at.markdown if text.value.startswith("At step"))
        assert f"At step {step} the network answers **{answer}** for ({a}, {b})" in said
        assert ("right" in said) == (answer == truth)
        assert f"in the {'train' if task.train_mask[a * 11 + b] else 'test'} split" in said
    assert step == 0 or answers == task.labels.tolist()


def test_attention_draws_what_the_network_does(adds):
    at = visit("attention", run="adds", a=3, b=9, head=1)
    fine(at)
    # this network attends uniformly to "a", "b" and "=", by construction
    assert at.dataframe[0].value[["to a", "to b", "to ="]].to_numpy() == pytest.approx(1 / 3)
    titles = [json.loads(chart.proto.spec).get("title") for chart in at.get("vega_lite_chart")]
    assert {"Head 1: attention to a", "Head 1: attention to b"} <= set(titles)


def test_attention_of_a_smaller_run_takes_a_pair_that_it_has(adds, home, run_copy):
    other = runs.open(shutil.copytree(run_copy, home / "other"))
    assert other.config.task.p == 7
    at = visit("attention", run="adds", a=10, b=9)
    at.selectbox(key="run").select("other").run()
    fine(at)
    assert at.number_input(key="a").value <= 6
    assert at.number_input(key="b").value <= 6
    assert "the network answers" in texts(at)


@pytest.mark.parametrize("query", [{"a": 11}, {"a": -1}, {"b": "x"}, {"head": 7}, {"head": "x"}, {"layer": 3}], ids=str)
def test_attention_with_a_bad_value_in_the_url_shows_no_trace(adds, query):
    at = visit("attention", run="adds", **query)
    fine(at)
    assert "the network answers" in texts(at)


def test_attention_of_a_deeper_network_has_a_layer_to_choose(home, small_config):
    config = small_config(model={"n_layers": 2}, steps=5)
    run = runs.record(home / "deep", miii.train(config))
    at = visit("attention", run="deep")
    at.segmented_control(key="layer").set_value(1).run()
    fine(at)
    means = analysis.attention.over_inputs(run.model(), run.task().tokens, 1).mean()
    shown = at.dataframe[0].value[["to a", "to b", "to ="]].to_numpy()
    assert shown == pytest.approx(means.numpy(), abs=1e-6)


def test_attention_of_a_run_with_fewer_heads_takes_a_head_that_it_has(adds, home, small_config):
    runs.record(home / "one head", miii.train(small_config(model={"n_heads": 1}, steps=5)))
    at = visit("attention", run="adds", head=1)
    at.selectbox(key="run").select("one head").run()
    fine(at)
    assert "Head 0: attention to a" in [json.loads(c.proto.spec).get("title") for c in at.get("vega_lite_chart")]


# ---- Fourier ----


def test_fourier_says_other_things_at_other_steps(adds):
    at = visit("fourier", run="adds")
    said = {}
    for step in (0, 30):
        move(at, step)
        fine(at)
        spectrum = analysis.fourier.embedding_spectrum(adds.model(step))
        listed = ", ".join(map(str, spectrum.key_frequencies)) or "none"
        assert f"**Key frequencies at step {step}: {listed}**" in texts(at)
        said[step] = listed
    assert said[30] == "2, 3"
    assert said[0] != said[30]
    assert "4 of 8 directions hold 99 %" in texts(at)  # two circles


def test_fourier_draws_the_key_frequencies_as_circles_and_any_other_on_request(adds):
    def drawn(at: AppTest) -> list[str]:
        specs = [json.loads(chart.proto.spec) for chart in at.get("vega_lite_chart")]
        return [spec["title"] for spec in specs if spec["title"].startswith("k = ")]

    at = visit("fourier", run="adds")
    assert drawn(at) == ["k = 2", "k = 3"]
    at.number_input[0].set_value(5).run()
    fine(at)
    assert drawn(at) == ["k = 2", "k = 3", "k = 5"]


def test_fourier_follows_a_run_while_it_grows(adds):
    kept = adds.folder / "snapshots" / "30.safetensors"
    kept.rename(adds.folder / "later")
    at = visit("fourier", run="adds")
    before = adds.steps[-1]
    assert stands_at(at) == before
    (adds.folder / "later").rename(kept)
    at.run()
    fine(at)
    assert (player(at) or {})["steps"][-1] == 30


@pytest.mark.parametrize("p", [2, 3])
@pytest.mark.parametrize("page", ["attention", "fourier", "circuits"])  # the others ask for a larger one
def test_the_smallest_tasks_can_be_looked_at(home, small_config, page, p):
    runs.record(home / "least", miii.train(small_config(task={"p": p}, steps=3)))
    at = visit(page, run="least")
    fine(at)
    assert not at.error


# ---- Train: the form ----


@pytest.mark.parametrize("task", ["add", "primes", "residues", "miu", "frames"])
def test_the_form_has_a_widget_for_every_option_with_its_default_and_its_help(task):
    at = visit("train", task=task)
    fine(at)
    assert at.selectbox(key="task").value == task
    config = miii.recipe(task=miii.RunConfig(task=TASKS[task]).task)
    options = {option.name: option.description for option in flat.options()}
    for part in (config.optimizer, config.task):  # an option of several tasks is said as the chosen one has it
        options |= {name: field.description for name, field in type(part).model_fields.items() if field.description}
    for name, value in flat.values(config).items():
        if name in ("task", "operation", "device", "threads"):  # said by the task's name, and the server's own
            continue
        widget = at.get_by_key(widget_key(at, name))
        assert widget.value == (",".join(map(str, value)) if isinstance(value, tuple) else value)
        assert widget.help == options[name]


def test_a_recipe_brings_its_own_values():
    at = visit("train")
    at.segmented_control(key="recipe").set_value("literature").run()
    fine(at)
    for name, value in {"steps": 40_000, "lr": 1e-3, "schedule": "constant"}.items():
        assert at.get_by_key(widget_key(at, name)).value == value


def test_another_optimizer_brings_its_own_options():
    at = visit("train")
    at.get_by_key(widget_key(at, "optimizer")).select("sgd").run()
    fine(at)
    assert at.get_by_key(widget_key(at, "momentum")).value == miii.SGD().momentum
    assert "L2" in at.get_by_key(widget_key(at, "weight_decay")).help
    with pytest.raises(ValueError, match="unpack"):
        widget_key(at, "beta1")


def test_another_task_brings_its_own_form_and_a_range_its_own_bounds():
    at = visit("train")
    titles = {at.title[0].value}
    for task in ("primes", "residues", "miu", "frames"):
        at.selectbox(key="task").select(task).run()
        fine(at)
        assert "recipe" not in [control.key for control in at.segmented_control]  # there is only fast
        titles.add(at.title[0].value)
        assert f"miii train {task}" in at.code[1].value
    assert len(titles) == 5
    at = visit("train", task="primes", range="text")
    assert [at.get_by_key(widget_key(at, name)).value for name in ("low", "high")] == [1000, 9999]
    at.segmented_control(key="range").set_value("table 1").run()
    fine(at)
    assert [at.get_by_key(widget_key(at, name)).value for name in ("low", "high")] == [10_000, 99_999]


@pytest.mark.parametrize("page", ["train", "data"])
def test_a_task_may_be_a_formula_of_one_s_own(page):
    at = visit(page, task="expr", expression="3*a - b")
    fine(at)
    assert not at.error
    box = at.text_input(key="expression")
    assert box.value == "3*a - b"
    for text, words in {
        "a +": "expression must be a formula such as",
        "__import__('os')": "expression must be made of a, b, p",
        "a - a": "expression must depend on a or b modulo 113",
        "a / b": "expression must divide by what has an inverse modulo 113",
        "": "expression must be a formula such as",
    }.items():
        at = box.set_value(text).run()
        fine(at)
        assert len(at.error) == 1
        assert at.error[0].value.startswith(words)
        if page == "train":
            assert button(at, "Start").disabled
    at = box.set_value("a*b + 1").run()
    fine(at)
    assert not at.error
    if page == "train":
        assert "miii train expr --expression='a*b + 1'" in at.code[1].value
        assert "formula of yours" in at.title[0].value
    else:
        assert r"c = \left(a b + 1\right) \bmod p" in at.latex[0].value
        assert at.dataframe[0].value["c"].tolist() == [(a * b + 1) % 113 for a in range(113) for b in range(113)]


@pytest.mark.parametrize("value", ["nosuch", ""])
def test_an_unknown_task_or_range_in_the_url_shows_no_trace(value):
    fine(visit("train", task=value))
    fine(visit("train", task="primes", range=value))


@pytest.mark.parametrize(
    ("task", "cases"),
    [
        (
            "add",
            [
                ({"n_heads": 3}, "n_heads must divide d_model"),
                ({"p": 1}, "p must be at least 2"),
                ({"p": 212}, "p must be at most 211 in the app"),
                ({"train_fraction": 1.5}, "train_fraction must be greater than 0 and less than 1"),
                ({"p": 2, "train_fraction": 0.1}, "train_fraction must leave at least one of the 4 pairs on each side"),
                ({"steps": 0}, "steps must be at least 1"),
                ({"batch_size": 5000}, "batch_size must be at most the 3830 training examples"),
                ({"lr": 0.0}, "lr must be greater than 0"),
            ],
        ),
        (
            "primes",
            [
                ({"low": 50_000, "high": 40_000}, "low must be at most high, so that the range is not empty"),
                ({"low": 10, "high": 100_000_000}, "low and high must hold 10 to 5,000,000 integers"),
                ({"high": 10**9}, "high must be at least 2 and at most 100000000"),
                ({"base": 1}, "base must be at least 2"),
                ({"residues": "3,4"}, "residues must be primes below 1000 (got 4)"),
                ({"residues": "3,x"}, "residues must be an integer (got 'x')"),
                ({"seconds": 0.0}, "seconds must be greater than 0"),
            ],
        ),
        (
            "residues",
            [
                ({"p": 258}, "p must be at least 3 and at most 257"),
                ({"masked": "4"}, "masked must hold primes below p"),
            ],
        ),
        ("miu", [({"longest_test": 9}, "longest_test must be at least longest, 24 letters (got 9)")]),
        ("expr", [({"p": 1}, "p must be at least 2"), ({"p": 212}, "p must be at most 211 in the app")]),
        (
            "frames",
            [
                ({"high": 1_050}, "high must be at least low + 108"),
                ({"positions": "learned", "causal": False}, "causal must be true"),
            ],
        ),
    ],
    ids=["add", "primes", "residues", "miu", "expr", "frames"],
)
def test_a_bad_value_in_the_form_is_one_sentence_and_nothing_can_be_started(home, task, cases):
    at = visit("train", task=task)
    for values, words in cases:
        before = {name: at.get_by_key(widget_key(at, name)).value for name in values}
        at = fill(at, **values)
        fine(at)
        assert len(at.error) == 1
        assert at.error[0].value.startswith(words)
        assert button(at, "Start").disabled
        at = fill(at, **before)
        assert not at.error
        assert not button(at, "Start").disabled
    assert not list(home.iterdir())


CONFIGS = {
    "fast": miii.recipe("fast"),
    "literature": miii.recipe("literature"),
    "all else": RunConfig(
        task={"operation": "relabelled", "p": 7, "train_fraction": 0.5, "seed": 3},
        model={"n_layers": 2, "d_model": 8, "n_heads": 4, "d_mlp": 12, "act": "gelu", "biases": "all", "causal": False},
        optimizer=miii.Muon(lr=0.5, adamw_lr=0.25),
        batch_size=5,
        steps_after_grok=0,
        loss="stablemax",
    ),
    "sgd with a learning rate that is adamw's default": RunConfig(optimizer=miii.SGD(lr=miii.AdamW().lr)),
    "muon with a weight decay that is adamw's default": RunConfig(
        optimizer=miii.Muon(weight_decay=miii.AdamW().weight_decay)
    ),
    "fast primes": miii.recipe(task=miii.Primes()),
    "other primes": miii.recipe(
        task=miii.Primes(low=10, high=999, base=12, leading_zeros=False, residues=(5, 7), tokens="place", seed=2),
        model=miii.ModelConfig(n_layers=2, biases="none"),
        optimizer=miii.AdamW(lr=0.002),
        batch_size=32,
        seconds=120,
        steps_after_grok=None,
    ),
    "primes with modular arithmetic's options": RunConfig(task=miii.Primes()),
    "fast residues": miii.recipe(task=miii.Residues()),
    "masked residues": miii.recipe(task=miii.Residues(p=11, masked=(2, 5)), steps=50),
    "custom": miii.recipe(task={"operation": "expr", "expression": "-a*b + 3*(a % p)", "p": 59}, steps=50),
    "custom by the book": miii.recipe("literature", task={"operation": "expr", "expression": EXAMPLE, "seed": 1}),
    "fast miu": miii.recipe(task=miii.MIU()),
    "miu without places": miii.recipe(task=miii.MIU(longest=9), model=miii.ModelConfig(positions="none"), steps=7),
}


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_command_shown_trains_the_same_run(config, monkeypatch, tmp_path, capsys):
    from miii import cli

    asked = []

    def train(config: RunConfig, stop: object) -> Iterator:
        asked.append(config)
        raise miii.InputError("that was all.")

    monkeypatch.setattr("miii.cli.training.train", train)
    program, *arguments = shlex.split(ui("_parts.train.form").command(config))
    assert program == "miii"
    assert cli.main([*arguments, "--out", str(tmp_path / "D")]) == 2
    assert capsys.readouterr().err == "miii: that was all.\n"
    assert asked == [config]


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_script_shown_trains_the_same_run(config, monkeypatch):
    asked = {}
    monkeypatch.setattr("miii.runs.record", lambda folder, steps: asked.update(folder=folder, steps=steps))
    monkeypatch.setattr("miii.train", lambda config: config, raising=False)
    exec(ui("_parts.train.form").code(config, "runs/mine"), {})
    assert asked == {"folder": "runs/mine", "steps": config}


def test_the_script_shown_is_short():
    code = ui("_parts.train.form").code
    assert "config = miii.RunConfig()\n" in code(CONFIGS["fast"], "runs/mine")
    assert 'config = miii.recipe("literature")\n' in code(CONFIGS["literature"], "runs/mine")
    assert "config = miii.recipe(\n    task=miii.Primes(),\n)\n" in code(CONFIGS["fast primes"], "runs/mine")
    assert ui("_parts.train.form").command(CONFIGS["fast primes"]) == "miii train primes"


# ---- Train: jobs ----


def test_start_trains_a_run_that_is_then_on_disk(home):
    at = fill(visit("train"), **TINY, steps=20, seed=4)
    button(at, "Start").click().run()
    fine(at)
    job = registry().get("add-5-seed4")
    wait(lambda: job.over)
    assert (job.status, job.message) == ("finished", "")
    run = runs.open("add-5-seed4")
    assert run.folder == home / "add-5-seed4"
    assert {name: flat.values(run.config)[name] for name in TINY} == TINY
    at.run()
    fine(at)
    assert at.selectbox(key="run").value == "add-5-seed4"
    assert "Finished at step 20" in texts(at)
    assert at.progress[0].value == 100
    assert at.progress[0].text.startswith("step 20 of 20")
    assert at.metric[0].value == f"{run.metrics()['train_accuracy'].iloc[-1]:.1%}"
    assert {button.label for button in at.button if not str(button.key).startswith("to-")} == {"Start"}
    fine(at.switch_page(PAGES["fourier"]).run())
    assert at.selectbox(key="run").value == "add-5-seed4"


def test_primes_are_trained_live(home):
    tiny = {name: value for name, value in TINY.items() if name != "p"}
    changes = {"residues": "3,7", "batch_size": 64, "steps": LONG, "seconds": 900}
    at = fill(visit("train", task="primes", range="text"), **tiny, **changes)
    button(at, "Start").click().run()
    fine(at)
    job = registry().get("primes-10-seed0")
    wait(lambda: job.evaluation is not None and job.rate)
    at.run()
    fine(at)
    assert "**Training**" in texts(at)
    assert "of at most 1,000,000" in at.progress[0].text
    assert int(re.search(r"at most (\d+) s left", at.progress[0].text)[1]) <= 900
    button(at, "Stop").click().run()
    wait(lambda: job.over)
    at.run()
    fine(at)
    assert "Stopped at step" in texts(at)
    run = runs.open(home / "primes-10-seed0")
    assert (run.config.task.low, run.config.task.high, run.config.task.residues) == (1000, 9999, (3, 7))
    assert at.metric[0].value == f"{run.rows()[-1]['auc']:.3f}"


def test_a_run_that_ended_early_has_a_full_bar(home):
    at = fill(visit("train"), **TINY, steps=LONG, seconds=0.1)
    button(at, "Start").click().run()
    job = registry().get("add-5-seed0")
    wait(lambda: job.over)
    assert (job.status, job.message) == ("finished", "")
    at.run()
    fine(at)
    assert f"Finished at step {runs.open('add-5-seed0').result['steps']:,}" in texts(at)
    assert at.progress[0].value == 100


def test_the_grid_of_a_large_p_is_whole_though_a_part_is_evaluated():
    at = fill(visit("train"), **TINY | {"p": 151}, steps=3)
    button(at, "Start").click().run()
    job = registry().get("add-151-seed0")
    wait(lambda: job.over)
    assert len(job.evaluation.rows) < 151 * 151
    at.run()
    fine(at)
    assert "Right and wrong answers" in [json.loads(c.proto.spec)["title"] for c in at.get("vega_lite_chart")]


def test_starting_twice_makes_two_runs_and_the_second_waits(home):
    at = fill(visit("train"), **TINY, steps=LONG)
    button(at, "Start").click().run()
    first = registry().get("add-5-seed0")
    wait(lambda: first.step is not None and first.step.step > 10)
    at.run()
    fine(at)
    assert "**Training**" in texts(at)
    assert "steps/s" in at.progress[0].text
    assert "s left" in at.progress[0].text

    button(at, "Start").click().run()
    fine(at)
    second = registry().get("add-5-seed0-2")
    assert second.status == "queued"
    assert at.selectbox(key="run").value == "add-5-seed0-2"
    assert "Queued: 1 job is ahead." in texts(at)
    assert button(at, "Pause").disabled
    for page in INSIDE:  # the waiting run can be chosen everywhere, and says that there is nothing yet
        fine(at.switch_page(PAGES[page]).run())
        assert "has not begun to train" in at.info[0].value
    at.switch_page(PAGES["train"]).run()
    fine(at)

    button(at, "Stop").click().run()  # the one that waits
    fine(at)
    assert second.status == "stopped"
    assert not (home / "add-5-seed0-2").exists()
    assert first.status == "running"


def test_a_job_can_be_paused_resumed_and_stopped():
    at = fill(visit("train"), **TINY, steps=LONG)
    button(at, "Start").click().run()
    name = "add-5-seed0"
    for label, status, said in (("Pause", "paused", "Paused at step"), ("Stop", "stopped", "Stopped at step")):
        job = registry().get(name)
        wait(lambda job=job: job.step is not None and job.step.step > 5)
        at.run()
        button(at, label).click().run()
        wait(lambda job=job: job.over)
        assert job.status == status
        at.run()
        fine(at)
        assert said in texts(at)
        assert {button.label for button in at.button if not str(button.key).startswith("to-")} == {"Start", "Resume"}
        button(at, "Resume").click().run()
        fine(at)
        assert registry().get(name) is not job
    assert registry().get(name).config.steps == LONG


def test_a_second_tab_sees_the_same_job():
    at = fill(visit("train"), **TINY, steps=LONG)
    button(at, "Start").click().run()
    job = registry().get("add-5-seed0")
    wait(lambda: job.step is not None)
    tab = visit("train")
    fine(tab)
    assert tab.selectbox(key="run").value == "add-5-seed0"
    button(tab, "Stop").click().run()
    wait(lambda: job.over)
    at.run()
    assert "Stopped at step" in texts(at)


def test_a_job_that_fails_says_why(monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    at = fill(visit("train"), **TINY, steps=20)
    monkeypatch.setattr("miii.runs.write.save_file", full)
    button(at, "Start").click().run()
    job = registry().get("add-5-seed0")
    wait(lambda: job.over)
    at.run()
    fine(at)
    assert "could not be written: No space left on device." in texts(at)


def test_a_run_that_was_stopped_elsewhere_can_be_resumed_here(home, stopped_copy, small_run, same):
    shutil.move(stopped_copy, home / "half")
    at = visit("train", run="half")
    fine(at)
    assert "Stopped at step 13" in texts(at)
    button(at, "Resume").click().run()
    wait(lambda: registry().get("half").over)
    at.run()
    fine(at)
    assert "Finished at step 24" in texts(at)
    assert same(runs.open("half").weights(), small_run.weights())


def test_a_run_that_was_killed_can_be_resumed(home, stopped_copy):
    shutil.move(stopped_copy, home / "killed")
    (home / "killed" / "result.json").unlink()
    at = visit("train", run="killed")
    fine(at)
    assert "Interrupted: it can be resumed." in texts(at)
    assert button(at, "Resume")


def test_a_run_that_another_process_writes_is_said_to_be(adds):
    with filelock.FileLock(adds.folder / ".lock"):
        at = visit("train", run="adds")
        fine(at)
        assert "Training in another process" in texts(at)
        assert {button.label for button in at.button if not str(button.key).startswith("to-")} == {"Start"}
