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
M followed by I's and U's is a theorem of the MIU system unless the number of its I's is divisible by 3. Nobody tells the network:
it sees strings, and which of them can be derived. If it has learned the rule, it **counts modulo 3**, wherever the I's stand and
however long the string is.
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
    write.header("How far does it reach?", anchor="reach")
    with st.spinner("Asking …", show_time=True):
        right, strings = held_out(run.name, step), accuracy_by_length(run.name, step)
    with st.container(horizontal=True):
        for label, name, about in (
            (AS_LONG, "accuracy_as_long", f"Held-out strings of up to {task.longest} letters, as in training"),
            (
                LONGER,
                "accuracy_longer",
                f"Held-out strings of {task.longest + 1} to {task.longest_test} letters",
            ),
        ):
            if name in right:
                write.metric(label, f"{right[name]:.1%}", border=True, help=about)
    write.text(
        f"In a held-out string the number of I's is drawn evenly, so a long one may have more of them than any in training. Strings whose "
        f"letters are drawn by **fair coins** have about half I's, and are easier: below are {analysis.lengths.STRINGS} fresh ones of every "
        f"length up to {task.longest_test} letters. Training had up to {task.longest} letters, the dashed line."
    )
    fair = {"Fair coins, as long": strings[~strings["longer"]], "Fair coins, longer": strings[strings["longer"]]}
    with st.container(horizontal=True):
        for label, part in fair.items():
            if len(part):
                about = "Mean of the accuracies on theorems and on other strings"
                write.metric(label, f"{analysis.lengths.balanced(part):.1%}", border=True, help=about)
    cell(string_accuracy, name=run.name, step=step, alt="Accuracy on theorems and on other strings.")

    write.header("Does it count modulo 3?", anchor="count")
    cell(
        evidence_by_count,
        name=run.name,
        step=step,
        alt="Evidence for theorem by the number of I's, with its middle half.",
        caption="Held-out strings; dots are medians, bars the middle half. Counting modulo 3 is a wave of period 3, the same for few I's and "
        "for many.",
    )

    write.header("Taken apart", anchor="apart")
    write.text(
        "The same measures as for primes: each I should add the same turn of a third, wherever it stands. A string has many places, so "
        "this takes half a minute."
    )
    if st.toggle("Take the sum apart", key="apart", bind="query-params", help="Interchange, steering, and the verdict"):
        with st.spinner("Measuring …", show_time=True):
            explained = interventions.added(run.name, step, 3, ()).explained
        write.text(
            f"As the output feels it, whether there is an I explains **{interventions.percent(explained.share)}** of the variance of what places add; the same "
            f"at all places, {interventions.percent(explained.pooled)}. The rest comes from the other letters, through attention's softmax."
        )
        interventions.section(run, step, 3, (), "strings")
        interventions.verdict(run, step, (3,), (), 3)
    probes.probes(run, step, (3,), 3)
