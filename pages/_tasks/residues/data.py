"""The Data page for residues: two digits, and the remainders by every prime."""

from typing import get_args

import streamlit as st

import miii
from miii import plots
from miii.errors import LONGEST, InputError
from miii.plots.style import Chart
from miii.tasks import Task
from miii.tasks.residues import Residues
from pages._kit import write
from pages._kit.cell import cell
from pages._kit.inputs import number, target, train_fraction
from pages._server.settings import LIMIT

INTRO = """
In Syrkis's later preprint, the network sees the two digits of $n = x_0 + p\\,x_1$ in base $p$ and predicts $n$ modulo **every prime** $q < p$
at once. Each target is an addition modulo $q$.
"""


@st.cache_resource(max_entries=4, show_spinner=False)
def built(config: Residues) -> Task:
    return config.build()


def answers(p: int, control: str, asked: str) -> Chart:
    task = miii.Residues(p=p, control=control).build()
    labels = next(target.labels for target in task.targets if target.name == asked).view(p, p)
    return plots.heatmap(labels, title=f"Every number, {asked}", row="x1", column="x0", value=asked)


def digit_split(p: int, train_fraction: float, seed: int) -> Chart:
    return plots.digit_split(miii.Residues(p=p, train_fraction=train_fraction, seed=seed).build(), p)


def tasks(p: int, control: str, masked: str) -> tuple[Chart, ...]:
    task = miii.Residues(p=p, control=control, masked=masked).build()
    return plots.loss_weights(task), plots.chance(task)


def page(name: str) -> None:
    """Show everything below the choice of the task."""
    write.text(INTRO)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        p = st.number_input(
            "p",
            value=113,
            step=1,
            key="digit_base",
            bind="query-params",
            width=140,
            help=f"Base, 3 to {LIMIT}",
        )
        fraction = train_fraction("Share of all numbers")
        seed = number("Seed", 0, "seed")
        masked = st.text_input(
            "Masked",
            max_chars=LONGEST,
            key="masked",
            bind="query-params",
            placeholder="such as 2,3,5,7",
            width=170,
            help="Primes predicted but not trained",
        )
        control = st.selectbox(
            "Control",
            get_args(Residues.model_fields["control"].annotation),
            key="control",
            bind="query-params",
            width=130,
            help="shuffled: labels in random order; digits: predict the two digits",
        )
    try:
        config = Residues(p=p, train_fraction=fraction, masked=masked, control=control, seed=seed)
        if config.p > LIMIT:
            raise InputError(f"p must be at most {LIMIT} in the app (got {p}).")
    except InputError as error:
        write.error(error)
        write.stop()
    task, p = built(config), config.p
    with st.container(horizontal=True):
        write.metric("Numbers", f"{p**2:,}", border=True, help="p²")
        write.metric("Training", f"{config.n_train:,}", border=True)
        write.metric("Test", f"{p**2 - config.n_train:,}", border=True)
        write.metric("Targets", f"{len(task.targets)}", border=True)
        write.metric("Logits", f"{task.d_vocab_out:,}", border=True, help="One per answer and target")
    numbers_and_split(config, task)
    as_tokens(task, p)
    write.header("Targets", anchor="tasks")
    cell(
        tasks,
        p=p,
        control=control,
        masked=masked,
        caption="Each loss is divided by log q, its value at chance.",
    )


def numbers_and_split(config: Residues, task: Task) -> None:
    """Show one target and the split, over all numbers."""
    p, names = config.p, [target.name for target in task.targets]
    write.header("Every number", anchor="numbers")
    asked = target(names, "Left figure")
    left, right = st.columns(2)
    with left:
        cell(
            answers,
            p=p,
            control=config.control,
            asked=asked,
            width="content",
            caption=f"Stripes: modulo q, a step in x1 adds p = {p} mod q.",
        )
    with right:
        cell(
            digit_split,
            p=p,
            train_fraction=config.train_fraction,
            seed=config.seed,
            width="content",
        )


def as_tokens(task: Task, p: int) -> None:
    """Show a chosen number as tokens."""
    write.header("Tokens", anchor="tokens")
    last = p**2 - 1
    n = st.slider("n", 0, last, min(1_000, last), key=f"number-{p}")
    shown = " ".join(task.token_names[token] for token in task.tokens[n].tolist())
    split = "train" if task.train_mask[n] else "test"
    residues = ", ".join(f"{target.name}: {int(target.labels[n])}" for target in task.targets)
    write.text(
        f"**{n}** = {n % p} + {p} · {n // p} becomes `{shown}`, token indices `{task.tokens[n].tolist()}` (**{split}** split). Targets: {residues}."
    )
