"""Frames of integers in the app."""

import miii
from miii import plots
from miii.plots.style import Chart
from miii.tasks import Frames
from pages._tasks.frames import data
from pages._tasks.view import Curve, Measure, Row, Story, TaskView, area, share

STORY = Story(
    "Watch a network write integers",
    r"""
A sequence of frames: a condition $+d$, the digits of an integer, and whether it is prime; the next frame has the integer that is
$d$ larger. A small causal decoder predicts **the next token**, so to be right it has to **add, with carries**, the first digit
first. The integers that it is tested on occur in no training sequence. Press Start.
""",
)


def measures(task: Frames, row: Row) -> list[Measure]:
    """Return the metrics of digits and integers, if predicted, and of labels."""
    labels = [
        Measure("Label, ROC AUC", area(row.get("auc")), "Of the last label on held-out sequences"),
        Measure(
            "Beyond the last digit",
            area(row.get("auc_coprime")),
            "ROC AUC of the integers coprime to the base alone",
        ),
    ]
    if "digits" not in row:
        return labels
    return [
        Measure("Digits", share(row.get("digits")), "Right on held-out sequences, given the true frames before"),
        Measure("Integers", share(row.get("integers")), "Right in all digits; 99 % is asked for"),
        *labels,
    ]


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.by_token(run.metrics())


VIEW = TaskView(
    about="learns to write the next integer and its label",
    home="frames",
    story=STORY,
    main=("low", "high", "base", "frames", "predict", "train_fraction", "seed", "steps"),
    criterion="99 % of the held-out integers right in all digits; of labels alone, with 99 % of those",
    measures=measures,
    curve=Curve(
        measure,
        plots.by_token,
        "Digits, integers and labels over the steps: shares right, and areas under the ROC curve.",
    ),
    data=data.page,
)
