"""Frames of integers in the app."""

import miii
from miii import plots
from miii.plots.style import Chart
from miii.tasks import Frames
from pages._tasks.frames import data
from pages._tasks.view import Curve, Measure, Row, Story, TaskView, area, share

STORY = Story(
    "Watch a network write integers",
    data.INTRO,
)


def measures(task: Frames, row: Row) -> list[Measure]:
    """Return the metrics of digits and integers, if predicted, and of labels."""
    labels = [
        Measure("Label, ROC AUC", area(row.get("auc")), "How often a prime outranks a composite"),
        Measure(
            "Coprime to the base",
            area(row.get("auc_coprime")),
            "Where the last digit reveals nothing",
        ),
    ]
    if "digits" not in row:
        return labels
    return [
        Measure("Digits", share(row.get("digits")), "Held-out accuracy, given the true frames"),
        Measure("Integers", share(row.get("integers")), "All digits correct"),
        *labels,
    ]


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.by_token(run.metrics())


VIEW = TaskView(
    about="learns to predict the next integer and its label",
    home="frames",
    story=STORY,
    main=("low", "high", "base", "frames", "predict", "train_fraction", "seed", "steps"),
    criterion="99% of held-out integers with all digits correct; for labels alone, 99% accuracy",
    measures=measures,
    curve=Curve(
        measure,
        plots.by_token,
        "Accuracy and label AUC by step.",
    ),
    data=data.page,
)
