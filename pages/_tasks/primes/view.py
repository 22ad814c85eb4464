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
A small transformer sees the digits of an integer and learns one bit: prime or not. The last digit reveals multiples of 2 and 5; a
multiple of 3 shows only in **the sum of all digits** modulo 3. Press Start, and watch when the network separates primes from multiples
of 3.
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
        help="text: four digits, as in the draft's text; table 1: five digits, as in its Table 1",
    )
    chosen = chosen or "table 1"  # an empty value in the URL gives None
    return Preset(dict(zip(("low", "high"), PRESETS[chosen], strict=True)))


def measures(task: Primes, row: Row) -> list[Measure]:
    """Return the AUCs that ``Primes.learned`` checks."""
    return [
        Measure("ROC AUC", area(row.get("auc")), f"Primes against all composites; criterion {SIEVED[0]:.2f}"),
        Measure(
            "AUC against multiples of 3",
            area(row.get("auc_3")),
            f"Smallest prime factor 3; criterion {SIEVED[1]:.2f}",
        ),
    ]


def caption(row: Row) -> str:
    """Explain why accuracy is not shown."""
    return (
        f"Accuracy says little: most integers are composite, so “not prime” is usually correct (test accuracy {row['test_accuracy']:.1%}). The area "
        f"under the ROC curve is the probability that a prime scores higher than a composite; 0.5 is chance. Measured on the validation split."
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
    criterion=f"both areas at {SIEVED[0]:.2f} and {SIEVED[1]:.2f}",
    measures=measures,
    caption=caption,
    curve=Curve(
        measure,
        plots.sieving,
        "Area under the ROC curve by step: primes against all composites, and by smallest factor.",
    ),
    data=data.page,
    follow=follow.page,
    inside=inside.page,
    attention=partial(
        patterns.show,
        caption="Most integers are composite, so “no” is the best guess until the network detects several factors.",
    ),
)
