"""Train a network and watch it learn."""

from functools import partial

import pandas as pd
import streamlit as st

import miii
from miii import ModularAddition, plots, runs
from miii.errors import InputError
from miii.expression import parse
from miii.jobs import Job
from miii.metrics import LossName
from pages._kit import front, say
from pages._kit.draw import draw
from pages._kit.pick import run_name, start, step_of
from pages._parts.train import form, learned, trained
from pages._server import control, gate, settings
from pages._server.jobs import registry

front.door()

jobs = registry()


story = st.container()  # above the form, which says what it is about
config, question = None, None
try:
    config = form.run_form()
    if isinstance(config.task, ModularAddition) and config.task.p > form.LIMIT:
        raise InputError(
            f"p must be at most {form.LIMIT} in the app; the command line goes to 1024 (got {config.task.p})."
        )
    if isinstance(config.task, ModularAddition) and config.task.expression is not None:
        parse(config.task.expression).table(config.task.p)  # whether it has a value at every pair
    question = gate.check_training(config)
except InputError as error:
    config = None
    say.error(error, icon="edit")
with story:
    title, text = learned.story(form.chosen_task())
    say.title(title)
    say.text(text)

if question is not None:
    say.warning(question, icon="hourglass_top")
    agreed = st.checkbox(
        "Train it all the same", key="agreed", help="A machine that runs out of memory may end the app"
    )
with st.container(horizontal=True, gap="small"):
    st.button(
        "Start",
        type="primary",
        icon=":material/play_arrow:",
        on_click=start,
        args=(config,),
        disabled=config is None or (question is not None and not agreed),
        help="Train a new run. One trains at a time; a second one waits for its turn.",
    )
    if config is not None:
        with st.popover("Code", icon=":material/code:", type="tertiary", help="The same run from a script or a shell"):
            st.code(form.code(config, f"runs/{config.task.name}"), language="python")
            st.code(form.command(config), language="bash")
if limits := settings.read().sentence():
    st.caption(limits)
control.messages()


def figures(job: Job | None, run: runs.Run) -> None:
    """The curves so far, and the newest answers."""
    metrics, steps, kind = run.metrics(), run.config.steps, run.config.task.kind
    left, right = st.columns(2)
    with left:
        if kind == "modular":
            loss(metrics, steps, run.config.loss)
            accuracy(metrics, steps)
        else:
            learned.figure(kind, metrics, steps)
    with right:
        if kind == "modular":
            grid(job, run)
        else:
            loss(metrics, steps, run.config.loss)
            if kind != "miu":  # whose own figure has it
                accuracy(metrics, steps)
    with right if kind == "modular" else left:
        draw(plots.weight_norm(metrics, steps), key="norm", alt="Length of the vector of all weights over the steps.")


def loss(metrics: pd.DataFrame, steps: int, name: LossName) -> None:
    alt = "Loss of the training and test split over the steps, log scale."
    draw(plots.loss(metrics, steps, "squared error" if name == "squared" else "nats"), key="loss", alt=alt)


def accuracy(metrics: pd.DataFrame, steps: int) -> None:
    draw(plots.accuracy(metrics, steps), key="accuracy", alt="Accuracy of both splits over the steps.")


def grid(job: Job | None, run: runs.Run) -> None:
    """Which pairs are answered right at the newest evaluation; of a large p only a part is evaluated while it trains."""
    task = run.config.task
    found = job.evaluation if job is not None else None
    if not isinstance(task, ModularAddition) or task.p > form.LIMIT or found is None or len(found.rows) != task.p**2:
        return
    draw(
        plots.answers(found.correct, built(task), task.p),
        key="answers",
        width="content",
        alt=f"Grid of all {task.p} by {task.p} pairs: which are answered right, in the training and in the test split.",
    )


@st.cache_resource(max_entries=8, show_spinner=False)
def built(task: ModularAddition) -> miii.Task:
    return task.build()


def as_csv(run: runs.Run) -> str:
    return run.metrics().to_csv(index=False)


def show(name: str, live: bool) -> None:
    """Everything about one run; called again and again while it trains."""
    try:
        everything(name, live)
    except InputError as error:  # a fragment's errors do not reach app.py
        say.error(error)


def everything(name: str, live: bool) -> None:
    job = jobs.get(name)
    try:
        run = runs.open(name)
        rows = run.rows()
    except InputError as error:
        if job is None:
            say.error(error)
            return
        run, rows = None, []
    config = job.config if job is not None else run.config if run is not None else None
    if config is not None:
        control.show(name, job, run, config, int(rows[-1]["step"]) if rows else 0)
    if run is not None and rows and run.steps:
        learned.numbers(run, rows)
        if live:
            figures(job, run)
        else:
            trained.show(run, step_of(run))
    if live and (job is None or job.over):
        st.rerun()  # that was the last look: from here on nothing moves, so nothing polls


chosen = run_name()
if chosen is not None:
    say.header(say.escaped(chosen), anchor="run", divider="gray")
    job = jobs.get(chosen)
    live = job is not None and not job.over
    if live:
        st.fragment(show, run_every=control.POLL)(chosen, live)
    else:
        show(chosen, live)
    finished = next((run for run in runs.every() if run.name == chosen and run.rows()), None)
    if finished is not None and not live:
        st.download_button(
            "Metrics as CSV",
            partial(as_csv, finished),
            f"{chosen}.csv",
            "text/csv",
            icon=":material/download:",
            on_click="ignore",
            help="One row an evaluation: step, seconds, losses (in nats, but for squared error), accuracies, weight norm, and the task's own measures",
        )
