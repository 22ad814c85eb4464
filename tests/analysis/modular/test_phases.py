"""The phases of runs made up by hand."""

import pandas as pd

from miii import ModularAddition, Primes, runs
from miii.analysis.modular.phases import Phase, mark, outline, phase_at

STEPS = [0, 10, 20, 30, 40, 50, 60]
PEAK = [5.0, 6.0, 8.0, 7.0, 4.0, 1.0, 0.1]  # the test loss is highest at 20, and half of that at 40


def run(test_loss, test_accuracy, train_accuracy=1.0):
    columns = {"train_accuracy": train_accuracy, "test_loss": test_loss, "test_accuracy": test_accuracy}
    return pd.DataFrame({"step": STEPS[: len(test_loss)]} | columns)


GROKS = run(PEAK, [0.0, 0.0, 0.1, 0.2, 0.8, 0.99, 1.0])
NAMES = ("memorization", "circuit formation", "cleanup", "afterwards")


def marked(frame):
    return [(phase.name, phase.start, phase.end) for phase in mark(frame)]


def test_a_run_that_groks_has_all_phases():
    assert marked(GROKS) == list(zip(NAMES, (0, 20, 40, 50), (20, 40, 50, 60), strict=True))
    assert mark(GROKS)[0] == Phase("memorization", 0, 20)
    assert [phase_at(mark(GROKS), step) for step in (0, 19, 20, 40, 60)] == [NAMES[i] for i in (0, 0, 1, 2, 3)]
    assert phase_at((), 10) is None


def test_an_unfinished_phase_is_the_last():
    for n in [2, 3, 4, 5, 6]:
        last = {2: "memorization", 3: "memorization", 4: "circuit formation", 5: "circuit formation", 6: "cleanup"}[n]
        assert marked(GROKS.head(n))[-1] == (last, {2: 0, 3: 0, 4: 20, 5: 20, 6: 40}[n], STEPS[n - 1])


def test_runs_without_some_phases():
    flat = [0.01] * 7
    for frame, wanted in (
        (run([5.0, 6.0, 8.0, 9.0, 10.0, 11.0, 12.0], flat), [("memorization", 0, 60)]),  # it never groks
        (run([5.0, 6.0, 8.0, 7.0, 6.0, 5.0, 4.5], flat), [("memorization", 0, 20), ("circuit formation", 20, 60)]),
        (run([5.0, 3.0, 1.0, 0.1], [0.1, 0.5, 0.995, 1.0]), [("circuit formation", 0, 20), ("afterwards", 20, 30)]),
        (run([0.2, 0.1, 0.05], [1.0, 1.0, 1.0]), [("circuit formation", 0, 10), ("afterwards", 10, 20)]),
        (run([3.0, 5.0, 8.0, 7.0, 2.0], flat[:5]), [("memorization", 0, 20), ("circuit formation", 20, 40)]),
        (GROKS.head(1), [("memorization", 0, 0)]),
        (GROKS.head(0), []),
        (GROKS.assign(test_loss=None, test_accuracy=None), []),  # the split is unknown
        (GROKS.assign(test_loss=float("nan"), test_accuracy=float("nan")), []),
        (GROKS.assign(train_accuracy=0.98), []),  # nothing is ever known by heart
    ):
        assert marked(frame) == wanted


def test_a_later_rise_of_the_loss_is_not_the_peak():
    assert marked(GROKS.assign(test_loss=[*PEAK[:6], 9.0]))[0] == ("memorization", 0, 20)


def test_other_tasks_are_said_to_reach_what_they_reach():
    assert outline(Primes(), GROKS, 45) == (Phase("sieves by 3", 45, 60),)
    assert outline(Primes(), GROKS, None) == ()
    assert outline(ModularAddition(), GROKS, 50) == mark(GROKS)
    for name in runs.every():  # those that came with miii
        grokked_at = (name.result or {}).get("grokked_at")
        said = {phase.name for phase in outline(name.config.task, name.metrics(), grokked_at)}
        assert said <= (
            {*NAMES} if name.config.task.kind == "modular" else {"sieves by 3", "predicts integers", "names kinds"}
        )
