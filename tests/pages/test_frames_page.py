"""The page Frames: what it says and draws is what the library finds, and other runs are shown the way."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shown import codes
from streamlit.testing.v1 import AppTest

import miii
from miii import analysis, reports, runs
from miii.analysis import rollout

TASK = miii.Frames(low=100, high=999, frames=3, largest_step=4)
TINY: dict[str, Any] = {"steps": 4, "batch_size": None, "eval_every": 2, "snapshots": 3, "threads": 1}
MODEL = {"d_model": 8, "n_heads": 2, "d_mlp": 16}
FIGURES = [
    "What the network wrote (and the truth, where it is another)",
    "Integers right in all digits",
    "Is it prime? Labels by frame",
    "Digits right, one frame ahead",
    "Integers right, one frame ahead, by carries",
    "Similarity of the steps' vectors",
    "Similarity of the slots' vectors",
]


@pytest.fixture(scope="session")
def zoo(tmp_path_factory) -> Path:
    """A home of runs. Shared: never write into it."""
    home = tmp_path_factory.mktemp("frames")
    made: dict[str, tuple[Any, str]] = {
        "writes": (TASK, "frames"),
        "learned places": (TASK, "learned"),
        "labels": (TASK.model_copy(update={"predict": "label"}), "frames"),
        "miu": (miii.MIU(longest=9, longest_test=12, n=200), "none"),
        "pairs": (miii.ModularAddition(p=5), "learned"),
    }
    for name, (task, positions) in made.items():
        runs.record(home / name, miii.train(miii.recipe(task=task, model=MODEL | {"positions": positions}, **TINY)))
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


def test_a_run_is_rolled_out_and_scored(run, visit, texts):
    shown = run("writes")
    at = visit("frames", run="writes")
    assert not at.error
    assert titles(at) == FIGURES
    found = reports.report_rollout(shown, ahead=2)
    context, held = found["context"], found["held_out"]
    wanted = {
        "Integers right, 2 ahead": f"{found['rollout'][-1]['integers']:.1%}",
        "Labels, ROC AUC": f"{held['auc']:.3f}",
        "Beyond the last digit": f"{held['auc_coprime']:.3f}",
        "Labels before would give": f"{context['labels_coprime']:.3f}",
    }
    assert {metric.label: metric.value for metric in at.metric} == wanted
    assert f"ROC AUC of {context['digit']:.3f}, and of {context['labels']:.3f} with" in texts(at)
    assert len(codes(at)) > 1


def test_start_and_length_can_be_chosen(run, visit, texts):
    shown = run("writes")
    at = visit("frames", run="writes", n=123, d=4, ahead=5)
    assert not at.error
    assert "n = 123\n" in codes(at)[0]
    assert "Integers right, 5 ahead" in [metric.label for metric in at.metric]
    chart = json.loads(at.get("vega_lite_chart")[0].proto.spec)
    rolled = rollout.roll(shown.model(), TASK, np.array([123]), np.array([4]), 5)
    rows = analysis.rollout.scores(rolled)
    assert len(rows) == 5
    assert chart["title"] == FIGURES[0]
    says = "is in no training sequence" if rollout.unseen(TASK, np.array([123]))[0] else "may be in training"
    assert f"123 {says}" in texts(at)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"n": 1000}, "n must be from 2 to 999 and d from 1 to 4 (got 1000 and"),
        ({"n": 200, "d": 5}, "n must be from 2 to 999 and d from 1 to 4 (got 200 and 5)."),
        ({"n": 998, "d": 4}, "first + ahead step must be at most 999"),
    ],
    ids=str,
)
def test_a_start_that_does_not_fit_is_one_sentence(run, visit, query, said):
    run("writes")
    at = visit("frames", run="writes", **query)
    assert [error.value.startswith(said) for error in at.error] == [True]


@pytest.mark.parametrize("query", [{"n": "x"}, {"ahead": 99}, {"ahead": ""}, {"step": 3}], ids=str)
def test_a_bad_value_in_the_address_is_passed_over(run, visit, query):
    run("writes")
    assert titles(visit("frames", run="writes", **query)) == FIGURES


def test_learned_places_have_no_steps_and_slots(run, visit, texts):
    run("learned places")
    at = visit("frames", run="learned places")
    assert titles(at) == FIGURES[:5]
    assert "positions “learned”" in texts(at)


def test_a_network_that_was_asked_for_labels_writes_nothing(run, visit):
    run("labels")
    at = visit("frames", run="labels")
    assert titles(at) == FIGURES[5:]
    assert "asked for the last label alone" in at.info[0].value


@pytest.mark.parametrize(("name", "where"), [("miu", "Sieve"), ("pairs", "Fourier")])
def test_other_runs_are_shown_the_way(run, visit, name, where):
    run(name)
    at = visit("frames", run=name)
    assert not at.error
    (said,) = (info.value for info in at.info)
    assert said.startswith("This page shows ")
    assert said.endswith(f"what it has learned is on the page {where}.")
    assert not titles(at)


def test_the_page_sieve_shows_frames_the_way(run, visit):
    run("writes")
    (said,) = (info.value for info in visit("sieve", run="writes").info)
    assert said.endswith("what it has learned is on the page Frames.")
