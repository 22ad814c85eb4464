"""Addresses: what a link asks for is shown or said to be missing, and a way to another page keeps the rest."""

import importlib

import pytest
from shown import move, stands_at
from streamlit.testing.v1 import AppTest

ABOVE = "The link asked for something that is not here: "


def notes(at: AppTest) -> list[str]:
    return [warning.value.removeprefix(ABOVE) for warning in at.warning if warning.value.startswith(ABOVE)]


def follow(at: AppTest, label: str) -> AppTest:
    """Press the one way to another page of these words."""
    (button,) = (button for button in at.button if button.label == label)
    button.click().run()
    assert not at.exception
    return at


# ---- what an address asks for ----


@pytest.mark.parametrize(
    ("page", "name", "value", "shown"),
    [
        ("fourier", "site", "nosuch", "logits"),
        ("fourier", "k", "6", (1, 5, "nothing")),
        ("fourier", "k", "x", "nothing"),
        ("fourier", "circles", "5", "2, 3"),
        ("attention", "a", "11", (0, 10, 5)),
        ("attention", "b", "-1", (0, 10, 8)),
        ("attention", "head", "2", "0"),
        ("attention", "kind", "nosuch", "mean"),
        ("circuits", "by-head", "perhaps", "False"),
        ("circuits", "receiver", "MLP 9", "logits"),
        ("neurons", "frequency", "4", "any"),
        ("data", "task", "divide", "add"),
        ("data", "fraction", "7", "0.3"),
    ],
)
def test_a_value_that_there_is_not_falls_back_and_is_noted_once(adding, visit, page, name, value, shown):
    at = visit(page, run="adding", **{name: value})
    assert not at.error
    if isinstance(shown, tuple):
        assert notes(at) == ["{} must be a whole number from {} to {} (got {}); showing {}.".format(
            "One frequency" if name == "k" else name, *shown[:2], value, shown[2])]  # fmt: skip
    else:
        assert notes(at) == [f"{name} could not be {value} here; showing {shown}."]
    assert at.title[0].value in at.session_state["notes"][0].markdown
    at.run()
    assert not at.warning


def test_several_broken_values_are_all_noted(adding, visit):
    at = visit("attention", run="adding", a=99, kind="nosuch", step=29)
    steps = ", ".join(map(str, adding.steps))
    assert sorted(notes(at)) == [
        "a must be a whole number from 0 to 10 (got 99); showing 5.",
        "kind could not be nosuch here; showing mean.",
        f"step must be one of {steps} (got 29); showing 30.",
    ]


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
        ("fourier", {"of no widget": "at all"}),
        ("fourier", {"site": "", "k": ""}),
        ("attention", {"head": ""}),
    ],
    ids=str,
)
def test_what_can_be_had_is_shown_without_a_word(adding, visit, page, asked):
    at = visit(page, run="adding", **asked)
    assert not at.warning
    assert not at.error
    for name, value in asked.items():
        if name not in ("step", "of no widget") and value != "":
            shown = at.session_state[name]
            several = isinstance(value, list)
            assert set(shown) == set(map(str, value)) if several else str(shown).lower() == str(value).lower(), name


def test_several_values_of_one_name_are_compared_as_one(adding, visit):
    at = visit("fourier", run="adding", circles=[2, 5])
    assert notes(at) == ["circles could not be 2, 5 here; showing 2."]


@pytest.mark.parametrize(
    ("asked", "shown", "same"),
    [
        ("7", 7, True),
        ("7.0", 7, True),
        ("0.50", 0.5, True),
        ("8", 7, False),
        ("7", "7", True),
        ("mean", "mean", True),
        ("mean", None, False),
        ("1", True, True),
        ("false", False, True),
        ("perhaps", False, False),
    ],
)
def test_what_counts_as_the_value_asked_for(server, asked, shown, same):
    assert importlib.import_module("pages._kit.links")._same(asked, shown) == same


