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

LONGEST, MOST = 120, 50_000  # letters, and strings, that a small server has memory for
LETTERS = 40  # of a string to be derived

INTRO = """
Hofstadter's puzzle, to which the paper owes its acronym. Begin with **MI** and apply four rules as you like:

| | | |
|---|---|---|
| I | xI → xIU | add a U to what ends in I |
| II | Mx → Mxx | double what comes after M |
| III | III → U | replace any three I's in a row |
| IV | UU → (nothing) | drop any two U's in a row |

What can be reached is a **theorem**. No rule ever makes the number of I's divisible by 3 (it begins at 1, it is doubled, or
3 are taken away), and that is all there is to it: M and any string over I and U is a theorem when 3 does **not** divide its
number of I's. So a puzzle about strings is counting modulo 3.
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
    """Everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        longest = number("Longest trained", 24, "longest", "Letters after M of the longest string in training")
        longest_test = number("Longest tested", 36, "longest_test", f"Letters after M, at most {LONGEST}")
        n = number("Strings", 20_000, "strings", "How many strings up to the training length")
        fraction = train_fraction("Of the strings up to the training length; longer ones are only tested")
        seed = number("Seed", 0, "seed", "Draws the strings and the split")
    try:
        config = MIU(longest=longest, longest_test=longest_test, n=n, train_fraction=fraction, seed=seed)
        if config.longest_test > LONGEST or config.n > MOST:
            raise InputError(
                f"longest_test must be at most {LONGEST} and n at most {MOST} in the app "
                f"(got {config.longest_test} and {config.n})."
            )
    except InputError as error:
        write.error(error)
        st.stop()
    gate.check(cost.data(config), "This data set")
    task = built(config)
    strings, theorem = len(task.labels), int(task.labels.sum())
    with st.container(horizontal=True):
        write.metric("Strings", f"{strings:,}", border=True)
        write.metric("Theorems", f"{theorem / strings:.1%}", border=True, help=f"{theorem:,} of them")
        write.metric("For training", f"{config.n_train:,}", border=True)
        write.metric("For testing", f"{strings - config.n_train:,}", border=True)
        write.metric("Longer, only tested", f"{strings - config.n:,}", border=True)
    write.header("Does length give it away?", anchor="balance")
    given: dict[str, Any] = {"longest": config.longest, "longest_test": config.longest_test, "n": config.n}
    cell(
        theorems,
        **given,
        seed=config.seed,
        alt="Stacked bars: theorems and others.",
        caption="About half of the strings of every length are theorems, and all are well-formed, so neither length nor syntax helps. "
        "The number of I's decides, and only modulo 3.",
    )
    write.header("Who trains?", anchor="split")
    cell(
        string_split,
        **given,
        train_fraction=config.train_fraction,
        seed=config.seed,
        alt="Stacked bars: training and test strings of each length.",
        caption=f"Strings of more than {config.longest} letters are never trained on.",
    )
    tape(task)
    derive()


def tape(task: Task) -> None:
    """A chosen string as the network sees it."""
    write.header("A string on its tape", anchor="tape")
    last = len(task.labels) - 1
    row = (
        integer("String number", 0, last, 0, "string_number", f"0 to {last}; the longest come last", 160, linked=False)
        or 0
    )
    names = [task.token_names[token] for token in task.tokens[row].tolist()]
    st.code(" ".join(names), language=None, wrap_lines=True)
    count, answer = int(task.facts["I"][row]), "a **theorem**" if task.labels[row] else "**no theorem**"
    string = "".join(name for name in names if name in "MIU")
    write.text(
        f"`{string}` has {task.facts['length'][row]} letters after M, of which {count} are I: {count} mod 3 = {count % 3}, so it "
        f"is {answer}. It is in the **{'train' if task.train_mask[row] else 'test'}** split. Blanks (·) between the letters let "
        "every place of the tape be met in training; the answer is read at ?."
    )


def derive() -> None:
    """Whether a string is a theorem, and how."""
    write.header("Derive one yourself", anchor="derive")
    asked = st.text_input(
        "M followed by",
        "UIIUIIU",
        max_chars=LETTERS,
        key="string",
        bind="query-params",
        width=320,
        help="A string of the letters I and U; upper or lower case",
    )
    string = "M" + asked.strip().upper().removeprefix("M")
    shown = write.escaped(string)
    count = string.count("I")
    try:
        found = shortest(string) if count % 3 else None
    except InputError as error:
        write.error(error)
        st.stop()
    if count % 3 == 0:
        write.text(
            f"**{shown} is no theorem.** It has {count} I's, which 3 divides, and no rule leads there: the number of I's begins "
            "at 1, and neither doubling nor taking 3 away makes 3 divide it."
        )
        return
    how = "the shortest, by search" if found else "made by rule, as a search would have to look at too many strings"
    steps = found or analysis.miu.derivation(string)
    write.text(f"**{shown} is a theorem.** It has {count} I's, and {count} mod 3 = {count % 3}. A derivation ({how}):")
    rows = [{"step": i, "rule": s.rule, "what it does": RULES[s.rule], "string": s.string} for i, s in enumerate(steps)]
    write.table(pd.DataFrame(rows), name="derivation")
