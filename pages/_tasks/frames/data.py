"""The Data page for frames: a sequence as tokens, its targets, and the split."""

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

MOST = 400_000  # sequences that fit into a small server's memory

INTRO = r"""
A sequence counts $n, n + d, n + 2d, \dots$ in frames **[condition] [digits] [label]**: $+d$, an integer, prime or composite. The network
predicts each **next token** that the earlier ones determine, so it must **add with carries**.
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
    """Show everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        low = number("Low", 1_000, "low")
        high = number("High", 9_999, "high")
        base = number("Base", 10, "base", "2 to 1000")
        frames = number("Frames", 4, "frames", "Per sequence")
        largest = number("Largest step", 9, "largest_step")
        fraction = train_fraction("Of blocks of integers")
        seed = number("Seed", 0, "seed")
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
        write.stop()
    gate.check(cost.data(config), "This data set")
    task = built(config)
    total, ends = len(task.labels), int(task.labels.sum())
    with st.container(horizontal=True):
        write.metric("Sequences", f"{total:,}", border=True, help="Without sequences that span both splits")
        write.metric("Training", f"{config.n_train:,}", border=True)
        write.metric("Test", f"{total - config.n_train:,}", border=True)
        write.metric("End in a prime", f"{ends / total:.1%}", border=True, help=f"{ends:,} sequences")
        write.metric("Tokens", f"{task.d_vocab}", border=True, help="Labels, digits and conditions")
    write.header("A sequence", anchor="sequence")
    row = integer("Sequence", 0, total - 1, 0, "sequence", f"0 to {total - 1}, ascending", width=160) or 0
    sequence(task, row)
    write.header("Train/test split", anchor="split")
    cell(
        blocks,
        low=config.low,
        high=config.high,
        frames=config.frames,
        largest_step=config.largest_step,
        train_fraction=config.train_fraction,
        seed=config.seed,
        caption=f"Blocks of {config.block} integers. No test integer occurs in training.",
    )


def sequence(task: Task, row: int) -> None:
    """Show a chosen sequence, token by token, with its targets."""
    assert task.frame is not None
    assert task.next_tokens is not None
    tokens, following = task.tokens[row].tolist(), task.next_tokens[row].tolist()
    write.table(
        pd.DataFrame(
            {
                "frame": [i // task.frame for i in range(task.n_ctx)],
                "slot": [i % task.frame for i in range(task.n_ctx)],
                "token": [task.token_names[token] for token in tokens],
                "target": ["" if token == NO_TARGET else task.token_names[token] for token in following],
            }
        ),
        name="sequence-as-tokens",
    )
    first, step, last = (int(task.facts[name][row]) for name in ("first", "step", "last"))
    write.text(
        f"From {first} to {last} in steps of {step}, in the **{'train' if task.train_mask[row] else 'test'}** split. The last label, "
        f"**{task.token_names[task.labels[row]]}**, is only a target."
    )
