"""The page Data: what it says of every task is what the library gives, and bad input is a sentence."""

import io
from typing import Any, get_args

import numpy as np
import pandas as pd
import sympy
from shown import app, fine, shown
from test_every_page import DATA

import miii
from miii import analysis
from miii.expression import EXAMPLE
from miii.tasks import Operation

SMALL = {"task": "primes", **DATA["primes"]}

# ---- every kind ----


def test_from_task_to_task_and_back(visit, see):
    assert visit("data", run="miu").selectbox(key="task").value == "miu"
    at = visit("data", task="add", p=7)
    for task in ("miu", "frames", "residues", "add"):
        at.selectbox(key="task").select(task).run()
        view = shown(fine(at))
        assert not view.errors
        assert view.drawn[0] == see("data", task=task).drawn[0] or task in ("residues", "add")


def test_bad_input_is_one_sentence_and_the_page_stops(see):
    for query, words in (
        ({"task": "primes", "low": 500, "high": 400}, "low must be at most high"),
        ({"task": "primes", "low": 2, "high": 10**8}, "sample must"),
        ({"task": "primes", "base": 1}, "base must be at least 2 and at most 1000 (got 1)."),
        ({"task": "primes", "low": 114, "high": 126}, "split must leave at least one prime"),
        ({"task": "primes", "integer": 1000}, "n must be from 0 to 999"),
        ({"task": "residues", "digit_base": 251}, "p must be at most 211 in the app"),
        ({"task": "residues", "masked": "two"}, "masked must be an integer"),
        ({"task": "frames", "high": 120}, "high must be at least low + 24"),
        ({"task": "frames", "low": 10_000, "high": 199_999}, "high must be at most low + 133332 in the app"),
        ({"task": "frames", "frames": 1}, "frames must be at least 2"),
        ({"task": "miu", "longest": 40}, "longest_test must be at least longest"),
        ({"task": "miu", "longest_test": 121}, "longest_test must be at most 120"),
        ({"task": "miu", "string": "UMI"}, "string must be M followed by letters I and U only"),
        ({"task": "add", "p": 2, "fraction": 0.01}, "train_fraction must leave at least one of the 4 pairs"),
    ):
        (error,) = see("data", **DATA[query["task"]] | query).errors
        assert words in error
        assert error.endswith(".")
        assert error.count(". ") == 0


def test_a_value_in_the_address_that_no_widget_takes_shows_no_trace(see):
    bad: list[dict[str, Any]] = [{"p": 212}, {"p": "x", "seed": -1}, {"p": 2.5}, {"p": ""}]
    for query in (*bad, SMALL | {"q": 1, "side": 52}, SMALL | {"q": "x", "low": "x", "row": -1, "preset": "none"}):
        view = see("data", **query)
        assert view.metrics or view.errors


# ---- pairs ----


def test_pairs_are_those_of_the_task(visit, see):
    view = see("data", task="mul", p=7, fraction=0.4, seed=3)
    config = miii.ModularAddition(operation="mul", p=7, train_fraction=0.4, seed=3)
    task, table = config.build(), view.table("split")
    assert list(view.metrics.values()) == ["49", str(config.n_train), str(49 - config.n_train), "8"]
    assert table["c"].tolist() == task.labels.tolist()
    assert (table["split"] == "train").tolist() == task.train_mask.tolist()
    assert table["tokens"][8] == "1 1 ="
    at = visit("data", task="add", p=7)
    at.slider[1].set_value(3 * 7 + 5).run()
    assert all(words in shown(fine(at)).text for words in ("**(3, 5)**", "`3 5 =`", "`[3, 5, 7]`", "**1**"))


