"""Addresses: what a link asks for is shown or noted as missing, and a way to another page keeps the rest."""

from urllib.parse import parse_qs

import pytest
from shown import app, click, drag, fine, move, shown
from streamlit.testing.v1 import AppTest

from miii import analysis, runs
from miii.notebook.cells import escaped, unescaped
from miii.notebook.cite import bibtex


def follow(at: AppTest, page: str) -> AppTest:
    """Press the first way to another page."""
    button = next(
        button for button in at.button if (button.key or "").split("-")[:1] == ["to"] and f"-{page}-" in button.key
    )
    return fine(button.click().run())


# ---- what an address asks for ----


@pytest.mark.parametrize(
    ("page", "name", "value", "showing"),
    [
        ("fourier", "site", "nosuch", "logits"),
        ("fourier", "k", "6", "nothing"),
        ("fourier", "k", "x", "nothing"),
        ("fourier", "circles", "5", "2, 3"),
        ("attention", "a", "11", "5"),
        ("attention", "kind", "nosuch", "mean"),
        ("circuits", "by-head", "perhaps", "False"),
        ("circuits", "receiver", "MLP 9", "logits"),
        ("data", "task", "divide", "add"),
        ("data", "fraction", "7", "0.3"),
    ],
)
def test_a_value_that_there_is_not_falls_back_and_is_noted_once(visit, page, name, value, showing):
    at = visit(page, run="adding", **{name: value})
    view = shown(at)
    (note,) = view.prose["warning"]
    assert not view.errors
    assert f"{name} " in note
    assert value in note
    assert note.endswith(f"showing {showing}.")
    assert view.titles[0] in view.notes[0].markdown
    at.run()
    assert not at.warning


def test_several_broken_values_are_all_noted(see):
    for query, names in (
        ({"a": 99, "kind": "nosuch", "step": 29}, ("a", "kind", "step")),
        ({"circles": [2, 5]}, ("circles",)),
    ):
        notes = see("attention" if "a" in query else "fourier", run="adding", **query).prose["warning"]
        assert len(notes) == len(names)
        for name in names:
            assert sum(f": {name} " in note for note in notes) == 1


@pytest.mark.parametrize(
    ("page", "asked"),
    [
        ("fourier", {"k": 5, "site": "0.mlp_post", "step": 0}),
        ("fourier", {"circles": [2]}),
        ("fourier", {"circles": [3, 2]}),
        ("attention", {"a": 3, "b": 10, "head": 1, "kind": "zero"}),
        ("circuits", {"by-head": "true", "receiver": "MLP 0", "method": "eap"}),
        ("neurons", {"frequency": 3, "neuron": 4, "silenced": "zero"}),
        ("data", {"task": "mul", "p": 7, "fraction": 0.4, "seed": 3}),
        ("fourier", {"of no widget": "at all", "site": "", "k": ""}),
        ("attention", {"head": "", "layer": ""}),
    ],
    ids=str,
)
def test_what_there_is_is_shown_without_a_note(visit, page, asked):
    at = visit(page, run="adding", **asked)
    assert not at.warning
    assert not at.error
    for name, value in asked.items():
        if name not in ("step", "of no widget") and value != "":
            found = at.session_state[name]
            several = isinstance(value, list)
            assert set(found) == set(map(str, value)) if several else str(found).lower() == str(value).lower(), name


@pytest.mark.parametrize(
    ("page", "key", "wrong", "bounds", "showing"),
    [
        ("attention", "b", -1, "0 to 10", "8"),
        ("fourier", "k", 6, "1 to 5", "nothing"),
        ("data", "q", 1, "2 to 120", "30"),
    ],
)
def test_a_typed_number_beyond_its_bounds_is_refused(visit, page, key, wrong, bounds, showing):
    at = visit(page, run="adding", **({"task": "primes"} if page == "data" else {}))
    at.number_input(key=key).set_value(wrong).run()
    (error,) = at.error
    assert all(words in error.value for words in (bounds, f"(got {wrong})", f"showing {showing}."))
    assert at.number_input(key=key).value == wrong
    at.number_input(key=key).set_value(int(bounds.split()[0])).run()
    assert not at.error
    assert not at.warning


# ---- the run and the step ----


def test_the_picker_lists_own_runs_the_newest_first_then_the_shipped(bring, visit):
    for name in ("second", "adds"):
        bring(name)
    at = visit("data")
    shipped = [run.name for run in runs.every()][2:]
    assert at.selectbox(key="run").options == ["adds", "second", *shipped]
    at = visit("attention", run="nosuch")
    assert "nosuch" in at.warning[0].value
    assert at.selectbox(key="run").value == "adds"
    at.run()
    assert not at.warning


