"""The Data page for MIU: strings, theorems, and a derivation of any of them."""

from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import analysis, cost, plots
from miii.analysis.sequences.miu import RULES
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks import Task
from miii.tasks.miu import MIU, Step
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer, number, train_fraction
from pages._server import gate

LONGEST, MOST = 120, 50_000  # letters and strings that fit into a small server's memory
LETTERS = 40  # of a string to derive

INTRO = """
In Hofstadter's puzzle, we start from **MI** and apply four rules in any order:

| rule | change |
|---|---|
| I | xI → xIU |
| II | Mx → Mxx |
| III | III → U |
| IV | UU → (nothing) |

Here, x is any string; III and UU may stand anywhere. Reachable strings are **theorems**. The number of I's starts at 1 and only
doubles or drops by 3, so 3 never divides it. Every other string of M, then I's and U's, is a theorem.
"""


@st.cache_resource(max_entries=2, show_spinner=False)
def built(config: MIU) -> Task:
    return config.build()


def theorems(longest: int, longest_test: int, n: int, seed: int) -> tuple[Chart, ...]:
    task = miii.MIU(longest=longest, longest_test=longest_test, n=n, seed=seed).build()
    length, count, theorem = task.facts["length"].numpy(), task.facts["I"].numpy(), task.labels.numpy() == 1
    return plots.string_lengths(length, theorem), plots.string_counts(count, theorem)


def string_split(longest: int, longest_test: int, n: int, train_fraction: float, seed: int) -> Chart:
    task = miii.MIU(longest=longest, longest_test=longest_test, n=n, train_fraction=train_fraction, seed=seed).build()
    return plots.string_split(task.facts["length"].numpy(), task.train_mask.numpy())


@st.cache_data(max_entries=64, show_spinner=False)
def shortest(string: str) -> tuple[Step, ...] | None:
    return analysis.miu.shortest(string)


def page(name: str) -> None:
    """Show everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        longest = number("Longest trained", 24, "longest", "Letters after M")
        longest_test = number("Longest tested", 36, "longest_test", f"Letters after M, at most {LONGEST}")
        n = number("Strings", 20_000, "strings", "Up to the training length")
        fraction = train_fraction("Longer strings are test only")
        seed = number("Seed", 0, "seed")
    try:
        config = MIU(longest=longest, longest_test=longest_test, n=n, train_fraction=fraction, seed=seed)
        if config.longest_test > LONGEST or config.n > MOST:
            raise InputError(
                f"longest_test must be at most {LONGEST} and n at most {MOST} in the app "
                f"(got {config.longest_test} and {config.n})."
            )
    except InputError as error:
        write.error(error)
        write.stop()
    gate.check(cost.data(config), "This data set")
    task = built(config)
    strings, theorem = len(task.labels), int(task.labels.sum())
    with st.container(horizontal=True):
        write.metric("Strings", f"{strings:,}", border=True)
        write.metric("Theorems", f"{theorem / strings:.1%}", border=True, help=f"{theorem:,} strings")
        write.metric("Training", f"{config.n_train:,}", border=True)
        write.metric("Test", f"{strings - config.n_train:,}", border=True)
        write.metric("Longer, test only", f"{strings - config.n:,}", border=True)
    write.header("Does length reveal the label?", anchor="balance")
    given: dict[str, Any] = {"longest": config.longest, "longest_test": config.longest_test, "n": config.n}
    cell(
        theorems,
        **given,
        seed=config.seed,
        caption="No: about half of the strings of each length are theorems.",
    )
    write.header("Train/test split", anchor="split")
    cell(
        string_split,
        **given,
        train_fraction=config.train_fraction,
        seed=config.seed,
    )
    tape(task)
    derive()


def tape(task: Task) -> None:
    """Show a chosen string as tokens."""
    write.header("Tokens", anchor="tape")
    last = len(task.labels) - 1
    row = (
        integer("String number", 0, last, 0, "string_number", f"0 to {last}, ascending by length", 160, linked=False)
        or 0
    )
    names = [task.token_names[token] for token in task.tokens[row].tolist()]
    st.code(" ".join(names), language=None, wrap_lines=True)
    count, answer = int(task.facts["I"][row]), "a **theorem**" if task.labels[row] else "**not a theorem**"
    string = "".join(name for name in names if name in "MIU")
    write.text(
        f"`{string}` has {task.facts['length'][row]} letters after M and {count} I's: {count} mod 3 = {count % 3}, so it is {answer} "
        f"(**{'train' if task.train_mask[row] else 'test'}** split). Random blanks (·) let training cover every position."
    )


def derive() -> None:
    """Show whether a string is a theorem, with a derivation."""
    write.header("Derive a string", anchor="derive")
    asked = st.text_input(
        "M followed by",
        "UIIUIIU",
        max_chars=LETTERS,
        key="string",
        bind="query-params",
        width=320,
        help="I and U",
    )
    string = "M" + asked.strip().upper().removeprefix("M")
    shown = write.escaped(string)
    count = string.count("I")
    try:
        found = shortest(string) if count % 3 else None
    except InputError as error:
        write.error(error)
        write.stop()
    if count % 3 == 0:
        write.text(f"**{shown} is not a theorem**: 3 divides its number of I's, {count}.")
        return
    how = "shortest, by search" if found else "constructed, perhaps not the shortest"
    steps = found or analysis.miu.derivation(string)
    write.text(f"**{shown} is a theorem**: {count} I's, and {count} mod 3 = {count % 3}. A derivation ({how}):")
    rows = [{"step": i, "rule": s.rule, "effect": RULES[s.rule], "string": s.string} for i, s in enumerate(steps)]
    write.table(pd.DataFrame(rows), name="derivation")
