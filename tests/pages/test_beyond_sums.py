"""The pages Sieve and Frames: what they say and draw is what the library finds."""

import numpy as np
import pytest
from shown import app, fine, shown
from zoo import FRAMES, SIEVED

from miii import analysis, reports
from miii.analysis import rollout

# ---- Sieve ----


def test_a_network_that_adds_passes(zoo, see):
    run = zoo("sieves")
    model, task = run.model(), run.task()
    found = analysis.sieve.depth(model, task, SIEVED)
    view = see("sieve", run="sieves")
    assert {"3", f"{found.roc_auc:.3f}", f"{found.average_precision:.3f}", f"{found.recall_primes:.1%}"} <= set(
        view.metrics.values()
    )
    (verdict,) = view.prose["success"]
    assert "**adds digits modulo 3**" in verdict
    (added,) = analysis.sieve.measure_addition(model, task, SIEVED, (3,), (3,))
    (row,) = view.table("interchange").to_dict("records")
    assert row["explained"] == added.variance_explained == pytest.approx(1)
    assert (
        (row["interchange"], row["interchange control"])
        == (added.interchange.accuracy, added.interchange.control)
        == (1, 0)
    )
    assert row["everything else"] == added.interchange.rest == 0
    assert (row["steering"], row["steering control"]) == (1, 0)
    table = analysis.sieve.count_table(task, SIEVED)
    assert f"({table.cells} cells, filled from training labels) has ROC AUC {table.roc_auc:.3f}" in view.captions
    assert row["sums residues"]
    assert row["generalizes"]
    assert all(words in view.text for words in ("**100.0%**", "head 0 75%, head 1 25%"))
    assert len(view.charts) == 10


def test_an_untrained_network_does_not_pass(visit):
    at = visit("sieve", run="sieves", step=0)
    assert not at.success
    at.toggle(key="all").set_value(True).run()
    view = shown(fine(at))
    assert any("**does not sum residues modulo a prime**" in info for info in view.infos)
    assert view.table("interchange")["q"].tolist() == [3, 7, 11, 13]
    assert view.table("interchange")["interchange"].isna().tolist() == [False, False, True, True]  # at least the base


def test_another_modulus_and_another_change_can_be_chosen(zoo, see):
    run = zoo("sieves")
    view = see("sieve", run="sieves", modulus=7, change="steering")
    (added,) = analysis.sieve.measure_addition(run.model(), run.task(), SIEVED, (7,), (3,))
    assert not view.errors
    assert f"**{added.explained.share:.1%}**" in view.text
    assert any("modulo 7" in title for title in view.drawn)
    assert see("sieve", run="sieves", modulus=11).text != view.text  # which is at least the base


def test_a_bad_value_in_the_address_is_passed_over(see):
    wanted = see("sieve", run="sieves").drawn
    for query in ({"modulus": ""}, {"modulus": 4}, {"change": "nosuch"}, {"n": 7}, {"probes": "x"}):
        view = see("sieve", run="sieves", **query)
        assert not view.errors
        assert view.drawn == wanted


def test_the_plane_is_the_library_s(zoo, see):
    run = zoo("sieves")
    fitted, held_out = (analysis.sieve.sum_of_split(run.model(), run.task(), SIEVED, side) for side in (True, False))
    plane = analysis.sieve.plane(fitted, held_out, 3)
    charts = see("sieve", run="sieves").charts
    (rows,) = (rows for chart in charts for rows in chart.rows() if {"x", "y", "digit"} <= set(rows))
    assert rows[["x", "y"]].to_numpy() == pytest.approx(plane.table[["x", "y"]].to_numpy())


def test_the_probes_are_fitted_when_they_are_asked_for(zoo, see):
    zoo("sieves-shuffled")
    run = zoo("sieves")
    asked = see("sieve", run="sieves", probes="true")
    before = see("sieve", run="sieves")
    (title,) = set(asked.drawn) - set(before.drawn)
    assert "sieves-shuffled" in asked.text
    (chart,) = (chart for chart in asked.charts if chart.title == title)
    (rows,) = (rows for rows in chart.rows() if "network" in rows)
    assert len(rows["network"].unique()) == 3
    found = analysis.sieve.probe(run.model(), run.task(), (3, 7, 11, 13))
    assert f"{found.best(3):.3f}" in asked.text
    assert rows.loc[rows["network"] == "trained", "r2"].max() == pytest.approx(found.best(3))


def test_a_number_can_be_tried(zoo, see):
    task = zoo("sieves").task()
    for n, said, truth, words in (
        (1009, "prime", "prime", "$1009 = 1009$"),
        (3003, "composite", "composite", r"$3003 = 3 \cdot 7 \cdot 11 \cdot 13$"),
        (1331, "prime", "composite", "$1331 = 11^{3}$"),
    ):
        view = see("sieve", run="sieves", n=n)
        values = list(view.metrics.values())
        assert values.index(said) >= 0
        assert truth in values
        assert ("−1.00" if n % 3 == 0 else "1.00") in values
        trains = bool(task.train_mask[int((task.facts["n"] == n).nonzero())])
        assert words in view.text
        assert ("never seen" in view.text) != trains
        table = view.tables[2]
        assert table.iloc[0, 1:].tolist() == [int(digit) for digit in str(n)]
        assert table.iloc[1, 1:].tolist() == [int(digit) % 3 for digit in str(n)]
        assert f"\\equiv {n % 3} \\pmod{{3}}$" in view.text
        assert (f"3 divides {n}." in view.text) == (n % 3 == 0)


