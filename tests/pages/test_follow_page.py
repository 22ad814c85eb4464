"""The page Try it: what it says of one input is what the library finds, for every kind of task."""

import importlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sympy
import torch
from shown import stands_at
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, runs
from miii.analysis import follow

STEPS = ["1 · What it is shown", "2 · Where it looks", "3 · What its neurons make of it", "4 · What it says"]
MODULAR = [
    "Where it looks from the last token",
    "The neurons that argue loudest",
    "What it says",
    "Which frequency argued for it",
    "The highest waves, and the sum of all",
]


@pytest.fixture(scope="session")
def made(recorded_adder) -> Path:
    """A run whose last snapshot adds modulo 11, exactly, by the frequencies 2 and 3; the others are untrained."""
    return recorded_adder("adds", scale=3.0, act="square")


@pytest.fixture
def adds(made, home) -> runs.Run:
    return runs.open(shutil.copytree(made, home / "adds"))


@pytest.fixture
def opened(visit) -> Callable[..., AppTest]:
    """The page, without complaint, every chart with its words."""

    def go(**query: object) -> AppTest:
        at = visit("try", **query)
        assert not at.error
        assert all(chart.proto.alt for chart in at.get("vega_lite_chart"))
        return at

    return go


def titles(at: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec)["title"] for chart in at.get("vega_lite_chart")]


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


def ways(at: AppTest) -> dict[str, str]:
    """The keys of the buttons that lead to other pages, by page."""
    keys = [button.key for button in at.button if (button.key or "").startswith("to-")]
    return {key.split("-")[2]: key for key in keys}


# ---- pairs ----


def test_a_pair_is_followed_to_the_frequencies_that_argued(adds, opened, texts):
    at = opened(run="adds", a=3, b=4)
    assert [header.value for header in at.header] == [*STEPS, "5 · Who argued for it"]
    assert titles(at) == MODULAR
    assert metrics(at) | {"Sure by": ""} == {"It answers": "7", "The truth": "7", "It is": "right", "Sure by": ""}
    said = texts(at)
    assert "`3 4 =`: three **tokens**" in said
    found = follow.forward_pass(adds.model(), adds.task().tokens[3 * 11 + 4])
    waves, answer = follow.waves(found.logits), follow.predict(found.logits)
    assert f"**For 7**: k = 2 {waves.wave[1, 7]:+.2f}, k = 3 {waves.wave[2, 7]:+.2f}" in said
    assert f"they add up to its {answer.logits[7]:.2f}" in said
    assert "k = 2 at 7.0 (100%), k = 3 at 7.0 (100%). 2 of these 2" in said
    assert f"of a lead of {answer.lead:.2f}" in said
    split = "trained it" if adds.task().train_mask[3 * 11 + 4] else "was held out"
    assert f"This pair {split}" in said


@pytest.mark.parametrize("step", [0, 2])
def test_an_untrained_network_is_followed_too(adds, opened, texts, step):
    shown = adds.steps[step]
    at = opened(run="adds", step=shown, a=3, b=4)
    assert titles(at) == MODULAR
    found = follow.predict(follow.forward_pass(adds.model(shown), adds.task().tokens[3 * 11 + 4]).logits)
    assert metrics(at)["It answers"] == str(found.answer)
    assert metrics(at)["Sure by"] == f"{found.probability[found.answer]:.1%}"


def test_another_pair_is_another_one(adds, opened, monkeypatch):
    at = opened(run="adds", a=3, b=4)
    monkeypatch.setattr("random.choice", lambda pairs: pairs[5 * 11 + 9])
    next(button for button in at.button if button.label == "Another pair").click().run()
    assert (at.number_input(key="a").value, at.number_input(key="b").value) == (5, 9)
    assert metrics(at)["The truth"] == "3"


def test_where_every_pair_is_right_none_is_offered_that_is_wrong(adds, opened):
    at = opened(run="adds")
    (button,) = (button for button in at.button if button.label == "One that it gets wrong")
    assert button.disabled
    assert "0 of 121 pairs wrong" in button.proto.help


def test_a_pair_that_it_gets_wrong_is_wrong(adds, opened, texts):
    step = adds.steps[0]
    wrong = set(follow.wrong_examples(adds.model(step), adds.task()).tolist())
    at = opened(run="adds", step=step)
    for _ in range(3):
        next(button for button in at.button if button.label == "One that it gets wrong").click().run()
        assert not at.exception
        assert metrics(at)["It is"] == "wrong"
        assert at.number_input(key="a").value * 11 + at.number_input(key="b").value in wrong
    assert "The truth, " in texts(at)


@pytest.mark.parametrize("page", ["data", "attention", "neurons", "fourier", "formula"])
def test_ways_lead_to_the_same_run_step_and_pair(adds, opened, page):
    at = opened(run="adds", step=0, a=3, b=4)
    at.button(key=ways(at)[page]).click().run()
    assert not at.exception
    assert not at.warning
    assert at.title[0].value == page.capitalize()
    assert at.selectbox(key="run").value == "adds"
    assert page == "data" or stands_at(at) == 0
    if page == "attention":
        assert (at.number_input(key="a").value, at.number_input(key="b").value) == (3, 4)


