"""The Data page for groups and other tables."""

from typing import get_args

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks import Task
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import number
from pages._tasks.table.inputs import type_table

GROUPS = tuple(group for group in get_args(miii.Table.model_fields["group"].annotation) if group != "own")


@st.cache_resource(max_entries=8, show_spinner=False)
def built(config: miii.Table) -> Task:
    return config.build()


@st.cache_data(max_entries=8, show_spinner=False)
def listed(config: miii.Table) -> pd.DataFrame:
    task, cells = built(config), config.cells
    a, b = config.operands(task)
    return pd.DataFrame(
        {
            "a": [cells.rows[i] for i in a.tolist()],
            "b": [cells.columns[i] for i in b.tolist()],
            "c": [cells.answers[i] for i in task.labels.tolist()],
            "split": ["train" if train else "test" for train in task.train_mask.tolist()],
            "tokens": [" ".join(task.token_names[token] for token in row) for row in task.tokens.tolist()],
        }
    )


def split(group: str, csv: str | None, train_fraction: float, seed: int) -> Chart:
    config = miii.Table(group=group, csv=csv, train_fraction=train_fraction, seed=seed)
    return plots.split(config.build(), len(config.cells.rows), len(config.cells.columns))


def answers(group: str, csv: str | None, train_fraction: float, seed: int) -> Chart:
    config = miii.Table(group=group, csv=csv, train_fraction=train_fraction, seed=seed)
    task, rows, columns = config.build(), len(config.cells.rows), len(config.cells.columns)
    labels = miii.tasks.modular.grid_of(task, task.labels.double(), rows, float("nan"), columns)
    return plots.heatmap(labels, title="The answer to every pair", row="a", column="b", value="index of c")


def class_balance(group: str, csv: str | None, train_fraction: float, seed: int) -> Chart:
    return plots.class_balance(miii.Table(group=group, csv=csv, train_fraction=train_fraction, seed=seed).build())


def page(name: str) -> None:
    """Everything below the choice of the task."""
    write.text("The network trains on some pairs, the **training split**, and is tested on the rest.")
    try:
        config = choose(name)
        task = built(config)
    except InputError as error:
        write.error(error)
        write.stop()
    cells, values = config.cells, config.model_dump(exclude={"kind"})
    if config.group != "own":
        write.text(
            f"The elements of {config.group} are "
            + (
                "the rotations r and reflections s of a polygon."
                if config.group.startswith("D")
                else "permutations in cycle notation; e moves nothing."
            )
            + " The product $a \\circ b$ applies $b$ first."
        )
    with st.container(horizontal=True):
        write.metric("Pairs", f"{len(task.labels):,}", border=True)
        write.metric("Training", f"{config.n_train:,}", border=True)
        write.metric("Test", f"{len(task.labels) - config.n_train:,}", border=True)
        write.metric("Answers", f"{len(cells.answers):,}", border=True)

    write.header("Every pair", anchor="pairs")
    left, right = st.columns(2)
    blank = len(cells.rows) * len(cells.columns) - len(task.labels)
    with left:
        cell(split, **values, width="content")
    with right:
        cell(
            answers,
            **values,
            width="content",
            caption=f"{blank:,} cells are blank." if blank else "",
        )

    write.header("Tokens", anchor="tokens")
    row = st.slider("Pair number", 0, len(task.labels) - 1, 0)
    a, b, c, side, tokens = listed(config).iloc[row]
    write.text(
        f"**{a}** and **{b}** become `{tokens}`, with token indices `{task.tokens[row].tolist()}`. The answer is **{c}** "
        f"({'training' if side == 'train' else 'test'} split)."
    )

    write.header("Balance", anchor="balance")
    counts = task.labels.bincount(minlength=len(cells.answers))
    cell(
        class_balance,
        **values,
        caption=f"Guessing the most common answer is right on {counts.max() / len(task.labels):.1%}.",
    )

    write.header("The table", anchor="table")
    write.table(listed(config), height=320, name="pairs")


def choose(name: str) -> miii.Table:
    """Return the config of the page's controls.

    Raises:
        InputError: the table is invalid, or a number is out of range.
    """
    with st.container(horizontal=True, gap="medium"):
        group, csv = "own", None
        if name == "table":
            csv = type_table()
        else:
            group = st.selectbox(
                "Group",
                GROUPS,
                index=GROUPS.index("A5"),
                key="group",
                bind="query-params",
                width=140,
                help="S: all permutations; A: the even ones; D: symmetries of a polygon",
            )
        share = miii.Table.model_fields["train_fraction"].default
        fraction = st.slider(
            "Training share",
            0.01,
            0.99,
            share,
            0.01,
            key="fraction",
            bind="query-params",
            width=240,
        )
        seed = number("Seed", 0, "seed")
    return miii.Table(group=group, csv=csv, train_fraction=fraction, seed=seed)
