"""Groups and other tables in the app."""

import streamlit as st

import miii
from miii import Table, plots
from miii.jobs import Job
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from miii.tasks.table import EXAMPLE
from pages._kit import links
from pages._kit.cell import cell
from pages._kit.draw import draw
from pages._parts.attention import patterns
from pages._tasks.table import data, follow, fourier
from pages._tasks.table.inputs import OPERANDS, choose_operands, type_table
from pages._tasks.view import Measure, Picture, Preset, Row, Story, TaskView, share

STORY = Story(
    "Watch a network learn a group",
    r"""
A small transformer trains on some products $a \circ b$ in a finite group and is tested on the rest.
""",
)

OWN_TABLE = Story(
    "Watch a network learn your own table",
    """
A small transformer trains on some cells of a table and is tested on the rest, which it can predict only if the table follows a rule.
""",
)


def preset(name: str) -> Preset:
    """Show the table's input."""
    return Preset(changes={"csv": type_table(), "group": "own"}) if name == "table" else Preset()


def measures(task: Table, row: Row) -> list[Measure]:
    """Return the accuracy of both splits."""
    return [
        Measure("Training accuracy", share(row.get("train_accuracy"))),
        Measure("Test accuracy", share(row.get("test_accuracy")), "On held-out pairs"),
    ]


def answers(name: str, step: int) -> Chart:
    run = miii.runs.open(name, miii.Table)
    task, cells = run.task(), run.task_config.cells
    correct = miii.answer(run.model(step), task.tokens) == task.labels
    return plots.answers(correct, task, len(cells.rows), len(cells.columns))


def show(run: Run, task: Table, step: int) -> None:
    """Show the grid of pairs at a snapshot."""
    cell(
        answers,
        name=run.name,
        step=step,
        stamp=len(run.rows()),
        width="content",
        pick=(CELL, lambda pair: choose_operands(task, pair["row"], pair["column"])),
        caption="Click a pair to follow it.",
    )
    a, b = (st.session_state.get(name) for name in OPERANDS)
    pair = f"{a} and {b}" if a in task.cells.rows and b in task.cells.columns else "a pair"
    links.to("try", f"Follow {pair} through the network", ":material/route:")


def live(job: Job | None, task: Table) -> None:
    """Show the grid at the newest evaluation."""
    found = job.evaluation if job is not None else None
    if found is None or len(found.rows) != task.n_pairs:
        return
    cells = task.cells
    draw(
        plots.answers(found.correct, data.built(task), len(cells.rows), len(cells.columns)),
        key="answers",
        width="content",
        alt="Correct and wrong answers.",
    )


def attention(run: Run, task: Table, step: int) -> None:
    """Show the page Attention, with the names of the answers."""
    names = task.cells.answers
    patterns.show(run, task, step, word=lambda built, answer: names[answer])


VIEW = TaskView(
    about="learns the table of an operation",
    home="fourier",
    story=STORY,
    stories={"table": OWN_TABLE},
    main=("group", "train_fraction", "seed", "steps"),
    hidden=("csv",),
    preset=preset,
    required={"table": {"csv": EXAMPLE}},
    criterion="99% test accuracy",
    measures=measures,
    picture=Picture(show, live),
    data=data.page,
    follow=follow.page,
    fourier=fourier.page,
    attention=attention,
)
