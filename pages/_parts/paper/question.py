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
Three hours after eleven it is two. A clock adds, and yet it has no digits, no carrying and no table of sums: **it turns**. Turn to
*a*, turn on by *b*, and read off the sum. Whoever goes past {HOURS} begins again, which is called addition *modulo* {HOURS}.
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
            a = st.slider("a", 0, HOURS - 1, 11, key="clock_a", help="Turn to this hour")
            b = st.slider("b", 0, HOURS - 1, 3, key="clock_b", help="Then turn on by so many hours")
            write.text(f"${a} + {b} \\equiv {(a + b) % HOURS} \\pmod{{{HOURS}}}$")
        with st.container(width=360):
            cell(
                clock,
                a=a,
                b=b,
                p=HOURS,
                width="content",
                alt=f"A clock of {HOURS} hours: a turn to {a}, then by {b} more, which ends at {(a + b) % HOURS}.",
            )


def learn() -> None:
    """How a network goes from memory to the rule."""
    run = runs.shipped("add-113", ModularAddition)
    task, rows = run.task_config, run.rows()
    weights = sum(value.numel() for value in run.weights().values())
    write.text(
        f"""
Now ask a machine, and do not give it the clock. A **network** is a formula with many numbers in it that can be adjusted, here
{weights:,} of them, all random at first. It gets two names, such as *17* and *108*, which mean nothing to it, and has to choose one of {task.p}
names as the answer. **Training** is: compare its choices with the right ones, nudge each of the {weights:,} numbers in the direction that
would have made them better, and do that again a few hundred times. We show it {task.train_fraction:.0%} of all
{task.p**2:,} sums modulo {task.p}, and keep the others to ourselves.

There are two ways to be right about the sums that one is shown. One is to know them by heart, which is of no use for the others. The
other is to find the rule. Which does it take?
"""
    )
    steps = moments(rows, run.steps)
    left, right = st.columns([5, 4], gap="medium", vertical_alignment="center")
    with left:
        cell(
            accuracy_of_the_adder,
            stamp=stamp("add-113"),
            alt="Share of right answers over the steps of training, of the sums that it was shown and of the others.",
        )
    with right:
        cell(
            answers_of_the_adder,
            steps=steps,
            stamp=stamp("add-113"),
            width="content",
            alt=f"All {task.p} times {task.p} sums as small squares at the steps {', '.join(map(str, steps))}: right or wrong, shown or not.",
        )
    write.caption(story(rows, task.p))
    write.text(
        """
First it learns by heart. Then, with nothing new to see and nobody telling it that there is a rule, it suddenly knows what it was
never shown. That is called **grokking**. This recipe is quick, so that the two overlap; with the one of the literature, thousands of
steps lie between them.
"""
    )
    with st.container(horizontal=True):
        link("train", "Watch it learn: Train", run="add-113")
        link_details("progress", run="add-113")


def story(rows: list[dict[str, float]], p: int) -> str:
    """What the curves show, in their numbers."""
    worst = max(rows, key=lambda row: row["test_loss"])
    knows = next(row for row in rows if row["test_accuracy"] >= MOMENTS[-1])
    half = next(row for row in rows if row["test_accuracy"] >= 0.5)
    return (
        f"Blue: the sums that it was shown; orange: the others. At step {worst['step']} it is right on {worst['train_accuracy']:.0%} of those "
        f"shown and {worst['test_accuracy']:.0%} of the others, and on these its loss is {worst['test_loss']:.2f}, worse than that of a guess, "
        f"$\\ln {p} = {math.log(p):.2f}$. At step {half['step']} it knows {half['test_accuracy']:.0%} of them, at step "
        f"{knows['step']} {knows['test_accuracy']:.1%}. In the squares, *a* runs down and *b* to the right."
    )


def primes() -> None:
    """What primes have to do with clocks."""
    write.subheader("What has a clock to do with primes?", anchor="digits")
    write.text(
        r"""
An integer is divisible by 3 when its digits add up to a multiple of 3. That is because 10, 100 and 1,000 all leave 1 when divided by 3, so a
digit counts the same wherever it stands. Whoever adds digits on a clock of **three** hours rules out every multiple of 3 at a glance. The same goes
for every prime $q$, with a clock of $q$ hours and a weight for each place: an integer with the digits $d_i$ is divisible by $q$ when

$$\sum_i d_i\, (10^i \bmod q) \equiv 0 \pmod q.$$

So **to see whether a number is prime is to add, modulo one prime after another**. A network was shown the digits of half of the integers from
10,000 to 99,999, and of each it was told one bit: prime, or not. Of factors, places or addition it was told nothing.
"""
    )
    try_a_number()
    write.text(
        """
**Does it find out that it has to add? And how would we know?** Right answers alone are no proof: they could come from memory, or from some
other rule. So we look inside.
"""
    )


@st.fragment
def try_a_number() -> None:
    """One integer: its digits modulo 3, and what the network makes of it."""
    run = runs.shipped("primes-10", Primes)
    task = run.task_config
    chosen = integer(
        "Try one",
        task.low,
        task.high,
        10_007,
        "paper_n",
        f"Any integer from {task.low:,} to {task.high:,}",
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
        f"*prime* is **{signed(evidence)}**; in truth it is {truth}."
    )
    write.caption(
        "Evidence is the logit of prime less that of composite: far below zero where the network is sure of *composite*. Most integers that "
        "pass its tests are composite too, so it never gets above zero: a little below is the most that it has to say for a prime."
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