@pytest.mark.parametrize("query", [{"a": 11}, {"a": -1}, {"b": "x"}, {"a": ""}, {"layer": 5}, {"step": 7}], ids=str)
def test_a_bad_value_in_the_url_shows_no_trace(adds, opened, query):
    assert titles(opened(run="adds", **query)) == MODULAR


def test_a_network_whose_neurons_cannot_be_read_off_says_so(home, small_config, opened, texts):
    runs.record(home / "normed", miii.train(small_config(model={"block": "pre-norm", "mixer": "gru"}, steps=5)))
    at = opened(run="normed")
    assert titles(at) == MODULAR[2:]
    assert "it mixes positions by gru, which has no pattern" in texts(at)
    assert "What single neurons add cannot be read off normed" in at.info[0].value


def test_the_shipped_network_adds_on_circles(opened, texts):
    at = opened(run="add-113", a=5, b=8)
    assert metrics(at)["It answers"] == metrics(at)["The truth"] == "13"
    assert "**For 13**: k = 15 +15.92, k = 6 +10.37, k = 7 +4.33" in texts(at)
    assert "3 of these 5 have more than 90%" in texts(at)


# ---- primes ----


@pytest.mark.parametrize(("n", "suspects"), [(30_031, False), (12_345, True), (10_011, True), (99_998, False)])
def test_a_divisor_is_suspected_where_it_divides(opened, texts, n, suspects):
    at = opened(run="primes-10", n=n)
    assert [header.value for header in at.header] == [*STEPS, "5 · Which divisor it suspects"]
    assert titles(at) == [*MODULAR[:2], "Its evidence beside others'", f"How the sum of {n} is made, modulo 3"]
    said = texts(at)
    assert ("**It suspects 3**" in said) == suspects == (n % 3 == 0)
    assert ("**It suspects no divisor** of those that it sees in this sum, 3." in said) == (not suspects)
    assert "**It suspects 7**" not in said
    for q in (2, 5):
        assert (f"By its last digit it is a multiple of {q}" in said) == (n % q == 0)
    factors = " \\cdot ".join(f"{q}^{{{k}}}" if k > 1 else str(q) for q, k in sympy.factorint(n).items())
    assert f"**The truth**: ${n} = {factors}$." in said
    run = runs.open("primes-10")
    evidence = analysis.sieve.evidence(run.model(), run.task().tokens[run.task().facts["n"] == n])[0]
    assert metrics(at)["Evidence"] == f"{evidence:.2f}"
    table = at.dataframe[0].value.set_index("q")
    assert table["it suspects q"].to_dict() == {3: suspects, 7: False, 11: False, 13: False}
    assert table["AUC"][3] > 0.95 > table["AUC"][7]


@pytest.mark.parametrize(("n", "truth"), [(0, "neither"), (1, "neither"), (17, "prime"), (21, "composite")])
def test_integers_that_the_task_lacks_are_followed_and_said_to_be_strange(opened, texts, n, truth):
    at = opened(run="primes-10", n=n)
    assert metrics(at)["The truth"] == truth
    assert "It is not between 10,000 and 99,999, so the network has met nothing like it." in texts(at)
    truth = {17: "17 is prime", 21: "$21 = 3 \\cdot 7$"}.get(n, f"{n} has no prime factors")
    assert f"**The truth**: {truth}." in texts(at)


def test_an_untrained_network_suspects_nothing(opened, texts):
    at = opened(run="primes-10", step=0, n=12_345)
    assert "**In this sum it sees no divisor**" in texts(at)
    assert "So it suspects none beyond the last digit." in texts(at)
    assert not at.dataframe[0].value["it suspects q"].any()


def test_one_that_it_judges_wrong_is_wrong(opened):
    at = opened(run="primes-10")
    next(button for button in at.button if button.label == "One that it gets wrong").click().run()
    assert not at.exception
    said = metrics(at)
    assert said["It says"] != said["The truth"]
    assert said["The truth"] == ("prime" if sympy.isprime(at.number_input(key="n").value) else "composite")
    next(button for button in at.button if button.label == "Another integer").click().run()
    assert not at.exception


def test_a_network_that_was_asked_for_residues_says_them(opened, texts):
    at = opened(run="primes-10-assisted", n=1001, modulus=7)
    assert "An answer of 0 says that q divides it: **7, 11, 13**" in texts(at)
    table = at.dataframe[0].value.set_index("q")
    assert table["it says n mod q"].to_dict() == table["the truth"].to_dict() == {3: 2, 7: 0, 11: 0, 13: 0}
    assert "Yet its evidence tells multiples of 3, 7, 11, 13 from primes" in texts(at)
    assert titles(at)[-1] == "How the sum of 1001 is made, modulo 7"


