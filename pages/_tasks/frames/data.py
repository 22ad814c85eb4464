"""The Data page for frames: a sequence as tokens, what is asked of it, and which blocks of integers train."""

import pandas as pd
import streamlit as st

import miii
from miii import cost, plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.tasks import Frames, Task
from miii.tasks.task import NO_TARGET
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import integer, number, train_fraction
from pages._server import gate

MOST = 400_000  # sequences that a small server has memory for

INTRO = r"""
Frames in the style of GAIA-1: **[condition] [digits] [label]**. The integers of a sequence are $n, n + d, n + 2d, \dots$; the
condition says $d$, and the label whether the integer is prime. The network is asked for the **next token**, where it can be known.
"""


@st.cache_resource(max_entries=2, show_spinner=False)
def built(config: Frames) -> Task:
    return config.build()


def blocks(low: int, high: int, frames: int, largest_step: int, train_fraction: float, seed: int) -> Chart:
    config = miii.Frames(
        low=low, high=high, frames=frames, largest_step=largest_step, train_fraction=train_fraction, seed=seed
    )
    return plots.split_blocks(miii.tasks.frames.trains(config), low, config.block)


def page(name: str) -> None:
    """Everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        low = number("Low", 1_000, "low", "The first integer")
        high = number("High", 9_999, "high", "The last integer")
        base = number("Base", 10, "base", "Of the digits, 2 to 1000")
        frames = number("Frames", 4, "frames", "Of a sequence")
        largest = number("Largest step", 9, "largest_step", "Consecutive integers differ by 1 to so much")
        fraction = train_fraction("Of the blocks of integers")
        seed = number("Seed", 0, "seed", "Draws the blocks that train")
    try:
        config = Frames(
            low=low,
            high=high,
            base=base,
            frames=frames,
            largest_step=largest,
            train_fraction=fraction,
            seed=seed,
        )
        if (config.high - config.low + 1) * config.largest_step > MOST:
            raise InputError(
                f"high must be at most low + {MOST // config.largest_step - 1} in the app, so that there are at most "
                f"{MOST:,} sequences (got {config.high})."
            )
    except InputError as error:
        write.error(error)
        st.stop()
    gate.check(cost.data(config), "This data set")
    task = built(config)
    total, ends = len(task.labels), int(task.labels.sum())
    with st.container(horizontal=True):
        write.metric("Sequences", f"{total:,}", border=True, help="Those with integers on both sides are left out")
        write.metric("For training", f"{config.n_train:,}", border=True)
        write.metric("For testing", f"{total - config.n_train:,}", border=True)
        write.metric("End in a prime", f"{ends / total:.1%}", border=True, help=f"{ends:,} of them")
        write.metric("Tokens", f"{task.d_vocab}", border=True, help="The two labels, the digits, the conditions")
    write.header("A sequence", anchor="sequence")
    row = integer("Sequence", 0, total - 1, 0, "sequence", f"0 to {total - 1}, ascending by integer", width=160) or 0
    sequence(task, row)
    write.header("Who trains?", anchor="split")
    cell(
        blocks,
        low=config.low,
        high=config.high,
        frames=config.frames,
        largest_step=config.largest_step,
        train_fraction=config.train_fraction,
        seed=config.seed,
        alt="Blocks of integers that train and that are held out.",
        caption=f"Blocks of {config.block} integers, four times what a sequence can span. A sequence trains if all of its integers stand in "
        "blocks that train, and is tested if none does: no integer of a test sequence occurs in training.",
    )


def sequence(task: Task, row: int) -> None:
    """A chosen sequence, token by token, with what is asked at each."""
    assert task.frame is not None
    assert task.next_tokens is not None
    tokens, following = task.tokens[row].tolist(), task.next_tokens[row].tolist()
    write.table(
        pd.DataFrame(
            {
                "frame": [i // task.frame for i in range(task.n_ctx)],
                "slot": [i % task.frame for i in range(task.n_ctx)],
                "token": [task.token_names[token] for token in tokens],
                "asked next": ["" if token == NO_TARGET else task.token_names[token] for token in following],
            }
        ),
        name="sequence-as-tokens",
    )
    first, step, last = (int(task.facts[name][row]) for name in ("first", "step", "last"))
    write.text(
        f"From {first} to {last} in steps of {step}; the last label, **{task.token_names[task.labels[row]]}**, is asked and not shown. "
        "The digits of the first frame cannot be known, and conditions are given: neither counts. This sequence is in the "
        f"**{'train' if task.train_mask[row] else 'test'}** split."
    )
