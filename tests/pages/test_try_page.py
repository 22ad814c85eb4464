"""The page Follow an input: what it says of one input is what the library finds, for every kind of task."""

import re

import pytest
import sympy
import torch
from shown import Shown, app, button, press, shown

from miii import analysis, runs
from miii.analysis import follow

MODULAR = 6  #: charts of a pair


def ways(view: Shown) -> dict[str, str]:
    """The keys of the buttons that lead to other pages, by page."""
    keys = [widget.key for widget in view.widgets if (widget.key or "").startswith("to-")]
    return {key.split("-")[2]: key for key in keys}


def test_a_pair_is_followed_to_the_frequencies_that_argued(zoo, see):
    run = zoo("adds")
    view = see("try", run="adds", a=3, b=4)
    assert (len(view.headers), len(view.charts)) == (5, MODULAR)
    assert list(view.metrics.values())[:2] == ["7", "7"]
    found = follow.forward_pass(run.model(), run.task().tokens[3 * 11 + 4])
    waves, answer = follow.waves(found.logits), follow.predict(found.logits)
    for words in (
        "`3 4 =`",
        f"k = 2: {waves.wave[1, 7]:+.2f}, k = 3: {waves.wave[2, 7]:+.2f}",
        f"{answer.logits[7]:.2f}",
        "k = 2 at 7.0 (100%), k = 3 at 7.0 (100%)",
        f"{answer.lead:.2f}",
    ):
        assert words in view.text


@pytest.mark.parametrize(
    ("run", "answers"), [("adds", ["7"]), ("primes", ["composite", "prime"]), ("miu", ["theorem"])]
)
def test_every_part_of_the_path_leads_to_its_section(visit, run, answers):
    at = visit("try", run=run, a=3, b=4)
    drawn = shown(at).charts[0]
    assert drawn.title == "The path of this input"
    nodes = next(rows for rows in drawn.rows() if "name" in rows)
    assert set(answers) <= set(nodes["name"])
    leading = {*nodes["href"], *re.findall(r"\((#\w+)\)", shown(at).captions)}
    assert leading == {"#tokens", "#looks", "#neurons", "#says"}
    assert leading <= {f"#{heading.proto.anchor}" for heading in at.header}


def test_a_typed_number_out_of_range_stays_and_is_explained(visit):
    at = visit("try", run="adds", a=3, b=4)
    at.number_input(key="a").set_value(200).run()
    assert at.number_input(key="a").value == 200
    assert [error.startswith("a must be a whole number from 0 to 10 (got 200)") for error in shown(at).errors] == [True]
    assert len(shown(at).charts) == MODULAR


def test_a_pair_that_the_task_leaves_out_gives_way_to_the_next(zoo, see):
    view, run = see("try", run="div", a=5, b=0), zoo("div")
    assert "leaves out the pair (5, 0). The next pair is shown: (5, 1)." in view.infos[0]
    assert "`5 1 =`" in view.text
    assert list(view.metrics.values())[1] == "5"
    assert len(run.task().labels) == 110


def test_another_pair_and_one_that_is_wrong(zoo, visit, monkeypatch):
    run = zoo("adds")
    at = visit("try", run="adds", a=3, b=4)
    assert button(at, "Try an error").disabled  # there is none
    with monkeypatch.context() as patch:
        patch.setattr("random.choice", lambda pairs: pairs[5 * 11 + 9])
        press(at, "Try a random pair")
    assert (at.number_input(key="a").value, at.number_input(key="b").value) == (5, 9)
    step = run.steps[0]
    wrong = set(follow.wrong_examples(run.model(step), run.task()).tolist())
    at = visit("try", run="adds", step=step)
    press(at, "Try an error")
    assert at.number_input(key="a").value * 11 + at.number_input(key="b").value in wrong


def test_a_bad_value_in_the_address_shows_the_page_all_the_same(see):
    for query in ({"a": 11}, {"b": "x"}, {"layer": 5, "step": 7}):
        assert len(see("try", run="adds", **query).charts) == MODULAR
    for query in ({"n": 7}, {"n": ""}):
        assert see("try", run="primes", **query).charts


def test_a_network_with_neurons_that_cannot_be_read_off_says_so(see):
    view = see("try", run="recurrent")
    assert len(view.charts) == MODULAR - 2
    assert "gru" in view.text
    assert "recurrent" in view.infos[0]


# ---- primes ----


def test_a_divisor_is_suspected_where_it_divides(see):
    run = runs.open("primes-10")
    task = run.task()
    for n, suspected in ((12_345, True), (99_998, False)):
        view = see("try", run="primes-10", n=n)
        assert (len(view.headers), len(view.charts)) == (5, 5)
        table = view.table("q").set_index("q")
        assert table["detected"].to_dict() == {3: suspected, 7: False, 11: False, 13: False}
        assert table["AUC"][3] > 0.95 > table["AUC"][7]
        assert ("**It detects 3**" in view.text) == suspected
        for q in (2, 5):
            assert (f"The last digit shows that {q} divides it" in view.text) == (n % q == 0)
        factors = " \\cdot ".join(f"{q}^{{{k}}}" if k > 1 else str(q) for q, k in sympy.factorint(n).items())
        assert f"${n} = {factors}$" in view.text
        evidence = analysis.sieve.evidence(run.model(), task.tokens[task.facts["n"] == n])[0]
        assert f"{evidence:.2f}".replace("-", "−") in view.metrics.values()