def test_residues_are_judged_task_by_task(zoo, see):
    run = zoo("residues")
    found = analysis.multitask.accuracies(run.model(), run.task())
    worst = min(found, key=lambda name: found[name])
    view = see("sieve", run="residues")
    assert {worst, f"{found[worst]:.1%}"} <= set(view.metrics.values())
    assert "mod 5" in view.text  # which was never trained
    counted = see("sieve", run="residues", count="true")
    assert (len(view.charts), len(counted.charts)) == (3, 5)
    (rows,) = (rows for chart in counted.charts for rows in chart.rows() if {"step", "active"} <= set(rows))
    assert sorted(set(rows["step"])) == run.steps


def test_counts_rise_and_fall_or_do_not(server):
    counted = app("_tasks.residues.inside").counted
    words = {}
    for counts, most, at in (([0, 5, 2], 5, 10), ([2, 3, 2], 3, 10), ([1, 3, 6], 6, 20), ([4, 2, 1], 4, 0)):
        text = counted(counts, [0, 10, 20])
        assert f"{counts[0]} at first" in text
        assert f"{most} at step {at}" in text
        words[text.partition(": ")[2]] = counts
    assert len(words) == 4


def test_strings_are_asked_by_length(zoo, see):
    run = zoo("miu")
    strings = analysis.lengths.by_length(run.model(), run.config.task)
    longer = analysis.lengths.balanced(strings[strings["longer"]])
    view = see("sieve", run="miu")
    assert {f"{longer:.1%}", f"{run.rows()[-1]['accuracy_longer']:.1%}"} <= set(view.metrics.values())
    assert len(view.charts) == 3
    (rows,) = (rows for rows in view.charts[0].rows() if "strings" in rows)
    assert rows["strings"].sum() == len(strings)
    apart = see("sieve", run="miu", apart="true")
    changes = [rows["change"].unique().tolist() for chart in apart.charts for rows in chart.rows() if "change" in rows]
    assert ["interchange", "steering"] in changes
    assert see("sieve", run="adding").infos


# ---- Frames ----


def test_a_run_is_rolled_out_and_scored(zoo, see):
    view = see("frames", run="frames")
    found = reports.report_rollout(zoo("frames"), ahead=2)
    context, held = found["context"], found["held_out"]
    assert list(view.metrics.values()) == [
        f"{found['rollout'][-1]['integers']:.1%}",
        f"{held['auc']:.3f}",
        f"{held['auc_coprime']:.3f}",
        f"{context['labels_coprime']:.3f}",
    ]
    for key in ("digit", "labels"):
        assert f"{context[key]:.3f}" in view.text
    assert len(view.charts) == 7


def test_start_and_length_can_be_chosen(zoo, see):
    view = see("frames", run="frames", n=123, d=4, ahead=5)
    assert (view.figures[0].arguments["n"], view.figures[0].arguments["ahead"]) == (123, 5)
    rolled = rollout.roll(zoo("frames").model(), FRAMES, np.array([123]), np.array([4]), 5)
    assert len(rollout.scores(rolled)) == 5
    assert any("5" in label for label in view.metrics)
    assert ("no training sequence" in view.text) == rollout.unseen(FRAMES, np.array([123]))[0]


def test_a_start_that_does_not_fit_is_one_sentence(see):
    for query, word in (
        ({"n": 1000}, "(got 1000 and"),
        ({"n": 200, "d": 5}, "(got 200 and 5)."),
        ({"n": 998, "d": 4}, "first + ahead step must be at most 999"),
    ):
        (error,) = see("frames", run="frames", **query).errors
        assert word in error
    for query in ({"n": "x"}, {"ahead": 99}, {"ahead": ""}, {"step": 3}):
        assert len(see("frames", run="frames", **query).charts) == 7


def test_other_positions_and_labels_have_fewer_figures(see):
    everything = see("frames", run="frames").drawn
    assert see("frames", run="places").drawn == everything[:5]
    assert see("frames", run="labels").drawn == everything[5:]
    assert see("frames", run="labels").infos


# ---- Greatest common divisors ----


def test_two_integers_are_followed_to_their_gcd(zoo, visit, see):
    built = zoo("gcd").task()
    example = int((built.labels == 11).nonzero()[0, 0])
    assert "Label **12**" in see("attention", run="gcd", example=example).text  # not a word, nor a token
    at = visit("try", run="gcd", gcd_a=1_008, gcd_b=1_002)
    assert shown(at).metrics["Label"] == "6"
    beyond = shown(fine(at.number_input(key="gcd_b").set_value(2_000).run()))
    assert (beyond.infos, beyond.charts) == (
        ["The gcd of 1,008 and 2,000 is 16, but answers end at 12: such pairs are left out."],
        [],
    )


# ---- Sequences ----


def test_another_sequence_is_continued_after_all_its_terms(visit, monkeypatch):
    """However many terms were given of the sequence before it; what else can be asked is below."""
    monkeypatch.setattr(app("_parts.sequences.next_term"), "QUICK", 1)
    at = visit("sequences", run="continues", given=7)
    assert shown(at).value("given") == 7
    for terms in ("1 4 9 16 25", "5 " * 12, "7 " * 4000, ", ".join(["9" * 10_000] * 6)):
        view = shown(fine(at.text_area(key="terms").set_value(terms).run()))
        count = len(terms.split())
        assert (view.value("given"), view.errors) == (min(24, count), []), count
        assert max(len(widget.key or "") for widget in view.widgets) < 200
    rows = view.table("question").set_index("target")
    assert list(rows.index) == ["kinds", "similarity", "next", "unmasking"]
    assert rows.loc["similarity", "network"] > rows.loc["similarity", "tree"] > rows.loc["similarity", "majority"]