def test_every_operation_and_the_bounds_of_p(visit):
    at = visit("data", p=5)
    for operation in get_args(Operation):
        at.selectbox(key="task").select(operation).run()
        custom = {"expression": EXAMPLE} if operation == "expr" else {}
        labels = miii.ModularAddition(operation=operation, p=5, **custom).build().labels
        assert fine(at).dataframe[0].value["c"].tolist() == labels.tolist()
    left_out = visit("data", task="expr", p=7, fraction=0.5, expression="a / b where b != 0")
    for at, kept in ((left_out, 42), (visit("data", task="div", p=7, fraction=0.5), 42)):
        view = shown(fine(at))
        assert (view.metrics["Pairs"], view.errors) == (str(kept), [])
        assert "7 of 49 pairs have no answer" in view.captions
        answer, split = (next(c for c in view.charts if words in c.spec) for words in ("The answer to", "Every pair"))
        assert answer.spec.count("nan") == 0
        assert "left out" in str(split.data)
        assert at.dataframe[0].value["b"].min() == 1
    for query, words in (({"task": "div", "p": 12}, "p must be prime"), ({"expression": "a / b"}, "where b != 0")):
        (error,) = visit("data", **{"task": "expr", "p": 7} | query).error
        assert words in error.value
    for p in (2, 211):
        at = visit("data", task="add")
        at.number_input(key="p").set_value(p).run()
        assert (list(fine(at).error), at.metric[0].value) == ([], f"{p * p:,}")


# ---- primes ----


def test_table_1_is_as_printed_and_any_row_can_be_seen(see):
    table = see("data", **SMALL).tables[0]
    assert table.columns.tolist() == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert table.to_numpy().tolist() == [
        [10001, 10003, 10007, 10009, 0, 0, 1, 1],
        [10011, 10013, 10017, 10019, 0, 0, 0, 0],
        [99981, 99983, 99987, 99989, 0, 0, 0, 1],
        [99991, 99993, 99997, 99999, 1, 0, 0, 0],
    ]
    for row in (0, 8999):
        n = [10_000 + 10 * row + last for last in (1, 3, 7, 9)]
        assert see("data", **SMALL, row=row).tables[1].to_numpy().tolist() == [[*n, *map(int, map(sympy.isprime, n))]]


def test_a_preset_is_its_range(see):
    for preset, low, high in (("text", 1000, 9999), ("table 1", 10_000, 99_999)):
        values = analysis.integers.members(miii.Primes(low=low, high=high))
        counts = [len(values.n), values.prime.sum(), *values.counts().sum(1)]
        view = see("data", task="primes", preset=preset, side=51, reach=100)
        assert list(view.metrics.values()) == [*(f"{n:,}" for n in counts), "11"]


def test_the_integers_are_those_of_the_controls(see):
    query = {"base": 7, "candidates": "coprime", "split": "residue", "train_fraction": 0.4, "seed": 5}
    view = see("data", **SMALL, **query, tokens="place", leading_zeros="false")
    task = miii.Primes(low=100, high=400, tokens="place", leading_zeros=False, **query)
    for number in (task.n_examples, task.n_train, len(task.token_names)):
        assert str(number) in view.metrics.values()
    shown_as, wanted = (table.astype({"split": str}) for table in (view.table("spf"), analysis.integers.table(task)))
    pd.testing.assert_frame_equal(shown_as, wanted, check_dtype=False)


def test_an_integer_is_shown_as_its_tokens_and_factored(see):
    for query, shown_as, tokens in (
        ({}, ["0", "5", "3", "?"], [0, 5, 3, 10]),
        ({"leading_zeros": "false"}, ["·", "5", "3", "?"], [11, 5, 3, 10]),
        ({"tokens": "place"}, ["0@2", "5@1", "3@0", "?"], [0, 15, 23, 30]),
        ({"base": 100}, ["0", "53", "?"], [0, 53, 100]),
    ):
        table = see("data", **SMALL, integer=53, **query).table("value")
        assert table["shown as"].tolist() == shown_as
        assert table["token"].tolist() == tokens
        assert sum(int(worth) for worth in table["value"] if worth) == 53
    for integer, words in ((360, r"$360 = 2^{3} \cdot 3^{2} \cdot 5$"), (1, "1 is neither"), (2, "2 is **prime**")):
        assert words in see("data", **SMALL, integer=integer).text


def test_counted_shares_and_points_are_right(see):
    n = np.arange(100, 401)
    composite = n[[not sympy.isprime(int(m)) for m in n]]
    view = see("data", **SMALL, q=6)
    assert len(view.charts) == 7
    assert f"{float((np.gcd(composite, 10) > 1).mean()):.1%}" in view.text
    assert "100 points. 44" in view.text
    cut = see("data", **SMALL | {"reach": 9000}).text
    assert all(number in cut for number in ("4,000 points", "5,000", "9,000"))


