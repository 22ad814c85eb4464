"""Figures of a run on the Train page: live while it trains, cells afterwards."""

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.jobs import Job
from miii.metrics import LossName
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit.cell import cell
from pages._kit.draw import draw
from pages._tasks.view import view_of

LOSS = "Training and test loss by step, log scale."
ACCURACY = "Training and test accuracy."
NORM = "Weight norm."


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


def live(job: Job | None, run: Run) -> None:
    """Show every figure of a training run."""
    metrics, steps, view = run.metrics(), run.config.steps, view_of(run.config.task.kind)
    left, right = st.columns(2)

    def curves() -> None:
        _live_loss(metrics, steps, run.config.loss)
        if view.accuracy:
            draw(plots.accuracy(metrics, steps), key="accuracy", alt=ACCURACY)

    with left:
        if view.curve is not None:
            draw(view.curve.live(metrics, steps), key="measure", alt=view.curve.alt)
        else:
            curves()
    with right:
        if view.picture is not None:
            view.picture.live(job, run.config.task)
        if view.curve is not None:
            curves()
    with right if view.curve is None else left:
        draw(plots.weight_norm(metrics, steps), key="norm", alt=NORM)


def _live_loss(metrics: pd.DataFrame, steps: int, name: LossName) -> None:
    draw(plots.loss(metrics, steps, "squared error" if name == "squared" else "nats"), key="loss", alt=LOSS)


def show(run: Run, step: int) -> None:
    """Show every figure of a finished run."""
    name, view, rows = run.name, view_of(run.config.task.kind), len(run.rows())

    def curves() -> None:
        cell(loss, name=name, step=step, stamp=rows, alt=LOSS)
        if view.accuracy:
            cell(accuracy, name=name, step=step, stamp=rows, alt=ACCURACY)

    left, right = st.columns(2)
    trained = not run.imported or len(run.steps) > 1  # an imported history has curves
    if trained:
        with left:
            if view.curve is not None:
                cell(view.curve.make, name=name, stamp=rows, alt=view.curve.alt)
            else:
                curves()
            cell(weight_norm, name=name, step=step, stamp=rows, alt=NORM)
    with right:
        if view.picture is not None:
            view.picture.show(run, run.config.task, step)
        if view.curve is not None and trained:
            curves()
