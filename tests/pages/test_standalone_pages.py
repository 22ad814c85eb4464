"""The pages Compare, Sparse grid and Symbolic, which show no chosen run: their numbers are the library's."""

import math
import re

import pandas as pd
import pytest
from shown import ROOT, app, button, fine, press, shown
from zoo import TYPED

import miii
from miii import analysis, reports, runs, sparse
from miii.analysis import compare, logic
from miii.model.wiring import pairs

# ---- Start ----


def test_the_first_page_trains_a_network_and_plays_every_snapshot(home, registry, small_config, visit, monkeypatch):
    live = app("_parts.start.live")
    monkeypatch.setattr(live, "config", lambda: small_config(task={"p": 11}, steps=12, eval_every=1, snapshots=20))
    at = press(visit("start", run="add-113"), "Train a network")
    (job,) = registry.all()
    assert at.session_state["run"] == job.name
    assert job.wait(60)
    steps = live._steps(runs.open(job.name))
    assert steps[0] == 0
    assert min(steps[1:]) >= 8
    assert steps[-1] == 12
    for _ in range(len(steps) + 1):
        at = fine(at.run())
    assert not at.session_state["start_playing"]
    row = runs.open(job.name).rows()[-1]
    assert f"{row['train_accuracy']:.0%}" in shown(at).text
    at = press(at, "Play it again")
    assert "**Step 0.**" in shown(at).text
    assert len(registry.all()) == 1


def test_no_sanitizer_drops_the_style_sheet_of_every_page():
    assert "<" not in (ROOT / "pages/_kit/app.css").read_text()  # it would take it for a tag, and drop everything


def test_the_first_page_plays_a_recorded_training_where_none_is_allowed(home, registry, visit, monkeypatch):
    monkeypatch.setenv("MIII_MAX_STEPS", "3")
    at = press(visit("start"), "Play a recorded training")
    assert "**Step 0.**" in shown(at).text
    assert not registry.all()


# ---- Compare ----


ARCHITECTURES = runs.homes()[1] / "architectures"
SHIPPED = sorted(path.stem for path in ARCHITECTURES.glob("*.jsonl"))


def summary(name: str) -> pd.DataFrame:
    return compare.summary(compare.table(compare.load(ARCHITECTURES / f"{name}.jsonl")))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_table_is_the_comparison(name, see):
    wanted, view = summary(name), see("compare", comparison=name)
    table = view.table("architecture")
    assert table["architecture"].tolist() == wanted["architecture"].tolist()
    assert name not in ("add-113", "primes") or (len(wanted) >= 8 and (wanted["seeds"] == 5).all())
    assert ("precision" in table) == (name != "add-113" and name != "depth")
    column = next(column for column in ("sieve by 3", "grok") if column in table)
    assert table[column].tolist() == [f"{n} of {of}" for n, of in zip(wanted["grokked"], wanted["seeds"], strict=True)]
    for measure in ("grokked_at", "explained"):
        for here, there in zip(table[measure], wanted[measure], strict=True):
            assert here == there or (math.isnan(here) and (there is None or math.isnan(there)))
    assert "nan" not in view.text
    assert all(chart.alt for chart in view.charts)


def test_the_finding_counts_what_the_summary_holds(server):
    finding = app("_parts.compare.findings").finding
    wanted = summary("add-113")
    every = wanted[wanted["grokked"] == wanted["seeds"]].sort_values("grokked_at")
    words = finding("add-113", wanted)
    assert f"**{len(every)} of {len(wanted)}**" in words
    assert f"{every['grokked_at'].iloc[0]:.0f}" in words
    assert all(f"*{name}*" in words for name in wanted.loc[wanted["grokked"] == 0, "architecture"])
    assert "Precision of training: *bfloat16*" in finding("primes", summary("primes"))
    again = summary("primes").assign(precision="float32")
    assert "recipe's optimizer" in finding("primes-float32", again)
    twice = wanted.head(2).assign(architecture=["plain, decay 2.5", "spherical, decay 0"], grokked=[5, 0])
    words = finding("spherical", twice)
    assert f"*plain, decay 2.5*: 5 of 5 seeds, at step {wanted['grokked_at'].iloc[0]:.0f}" in words
    assert f"*spherical, decay 0*: 0 of 5 seeds, final test accuracy {wanted['accuracy'].iloc[1]:.3f}" in words
    wanted = summary("depth").set_index("architecture")
    words = finding("depth", summary("depth"))
    for n in (2, 6, 12):
        rows = {name.split(",")[0]: row for name, row in wanted.iterrows() if f"{n} layers" in name}
        assert f"**{n} layers**" in words
        if all(row["grokked"] for row in rows.values()):
            assert f"{rows['no-shortcut']['grokked_at'] / rows['pre-norm']['grokked_at']:.1f} times" in words


