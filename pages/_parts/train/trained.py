"""What is left of a training: its curves, its answers at any snapshot, each as a cell."""

import streamlit as st

import miii
from miii import plots
from miii.plots.heatmap import CELL
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import links
from pages._kit.cell import cell, stamp_of
from pages._kit.inputs import choose_pair, whole
from pages._parts.train.form import LIMIT

FIGURES = {
    "primes": "Area under the ROC curve over the steps: primes against all composites, and by smallest factor.",
    "residues": "Share of right answers over the steps, a row for each prime modulus.",
    "miu": "Accuracy over the steps: training, test strings as long, and longer ones.",
    "frames": "Digits, integers and labels over the steps: shares right, and areas under the ROC curve.",
}


def loss(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    unit = "squared error" if run.config.loss == "squared" else "nats"
    return plots.at_step(plots.loss(run.metrics(), unit=unit), step)


def accuracy(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    return plots.at_step(plots.accuracy(run.metrics()), step)


def weight_norm(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    return plots.at_step(plots.weight_norm(run.metrics()), step)


def measure(name: str) -> Chart:
    run = miii.runs.open(name)
    drawn = {
        "primes": plots.sieving,
        "residues": plots.by_prime,
        "miu": plots.by_length,
        "frames": plots.by_token,
    }
    return drawn[run.config.task.kind](run.metrics())  # type: ignore[operator]


def answers(name: str, step: int) -> Chart:
    run = miii.runs.open(name)
    task = run.task()
    correct = miii.answer(run.model(step), task.tokens) == task.labels
    return plots.answers(correct, task, task.d_vocab_out)


def show(run: Run, step: int) -> None:
    """Every figure of a run that does not train now."""
    name, kind, stamp = run.name, run.config.task.kind, (stamp_of(run), len(run.rows()))

    def curves() -> None:
        cell(loss, name=name, step=step, stamp=stamp, alt="Loss of both splits over the steps, log scale.")
        if kind != "miu":  # whose own figure has it
            cell(accuracy, name=name, step=step, stamp=stamp, alt="Accuracy of both splits over the steps.")

    left, right = st.columns(2)
    if not run.imported:
        with left:
            if kind == "modular":
                curves()
            else:
                cell(measure, name=name, stamp=stamp, alt=FIGURES[kind])
            cell(weight_norm, name=name, step=step, stamp=stamp, alt="Length of all weights over the steps.")
    with right:
        if kind == "modular":
            _grid(run, step, stamp)
        elif not run.imported:
            curves()


def _grid(run: Run, step: int, stamp: object) -> None:
    """Which pairs are answered right, and one of them to be followed further."""
    p = run.config.task.p  # type: ignore[union-attr]
    if p > LIMIT or run.task().d_vocab_out != p:
        return
    splits = ", in the training and in the test split" if run.task().split_known else ""
    cell(
        answers,
        name=run.name,
        step=step,
        stamp=stamp,
        width="content",
        pick=(CELL, choose_pair),
        alt=f"Grid of all {p} by {p} pairs: which are answered right{splits}.",
        see="A click on a pair, or its numbers below, chooses one to be looked at closely.",
    )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        a = whole("a", 0, p - 1, min(5, p - 1), "a", "The first operand of a pair to look at", width=110) or 0
        b = whole("b", 0, p - 1, min(8, p - 1), "b", "The second operand", width=110) or 0
        links.to("try", f"Follow ({a}, {b}) through the network", ":material/route:")
