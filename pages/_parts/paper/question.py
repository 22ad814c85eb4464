"""Chapter 1 of the paper, for a reader who knows no machine learning: clocks, memory and rules, and what primes have to do with it."""

import math
from typing import Any

import numpy as np
import streamlit as st
import torch

import miii
from miii import analysis, numbers, plots, runs
from miii.plots.style import Chart
from miii.tasks import ModularAddition, Primes
from pages._kit import write
from pages._kit.cell import cell, shared
from pages._kit.inputs import integer
from pages._kit.latex import product
from pages._parts.paper.parts import available, link, link_details, stamp

HOURS = 12
MOMENTS = (
    0.05,
    0.2,
    0.5,
    0.99,
)  #: of the pairs that it was not shown; the snapshots nearest to where it first knows so many


def clock(a: int, b: int, p: int) -> Chart:
    return plots.clock(a, b, p)


def accuracy_of_the_adder() -> Chart:
    run = miii.runs.shipped("add-113")
    return plots.accuracy(run.metrics())


def accuracy_with_the_literature_s_recipe() -> Chart:
    return plots.accuracy(miii.runs.shipped("add-113-literature").metrics())


@shared
def known(name: str, steps: tuple[int, ...]) -> "dict[int, torch.Tensor]":
    run = miii.runs.shipped(name)
    task = run.task()
    logits = {step: analysis.grid.logits(run.model(step), task) for step in steps}
    return {step: found.argmax(1) == task.labels for step, found in logits.items()}


def answers_of_the_adder(steps: tuple[int, ...]) -> Chart:
    task = miii.runs.shipped("add-113").task()
    return plots.answers_over_training(known("add-113", steps), task, task.d_vocab_out)


def moments(rows: list[dict[str, float]], steps: list[int]) -> tuple[int, ...]:
    """The snapshots nearest to the evaluations at which so many held-out pairs were first answered right."""
    reached = [next(row["step"] for row in rows if row["test_accuracy"] >= share) for share in MOMENTS]
    return tuple(dict.fromkeys(min(steps, key=lambda step: abs(step - at)) for at in reached))


def chapter() -> None:
    """A clock, a network that learns to be one, and the question."""
    write.header("1 The question", anchor="question")
    write.text(
        f"""
Three hours after eleven, it is two. A clock adds by **rotating**: turn to *a*, then by *b*, and read off the sum *modulo* {HOURS}, its remainder
after division by {HOURS}.
"""
    )
    turn()
    if available("add-113"):
        learn()
    if available("primes-10"):
        primes()


@st.fragment
def turn() -> None:
    """The clock, by hand."""
    with st.container(horizontal=True, gap="medium", vertical_alignment="center"):
        with st.container(width=260):
            a = st.slider("a", 0, HOURS - 1, 11, key="clock_a")
            b = st.slider("b", 0, HOURS - 1, 3, key="clock_b")
            write.text(f"${a} + {b} \\equiv {(a + b) % HOURS} \\pmod{{{HOURS}}}$")
        with st.container(width=360):
            cell(
                clock,
                a=a,
                b=b,
                p=HOURS,
                width="content",
                alt=f"{a} + {b} on a clock is {(a + b) % HOURS}.",
                caption="To add is to rotate.",
            )


def learn() -> None:
    """How a network goes from memory to the rule."""
    run = runs.shipped("add-113", ModularAddition)
    task, rows = run.task_config, run.rows()
    weights = sum(value.numel() for value in run.weights().values())
    write.text(
        f"""
A **network** is a formula with {weights:,} adjustable numbers, random at first. It takes two **tokens**, such as *17* and *108*, and picks one of
{task.p} answers. **Training** fits the numbers to {task.train_fraction:.0%} of all {task.p**2:,} sums modulo {task.p}; the rest are held out. Does it
memorize, or find the rule?
"""
    )
    steps = moments(rows, run.steps)
    left, right = st.columns([5, 4], gap="medium")
    with left:
        cell(
            accuracy_of_the_adder,
            stamp=stamp("add-113"),
            alt="Accuracy by step.",
            caption=story(rows, task.p),
        )
    with right:
        cell(
            answers_of_the_adder,
            steps=steps,
            stamp=stamp("add-113"),
            width="content",
            alt=f"Correct and wrong sums at steps {', '.join(map(str, steps))}.",
            caption="The same training, sum by sum.",
        )
    write.text(
        "First it memorizes; then, with no new data, it answers unseen sums: **grokking**. The slower recipe of Nanda et al. sets the two apart:"
    )
    if available("add-113-literature"):
        slow = runs.shipped("add-113-literature").rows()
        cell(
            accuracy_with_the_literature_s_recipe,
            stamp=stamp("add-113-literature"),
            alt="Accuracy by step.",
            caption=f"Training accuracy reaches {MOMENTS[-1]:.0%} at step {first(slow, 'train_accuracy', MOMENTS[-1])['step']:,}, test accuracy at "
            f"step {first(slow, 'test_accuracy', MOMENTS[-1])['step']:,}. One seed.",
        )
    with st.container(horizontal=True):
        link("train", "Watch it learn: Train", run="add-113")
        link_details("progress", run="add-113")