def test_a_measure_can_be_chosen(see):
    view = see("compare", comparison="add-113", measure="single frequency")
    assert view.value("measure") == view.drawn[-1].lower() == "single frequency"


def test_own_runs_are_compared_on_equal_terms_alone(home, small_config, visit):
    two = []
    for name, block in (("first", "plain"), ("other", "pre-norm")):
        config = small_config(task={"p": 11}, model={"block": block}, steps=3, eval_every=1)
        two.append(runs.record(home / name, miii.train(config)))
    at = visit("compare", comparison="yours")
    at.multiselect(key="runs").set_value(["first", "other"]).run()
    view, expected = shown(fine(at)), compare.table([reports.measure(run) for run in two])
    assert len(view.table("architecture")) == 2
    assert view.table("parameters")["parameters"].tolist() == expected["parameters"].tolist()
    at.multiselect(key="runs").set_value(["first", "add-113"]).run()
    assert "equal terms" in shown(fine(at)).infos[0]


def test_the_table_of_pairs_is_the_library_s(see):
    grid = see("compare").tables[-1].set_index("block")
    for block, mixers in pairs().items():
        assert grid.loc[block, list(mixers)].tolist() == ["yes" if why is None else "no" for why in mixers.values()]


# ---- Sparse grid ----


SPARSE = runs.homes()[1] / "sparse"


def test_the_figures_are_those_of_the_results_and_of_trial_division(see):
    view = see("sparse")
    grid, digits = sparse.files.report(SPARSE / "grid"), sparse.files.report(SPARSE / "primes-210")
    config = sparse.files.open(SPARSE / "grid").config
    exact = {
        q: sparse.evaluation.sieve_recall(config.middle, config.end, primes)
        for q, primes in {5: (2, 3, 5), 7: (2, 3, 5, 7), 13: (2, 3, 5, 7, 11, 13)}.items()
    }
    scores = [(scores.test, scores.sieve_depth) for scores in (grid, digits)]
    wanted = [*scores, *((recall, q) for q, recall in exact.items())]
    found = [tuple(row)[1:] for row in view.tables[0].itertuples(index=False)]
    assert sorted(found) == sorted((recall.primes, recall.composites, depth) for recall, depth in wanted)
    for value in (exact[5].composites, grid.test.composites, grid.test.primes, digits.test.composites):
        assert f"{value:.3%}" in view.text
    assert not re.search(r"\b(nan|inf|None)\b", view.text)
    assert len(view.charts) == 2


def test_an_integer_has_its_place(see):
    for s, *place, truth in (
        (1_234_567, "(54, 130, 67)", "(10, 26, 13)", "102 of 125", "1, 1, 2", "prime", "127"),
        (2_000_003, "(88, 133, 53)", "(17, 26, 10)", "93 of 125", "1, 2, 3", "prime", "**prime**"),
        (1_000_005, "(44, 66, 105)", "(8, 13, 21)", "105 of 125", "1, 0, 0", "composite", "factor 3"),
        (0, "(0, 0, 0)", "(0, 0, 0)", "0 of 125", "0, 0, 0", "composite", "neither"),
    ):
        view = see("sparse", n=s)
        assert list(view.metrics.values()) == place[:-1]
        assert f"predicts **{place[-1]}**" in view.text
        assert truth in view.text


