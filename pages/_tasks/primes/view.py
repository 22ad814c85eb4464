"""Primes in the app."""

from functools import partial

import streamlit as st

import miii
from miii import plots
from miii.plots.style import Chart
from miii.tasks import Primes
from miii.tasks.primes import PRESETS, SIEVED
from pages._parts.attention import patterns
from pages._tasks.primes import data, follow, inside
from pages._tasks.view import Curve, Measure, Preset, Row, Story, TaskView, area

STORY = Story(
    "Watch a network learn to sieve",
    r"""
A small transformer sees the digits of an integer and learns whether it is prime. Watch when it separates primes from
multiples of 3, which show only in **the sum of all digits**.
""",
)


def choose_range(name: str) -> Preset:
    """Show the picker of the initial range."""
    chosen = st.segmented_control(
        "Range",
        list(PRESETS),
        default="table 1",
        required=True,
        key="range",
        bind="query-params",
        help="text: four digits; table 1: five, as in the draft",
    )
    chosen = chosen or "table 1"  # an empty value in the URL gives None
    return Preset(dict(zip(("low", "high"), PRESETS[chosen], strict=True)))


def measures(task: Primes, row: Row) -> list[Measure]:
    """Return the AUCs that ``Primes.learned`` checks."""
    return [
        Measure("ROC AUC", area(row.get("auc")), "Primes against all composites"),
        Measure("AUC against multiples of 3", area(row.get("auc_3"))),
    ]


def caption(row: Row) -> str:
    """Explain why accuracy is not shown."""
    return (
        f"Most integers are composite, so test accuracy ({row['test_accuracy']:.1%}) says little. AUC is the probability that a prime scores above "
        "a composite; 0.5 is chance. On the validation split."
    )


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    return plots.sieving(run.metrics())


VIEW = TaskView(
    about="learns which integers are prime",
    home="sieve",
    story=STORY,
    main=("low", "high", "base", "train_fraction", "seed", "steps", "seconds"),
    preset=choose_range,
    criterion=f"both AUCs at {SIEVED[0]:.2f} and {SIEVED[1]:.2f}",
    measures=measures,
    caption=caption,
    curve=Curve(
        measure,
        plots.sieving,
        "AUC by step and smallest factor.",
    ),
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(
        patterns.show,
        caption="Most integers are composite, so “no” is the best guess until it detects several factors.",
    ),
)
