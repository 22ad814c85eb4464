"""The Data page of primes, residues and MIU: what it says is what the library gives, and bad input is a sentence."""

import importlib
import io
import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sympy
from shown import codes, figures
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis

KINDS = ("primes", "residues", "miu", "frames")
#: Of every kind a task that is built and drawn in no time.
LITTLE: dict[str, Any] = {
    "add": {"p": 7},
    "primes": {"preset": "other", "low": 100, "high": 400, "side": 51, "reach": 100},
    "residues": {"digit_base": 11},
    "miu": {"strings": 200, "longest": 6, "longest_test": 8},
    "frames": {"low": 100, "high": 399, "frames": 3, "largest_step": 3},
}
SMALL = {"task": "primes", **LITTLE["primes"]}
WIDGETS = ("button", "button_group", "download_button", "number_input", "selectbox", "slider", "text_input", "toggle")


def ui(module: str) -> Any:
    return importlib.import_module(f"pages.{module}")


def titles(at: AppTest) -> list[str]:
    return [json.loads(chart.proto.spec).get("title") for chart in at.get("vega_lite_chart")]


def metrics(at: AppTest) -> dict[str, str]:
    return {metric.label: metric.value for metric in at.metric}


# ---- every kind ----


@pytest.mark.parametrize("task", LITTLE)
def test_a_task_in_the_url_is_the_one_shown(visit, task):
    at = visit("data", task=task, **LITTLE[task])
    assert at.selectbox(key="task").value == task
    assert not at.error
    charts = at.get("vega_lite_chart")
    assert charts
    assert all(chart.proto.alt for chart in charts)
    for kind in WIDGETS:
        for widget in at.get(kind):
            assert widget.proto.label, f"a {kind} without a label"
            assert widget.proto.help, f"{widget.proto.label} does not say what it is for"


def test_from_task_to_task_and_back(visit, texts):
    at = visit("data", p=7)
    for task, title in (
        ("miu", "Theorems by length"),
        ("frames", "The split by blocks of integers"),
        ("residues", "Every number, asked mod 7"),
        ("add", "Every pair (a, b)"),
    ):
        at.selectbox(key="task").select(task).run()
        assert not at.exception
        assert not at.error
        assert titles(at)[0] == title


def test_every_figure_has_its_code_and_its_numbers(visit):
    for kind in KINDS:
        at = visit("data", task=kind, **LITTLE[kind])
        shown = [json.loads(chart.proto.spec)["title"] for chart in at.get("vega_lite_chart")]
        made = [figure.make(**figure.arguments) for figure in figures(at)]  # one computation may give two
        assert shown == [chart.title for each in made for chart in (each if isinstance(each, tuple) else (each,))]
        assert len(at.get("popover")) == len(made) > 0
        assert all(code.startswith("import miii") for code in codes(at))


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"task": "primes", "low": 500, "high": 400}, "low must be at most high"),
        ({"task": "primes", "low": 2, "high": 10**8}, "sample must say how many to draw"),
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
    ],
    ids=str,
)
def test_bad_input_is_one_sentence_and_the_page_stops(visit, query, said):
    at = visit("data", **LITTLE[query["task"]] | query)
    assert [said in error.value for error in at.error] == [True]
    assert at.error[0].value.endswith(".")
    assert at.error[0].value.count(". ") == 0


@pytest.mark.parametrize(
    "query",
    [{"q": 1}, {"q": "x"}, {"low": "x"}, {"preset": "none"}, {"side": 52}, {"row": -1}],
    ids=str,
)
def test_a_value_in_the_url_that_no_widget_takes_shows_no_trace(visit, query):
    at = visit("data", **SMALL | query)
    assert at.metric or at.error


# ---- primes ----


def test_table_1_is_as_printed(visit):
    at = visit("data", **SMALL)
    table = at.dataframe[0].value
    assert table.columns.tolist() == ["0", "1", "2", "3", "4", "5", "6", "7"]
    assert table.to_numpy().tolist() == [
        [10001, 10003, 10007, 10009, 0, 0, 1, 1],
        [10011, 10013, 10017, 10019, 0, 0, 0, 0],
        [99981, 99983, 99987, 99989, 0, 0, 0, 1],
        [99991, 99993, 99997, 99999, 1, 0, 0, 0],
    ]


@pytest.mark.parametrize("row", [0, 8999])
def test_any_row_of_table_1_can_be_seen(visit, row):
    at = visit("data", **SMALL, row=row)
    n = [10_000 + 10 * row + last for last in (1, 3, 7, 9)]
    assert at.dataframe[1].value.to_numpy().tolist() == [[*n, *(int(sympy.isprime(m)) for m in n)]]