def test_an_integer_beyond_the_grid_is_one_sentence(see):
    for s in (-1, 3_375_000):
        (error,) = see("sparse", n=s).errors
        assert error.startswith("s must be from 0 to 3,374,999")
        assert f"(got {s})" in error


def test_a_server_without_the_networks_says_so(visit, monkeypatch, tmp_path):
    monkeypatch.setattr("miii.runs.homes", lambda: (tmp_path, tmp_path))
    view = shown(visit("sparse"))
    assert len(view.infos) == 1
    assert not view.tables


# ---- Symbolic ----


def test_the_printed_program_and_equation_3_are_computed(see):
    view = see("symbolic", p=11)
    printed, network, weights = view.tables[:3]
    assert printed["program"].tolist() == logic.truth(logic.not_all_equal, 3).tolist()
    assert printed["xor"].tolist() == logic.truth(logic.xor, 3).tolist()
    assert network[[column for column in network if column.endswith("> 0")]].to_numpy().all()
    assert weights["network"].tolist() == weights["program"].tolist()
    assert all(words in view.text for words in ("only 4 of 8", "in 8."))


@pytest.mark.parametrize(("name", "rows"), [("xor of two", 4), ("not all equal of three", 8), ("xor of three", 8)])
def test_every_network_is_checked_on_its_whole_table(see, name, rows):
    view = see("symbolic", p=11, function=name)
    table = view.tables[2]
    assert table["network"].tolist() == table["program"].tolist()
    assert f"**{rows} of {rows}**" in view.text
    assert len(table) == rows


def test_bad_input_is_one_sentence_below_the_logic(see):
    for query, words in (
        ({"expression": "a.__class__"}, "expression must be made of a, b, p"),
        ({"expression": "a - a"}, "expression must depend on a or b"),
        ({"expression": "a / b"}, "expression must divide by"),
        ({"p": 1}, "p must be at least 2"),
        ({"p": 212}, "p must be at least 2 and at most 211 in the app"),
        ({"p": 2, "share": 0.01}, "train_fraction must leave"),
    ):
        view = see("symbolic", **query)
        assert [error.startswith(words) for error in view.errors] == [True]
        assert (len(view.tables), view.charts) == (3, [])
    (info,) = see("symbolic", p=7).infos
    assert "at least 11" in info


def test_a_sum_is_compiled_without_any_training(see):
    view = see("symbolic", expression="3*a - b + 7", p=13)
    compared = view.tables[3]
    assert "$3a - b + 7$ modulo 13" in view.text
    assert compared.columns.tolist() == ["measure", "compiled"]
    assert (compared["compiled"][0], compared["compiled"][3]) == ("100.0%", "3a - b")
    assert len(view.charts) == 3
    assert len(see("symbolic", expression="a*b", p=13).charts) == 1  # which is no sum, and waits for training


def test_a_recorded_run_of_the_formula_is_compared(zoo, see):
    run = zoo("formula")
    view = see("symbolic", run="formula", expression="3*a - b", p=11)
    compared = view.tables[3]
    assert compared.columns.tolist() == ["measure", "trained", "compiled"]
    report = analysis.verdict.analyze(run.model(), run.task())
    assert compared["trained"][0] == f"{report.accuracy:.1%}"
    assert compared["trained"][4] == f"{report.logit_variance_explained:.1%}"
    assert len(view.charts) == 5


def test_train_and_stop(visit, home, registry):
    at = press(visit("symbolic", expression="a*b + a", p=11), "Train")
    job = registry.get("expr-11-seed0")
    assert job.config == miii.recipe(task=TYPED | {"expression": "a*b + a"})
    if not job.ended:
        assert button(at, "Train").disabled
        registry.stop(job)
    assert job.wait(60)
    assert job.status in ("stopped", "finished"), job.message
    view = shown(fine(at.run()))
    assert "expr-11-seed0" in view.text
    assert view.tables[3].columns.tolist() == ["measure", "trained"]
