"""All residues of a number in the app."""

from functools import partial

import pandas as pd

import miii
from miii import plots
from miii.plots.style import Chart
from miii.tasks import Residues
from pages._parts.attention import patterns
from pages._tasks.residues import data, follow, inside
from pages._tasks.view import Curve, Measure, Row, Story, TaskView, share

STORY = Story(
    "Watch a network learn residues",
    data.INTRO,
)


def measures(task: Residues, row: Row) -> list[Measure]:
    """Return accuracies over the trained targets."""
    headline = task.headline(row)
    return [
        Measure("Training accuracy", share(row.get("train_accuracy"))),
        Measure(headline.name.capitalize(), headline.text, "Test numbers, trained targets"),
        Measure("All residues correct", share(row.get("test_accuracy")), "Share of test numbers"),
        Measure("Worst prime", share(row.get("accuracy_worst")), "Test accuracy"),
    ]


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.by_prime(run.metrics())


def live(metrics: pd.DataFrame, steps: int) -> Chart:
    """Draw the curve while the run trains."""
    return plots.by_prime(metrics)


VIEW = TaskView(
    about="learns the residues of a number",
    home="sieve",
    story=STORY,
    main=("p", "train_fraction", "seed", "steps"),
    criterion="99% test accuracy for every trained prime",
    measures=measures,
    curve=Curve(measure, live, "Test accuracy by step and prime."),
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(patterns.show, word=patterns.answer_as_number),
)
