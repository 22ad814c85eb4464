"""The page Sieve for a network that was asked which strings are theorems of the MIU puzzle."""

from collections.abc import Callable

import pandas as pd
import streamlit as st

import miii
from miii import analysis, plots
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks import MIU
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._parts.sieve import interventions, probes
from pages._tasks.miu.measures import AS_LONG, LONGER

ABOUT = """
A string is a theorem of the MIU system unless 3 divides its number of I's. A network that has learned this **counts modulo 3**,
at any position and length.
"""


@shared
def held_out(name: str, step: int) -> dict[str, float]:
    run = miii.runs.open(name)
    return analysis.lengths.held_out(run.model(step), run.task())


@shared
def accuracy_by_length(name: str, step: int) -> "pd.DataFrame":  # a name that the code below the figure has no need of
    run = miii.runs.open(name, miii.MIU)
    config = run.task_config
    return analysis.lengths.by_length(run.model(step), config)


def string_accuracy(name: str, step: int) -> tuple[Chart, Chart]:
    config = miii.runs.open(name, miii.MIU).task_config
    strings = accuracy_by_length(name, step)
    return plots.string_accuracy(strings, "length", config.longest), plots.string_accuracy(strings, "I")


def evidence_by_count(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    held_out = ~task.train_mask
    evidence = analysis.sieve.evidence(run.model(step), task.tokens[held_out])
    return plots.evidence_by_count(evidence, task.facts["I"][held_out].numpy())


def page(run: Run, task: MIU, step_of: Callable[[Run], int]) -> None:
    """Everything about one snapshot."""
    write.text(ABOUT)
    step = step_of(run)
    write.header("Longer strings", anchor="reach")
    with st.spinner("Measuring …", show_time=True):
        right, strings = held_out(run.name, step), accuracy_by_length(run.name, step)
    with st.container(horizontal=True):
        for label, name, about in (
            (AS_LONG, "accuracy_as_long", f"Up to {task.longest} letters"),
            (
                LONGER,
                "accuracy_longer",
                f"{task.longest + 1} to {task.longest_test} letters",
            ),
        ):
            if name in right:
                write.metric(label, f"{right[name]:.1%}", border=True, help=about)
    write.text(
        "Long test strings may have more I's than any in training. Strings of **random letters** are about half I's, so they are easier."
    )
    fair = {
        "Random letters, same lengths": strings[~strings["longer"]],
        "Random letters, longer strings": strings[strings["longer"]],
    }
    with st.container(horizontal=True):
        for label, part in fair.items():
            if len(part):
                about = "Mean over theorems and non-theorems"
                write.metric(label, f"{analysis.lengths.balanced(part):.1%}", border=True, help=about)
    cell(
        string_accuracy,
        name=run.name,
        step=step,
        caption=f"{analysis.lengths.STRINGS} fresh random strings per length. Dashed: the longest in training.",
    )

    write.header("Does it count modulo 3?", anchor="count")
    cell(
        evidence_by_count,
        name=run.name,
        step=step,
        caption="Counting modulo 3 shows as a wave of period 3. Median and middle half of held-out strings.",
    )

    write.header("Interventions and verdict", anchor="apart")
    write.text("If it counts, each I contributes the same vector, a third of a turn, at any position.")
    if st.toggle("Run the interventions", key="apart", bind="query-params", help="Half a minute"):
        with st.spinner("Measuring …", show_time=True):
            explained = interventions.added(run.name, step, 3, ()).explained
        write.text(
            f"Whether a position holds an I explains **{interventions.percent(explained.share)}** of the variance of contributions, weighted by their "
            f"effect on the output; with one vector for all positions, {interventions.percent(explained.pooled)}."
        )
        interventions.section(run, step, 3, (), "strings")
        interventions.verdict(run, step, (3,), (), 3)
    probes.probes(run, step, (3,), 3)
