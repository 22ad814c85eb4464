"""The phases of runs made up by hand."""

import pandas as pd
import pytest

from miii.analysis.phases import Phase, outline, phases

STEPS = [0, 10, 20, 30, 40, 50, 60]


def run(excluded, test_loss, test_accuracy):
    columns = {"train_loss": 0.5, "excluded_loss": excluded, "test_loss": test_loss, "test_accuracy": test_accuracy}
    return pd.DataFrame({"step": STEPS[: len(excluded)]} | columns)


GROKS = run(
    excluded=[5.0, 3.0, 1.0, 2.0, 4.0, 6.0, 7.0],
    test_loss=[5.0, 6.0, 8.0, 7.0, 4.0, 1.0, 0.1],
    test_accuracy=[0.0, 0.0, 0.1, 0.2, 0.8, 0.99, 1.0],
)


def marked(frame):
    return [(phase.name, phase.start, phase.end) for phase in phases(frame)]


def test_a_run_that_groks_has_all_of_them():
    assert marked(GROKS) == [
        ("memorisation", 0, 20),  # the excluded loss is lowest at 20
        ("circuit formation", 20, 40),  # at 40 the test loss is half of its peak, 8
        ("cleanup", 40, 50),  # at 50 the test accuracy is 99 %
        ("afterwards", 50, 60),
    ]
    assert phases(GROKS)[0] == Phase("memorisation", 0, 20)


@pytest.mark.parametrize("n", [2, 3, 4, 5, 6])
def test_a_run_that_stops_is_in_the_phase_that_has_not_ended(n):
    found = marked(GROKS.head(n))
    last = {2: "memorisation", 3: "memorisation", 4: "circuit formation", 5: "circuit formation", 6: "cleanup"}[n]
    assert found[-1] == (last, {2: 0, 3: 0, 4: 20, 5: 20, 6: 40}[n], STEPS[n - 1])


def test_a_phase_begins_where_the_one_before_ends():
    found = phases(GROKS)
    assert [phase.end for phase in found[:-1]] == [phase.start for phase in found[1:]]


def test_a_run_that_never_groks_memorises_to_its_end():
    never = run(
        excluded=[5.0, 3.0, 1.0, 0.5, 0.2, 0.1, 0.05],
        test_loss=[5.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0],
        test_accuracy=[0.01] * 7,
    )
    assert marked(never) == [("memorisation", 0, 60)]


def test_a_run_whose_circuit_never_answers_forms_it_to_its_end():
    half = run(
        excluded=[5.0, 3.0, 1.0, 2.0, 4.0, 6.0, 7.0],
        test_loss=[5.0, 6.0, 8.0, 7.0, 6.0, 5.0, 4.5],
        test_accuracy=[0.01] * 7,
    )
    assert marked(half) == [("memorisation", 0, 20), ("circuit formation", 20, 60)]


def test_a_run_that_generalises_at_once_does_not_memorise():
    at_once = run(
        excluded=[5.0, 5.5, 6.0, 7.0],
        test_loss=[5.0, 3.0, 1.0, 0.1],
        test_accuracy=[0.1, 0.5, 0.995, 1.0],
    )
    assert marked(at_once) == [("circuit formation", 0, 20), ("afterwards", 20, 30)]


def test_a_run_that_has_generalised_by_its_first_snapshot_is_past_all():
    done = run(excluded=[5.0, 5.5, 6.0], test_loss=[0.2, 0.1, 0.05], test_accuracy=[1.0, 1.0, 1.0])
    assert marked(done) == [("circuit formation", 0, 10), ("afterwards", 10, 20)]


def test_a_test_loss_that_halves_before_the_excluded_loss_turns_leaves_no_circuit_formation():
    early = run(
        excluded=[5.0, 4.0, 3.0, 1.0, 2.0, 6.0],
        test_loss=[8.0, 3.0, 2.0, 1.0, 0.5, 0.1],
        test_accuracy=[0.0, 0.1, 0.2, 0.5, 0.99, 1.0],
    )
    assert marked(early) == [("memorisation", 0, 30), ("cleanup", 30, 40), ("afterwards", 40, 50)]


def test_half_of_the_peak_before_the_peak_does_not_count():
    late = run(
        excluded=[1.0, 2.0, 3.0, 4.0, 5.0],
        test_loss=[3.0, 5.0, 8.0, 7.0, 2.0],
        test_accuracy=[0.0] * 5,
    )
    assert marked(late) == [("circuit formation", 0, 40)]


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_where_the_split_is_unknown_there_are_none(missing):
    unknown = GROKS.assign(test_loss=missing, test_accuracy=missing)
    assert phases(unknown) == ()


def test_one_snapshot_is_one_phase():
    assert marked(GROKS.head(1)) == [("memorisation", 0, 0)]


def test_no_snapshot_has_none():
    assert phases(GROKS.head(0)) == ()


def test_without_key_frequencies_nothing_is_excluded_and_there_are_none():
    assert phases(GROKS.assign(train_loss=GROKS["excluded_loss"])) == ()


def outlined(train_accuracy, grokked_at):
    columns = {"step": STEPS[: len(train_accuracy)], "train_accuracy": train_accuracy}
    return [(phase.name, phase.start, phase.end) for phase in outline(pd.DataFrame(columns), grokked_at)]


def test_the_outline_is_read_off_the_curves():
    known = [0.0, 0.5, 0.99, 1.0, 1.0, 1.0, 1.0]
    assert outlined(known, 45) == [("memorises", 0, 20), ("generalises", 20, 45), ("has grokked", 45, 60)]
    assert outlined(known, 60) == [("memorises", 0, 20), ("generalises", 20, 60)]


def test_the_outline_of_a_run_that_never_knows_its_training_examples_by_heart():
    assert outlined([0.5, 0.7, 0.8, 0.8], 15) == [("generalises", 0, 15), ("has grokked", 15, 30)]


def test_a_run_that_has_not_grokked_has_no_outline():
    assert outlined([0.0, 1.0, 1.0], None) == []
    assert outlined([float("nan")], 10) == []