@pytest.mark.parametrize(("preset", "low", "high"), [("text", 1000, 9999), ("table 1", 10_000, 99_999)])
def test_a_preset_is_its_range(visit, preset, low, high):
    at = visit("data", task="primes", preset=preset, side=51, reach=100)
    values = analysis.integers.members(miii.Primes(low=low, high=high))
    parts = values.counts().sum(1)
    assert metrics(at) == {
        "Integers": f"{len(values.n):,}",
        "Primes": f"{values.prime.sum():,}",
        "For training": f"{parts[0]:,}",
        "For validation": f"{parts[1]:,}",
        "For testing": f"{parts[2]:,}",
        "Tokens": "11",
    }


def test_the_page_shows_the_integers_that_the_controls_say(visit):
    query = {"base": 7, "candidates": "coprime", "split": "residue", "train_fraction": 0.4, "seed": 5}
    at = visit("data", **SMALL, **query, tokens="place", leading_zeros="false")
    task = miii.Primes(low=100, high=400, tokens="place", leading_zeros=False, **query)
    assert metrics(at)["Integers"] == str(task.n_examples)
    assert metrics(at)["For training"] == str(task.n_train)
    assert metrics(at)["Tokens"] == str(len(task.token_names))
    pd.testing.assert_frame_equal(
        at.dataframe[3].value.astype({"split": str}),
        analysis.integers.table(task).astype({"split": str}),
        check_dtype=False,
    )


@pytest.mark.parametrize(
    ("query", "shown", "tokens"),
    [
        ({}, ["0", "5", "3", "?"], [0, 5, 3, 10]),
        ({"leading_zeros": "false"}, ["·", "5", "3", "?"], [11, 5, 3, 10]),
        ({"tokens": "place"}, ["0@2", "5@1", "3@0", "?"], [0, 15, 23, 30]),
        ({"base": 100}, ["0", "53", "?"], [0, 53, 100]),
    ],
    ids=str,
)
def test_an_integer_is_shown_as_its_tokens(visit, texts, query, shown, tokens):
    at = visit("data", **SMALL, integer=53, **query)
    table = at.dataframe[2].value
    assert table["shown as"].tolist() == shown
    assert table["token"].tolist() == tokens
    assert sum(int(worth) for worth in table["worth"] if worth) == 53
    assert "53 is **prime**" in texts(at)


@pytest.mark.parametrize(
    ("integer", "said"),
    [(360, r"$360 = 2^{3} \cdot 3^{2} \cdot 5$"), (1, "1 is neither"), (2, "2 is **prime**")],
)
def test_an_integer_is_factored(visit, texts, integer, said):
    assert said in texts(visit("data", **SMALL, integer=integer))


def test_the_figures_of_primes_are_these(visit):
    assert titles(visit("data", **SMALL, q=6)) == [
        "Share of primes by size",
        "The integers modulo 6",
        "Radius n, angle n",
        "Ulam's spiral",
        "Class balance by last digit",
        "Who trains, row by row",
        "Integers in each part",
    ]


def test_points_left_out_of_the_polar_plot_are_counted(visit, texts):
    assert "100 points. 44" in texts(visit("data", **SMALL))
    said = texts(visit("data", **SMALL | {"reach": 9000}))
    assert "4,000 points; 5,000 further integers up to 9,000 are left out" in said


def test_what_the_last_digit_gives_away_is_the_share_that_is_said(visit, texts):
    n = np.arange(100, 401)
    composite = n[[not sympy.isprime(int(m)) for m in n]]
    share = float((np.gcd(composite, 10) > 1).mean())
    assert f"{share:.1%} of the composites" in texts(visit("data", **SMALL))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_the_files_hold_the_whole_data_set(server, kind):
    task = miii.Primes(low=2, high=1500, base=12, split="range")
    data = getattr(ui("_tasks.primes.data"), kind)(task)
    read = {"csv": pd.read_csv, "parquet": pd.read_parquet}[kind](io.BytesIO(data))
    expected = analysis.integers.table(task)
    assert read.columns.tolist() == ["n", "prime", "spf", "split", "digit_2", "digit_1", "digit_0"]
    for column in expected:
        assert read[column].tolist() == expected[column].tolist()


# ---- residues ----


