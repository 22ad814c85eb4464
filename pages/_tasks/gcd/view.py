"""The greatest common divisor in the app."""

from functools import partial

import pandas as pd

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.tasks import GCD
from pages._parts.attention import patterns
from pages._tasks.gcd import data, follow, inside
from pages._tasks.view import Curve, Measure, Row, Story, TaskView, share

STORY = Story(
    "Watch a network learn divisors",
    data.INTRO,
)


def measures(task: GCD, row: Row) -> list[Measure]:
    """Return the learned divisors and how well their list explains the answers."""
    learned = row.get("learned")
    return [
        Measure(inside.LEARNED[0], "–" if learned is None else f"{learned:.0f}", inside.LEARNED[1]),
        Measure(inside.EXPLAINED[0], share(row.get("follows")), inside.EXPLAINED[1]),
        Measure(inside.UNLEARNED[0], share(row.get("follows_new")), inside.UNLEARNED[1]),
        Measure(inside.ACCURACY[0], share(row.get("test_accuracy")), inside.ACCURACY[1]),
    ]


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    config = analysis.sieve.check_gcd(run.config.task)
    return plots.learned_divisors(analysis.sieve.learned_over_training(run.metrics()), config.theory)


def live(metrics: pd.DataFrame, steps: int) -> Chart:
    """Draw the learned divisors while the run trains; the base is not known here, so all have one color."""
    learned = analysis.sieve.learned_over_training(metrics)
    return plots.learned_divisors(learned, [k for found in learned.values() for k in found], steps)


VIEW = TaskView(
    about="learns the greatest common divisor",
    home="sieve",
    story=STORY,
    main=("base", "operands", "outcomes", "seed", "steps"),
    criterion="all products of the base's primes up to a tenth of the largest gcd",
    measures=measures,
    curve=Curve(measure, live, "Learned divisors by step."),
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(patterns.show, word=lambda built, answer: str(answer + 1)),
)
