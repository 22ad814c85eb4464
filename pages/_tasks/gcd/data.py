"""The Data page for the gcd: how often each gcd occurs, and a pair as tokens."""

import math
from typing import get_args

import streamlit as st

import miii
from miii import cost, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks import GCD, Task
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer, number
from pages._server import gate

INTRO = """
From the digits of two integers, the network predicts their **greatest common divisor** (Charton 2023). In base 10, the last digit
reveals 2, 5 and 10; 3 takes all digits.
"""


@st.cache_resource(max_entries=2, show_spinner=False)
def built(config: GCD) -> Task:
    return config.build()


def gcd_counts(base: int, high: int, operands: str, outcomes: str, seed: int) -> Chart:
    task = miii.GCD(base=base, high=high, operands=operands, outcomes=outcomes, seed=seed).build()
    return plots.gcd_counts(task)


def page(name: str) -> None:
    """Everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        base = number("Base", 10, "base", "2 to 1000")
        high = number("High", 1_000_000, "high", "Largest operand")
        operands = choice("Operands", "operands", "log: uniform in the logarithm")
        outcomes = choice("Training gcds", "outcomes", "log: in proportion to 1 / gcd")
        seed = number("Seed", 0, "seed")
    try:
        config = GCD(base=base, high=high, operands=operands, outcomes=outcomes, seed=seed)
    except InputError as error:
        write.error(error)
        write.stop()
    gate.check(cost.data(config), "This data set")
    task = built(config)
    with st.container(horizontal=True):
        write.metric("Training pairs", f"{config.n_train:,}", border=True)
        tests = len(task.labels) - config.n_train
        write.metric("Test pairs", f"{tests:,}", border=True, help=f"{config.tests} of each gcd")
        write.metric("Answers", config.largest, border=True, help="Larger gcds are left out")
        write.metric("Digits", config.width, border=True, help="Of each integer")
        ones = int((task.labels[task.train_mask] == 0).sum()) / config.n_train
        write.metric("Coprime", f"{ones:.1%}", border=True, help="Training pairs of gcd 1")
    write.header("Counts", anchor="counts")
    cell(
        gcd_counts,
        base=config.base,
        high=config.high,
        operands=config.operands,
        outcomes=config.outcomes,
        seed=config.seed,
        caption="Line: 6 / (π k)², the share among all integers.",
    )
    write.header("Tokens", anchor="tokens")
    row = integer("Pair", 0, len(task.labels) - 1, config.n_train, "pair", "Training pairs first", width=160) or 0
    a, b = int(task.facts["a"][row]), int(task.facts["b"][row])
    shown = " ".join(task.token_names[token] for token in task.tokens[row].tolist())
    split = "train" if task.train_mask[row] else "test"
    write.text(f"**{a:,}** and **{b:,}** become `{shown}`; their gcd is **{math.gcd(a, b)}** (**{split}** split).")


def choice(label: str, field: str, help_text: str) -> str:
    """Show a picker of a field's values."""
    values = get_args(GCD.model_fields[field].annotation)
    return st.selectbox(label, values, key=field, bind="query-params", width=150, help=help_text)