def test_integers_beyond_the_task_are_followed_with_a_note(see):
    for n, truth in ((1, "neither"), (21, "composite")):
        view = see("try", run="primes", n=n)
        assert truth in view.metrics.values()
        assert "100 to 999" in view.text
    assert "$21 = 3 \\cdot 7$" in see("try", run="primes", n=21).text


def test_an_untrained_network_suspects_nothing(see):
    view = see("try", run="sieves", step=0, n=2345)
    assert not view.table("q")["detected"].any()


def test_an_integer_that_it_gets_wrong_is_wrong(visit):
    at = press(visit("try", run="primes"), "Try an error")
    said, truth = list(shown(at).metrics.values())[:2]
    assert said != truth == ("prime" if sympy.isprime(at.number_input(key="n").value) else "composite")
    press(at, "Try a random integer")


def test_a_network_with_residues_as_help_answers_them(zoo, see):
    run = zoo("primes")
    n = 301
    view = see("try", run="primes", n=n, modulus=7)
    task = run.task()
    with torch.no_grad():
        logits = run.model()(task.tokens[task.facts["n"] == n])[0, -1]
    table = view.table("n mod q").set_index("q")
    assert table["n mod q"].to_dict() == {q: n % q for q in (3, 7)}
    assert table["prediction"].to_dict() == {q: int(logits[task.logits_of(f"mod {q}")].argmax()) for q in (3, 7)}
    assert view.drawn[-1].endswith("modulo 7")


def test_a_sum_that_cannot_be_split_is_one_sentence(see):
    view = see("try", run="deep primes", n=123)
    assert "deep primes" in view.infos[-1]
    assert "$123 = 3 \\cdot 41$" in view.text
    assert len(view.charts) == 3


# ---- residues, strings, frames ----


def test_all_residues_of_a_number_stand_beside_the_truth(zoo, visit, see):
    run = zoo("residues")
    task, n = run.task(), 100
    view = see("try", run="residues", n=n, asked="mod 7")
    assert len(view.charts) == MODULAR
    with torch.no_grad():
        logits = run.model()(task.tokens[[n]])[0, -1]
    answers = [int(logits[task.logits_of(target.name)].argmax()) for target in task.targets]
    table, primes = view.table("prediction"), [2, 3, 5, 7]
    assert table["prediction"].tolist() == answers
    assert table["label"].tolist() == [n % q for q in primes]
    right = sum(a == n % q for a, q in zip(answers, primes, strict=True))
    assert f"{right} of 4" in view.metrics.values()
    assert "`= 1 9`" in view.text
    at = visit("try", run="residues", n=n)
    at.button[0].click().run()
    assert shown(at).charts
    for end in (1, 120):
        assert ("no prime factors" in see("try", run="residues", n=end).text) == (end < 2)


def test_divisors_that_it_misses_or_makes_up_are_listed(server, monkeypatch):
    page = app("_tasks.residues.follow")
    written: list[str] = []
    monkeypatch.setattr(page.st, "markdown", written.append)
    for n, answers, numbers in (
        (30, {2: 0, 3: 1, 7: 0}, ["2, 7", "2 \\cdot 3 \\cdot 5", "misses 3", "about 7"]),
        (8, {2: 1, 3: 2}, ["none", "2^{3}", "misses 2"]),
        (0, {2: 0, 3: 0}, ["2, 3", "no prime factors"]),
    ):
        written.clear()
        page._divisors(n, {f"mod {q}": follow.predict(-(torch.arange(q) != c).float()) for q, c in answers.items()})
        assert all(number in written[0] for number in numbers)


def test_the_control_without_a_modulus_has_no_divisors(see):
    view = see("try", run="digits", n=27)
    assert "2" in [value for label, value in view.metrics.items() if "x1" in label]
    assert "Predicted divisors" not in view.text


def test_a_string_is_followed_letter_by_letter(see):
    for string, truth in (("MIIUI", "not a theorem"), ("mi", "theorem")):
        view = see("try", run="miu", string=string)
        assert len(view.charts) == 4
        assert list(view.metrics.values())[1] == truth
        assert str(string.upper().count("I")) in view.metrics.values()


def test_what_is_no_string_is_one_sentence(visit):
    for string in ("MIX", "M" + "I" * 37):
        at = visit("try", run="miu", string=string)
        (error,) = shown(at).errors
        assert error.startswith("string must be M")
        assert repr(string) in error
        assert not shown(at).charts
    at.button[0].click().run()
    assert not at.error


def test_frames_lead_to_their_own_page(visit, see):
    at = visit("try", run="frames")
    assert list(ways(shown(at))) == ["frames"]
    at.button(key=ways(shown(at))["frames"]).click().run()
    assert shown(at).titles == see("frames", run="frames").titles


@pytest.mark.parametrize("page", ["sieve", "attention"])
def test_an_integer_that_another_page_does_not_take_stays_behind(visit, page):
    at = visit("try", run="primes", n=5)
    at.switch_page(f"pages/{page}.py").run()
    assert not at.exception
    assert not at.error
