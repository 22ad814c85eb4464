"""The Data page for modular arithmetic: every pair, its answer, its tokens, and which pairs train."""

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.analysis.modular import grid
from miii.errors import InputError
from miii.expression import parse
from miii.plots.style import Chart
from miii.tasks import Task
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import number
from pages._server.settings import LIMIT
from pages._tasks.modular.inputs import type_expression

FORMULAS = {
    "add": r"c = a + b \bmod p",
    "sub": r"c = a - b \bmod p",
    "mul": r"c = a \cdot b \bmod p",
    "div": r"c = a \cdot b^{-1} \bmod p \quad \text{where}\ b \neq 0",
    "quadratic": r"c = a^2 + ab + b^2 \bmod p",
    "shuffled": r"c = (a + b \bmod p)\ \text{of a randomly chosen other pair}",
    "relabeled": r"c = \pi\left(\pi^{-1}(a) + \pi^{-1}(b) \bmod p\right)\ \text{for a random renaming}\ \pi",
}

INTRO = """
The network trains on some pairs of numbers below $p$, the **training split**, and is tested on the rest.
"""


@st.cache_resource(max_entries=8, show_spinner=False)
def built(config: miii.ModularAddition) -> Task:
    return config.build()


@st.cache_data(max_entries=8, show_spinner=False)
def table(config: miii.ModularAddition) -> pd.DataFrame:
    task = built(config)
    a, b = (each.numpy() for each in grid.operands(task))
    names = [" ".join(task.token_names[token] for token in row) for row in task.tokens.tolist()]
    split = ["train" if train else "test" for train in task.train_mask.tolist()]
    return pd.DataFrame({"a": a, "b": b, "c": task.labels.numpy(), "split": split, "tokens": names})


def split(operation: str, expression: str | None, p: int, train_fraction: float, balanced: bool, seed: int) -> Chart:
    config = miii.ModularAddition(
        operation=operation, expression=expression, p=p, train_fraction=train_fraction, balanced=balanced, seed=seed
    )
    return plots.split(config.build(), p)


def answers(operation: str, expression: str | None, p: int, train_fraction: float, balanced: bool, seed: int) -> Chart:
    config = miii.ModularAddition(
        operation=operation, expression=expression, p=p, train_fraction=train_fraction, balanced=balanced, seed=seed
    )
    task = config.build()
    labels = miii.tasks.modular.grid_of(task, task.labels.double(), p, float("nan"))
    return plots.heatmap(labels, title="The answer to every pair", row="a", column="b", value="c")


def class_balance(
    operation: str, expression: str | None, p: int, train_fraction: float, balanced: bool, seed: int
) -> Chart:
    config = miii.ModularAddition(
        operation=operation, expression=expression, p=p, train_fraction=train_fraction, balanced=balanced, seed=seed
    )
    return plots.class_balance(config.build())


def left_out(config: miii.ModularAddition) -> str:
    """Write how many pairs the task leaves out, if any."""
    missing = config.p**2 - config.n_pairs
    return f"{missing:,} of {config.p**2:,} pairs have no answer." if missing else ""


def page(operation: str) -> None:
    """Everything below the choice of the task."""
    write.text(INTRO)
    expression = type_expression() if operation == "expr" else None
    with st.container(horizontal=True, gap="medium"):
        p = number("p", 113, "p", f"The modulus, 2 to {LIMIT}")
        fraction = st.slider(
            "Training share",
            0.01,
            0.99,
            0.3,
            0.01,
            key="fraction",
            bind="query-params",
            width=240,
        )
        seed = number("Seed", 0, "seed")
        balanced = st.toggle(
            "Balanced", key="balanced", bind="query-params", help="Equally many training pairs per answer"
        )

    try:
        if p is not None and p > LIMIT:
            raise InputError(f"p must be at least 2 and at most {LIMIT} in the app (got {p}).")
        config = miii.ModularAddition(
            operation=operation,
            expression=expression,
            p=p,
            train_fraction=fraction,
            balanced=balanced,
            seed=seed,
        )
        task = built(config)
    except InputError as error:
        write.error(error)
        write.stop()

    p = config.p
    write.latex(FORMULAS[operation] if expression is None else f"c = {parse(expression).latex()}")
    with st.container(horizontal=True):
        write.metric("Pairs", f"{len(task.labels):,}", border=True)
        write.metric("Training", f"{config.n_train:,}", border=True)
        write.metric("Test", f"{len(task.labels) - config.n_train:,}", border=True)
        write.metric("Tokens", f"{task.d_vocab:,}", border=True, help="0 to p − 1, and “=”")

    values = config.model_dump(exclude={"kind", "equals", "separate", "operator"})
    write.header("Every pair", anchor="pairs")
    left, right = st.columns(2)
    with left:
        cell(
            split,
            **values,
            width="content",
        )
    with right:
        cell(
            answers,
            **values,
            width="content",
            caption=left_out(config),
        )

    write.header("Tokens", anchor="tokens")
    row = st.slider("Pair number", 0, len(task.labels) - 1, min(5 * p + 8, len(task.labels) - 1))
    a, b = (int(table(config)[name][row]) for name in ("a", "b"))
    write.text(
        f"**({a}, {b})** becomes `{table(config).tokens[row]}`, with token indices "
        f"`{task.tokens[row].tolist()}`. Each index selects a vector, its **embedding**; nothing tells the network that 3 follows 2. The answer "
        f"is **{int(task.labels[row])}** ({'training' if task.train_mask[row] else 'test'} split)."
    )

    write.header("Balance", anchor="balance")
    counts = task.labels.bincount(minlength=p)
    cell(
        class_balance,
        **values,
        caption=f"Each answer has {counts.min()}{f' to {counts.max()}' if counts.max() > counts.min() else ''} pairs: guessing the most common "
        f"is right on {counts.max() / len(task.labels):.1%}.",
    )

    write.header("The table", anchor="table")
    write.table(table(config), height=320, name="pairs")