def first(rows: list[dict[str, float]], accuracy: str, share: float) -> dict[str, float]:
    """The first evaluation at which an accuracy reaches a share."""
    return next(row for row in rows if row[accuracy] >= share)


def story(rows: list[dict[str, float]], p: int) -> str:
    """What the curves show, in their numbers."""
    worst = max(rows, key=lambda row: row["test_loss"])
    knows, half = (first(rows, "test_accuracy", share) for share in (MOMENTS[-1], 0.5))
    return (
        f"Memory first: at step {worst['step']}, training accuracy is {worst['train_accuracy']:.0%}, but the test loss of {worst['test_loss']:.2f} is "
        f"worse than that of a guess, $\\ln {p} = {math.log(p):.2f}$. Test accuracy reaches {half['test_accuracy']:.0%} at step {half['step']} and "
        f"{knows['test_accuracy']:.1%} at step {knows['step']}."
    )


def primes() -> None:
    """What primes have to do with clocks."""
    write.subheader("What has a clock to do with primes?", anchor="digits")
    write.text(
        r"""
Add an integer's digits on a clock of **three** hours: the hand ends at 0 exactly for multiples of 3, because powers of 10 leave remainder 1. With a
weight for each place, every prime $q$ has such a clock: digits $d_i$ form a multiple of $q$ if

$$\sum_i d_i\, (10^i \bmod q) \equiv 0 \pmod q.$$

So **recognizing primes means adding, modulo one prime after another**. We train a network on the digits of half of the five-digit integers, labeled
prime or not. Does it add? Memory could be as accurate, so we look inside.
"""
    )
    try_a_number()


@st.fragment
def try_a_number() -> None:
    """One integer: its digits modulo 3, and what the network makes of it."""
    run = runs.shipped("primes-10", Primes)
    task = run.task_config
    chosen = integer(
        "Try an integer",
        task.low,
        task.high,
        10_007,
        "paper_n",
        f"{task.low:,} to {task.high:,}",
        width=180,
        linked=False,
    )
    n = int(chosen or task.low)
    evidence = evidence_of(run, task, n)
    digits = [int(digit) for digit in numbers.digits(np.array([n]), task.base, task.width)[0]]
    factors = numbers.factors(n)
    truth = "prime" if factors == {n: 1} else f"${product(factors)}$"
    three = "so 3 divides it" if n % 3 == 0 else "so 3 does not divide it"
    write.text(
        f"${' + '.join(map(str, digits))} = {sum(digits)} \\equiv {sum(digits) % 3} \\pmod 3$, {three}. The network's evidence for "
        f"*prime* is **{signed(evidence)}**; it is {truth}."
    )
    write.caption(
        "Evidence is the logit of *prime* minus that of *composite*: negative even for primes, but mostly higher than for composites."
    )


def signed(value: float) -> str:
    """A number with its sign, as it is set in print."""
    return f"{value:+.1f}".replace("-", "−")


def evidence_of(run: Any, task: Primes, n: int) -> float:
    """The logit of prime less that of composite."""
    return float(analysis.sieve.evidence(network(stamp(run.name)), torch.tensor(task.encode(np.array([n]))))[0])


@st.cache_resource(max_entries=1, show_spinner=False)
def network(changed: float) -> miii.Transformer:
    """The network on primes, opened once."""
    return runs.shipped("primes-10").model()