def test_the_files_hold_the_whole_data_set(server):
    task = miii.Primes(low=2, high=1500, base=12, split="range")
    expected, data = analysis.integers.table(task), app("_tasks.primes.data")
    for made, read in ((data.csv, pd.read_csv), (data.parquet, pd.read_parquet)):
        frame = read(io.BytesIO(made(task)))
        assert frame.columns.tolist() == ["n", "prime", "spf", "split", "digit_2", "digit_1", "digit_0"]
        assert all(frame[column].tolist() == expected[column].tolist() for column in expected)


# ---- residues ----


def test_residues_of_a_number(visit):
    at = visit("data", task="residues", digit_base=11, seed=2)
    config = miii.Residues(p=11, seed=2)
    counts = [121, config.n_train, 121 - config.n_train, 4, 17]
    assert list(shown(at).metrics.values()) == list(map(str, counts))
    at.slider[1].set_value(47).run()
    side = "train" if config.build().train_mask[47] else "test"
    for words in ("47", "3 + 11 · 4", "`= 3 4`", f"**{side}**", "mod 2: 1, mod 3: 2, mod 5: 2, mod 7: 5"):
        assert words in shown(at).text


def test_the_asked_task_gives_way_to_one_that_there_is(visit):
    at = visit("data", task="residues", digit_base=29, asked="mod 23")
    assert "mod 23" in shown(at).drawn[0]
    at.number_input(key="digit_base").set_value(7).run()
    assert fine(at).selectbox(key="asked").options == ["mod 2", "mod 3", "mod 5"]
    at.selectbox(key="control").set_value("digits").run()
    assert fine(at).selectbox(key="asked").options == ["x0", "x1"]
    at.selectbox(key="control").set_value("shuffled").run()
    assert fine(at).selectbox(key="asked").options == ["mod 2", "mod 3", "mod 5"]


# ---- strings ----


def test_strings_are_those_of_the_task(visit):
    at = visit("data", task="miu", longest=6, longest_test=8, strings=200, seed=4)
    task = miii.MIU(longest=6, longest_test=8, n=200, seed=4).build()
    values = list(shown(at).metrics.values())
    assert {"220", "20", f"{task.labels.float().mean():.1%}"} <= set(values)
    tape = next(box for box in at.number_input if box.label == "String number")
    for row in (0, 1, 2, 219):
        view = shown(tape.set_value(row).run())
        tokens = " ".join(task.token_names[token] for token in task.tokens[row].tolist())
        assert tokens in view.codes
        string = "".join(letter for letter in tokens if letter in "MIU")
        said = next(text for text in view.prose["markdown"] if text.startswith(f"`{string}`"))
        assert f"{len(string) - 1} letters" in said
        assert ("**not a theorem**" in said) == (task.labels[row] == 0) == (string.count("I") % 3 == 0)


def test_a_theorem_is_derived_by_search_or_by_rule(see):
    long = "U" * 20 + "IIIII"
    for asked, steps in (
        ("UIIUIIU", analysis.miu.shortest("MUIIUIIU")),
        (" muiiuiiu ", analysis.miu.shortest("MUIIUIIU")),
        (long, analysis.miu.derivation(f"M{long}")),
    ):
        view = see("data", task="miu", **DATA["miu"], string=asked)
        assert view.table("string")["string"].tolist() == [step.string for step in steps or ()]
    for asked in ("III", "M"):
        view = see("data", task="miu", **DATA["miu"], string=asked)
        assert "is not a theorem" in view.text
        assert not view.tables


# ---- frames ----


def test_a_sequence_of_frames_is_the_task_s(see):
    view = see("data", task="frames", **DATA["frames"], sequence=50)
    task = miii.Frames(**DATA["frames"]).build()
    table = view.tables[0]
    assert table["token"].tolist() == [task.token_names[token] for token in task.tokens[50]]
    asked = ["" if token < 0 else task.token_names[token] for token in task.next_tokens[50].tolist()]
    assert table["target"].tolist() == asked
    assert {f"{len(task.labels):,}", f"{int(task.train_mask.sum()):,}"} <= set(view.metrics.values())
    assert f"**{'train' if task.train_mask[50] else 'test'}**" in view.text
    first, last, step = (int(task.facts[name][50]) for name in ("first", "last", "step"))
    assert f"From {first} to {last} in steps of {step}" in view.text