def test_the_run_is_in_the_address_of_every_visit(bring, visit):
    bring("seven")
    bring("adding")
    at = visit("fourier")
    chosen = at.selectbox(key="run").value
    assert f'("{chosen}")' in at.get("html")[0].proto.body  # at first the browser writes it
    at.run()
    assert at.query_params["run"] == chosen
    at.selectbox(key="run").set_value("seven").run()
    assert at.query_params["run"] == "seven"
    at.query_params["run"] = chosen  # Back
    assert at.run().selectbox(key="run").value == chosen
    del at.query_params["run"]  # Back to an address that names none
    assert at.run().selectbox(key="run").value == at.query_params["run"] == chosen
    at = follow(visit("attention", run="seven", a=6), "try")  # which is not the first
    assert at.selectbox(key="run").value == at.query_params["run"] == "seven"
    at.selectbox(key="run").set_value("adding").run()
    at.number_input(key="a").set_value(10).run()
    at.selectbox(key="run").set_value("seven").run()  # which has no 10
    assert not at.error
    assert at.number_input(key="a").value == 5


def test_the_last_step_stands_in_no_address(zoo, see, visit):
    for asked in ({}, {"step": 30}):
        at = visit("fourier", run="adding", **asked)
        assert (at.session_state["step"], shown(at).player["step"]) == (None, 30)
        assert "step" not in at.query_params
        assert not at.warning
    for page in ("attention", "formula", "neurons"):
        first, step = zoo("adding").steps[:2]
        view = see(page, run="adding", step=step)
        assert view.player["step"] == step
        assert {figure.arguments["step"] for figure in view.figures if "step" in figure.arguments} - {first} == {step}


def test_a_move_of_the_slider_is_shown_and_kept_in_the_address(zoo, see, visit, monkeypatch):
    monkeypatch.setattr(app("_kit.address"), "LAG", 1000)  # seconds, on a busy machine too
    run = zoo("adding")
    at = visit("fourier", run="adding")
    assert shown(at).player["steps"] == run.steps
    for step in run.steps[:-1]:
        view = shown(drag(at, step))
        assert at.session_state["step"] == view.player["step"] == step
        assert at.query_params["step"] == str(step)
        assert view.text == see("fourier", run="adding", step=step).text
    at.query_params["step"] = str(run.steps[0])  # an address that the browser has not updated yet
    assert shown(at.run()).player["step"] == run.steps[-2]
    monkeypatch.setattr(app("_kit.address"), "LAG", 0)
    at.query_params["step"] = str(run.steps[0])  # Back
    assert shown(at.run()).player["step"] == run.steps[0]
    for page in ("attention", "data", "neurons"):
        at.switch_page(f"pages/{page}.py").run()
        assert page == "data" or shown(fine(at)).player["step"] == run.steps[0]
    drag(at, 30)
    assert at.session_state["step"] is None
    assert "step" not in at.query_params


def test_an_unknown_step_gives_the_last_one_with_a_note(zoo, visit):
    for step in ("29", "1.5", ""):
        at = visit("fourier", run="adding", step=step)
        view = shown(at)
        assert view.player["step"] == 30
        assert "step" not in at.query_params
        (note,) = view.prose["warning"]
        assert note.endswith(f"{', '.join(map(str, zoo('adding').steps))} (got {step}); showing 30.")
        assert not at.run().warning


def test_the_last_follows_a_run_that_grows_and_a_chosen_step_stays(bring, visit):
    run = bring("adding")
    last = run.folder / "snapshots" / "30.safetensors"
    last.rename(run.folder / "later")
    newest, chosen = visit("fourier", run="adding"), visit("fourier", run="adding", step=run.steps[0])
    assert shown(newest).player["step"] == run.steps[-1] != 30
    (run.folder / "later").rename(last)
    for at, step in ((newest, 30), (chosen, run.steps[0])):
        view = shown(fine(at.run()))
        assert (view.player["step"], view.player["steps"][-1]) == (step, 30)


def test_another_run_brings_its_own_steps(zoo, visit):
    other = zoo("second")
    step = next(step for step in zoo("adding").steps if step not in other.steps)
    at = visit("fourier", run="adding", step=step)
    at.selectbox(key="run").select("second").run()
    view = shown(fine(at))
    assert (view.player["steps"], view.player["step"]) == (other.steps, other.steps[-1])
    assert at.session_state["step"] is None


# ---- ways to other pages ----


