"""The pages on runs of primes, residues and MIU: what they say is what the run has, or where else to look."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from shown import codes, player
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, runs
from miii.tasks.primes import SIEVED

TINY: dict[str, Any] = {
    "model": {"d_model": 8, "n_heads": 2, "d_mlp": 16},
    "optimizer": {"name": "adamw"},
    "steps": 12,
    "batch_size": None,
    "eval_every": 4,
    "snapshots": 3,
    "precision": "float32",
    "threads": 1,
}
TASKS: dict[str, dict[str, Any]] = {
    "primes": {"task": miii.Primes(low=100, high=999, candidates="coprime")},
    "deep primes": {"task": miii.Primes(low=100, high=999, residues=(3, 7)), "model": {**TINY["model"], "n_layers": 2}},
    "residues": {"task": miii.Residues(p=11, masked=(5,))},
    "basis": {"task": miii.Residues(p=11, basis=True)},
    "miu": {"task": miii.MIU(longest=9, longest_test=12, n=100)},
    "short miu": {"task": miii.MIU(longest=9, longest_test=9, n=100)},
    "frames": {"task": miii.Frames(low=100, high=399, frames=3, largest_step=3)},
    "labels": {"task": miii.Frames(low=100, high=399, frames=3, largest_step=3, predict="label")},
}
PAIRS = ["fourier", "neurons", "circuits", "progress", "formula"]  # the pages that are about pairs of numbers


@pytest.fixture(scope="session")
def zoo(tmp_path_factory) -> Path:
    """A home of runs, one of each kind. Shared: never write into it."""
    home = tmp_path_factory.mktemp("tasks")
    for name, changes in TASKS.items():
        runs.record(home / name, miii.train(miii.recipe(**TINY | changes)))
    return home


@pytest.fixture
def run(zoo, monkeypatch) -> Callable[[str], runs.Run]:
    monkeypatch.setenv("MIII_RUNS", str(zoo))
    return runs.open


def titles(at: AppTest) -> list[str]:
    charts = at.get("vega_lite_chart")
    assert all(chart.proto.alt for chart in charts)
    return [json.loads(chart.proto.spec)["title"] for chart in charts]


# ---- pages for pairs of numbers ----


@pytest.mark.parametrize("page", PAIRS)
def test_a_page_for_pairs_says_where_else_to_look(run, visit, page):
    for name in ("primes", "residues", "miu", "frames") if page == PAIRS[0] else ("primes",):
        run(name)
        at = visit(page, run=name)
        assert not at.error
        (said,) = (info.value for info in at.info)
        assert said.startswith("This page shows ")
        assert f"; {name} learns " in said
        assert said.endswith(f"what it has learned is on the page {'Frames' if name == 'frames' else 'Sieve'}.")
        assert not at.get("vega_lite_chart")
        assert player(at) is None  # nothing that would do nothing


# ---- Attention ----


@pytest.mark.parametrize("name", ["primes", "residues"])
def test_attention_shows_one_example_and_the_mean(run, visit, texts, name):
    shown = run(name)
    task, step = shown.task(), shown.steps[-1]
    n = task.facts["n"]
    # the task has no even numbers: the next one is taken
    asked, example = (500, int((n == 501).nonzero())) if name == "primes" else (17, 17)
    at = visit("attention", run=name, n=asked)
    assert not at.error
    assert titles(at) == ["Where each head looks"]
    assert f"example = {example}\n" in codes(at)[0]
    with torch.no_grad():
        logits = shown.model()(task.tokens[example][None])[0, -1, task.logits_of(task.name)]
    answer, truth = int(logits.argmax()), int(task.labels[example])
    words = ("no", "yes") if name == "primes" else tuple(map(str, range(len(logits))))
    tokens = " ".join(task.token_names[token] for token in task.tokens[example])
    assert f"`{tokens}`: {task.name}? **{words[truth]}**; at step {step} the network says **{words[answer]}**" in texts(
        at
    )
    assert f"in the {'train' if task.train_mask[example] else 'test'} split" in texts(at)
    means = analysis.attention.over_inputs(shown.model(), task.tokens).mean()
    table = at.dataframe[0].value
    assert table.drop(columns="head").to_numpy() == pytest.approx(means.numpy(), abs=1e-6)


def test_attention_of_a_deeper_network_has_a_layer_to_choose(run, visit):
    shown = run("deep primes")
    at = visit("attention", run="deep primes", layer=1)
    means = analysis.attention.over_inputs(shown.model(), shown.task().tokens, 1).mean()
    assert at.dataframe[0].value.drop(columns="head").to_numpy() == pytest.approx(means.numpy(), abs=1e-6)


def test_attention_of_long_strings_is_a_table_and_its_mean_one_of_letters(run, visit):
    shown = run("miu")
    task, model = shown.task(), shown.model()
    at = visit("attention", run="miu", example=7)
    assert not at.error
    assert titles(at) == []
    table = at.dataframe[0].value
    assert table["token"].tolist() == [task.token_names[token] for token in task.tokens[7]]
    weights = analysis.attention.pattern(model, task.tokens[7])[:, -1]
    assert table[["head 0", "head 1"]].to_numpy() == pytest.approx(weights.T.numpy(), abs=1e-6)
    means = at.dataframe[1].value.drop(columns="head")
    assert means.columns.tolist() == [f"to {letter}" for letter in task.token_names]
    assert means.sum(axis=1).tolist() == pytest.approx([1, 1])
    over = analysis.attention.over_inputs(model, task.tokens).weight
    to_axiom = over[:, 0].mean(-1)  # M stands in the first place, and nowhere else
    assert means["to M"].tolist() == pytest.approx(to_axiom.tolist())


@pytest.mark.parametrize(("name", "example"), [("frames", 3), ("labels", 40)])
def test_attention_of_frames_says_whatever_token_the_network_says(run, visit, texts, name, example):
    shown = run(name)
    task = shown.task()
    at = visit("attention", run=name, example=example)
    assert not at.error
    with torch.no_grad():
        token = int(shown.model()(task.tokens[example][None])[0, -1].argmax())
    said = ("no", "yes")[token] if token < 2 else f"the token {task.token_names[token]}"
    truth = ("no", "yes")[int(task.labels[example])]
    assert f"prime? **{truth}**; at step 12 the network says **{said}**" in texts(at)


@pytest.mark.parametrize("query", [{"n": 7}, {"n": "x"}, {"n": ""}, {"layer": 3}], ids=str)
def test_attention_with_a_bad_value_in_the_url_shows_no_trace(run, visit, query):
    run("primes")
    assert titles(visit("attention", run="primes", **query))


# ---- Train ----

FIGURES = {
    "primes": ["AUC by smallest prime factor", "Weight norm", "Loss", "Accuracy"],
    "residues": ["Right answers by modulus", "Weight norm", "Loss", "All residues right"],
    "basis": ["Right answers by modulus", "Weight norm", "Loss", "All residues right"],
    "miu": ["Right answers by the length of the string", "Weight norm", "Loss"],
    "short miu": ["Right answers by the length of the string", "Weight norm", "Loss"],
    "frames": ["Held-out frames, given the true ones before", "Weight norm", "Loss", "Accuracy"],
    "labels": ["Held-out frames, given the true ones before", "Weight norm", "Loss", "Accuracy"],
}
MEASURES = {
    "primes": {"ROC AUC": "auc", "AUC against multiples of 3": "auc_3"},
    "residues": {
        "Training accuracy": "train_accuracy",
        "All residues right": "test_accuracy",
        "Worst prime": "accuracy_worst",
    },
    "miu": {
        "Training accuracy": "train_accuracy",
        "Test, as long": "accuracy_as_long",
        "Test, longer": "accuracy_longer",
    },
    "frames": {
        "Digits": "digits",
        "Integers": "integers",
        "Label, ROC AUC": "auc",
        "Beyond the last digit": "auc_coprime",
    },
}
MEASURES |= {"basis": MEASURES["residues"], "short miu": dict(list(MEASURES["miu"].items())[:2])}
MEASURES["labels"] = dict(list(MEASURES["frames"].items())[2:])

REACHED = {
    "primes": "Sieves by 3",
    "residues": "Answers every residue",
    "basis": "Answers both digits",
    "miu": "Tells theorems",
    "short miu": "Tells theorems",
    "frames": "Predicts integers",
    "labels": "Predicts labels",
}


@pytest.mark.parametrize("name", FIGURES)
def test_train_shows_what_counts_for_the_task(run, visit, texts, name):
    row = run(name).rows()[-1]
    at = visit("train", run=name)
    assert not at.error
    assert titles(at) == FIGURES[name]
    shown = {metric.label: metric.value for metric in at.metric}
    for label, column in MEASURES[name].items():
        assert shown.pop(label) == (f"{row[column]:.3f}" if column.startswith("auc") else f"{row[column]:.1%}")
    if name in ("residues", "basis"):
        trained = [row[f"accuracy_{q}"] for q in ((2, 3, 7) if name == "residues" else ("x0", "x1"))]
        mean = "Mean over primes" if name == "residues" else "Mean over digits"
        assert shown.pop(mean) == f"{sum(trained) / len(trained):.1%}"
    what = REACHED[name]
    assert shown == {f"{what} at step": "not yet", "Seconds until then": "not yet"}
    assert ("Accuracy says little here" in texts(at)) == (name == "primes")


def test_train_says_since_when_a_network_sieves(zoo, home, visit):
    folder = Path(shutil.copytree(zoo / "primes", home / "sieves"))
    rows = runs.open(folder).rows()
    for row, areas in zip(rows, [(0.5, 0.999), (0.95, 0.98), SIEVED, (0.5, 0.5)], strict=True):
        row["auc"], row["auc_3"] = areas
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    shown = {metric.label: metric.value for metric in visit("train", run="sieves").metric}
    assert shown["Sieves by 3 at step"] == "8"
    assert shown["Seconds until then"] == f"{rows[2]['seconds']:.1f}"
