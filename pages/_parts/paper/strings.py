"""Section 4.3 of the paper: the same arithmetic in a puzzle about strings."""

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import CROSSES, EXPLAINED
from miii.plots.style import Chart
from miii.tasks import MIU
from pages._kit import say
from pages._kit.cell import cell
from pages._parts.paper.parts import available, link_details, report, stamp, table
from pages._parts.paper.primes import circuit_table, measures


def accuracy_of_the_strings() -> Chart:
    run = miii.runs.shipped("miu-24")
    return plots.by_length(run.metrics())


def evidence_of_the_strings() -> Chart:
    run = miii.runs.shipped("miu-24")
    task = run.task()
    held_out = ~task.train_mask
    evidence = analysis.sieve.evidence(run.model(), task.tokens[held_out])
    return plots.evidence_by_count(evidence, task.facts["I"][held_out].numpy())


def section() -> None:
    """Everything about it."""
    say.subheader("4.3 A puzzle about strings", anchor="miu")
    if not available("miu-24"):
        return
    run, found = runs.shipped("miu-24", MIU), report("miu-24")
    task, last = run.task_config, run.rows()[-1]
    say.text(
        """
The draft likens its question to Hofstadter's: which strings can be derived from MI by four rules about letters? It is the same question. A string M, then I's and U's, can be
derived when the number of its I's is **not divisible by 3**. A network without positions, that sees strings and one bit:
"""
    )
    left, right = st.columns(2, gap="medium")
    with left:
        cell(
            accuracy_of_the_strings,
            stamp=stamp("miu-24"),
            alt="Right answers over the steps, for strings as long as those in training and for longer ones.",
        )
    with right:
        cell(
            evidence_of_the_strings,
            stamp=stamp("miu-24"),
            alt="Evidence for theorem by the number of I's: it falls at every multiple of 3.",
        )
    say.caption(
        f"Held-out strings of up to {task.longest} letters, as in training: {last['accuracy_as_long']:.1%} right; longer ones, up to {task.longest_test}: "
        f"{last['accuracy_longer']:.1%}. Right: the evidence swings with a period of three, as far as it has seen; of more than {task.longest} I's it never saw any, and there it falls away."
    )
    table(measures({"miu-24": found}), "addition-miu-24")
    short = [
        name
        for name, value, bound in (
            ("explained", found["digit_variance_explained"]["3"], EXPLAINED),
            ("interchange", found["interchange_accuracy"]["3"], CROSSES),
            ("steering", found["steering_accuracy"]["3"], CROSSES),
        )
        if value < bound
    ]
    say.text(
        f"The verdict: *{found['verdict']}*. "
        + (
            f"Below their bounds are {', '.join(short)}: **not reached**. Its evidence swings with a period of three over the counts that it has seen. It holds the "
            "count of I's as a share of the string, and where a string has more I's than any in training, it fails. Whether it has found a rule or a table of counts is open."
            if short
            else "It passes every test of a sum of residues."
        )
    )
    say.text("**Circuit 3.** The draft's third, found in the same way:")
    circuit_table({"3: is the number of I's a multiple of 3?": found["circuits"]["3"]}, "strings")
    link_details("sieve", run="miu-24")
