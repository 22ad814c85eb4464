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
    r"""
A number $n = x_0 + p\,x_1$ is shown as its two digits, and asked are its residues modulo **every prime below** $p$, all at
once. The loss of each question is divided by the logarithm of its modulus. Press Start.
""",
)


def measures(task: Residues, row: Row) -> list[Measure]:
    """Return accuracies over the trained targets."""
    mean, of = task.accuracy(row)
    return [
        Measure("Training accuracy", share(row.get("train_accuracy"))),
        Measure(of.capitalize(), share(mean), "Mean test accuracy over those that are trained"),
        Measure("All residues right", share(row.get("test_accuracy")), "Test numbers with no residue wrong"),
        Measure("Worst prime", share(row.get("accuracy_worst")), "Test accuracy of the worst of the trained primes"),
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
    criterion="99 % of the test numbers right for every prime that is trained",
    measures=measures,
    curve=Curve(measure, live, "Share of right answers over the steps, a row for each prime modulus."),
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(patterns.show, word=patterns.answer_as_number),
)
