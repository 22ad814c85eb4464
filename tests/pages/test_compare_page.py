"""The page Compare: its numbers are those of the comparisons that came with miii, or of the runs that are chosen."""

import importlib
import json
import math
from typing import Any

import pandas as pd
import pytest

import miii
from miii import reports, runs
from miii.analysis import compare
from miii.model.wiring import pairs

HOME = runs.homes()[1] / "architectures"
SHIPPED = sorted(path.stem for path in HOME.glob("*.jsonl"))


@pytest.fixture
def compared(server) -> Any:
    return importlib.import_module("pages._parts.compare.findings")


def of(name: str) -> pd.DataFrame:
    return compare.summary(compare.table(compare.load(HOME / f"{name}.jsonl")))


def test_there_are_comparisons_of_eight_architectures_and_five_seeds():
    for name in ("add-113", "primes"):
        told = of(name)
        assert len(told) >= 8
        assert (told["seeds"] == 5).all()


@pytest.mark.parametrize("name", SHIPPED)
def test_the_table_is_the_comparison(name, visit, texts):
    at = visit("compare", comparison=name)
    told, shown = of(name), at.dataframe[0].value
    assert shown["architecture"].tolist() == told["architecture"].tolist()
    learned = "sieve by 3" if name == "primes" else "grok"  # what is on primes does not grok
    assert shown[learned].tolist() == [f"{n} of {of}" for n, of in zip(told["grokked"], told["seeds"], strict=True)]
    for column in ("grokked_at", "explained"):
        for here, there in zip(shown[column], told[column], strict=True):
            assert here == there or (math.isnan(here) and (there is None or math.isnan(there)))
    said = texts(at)
    assert "Doubts" in said
    assert "nan" not in said
    assert all(chart.proto.alt for chart in at.get("vega_lite_chart"))


def test_the_finding_counts_what_the_summary_holds(compared):
    told = of("add-113")
    every = told[told["grokked"] == told["seeds"]].sort_values("grokked_at")
    said = compared.finding("add-113", told)
    assert said.startswith(f"**{len(every)} of {len(told)}** architectures grok")
    assert f"median step {every['grokked_at'].iloc[0]:.0f}" in said
    for name in told.loc[told["grokked"] == 0, "architecture"]:
        assert f"*{name}*" in said.partition("With none")[2]


def test_depths_are_told_with_their_ratio(compared):
    told = of("depth")
    said = compared.finding("depth", told)
    for n in (2, 6, 12):
        rows = {
            name.split(",")[0]: row for name, row in told.set_index("architecture").iterrows() if f"{n} layers" in name
        }
        assert f"**{n} layers**" in said
        if all(row["grokked"] for row in rows.values()):
            assert f"{rows['no-shortcut']['grokked_at'] / rows['pre-norm']['grokked_at']:.1f} times" in said


def test_a_measure_can_be_chosen(visit):
    at = visit("compare", comparison="add-113", measure="single frequency")
    assert at.selectbox(key="measure").value == "single frequency"
    title = json.loads(at.get("vega_lite_chart")[-1].proto.spec)["title"]
    assert title == "single frequency"


@pytest.fixture
def two(home) -> list[runs.Run]:
    made = []
    for name, block in (("first", "plain"), ("second", "pre-norm")):
        config = miii.RunConfig(
            task=miii.ModularAddition(p=11, train_fraction=0.5),
            model=miii.ModelConfig(d_model=8, n_heads=2, d_mlp=8, block=block),
            steps=3,
            eval_every=1,
        )
        made.append(runs.record(home / name, miii.train(config)))
    return made


def test_runs_of_one_s_own_are_compared(visit, two):
    at = visit("compare", comparison="runs of yours")
    at.multiselect(key="runs").set_value(["first", "second"]).run()
    assert not at.exception
    expected = compare.table([reports.measure(run) for run in two])
    assert [name.partition(",")[0] for name in at.dataframe[0].value["architecture"]] == ["plain", "pre-norm"]
    assert at.dataframe[1].value["parameters"].tolist() == expected["parameters"].tolist()


def test_runs_on_other_terms_are_refused_in_one_sentence(visit, two, texts):
    at = visit("compare", comparison="runs of yours")
    at.multiselect(key="runs").set_value(["first", "add-113"]).run()
    assert not at.exception
    assert "equal terms" in at.info[0].value


def test_the_table_of_pairs_is_the_library_s(visit):
    at = visit("compare")
    grid = at.dataframe[-1].value.set_index("block")
    for block, mixers in pairs().items():
        assert {mixer: grid.loc[block, mixer] for mixer in mixers} == {
            m: "yes" if w is None else "no" for m, w in mixers.items()
        }