def test_residues_say_what_is_asked_of_a_number(visit, texts):
    at = visit("data", task="residues", digit_base=11, seed=2)
    config = miii.Residues(p=11, seed=2)
    assert metrics(at) == {
        "Numbers": "121",
        "For training": str(config.n_train),
        "For testing": str(121 - config.n_train),
        "Tasks": "4",
        "Logits": "17",
    }
    at.slider[1].set_value(47).run()
    said = texts(at)
    assert "**47** = 3 + 11 · 4 is shown as `3 4 =`" in said
    assert f"**{'train' if config.build().train_mask[47] else 'test'}** split" in said
    assert "mod 2: 1, mod 3: 2, mod 5: 2, mod 7: 5." in said


def test_the_asked_task_is_the_one_drawn_and_gives_way_to_one_that_there_is(visit):
    at = visit("data", task="residues", digit_base=29, asked="mod 23")
    assert titles(at)[0] == "Every number, asked mod 23"
    at.number_input(key="digit_base").set_value(7).run()
    assert not at.exception
    assert at.selectbox(key="asked").options == ["mod 2", "mod 3", "mod 5"]
    at.toggle(key="basis").set_value(True).run()
    assert not at.exception
    assert at.selectbox(key="asked").options == ["x0", "x1"]
    assert titles(at)[0].startswith("Every number, asked x")


# ---- MIU ----


def test_miu_shows_the_strings_of_the_task(visit, texts):
    at = visit("data", task="miu", longest=6, longest_test=8, strings=200, seed=4)
    task = miii.MIU(longest=6, longest_test=8, n=200, seed=4).build()
    assert metrics(at)["Strings"] == "220"
    assert metrics(at)["Theorems"] == f"{task.labels.float().mean():.1%}"
    assert metrics(at)["Longer, only tested"] == "20"
    tape = next(box for box in at.number_input if box.label == "String number")
    for row in (0, 1, 2, 219):
        tape.set_value(row).run()
        shown = " ".join(task.token_names[token] for token in task.tokens[row].tolist())
        assert shown in [code.value for code in at.code]
        string = "".join(letter for letter in shown if letter in "MIU")
        said = next(text.value for text in at.markdown if text.value.startswith("`M"))
        assert said.startswith(f"`{string}` has {len(string) - 1} letters after M, of which {string.count('I')} are I")
        assert ("**no theorem**" in said) == (task.labels[row] == 0) == (string.count("I") % 3 == 0)


@pytest.mark.parametrize("asked", ["UIIUIIU", " muiiuiiu "])
def test_a_theorem_is_derived(visit, texts, asked):
    at = visit("data", task="miu", **LITTLE["miu"], string=asked)
    assert "**MUIIUIIU is a theorem.**" in texts(at)
    assert "the shortest, by search" in texts(at)
    assert at.dataframe[0].value["string"].tolist() == [s.string for s in analysis.miu.shortest("MUIIUIIU") or ()]


def test_a_theorem_that_search_does_not_reach_is_derived_by_rule(visit, texts):
    string = "U" * 20 + "IIIII"
    at = visit("data", task="miu", **LITTLE["miu"], string=string)
    assert "made by rule" in texts(at)
    assert at.dataframe[0].value["string"].tolist() == [s.string for s in analysis.miu.derivation(f"M{string}")]


@pytest.mark.parametrize("asked", ["III", "M"])
def test_what_is_no_theorem_is_said_to_be_none(visit, texts, asked):
    at = visit("data", task="miu", **LITTLE["miu"], string=asked)
    assert f"M{asked.removeprefix('M')} is no theorem" in texts(at)
    assert not at.dataframe


# ---- frames ----


def test_a_sequence_of_frames_is_the_task_s(visit, texts):
    at = visit("data", task="frames", **LITTLE["frames"], sequence=50)
    task = miii.Frames(**LITTLE["frames"]).build()
    table = at.dataframe[0].value
    assert table["token"].tolist() == [task.token_names[token] for token in task.tokens[50]]
    asked = ["" if token < 0 else task.token_names[token] for token in task.next_tokens[50].tolist()]
    assert table["asked next"].tolist() == asked
    assert metrics(at)["Sequences"] == f"{len(task.labels):,}"
    assert metrics(at)["For training"] == f"{int(task.train_mask.sum()):,}"
    side = "train" if task.train_mask[50] else "test"
    assert f"in the **{side}** split" in texts(at)
    first, last, step = (int(task.facts[name][50]) for name in ("first", "last", "step"))
    assert f"From {first} to {last} in steps of {step}" in texts(at)