@pytest.mark.parametrize(
    ("page", "chosen", "to", "kept"),
    [
        ("attention", {"a": 3, "b": 9}, "try", {"a": 3, "b": 9}),
        ("fourier", {"k": 3}, "neurons", {"frequency": "3"}),
        ("neurons", {"neuron": 4}, "fourier", {}),
        ("train", {"a": 10, "b": 2}, "try", {"a": 10, "b": 2}),
        ("try", {"a": 4, "b": 9}, "attention", {"a": 4, "b": 9}),
    ],
)
def test_a_way_to_another_page_keeps_run_step_and_inputs(zoo, visit, see, page, chosen, to, kept):
    for step in [30, zoo("adding").steps[1]][page != "fourier" :]:
        # an untrained network has no neurons of one frequency, so that none can be chosen
        wanted = {name: "any" if name == "frequency" and step != 30 else value for name, value in kept.items()}
        at = follow(visit(page, run="adding", step=step, **chosen), to)
        view = shown(at)
        assert view.titles == see(to, run="adding").titles
        assert not view.prose["warning"]
        assert (view.value("run"), view.player["step"]) == ("adding", step)
        assert {name: at.session_state[name] for name in wanted} == wanted
        if page == "fourier":
            assert shown(follow(at, "fourier")).player["step"] == step  # and back


# ---- clicks in figures ----


def test_a_bar_of_the_spectrum_chooses_its_frequency(visit, see):
    at = visit("fourier", run="adding")
    assert at.number_input(key="k").value is None
    click(at, "chart-embedding_spectrum", "frequency")  # beside all bars
    assert at.number_input(key="k").value is None
    click(at, "chart-embedding_spectrum", "frequency", frequency=5)
    assert at.number_input(key="k").value == 5
    assert at.query_params["k"] == "5"
    assert shown(at).text == see("fourier", run="adding", k=5).text


@pytest.mark.parametrize(
    ("page", "chart"),
    [("attention", "chart-over_inputs-0-0-0"), ("attention", "chart-over_inputs-0-0-1"), ("train", "chart-answers")],
)
def test_a_cell_of_a_grid_of_pairs_chooses_the_pair(visit, page, chart):
    at = click(visit(page, run="adding"), chart, "cell", row=3, column=9)
    assert (at.number_input(key="a").value, at.number_input(key="b").value) == (3, 9)
    assert (at.query_params["a"], at.query_params["b"]) == ("3", "9")


def test_a_bar_of_the_clusters_and_a_dot_of_the_phases_show_a_neuron(zoo, visit):
    run = zoo("adding")
    found = analysis.neurons.describe(run.model(), run.task())
    for k in (2, 3):
        at = click(visit("neurons", run="adding"), "chart-clusters", "frequency", frequency=k)
        assert at.selectbox(key="frequency").value == str(k)
        neuron, members = at.number_input(key="neuron").value, found.clusters()[k]
        assert neuron in members
        assert found.share[neuron] == found.share[members].max()
    click(at, "chart-phases", "neuron", neuron=5)
    assert (at.number_input(key="neuron").value, at.selectbox(key="frequency").value) == (5, "any")
    step = run.steps[0]
    found = analysis.neurons.describe(run.model(step), run.task())
    k = next(k for k in found.frequency.tolist() if k not in found.clusters())
    at = click(move(visit("neurons", run="adding"), step), "chart-clusters", "frequency", frequency=k)
    assert at.selectbox(key="frequency").value == "any"
    assert found.frequency[at.number_input(key="neuron").value] == k
    at = click(visit("neurons", run="adding", neuron=4), "chart-activation-4", "cell", row=7, column=1)
    assert any("(7, 1)" in button.label for button in at.button)


# ---- notes ----


def test_a_note_of_a_link_is_shown_literally_on_its_step_and_kept_with_a_run(bring, visit):
    run = bring("adds")
    last, first = run.steps[-1], run.steps[0]
    text = "**bold** [a](http://x.org) <b>"
    at = visit("attention", run="adds", note=f"adds:{last}:{text}")
    assert [info.value for info in at.info] == [f"Note on step {last}, from the link: {escaped(text)}"]
    assert not visit("attention", run="adds", note=f"adds:{first}:{text}").info
    at = visit("attention", run="adds", note=f"adds:{last}:{'x' * 281}")
    assert "note must be RUN:STEP:TEXT, with a text of at most 280 characters" in unescaped(at.warning[0].value)
    assert not at.info

    at.session_state["share-panel"] = True
    at.run()
    link, citation = (code.value for code in at.sidebar.code)
    assert "note=" not in link
    assert citation == bibtex("adds", last)
    at.text_area(key=f"note-adds-{last}").set_value("It adds & answers").run()
    assert parse_qs(at.sidebar.code[0].value.partition("?")[2])["note"] == [f"adds:{last}:It adds & answers"]
    at.button(key="keep-note").click().run()
    assert runs.load_notes(run) == {last: "It adds & answers"}
    assert [info.value for info in visit("attention", run="adds").info] == [
        f"Note on step {last}: {escaped('It adds & answers')}"
    ]
    shipped = visit("attention", run="add-113")
    shipped.session_state["share-panel"] = True
    assert "keep-note" not in [button.key for button in shipped.run().button]