def test_a_sum_that_cannot_be_split_is_one_sentence(home, opened, texts):
    config = miii.recipe(
        task=miii.Primes(low=100, high=999),
        model={"d_model": 8, "n_heads": 2, "d_mlp": 16, "block": "vaswani"},
        optimizer={"name": "adamw"},
        steps=4,
        batch_size=None,
        precision="float32",
        threads=1,
    )
    runs.record(home / "normed", miii.train(config))
    at = opened(run="normed", n=123)
    assert "That cannot be asked of normed: model must mix positions by attention" in at.info[-1].value
    assert "**The truth**: $123 = 3 \\cdot 41$" in texts(at)
    assert titles(at) == [MODULAR[0], "Its evidence beside others'"]


# ---- residues, strings, frames ----


def test_all_residues_of_a_number_stand_beside_the_truth(opened, texts):
    at = opened(run="residues-113", n=2026, asked="mod 11")
    assert titles(at) == MODULAR
    table = at.dataframe[0].value
    assert len(table) == 29
    run = runs.open("residues-113")
    task = run.task()
    with torch.no_grad():
        logits = run.model()(task.tokens[[2026]])[0, -1]
    answers = [int(logits[task.logits_of(target.name)].argmax()) for target in task.targets]
    assert table["it answers"].tolist() == answers
    assert table["the truth"].tolist() == [2026 % q for q in run.config.task.primes]
    right = sum(a == t for a, t in zip(answers, table["the truth"], strict=True))
    assert metrics(at)["Right answers"] == f"{right} of 29"
    assert metrics(at)["The truth, mod 11"] == str(2026 % 11)
    said = texts(at)
    assert "2,026 = 105 + 113 · 17 is shown as `105 17 =`" in said
    assert "**Divisors that it suspects: 2.** The truth: $2026 = 2 \\cdot 1013$." in said
    at.button[0].click().run()
    assert not at.exception


@pytest.mark.parametrize("n", [0, 1, 12_768])
def test_the_numbers_at_both_ends_are_followed(opened, texts, n):
    at = opened(run="residues-113", n=n)
    assert ("has no prime factors" in texts(at)) == (n < 2)


@pytest.mark.parametrize(
    ("n", "answers", "said"),
    [
        (
            30,
            {2: 0, 3: 1, 7: 0},
            "suspects: 2, 7.** The truth: $30 = 2 \\cdot 3 \\cdot 5$. So it misses 3 and is wrong about 7.",
        ),
        (8, {2: 1, 3: 2}, "suspects: none.** The truth: $8 = 2^{3}$. So it misses 2."),
        (0, {2: 0, 3: 0}, "suspects: 2, 3.** The truth: 0 has no prime factors."),
    ],
)
def test_divisors_that_it_misses_or_makes_up_are_told(server, monkeypatch, n, answers, said):
    page = importlib.import_module("pages._tasks.residues.follow")
    written: list[str] = []
    monkeypatch.setattr(page.st, "markdown", written.append)
    page._divisors(n, {f"mod {q}": follow.predict(-(torch.arange(q) != c).float()) for q, c in answers.items()})
    assert written[0].endswith(said)


def test_the_control_without_a_modulus_has_no_divisors(home, opened, texts):
    config = miii.recipe(
        task=miii.Residues(p=11, basis=True),
        model={"d_model": 8, "n_heads": 2, "d_mlp": 16},
        optimizer={"name": "adamw"},
        steps=4,
        batch_size=None,
        precision="float32",
        threads=1,
    )
    runs.record(home / "basis", miii.train(config))
    at = opened(run="basis", n=27)
    assert metrics(at)["The truth, x1"] == "2"
    assert "Divisors" not in texts(at)


@pytest.mark.parametrize(("string", "says"), [("MIIUIUII", "theorem"), ("MIIUI", "no theorem"), ("mi", "theorem")])
def test_a_string_is_followed_letter_by_letter(opened, texts, string, says):
    at = opened(run="miu-24", string=string)
    assert titles(at) == [*MODULAR[:2], "Evidence letter by letter"]
    assert metrics(at)["It says"] == metrics(at)["The truth"] == says
    assert metrics(at)["I's"] == str(string.upper().count("I"))
    letters = len(string) - 1
    assert f"It is right about {letters} of the {letters} beginnings of this string" in texts(at)


@pytest.mark.parametrize("string", ["MIX", "I", "M" + "I" * 37])
def test_what_is_no_string_is_one_sentence(visit, string):
    at = visit("try", run="miu-24", string=string)
    assert [error.value for error in at.error] == [
        f"string must be M followed by 1 to 36 letters, each I or U (got {string!r})."
    ]
    assert not titles(at)
    at.button[0].click().run()
    assert not at.error
    assert titles(at)


def test_frames_have_a_page_of_their_own(opened):
    at = opened(run="frames-10")
    assert "on the page Frames" in at.info[0].value
    assert list(ways(at)) == ["frames"]
    at.button(key=ways(at)["frames"]).click().run()
    assert at.title[0].value == "Frames"


@pytest.mark.parametrize(
    ("name", "page", "query"), [("primes-10", "sieve", {"n": 5}), ("primes-10", "attention", {"n": 5})]
)
def test_an_integer_that_other_pages_do_not_take_does_not_follow_there(opened, name, page, query):
    at = opened(run=name, **query)
    at.switch_page(f"pages/{page}.py").run()
    assert not at.exception
    assert not at.error
