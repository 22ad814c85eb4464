"""Section 4.3 of the paper: the same arithmetic in a puzzle about strings."""

import streamlit as st

import miii
from miii import analysis, plots, runs
from miii.analysis.sieve import CROSSES, EXPLAINED
from miii.errors import join_names
from miii.plots.style import Chart
from miii.tasks import MIU
from pages._kit import write
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
    """Show the section."""
    write.subheader("4.3 A puzzle about strings", anchor="miu")
    if not available("miu-24"):
        return
    run, found = runs.shipped("miu-24", MIU), report("miu-24")
    task, last = run.task_config, run.rows()[-1]
    write.text(
        """
Hofstadter asks which strings can be derived from MI by four rules: those whose number of I's is **not divisible by 3**. We train a network without
positions on labeled strings:
"""
    )
    left, right = st.columns(2, gap="medium")
    with left:
        cell(
            accuracy_of_the_strings,
            stamp=stamp("miu-24"),
            alt="Accuracy by length.",
            caption=f"Test accuracy is {last['accuracy_as_long']:.1%} up to {task.longest} letters, as in training, and "
            f"{last['accuracy_longer']:.1%} on {task.longest + 1} to {task.longest_test}.",
        )
    with right:
        cell(
            evidence_of_the_strings,
            stamp=stamp("miu-24"),
            alt="Evidence by I's.",
            caption=f"The evidence has period three, but not beyond {task.longest} I's.",
        )
    table(measures({"miu-24": found}), "addition-miu-24")
    short = [
        name
        for name, value, bound in (
            ("variance explained", found["digit_variance_explained"]["3"], EXPLAINED),
            ("interchange", found["interchange_accuracy"]["3"], CROSSES),
            ("steering", found["steering_accuracy"]["3"], CROSSES),
        )
        if value < bound
    ]
    write.text(
        f"Verdict: *{found['verdict']}*. "
        + (
            f"It falls short on {join_names(short)}. It represents I's as a share of the string and fails beyond training counts, so it does "
            "not add modulo 3. Whether it looks counts up is open."
            if short
            else "It passes every test."
        )
    )
    write.text("**Circuit 3**, found in the same way:")
    circuit_table(
        {"3: is the number of I's a multiple of 3?": found["circuits"]["3"]}, runs.shipped("miu-24").config, "strings"
    )
    link_details("sieve", run="miu-24")
