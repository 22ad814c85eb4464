"""The MIU puzzle in the app."""

from functools import partial

import miii
from miii import plots
from miii.plots.style import Chart
from pages._parts.attention import patterns
from pages._tasks.miu import data, follow, inside
from pages._tasks.miu.measures import measures
from pages._tasks.view import Curve, Story, TaskView

STORY = Story(
    "Watch a network solve the MIU puzzle",
    r"""
A string of M, I and U is a theorem of Hofstadter's puzzle unless **3 divides its number of I's**. The network learns from
labeled strings and is tested on longer ones.
""",
)


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.by_length(run.metrics())


VIEW = TaskView(
    about="learns the MIU puzzle",
    home="sieve",
    story=STORY,
    main=("longest", "longest_test", "train_fraction", "seed", "steps"),
    criterion="99% test accuracy, longer strings included",
    measures=measures,
    curve=Curve(
        measure,
        plots.by_length,
        "Accuracy by step and split.",
    ),
    accuracy=False,  # already in the curve
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(patterns.show, by_token=True),  # letters are at random positions
)
