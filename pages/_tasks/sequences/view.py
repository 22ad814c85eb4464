"""Integer sequences in the app."""

import miii
from miii import plots
from miii.plots.style import Chart
from miii.tasks import Sequences
from pages._tasks.sequences import attention, data, follow
from pages._tasks.view import Curve, Measure, Row, Story, TaskView, area, share

STORY = Story(
    "Watch a network learn kinds of sequences",
    r"""
Which rule made a sequence: a polynomial, a recurrence, a period, the primes? The network reads each term's **residues**, sign and size, and
is tested on **families** of rules that it never saw.
""",
)


def measures(task: Sequences, row: Row) -> list[Measure]:
    """Return the mean F1 score, and the share of sequences with all kinds correct; of other targets, the accuracy."""
    if task.target != "kinds":
        return [Measure("Accuracy", share(row.get("test_accuracy")), "All answers correct, on held-out families")]
    return [
        Measure(
            "Macro F1",
            area(row.get("macro_f1")),
            "Mean over kinds of F1, the balance of precision and recall, on held-out families",
        ),
        Measure("All kinds correct", share(row.get("test_accuracy")), "Of held-out sequences"),
    ]


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.kinds_over_training(run.metrics())


VIEW = TaskView(
    about="learns from integer sequences",
    home="sequences",
    story=STORY,
    main=("target", "longest", "terms", "largest_modulus", "n", "seed", "steps"),
    criterion="a macro F1 of 0.93 on held-out rule families, or an accuracy of 0.9 for other targets",
    measures=measures,
    curve=Curve(measure, plots.kinds_over_training, "F1 by step and kind."),
    data=data.page,
    follow=follow.page,
    attention=attention.page,
)