def test_a_typed_number_beyond_its_bounds_is_refused_in_a_sentence(adding, visit):
    fields = [
        ("try", "a", 11, "0 to 10", "5"),
        ("attention", "b", -1, "0 to 10", "8"),
        ("neurons", "neuron", 6, "0 to 5", "0"),
        ("fourier", "k", 6, "1 to 5", "nothing"),
        ("data", "row", 90_000, "0 to 8999", "1000"),
        ("data", "q", 1, "2 to 120", "30"),
    ]
    for page, key, wrong, bounds, shown in fields:
        at = visit(page, run="adding", **({"task": "primes"} if page == "data" else {}))
        at.number_input(key=key).set_value(wrong).run()
        (error,) = at.error
        assert f"must be a whole number from {bounds} (got {wrong}); showing {shown}." in error.value, page
        assert at.number_input(key=key).value == wrong
        at.number_input(key=key).set_value(int(bounds.split()[0])).run()
        assert not at.error
        assert not at.warning


def test_a_number_that_another_run_does_not_have_is_forgotten_without_a_word(adding, run_copy, visit):
    run_copy.rename(adding.folder.parent / "seven")
    at = visit("try", run="adding")
    at.number_input(key="a").set_value(10).run()
    at.selectbox(key="run").set_value("seven").run()
    assert not at.error
    assert at.number_input(key="a").value == 5


def test_the_run_is_in_the_address_of_every_visit(adding, visit):
    at = visit("fourier")
    chosen = at.selectbox(key="run").value
    assert f'("{chosen}")' in at.get("html")[0].proto.body  # at first the browser writes it
    at.run()
    assert at.query_params["run"] == chosen
    at.selectbox(key="run").set_value("adding").run()
    assert at.query_params["run"] == "adding"
    at.query_params["run"] = chosen  # a way back
    assert at.run().selectbox(key="run").value == chosen
    del at.query_params["run"]  # to an address that names none
    assert at.run().selectbox(key="run").value == chosen
    assert at.query_params["run"] == chosen
    assert "There is no run yet" not in "".join(info.value for info in at.info)


# ---- ways to other pages ----


@pytest.mark.parametrize(
    ("page", "chosen", "label", "title", "kept"),
    [
        ("attention", {"a": 3, "b": 9}, "Follow this pair through the whole network", "Try it", {"a": 3, "b": 9}),
        ("fourier", {"k": 3}, "Its neurons (k = 3)", "Neurons", {"frequency": "3"}),
        ("neurons", {"neuron": 4}, "Back to the frequencies", "Fourier", {}),
        ("train", {"a": 10, "b": 2}, "Follow (10, 2) through the network", "Try it", {"a": 10, "b": 2}),
        ("try", {"a": 4, "b": 9}, "Attention takes the heads apart", "Attention", {"a": 4, "b": 9}),
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_a_way_to_another_page_keeps_run_step_and_inputs(adding, visit, page, chosen, label, title, kept, last):
    step = adding.steps[-1 if last else 1]
    # at an untrained step a frequency has no neurons of its own, so that none can be chosen there
    kept = {name: "any" if name == "frequency" and not last else value for name, value in kept.items()}
    at = follow(visit(page, run="adding", step=step, **chosen), label)
    assert at.title[0].value == title
    assert not at.warning
    assert at.selectbox(key="run").value == "adding"
    assert stands_at(at) == step
    assert {name: at.session_state[name] for name in kept} == kept


def test_a_way_to_another_page_keeps_a_run_that_is_not_the_first(adding, run_copy, visit):
    run_copy.rename(adding.folder.parent / "seven")
    first, *others = visit("runs").selectbox(key="run").options
    name = "adding" if first == "seven" else "seven"
    assert name in others
    at = follow(visit("attention", run=name), "Follow this pair through the whole network")
    assert at.selectbox(key="run").value == at.query_params["run"] == name


def test_a_way_there_and_back_is_where_one_was(adding, visit):
    at = move(visit("fourier", run="adding", k=3), adding.steps[1])
    follow(at, "Its neurons (k = 3)")
    follow(at, "Back to the frequencies")
    assert at.title[0].value == "Fourier"
    assert stands_at(at) == adding.steps[1]
