"""The page Sieve: what it says and draws of runs on primes, residues and strings is what the library finds."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file
from shown import codes
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import OPEN

TASK = miii.Primes(low=1000, high=4999, tokens="place")
TINY: dict[str, Any] = {
    "optimizer": {"name": "adamw"},
    "steps": 4,
    "batch_size": None,
    "eval_every": 2,
    "snapshots": 3,
    "precision": "float32",
    "threads": 1,
}
MODEL = {"d_model": 8, "n_heads": 2, "d_mlp": 16}


@pytest.fixture(scope="session")
def zoo(residue_adder, tmp_path_factory) -> Path:
    """A home of runs, of which ``adds`` sums residues modulo 3 at its last step. Shared: never write into it."""
    home = tmp_path_factory.mktemp("sieves")
    planted = residue_adder(TASK, 3, shares=(0.75, 0.25))
    shape = {**MODEL, "d_mlp": planted.config.d_mlp}
    tasks: dict[str, Any] = {
        "adds": TASK,
        "adds-shuffled": TASK.model_copy(update={"shuffled": True}),
        "residues": miii.Residues(p=11, masked=(5,)),
        "miu": miii.MIU(longest=9, longest_test=12, n=200),
    }
    for name, task in tasks.items():
        runs.record(home / name, miii.train(miii.recipe(task=task, model=shape, **TINY)))
    save_file(planted.state_dict(), home / "adds" / "snapshots" / "4.safetensors")
    runs.record(home / "pairs", miii.train(miii.RunConfig(task=miii.ModularAddition(p=5), model=MODEL, steps=2)))
    return home


@pytest.fixture
def run(zoo, monkeypatch):
    """Opens one of them where the app looks for runs."""
    monkeypatch.setenv("MIII_RUNS", str(zoo))
    return runs.open


def titles(at: AppTest) -> list[str]:
    charts = at.get("vega_lite_chart")
    assert all(chart.proto.alt for chart in charts)
    return [json.loads(chart.proto.spec)["title"] for chart in charts]


def drawn(at: AppTest, title: str) -> Any:
    """The rows behind the chart of a title, as the code below it gives them."""
    for code in codes(at):
        tree: dict[str, Any] = {}
        body, _, last = code.rpartition("\n")
        exec(body, tree)
        made = eval(last, tree)
        for chart in made if isinstance(made, tuple) else (made,):
            if chart.title == title:
                return plots.frame(chart)
    raise AssertionError(f"no chart is called {title}")


def test_a_network_that_adds_is_said_to_add(run, visit, texts):
    adds = run("adds")
    model, task = adds.model(), adds.task()
    found = analysis.sieve.depth(model, task, TASK)
    at = visit("sieve", run="adds")
    assert not at.error
    metrics = {metric.label: metric.value for metric in at.metric}
    assert metrics["Sieve depth"] == "3"
    assert metrics["ROC AUC"] == f"{found.roc_auc:.3f}"
    assert metrics["Average precision"] == f"{found.average_precision:.3f}"
    assert metrics["Primes found"] == f"{found.recall_primes:.1%}"
    assert "Told from primes: 3. The first that is not: 7" in texts(at)
    assert [box.value for box in at.success] == [f"At step 4 the network **sums residues modulo 3**. {OPEN}"]
    (added,) = analysis.sieve.measure_addition(model, task, TASK, (3,), (3,))
    (row,) = at.dataframe[1].value.to_dict("records")
    assert row["explained"] == added.variance_explained == pytest.approx(1)
    assert (row["interchange"], row["its control"]) == (added.interchange.accuracy, added.interchange.control) == (1, 0)
    assert (row["steering"], row["control of steering"]) == (1, 0)
    assert row["sums residues"]
    assert "explains **100.0%** of the variance" in texts(at)
    assert "head 0 75%, head 1 25%" in texts(at)
    assert titles(at) == [
        "Primes against composites, by smallest factor",
        "The network beside trial division up to q",
        "What each digit adds, place by place",
        "Where each head looks",
        "What each head adds to tell residues modulo 3",
        "Interchange, modulo 3",
        "Who crosses",
    ]


def test_an_untrained_network_is_not_said_to_add(run, visit, texts):
    run("adds")
    at = visit("sieve", run="adds", step=0)
    assert not at.error
    assert not at.success
    assert any("does not sum residues modulo" in box.value for box in at.info)
    at.toggle(key="all").set_value(True).run()
    assert not at.exception
    assert any(box.value.endswith("**does not sum residues modulo a prime**.") for box in at.info)
    assert at.dataframe[1].value["q"].tolist() == [3, 7, 11, 13]
    assert "No factor is told from primes." in texts(at)


def test_another_modulus_and_another_change_can_be_looked_at(run, visit, texts):
    adds = run("adds")
    at = visit("sieve", run="adds", modulus=7, change="steering")
    assert not at.error
    (added,) = analysis.sieve.measure_addition(adds.model(), adds.task(), TASK, (7,), (3,))
    assert f"explains **{added.explained.share:.1%}** of the variance" in texts(at)
    assert "What each head adds to tell residues modulo 7" in titles(at)
    assert "Left out are integers divisible by 3;" in texts(at)
    at = visit("sieve", run="adds", modulus=11)
    assert "11 is at least the base 10" in texts(at)


@pytest.mark.parametrize("query", [{"modulus": ""}, {"modulus": 4}, {"change": "nosuch"}, {"n": 7}, {"probes": "x"}])
def test_a_bad_value_in_the_address_is_passed_over(run, visit, query):
    run("adds")
    at = visit("sieve", run="adds", **query)
    assert not at.error
    assert "Interchange, modulo 3" in titles(at)


def test_the_charts_are_those_of_the_library(run, visit):
    adds = run("adds")
    at = visit("sieve", run="adds")
    fitted, held_out = (analysis.sieve.sum_of_split(adds.model(), adds.task(), TASK, side) for side in (True, False))
    plane = analysis.sieve.plane(fitted, held_out, 3)
    got = drawn(at, "What each digit adds, place by place")
    assert got[["x", "y"]].to_numpy() == pytest.approx(plane.table[["x", "y"]].to_numpy())


def test_the_probes_are_fitted_when_they_are_asked_for(run, visit, texts):
    adds = run("adds")
    title = "Where n mod 3 can be read (harmonic 1)"
    at = visit("sieve", run="adds")
    assert title not in titles(at)
    at.toggle(key="probes").set_value(True).run()
    assert not at.exception
    assert title in titles(at)
    assert "The control with shuffled labels is adds-shuffled." in texts(at)
    got = drawn(at, title)
    assert got["network"].unique().tolist() == ["trained", "trained on shuffled labels", "untrained"]
    found = analysis.sieve.probe(adds.model(), adds.task(), (3, 7, 11, 13))
    assert f"trained {found.best(3):.3f};" in texts(at)
    assert got.loc[got["network"] == "trained", "r2"].max() == pytest.approx(found.best(3))


@pytest.mark.parametrize(
    ("n", "said", "truth", "words"),
    [
        (1009, "prime", "prime", "$1009 = 1009$"),
        (3003, "composite", "composite", r"$3003 = 3 \cdot 7 \cdot 11 \cdot 13$"),
        (1331, "prime", "composite", "$1331 = 11^{3}$"),
    ],
)
def test_a_number_can_be_tried(run, visit, texts, n, said, truth, words):
    task = run("adds").task()
    at = visit("sieve", run="adds", n=n)
    shown = {metric.label: metric.value for metric in at.metric}
    assert (shown["It says"], shown["The truth"]) == (said, truth)
    assert shown["Evidence"] == ("-1.00" if n % 3 == 0 else "1.00")
    trains = bool(task.train_mask[int((task.facts["n"] == n).nonzero())])
    assert f"{words}, a number {'in its training half' if trains else 'that it has never seen'}." in texts(at)
    table = at.dataframe[2].value
    assert table.iloc[0, 1:].tolist() == [int(digit) for digit in str(n)]
    assert table.iloc[1, 1:].tolist() == [int(digit) % 3 for digit in str(n)]
    assert f"\\equiv {n % 3} \\pmod{{3}}$" in texts(at)
    assert (f"3 divides {n}." in texts(at)) == (n % 3 == 0)


def test_residues_are_judged_task_by_task(run, visit, texts):
    shown = run("residues")
    found = analysis.multitask.accuracies(shown.model(), shown.task())
    at = visit("sieve", run="residues")
    assert not at.error
    metrics = {metric.label: metric.value for metric in at.metric}
    worst = min(found, key=lambda name: found[name])
    assert metrics["Worst"] == worst
    assert metrics["Its accuracy"] == f"{found[worst]:.1%}"
    assert "Never trained: mod 5." in texts(at)
    heads = analysis.multitask.heads(shown.model(), shown.task())
    assert ("Yes: " if all(head.one_digit for head in heads) else "No: ") in texts(at)
    assert titles(at) == ["Right answers on the held-out numbers", "What each head looks at"]
    at.toggle(key="count").set_value(True).run()
    assert not at.exception
    assert titles(at)[2:] == ["Active frequencies over training", "Power of each frequency over training"]
    got = drawn(at, "Active frequencies over training")
    assert sorted(set(got["step"])) == shown.steps


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ([0, 5, 2], "0 at first, at most 5 (step 10), 2 at last: it rises and falls"),
        ([2, 3, 2], "2 at first, at most 3 (step 10), 2 at last: it neither rises nor falls"),
        ([1, 3, 6], "1 at first, at most 6 (step 20), 6 at last: it rises and does not fall"),
        ([4, 2, 1], "4 at first, at most 4 (step 0), 1 at last: it falls and does not rise"),
    ],
)
def test_counts_rise_and_fall_or_do_not(counts, words):
    counted = importlib.import_module("pages._tasks.residues.inside").counted
    assert counted(counts, [0, 10, 20]) == words


def test_strings_are_asked_by_length(run, visit, texts):
    shown = run("miu")
    config = shown.config.task
    assert isinstance(config, miii.MIU)
    strings = analysis.lengths.by_length(shown.model(), config)
    at = visit("sieve", run="miu")
    assert not at.error
    longer = analysis.lengths.balanced(strings[strings["longer"]])
    shown_as = {metric.label: metric.value for metric in at.metric}
    assert shown_as["Fair coins, longer"] == f"{longer:.1%}"
    assert shown_as["Test, longer"] == f"{shown.rows()[-1]['accuracy_longer']:.1%}"
    assert titles(at) == [
        "Right answers by length",
        "Right answers by the number of I's",
        "Evidence by the number of I's",
    ]
    at.toggle(key="apart").set_value(True).run()
    assert not at.exception
    crossed = drawn(at, "Who crosses")
    assert crossed["change"].unique().tolist() == ["interchange", "steering"]
    reached = drawn(at, "Right answers by length")
    assert reached["strings"].sum() == len(strings)
    assert "does not sum residues modulo" in texts(at)


def test_a_network_on_pairs_is_shown_the_way(run, visit):
    run("pairs")
    at = visit("sieve", run="pairs")
    assert not at.error
    assert "pairs calculates with pairs of numbers" in at.info[0].value
    assert not titles(at)
