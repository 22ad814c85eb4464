"""The page Compare: its numbers are those of the shipped comparisons, or of the runs that are chosen."""

import math

import pandas as pd
import pytest
from shown import app, fine, shown

from miii import runs
from miii.analysis import compare
from miii.model.wiring import pairs

HOME = runs.homes()[1] / "architectures"
SHIPPED = sorted(path.stem for path in HOME.glob("*.jsonl"))


def summary(name: str) -> pd.DataFrame:
    return compare.summary(compare.table(compare.load(HOME / f"{name}.jsonl")))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_table_is_the_comparison(name, see):
    wanted, view = summary(name), see("compare", comparison=name)
    table = view.table("architecture")
    assert table["architecture"].tolist() == wanted["architecture"].tolist()
    assert name == "depth" or (len(wanted) >= 8 and (wanted["seeds"] == 5).all())
    column = next(column for column in ("sieve by 3", "grok") if column in table)
    assert table[column].tolist() == [f"{n} of {of}" for n, of in zip(wanted["grokked"], wanted["seeds"], strict=True)]
    for measure in ("grokked_at", "explained"):
        for here, there in zip(table[measure], wanted[measure], strict=True):
            assert here == there or (math.isnan(here) and (there is None or math.isnan(there)))
    assert "nan" not in view.text
    assert all(chart.alt for chart in view.charts)


def test_the_finding_counts_what_the_summary_holds(server):
    finding = app("_parts.compare.compared").finding
    wanted = summary("add-113")
    every = wanted[wanted["grokked"] == wanted["seeds"]].sort_values("grokked_at")
    words = finding("add-113", wanted)
    assert f"**{len(every)} of {len(wanted)}**" in words
    assert f"{every['grokked_at'].iloc[0]:.0f}" in words
    assert all(f"*{name}*" in words for name in wanted.loc[wanted["grokked"] == 0, "architecture"])
    wanted = summary("depth").set_index("architecture")
    words = finding("depth", summary("depth"))
    for n in (2, 6, 12):
        rows = {name.split(",")[0]: row for name, row in wanted.iterrows() if f"{n} layers" in name}
        assert f"**{n} layers**" in words
        if all(row["grokked"] for row in rows.values()):
            assert f"{rows['no-shortcut']['grokked_at'] / rows['pre-norm']['grokked_at']:.1f} times" in words


def test_a_measure_can_be_chosen(see):
    view = see("compare", comparison="add-113", measure="single frequency")
    assert view.value("measure") == view.drawn[-1] == "single frequency"


def test_own_runs_are_compared_on_equal_terms_alone(bring, visit):
    two = [bring("even", name, model={"block": block}) for name, block in (("first", "plain"), ("other", "plain"))]
    at = visit("compare", comparison="runs of yours")
    at.multiselect(key="runs").set_value(["first", "other"]).run()
    view, expected = shown(fine(at)), compare.table([compare.measured(run) for run in two])
    assert len(view.table("architecture")) == 2
    assert view.table("parameters")["parameters"].tolist() == expected["parameters"].tolist()
    at.multiselect(key="runs").set_value(["first", "add-113"]).run()
    assert "equal terms" in shown(fine(at)).infos[0]


def test_the_table_of_pairs_is_the_library_s(see):
    grid = see("compare").tables[-1].set_index("block")
    for block, mixers in pairs().items():
        assert grid.loc[block, list(mixers)].tolist() == ["yes" if why is None else "no" for why in mixers.values()]
