"""The grid of all pairs on the Train page: correct and wrong answers."""

import streamlit as st

import miii
from miii import plots
from miii.jobs import Job
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import links
from pages._kit.cell import cell
from pages._kit.draw import draw
from pages._kit.inputs import choose_pair, integer
from pages._server.settings import LIMIT


def answers(name: str, step: int, pair: tuple[int, int]) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    correct = miii.answer(run.model(step), task.tokens) == task.labels
    return plots.mark_cell(plots.answers(correct, task, task.d_vocab_out), *pair)


def show(run: Run, task: miii.ModularAddition, step: int) -> None:
    """Show the grid at a snapshot, and the choice of a pair."""
    p = task.p
    if p > LIMIT or run.task().d_vocab_out != p:
        return
    splits = ", by split" if run.task().split_known else ""
    grid = st.container()
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        a = integer("a", 0, p - 1, min(5, p - 1), "a", "First operand", width=110) or 0
        b = integer("b", 0, p - 1, min(8, p - 1), "b", "Second operand", width=110) or 0
        links.to("try", f"Follow ({a}, {b}) through the network", ":material/route:")
    with grid:
        cell(
            answers,
            name=run.name,
            step=step,
            pair=(a, b),
            stamp=len(run.rows()),
            width="content",
            pick=(CELL, choose_pair),
            alt=f"Grid of all {p} by {p} pairs: correct and wrong answers{splits}.",
            caption="Click a pair to follow it.",
        )


def live(job: Job | None, task: miii.ModularAddition) -> None:
    """Show the grid at the newest evaluation; for a large p only a part is evaluated while training."""
    found = job.evaluation if job is not None else None
    if task.p > LIMIT or found is None or len(found.rows) != task.n_pairs:
        return
    draw(
        plots.answers(found.correct, built(task), task.p),
        key="answers",
        width="content",
        alt="Correct and wrong answers.",
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def built(task: miii.ModularAddition) -> miii.Task:
    return task.build()
