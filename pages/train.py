"""Train a network and watch it learn."""

from functools import partial

import streamlit as st

from miii import TASKS, runs
from miii.analysis.modular.criteria import TRAINED
from miii.errors import InputError
from pages._kit import links, startup, write
from pages._kit.inputs import follow_run
from pages._kit.navigation import entry
from pages._kit.run_picker import run_name
from pages._kit.step_picker import step_of
from pages._parts.train import figures, form, measures
from pages._server import control, gate, settings
from pages._server.jobs import registry
from pages._tasks.view import view_of

startup.run_app_first()

jobs = registry()


chosen = run_name()
job = None if chosen is None else jobs.get(chosen)
live = job is not None and not job.ended
follow_run(chosen)

story = st.container()  # above the form, which it introduces
# folds once a run has started, so that its figures are in view
settings_of_run = st.expander("Settings of a new run", expanded=job is None, icon=":material/edit_note:")
config, question = None, None
try:
    with settings_of_run:
        config = form.run_form()
    view_of(config.task.kind).check(config.task)
    question = gate.check_training(config)
except InputError as error:
    config = None
    write.error(error, icon="edit")
with story:
    task = form.chosen_task()
    view = view_of(TASKS[task]["kind"])
    told = view.stories.get(task, view.story)
    write.title(told.title)
    if job is None:
        write.text(told.text)

if question is not None:
    write.warning(question, icon="hourglass_top")
    agreed = st.checkbox("Train anyway", key="agreed", help="The app may run out of memory")
with st.container(horizontal=True, gap="small"):
    st.button(
        "Start",
        type="primary",
        icon=":material/play_arrow:",
        on_click=control.start,
        args=(config,),
        disabled=config is None or (question is not None and not agreed),
    )
    if config is not None:
        with st.popover("Code", icon=":material/code:", type="tertiary", help="From a script or a shell"):
            st.code(form.code(config, f"runs/{config.task.name}"), language="python")
            st.code(form.command(config), language="bash")
if limits := settings.read().sentence():
    st.caption(limits)
control.messages()


def as_csv(run: runs.Run) -> str:
    return run.metrics().to_csv(index=False)


def show(name: str, live: bool) -> None:
    """Show one run; a fragment that reruns while it trains."""
    try:
        everything(name, live)
    except InputError as error:  # a fragment's errors do not reach app.py
        write.error(error)


def look_inside(run: runs.Run) -> None:
    """Link to the pages that fit the run."""
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.markdown("**Now look inside:**", width="content")
        for page in view_of(run.config.task.kind).pages:
            if page not in ("data", "train", "paper"):
                links.to(page, entry(page).title, f":material/{entry(page).icon}:")


def everything(name: str, live: bool) -> None:
    job = jobs.get(name)
    try:
        run = runs.open(name)
        rows = run.rows()
    except InputError as error:
        if job is None:
            write.error(error)
            return
        run, rows = None, []
    config = job.config if job is not None else run.config if run is not None else None
    if config is not None:
        control.show(name, job, run, config, int(rows[-1]["step"]) if rows else 0)
    if run is not None and rows and run.steps:
        measures.show(run, rows)
        if live:
            figures.live(job, run)
        else:
            if rows[-1].get("train_accuracy", 0) >= TRAINED and rows[-1].get("test_accuracy", 1) < 0.5:
                st.caption("It has only memorized. Try a larger training share or more steps.")
            look_inside(run)
            figures.show(run, step_of(run))
    if live and (job is None or job.ended):
        st.rerun()  # training has ended, so stop polling


def other_task() -> str | None:
    """Return the task of the chosen run if the form is for another one."""
    try:
        name = None if chosen is None or live else runs.open(chosen).config.task.task_name
    except InputError:  # not written; ``show`` explains
        return None
    return None if name == task else name


if chosen is not None and (other := other_task()) is not None:
    st.divider()
    st.caption(f"The chosen run, {write.escaped(chosen)}, is on another task.")
    st.button(
        f"Show {write.escaped(chosen)}",
        icon=":material/show_chart:",
        key="show_run",
        on_click=st.session_state.update,
        args=({"task": other},),
    )
elif chosen is not None:
    write.header(write.escaped(chosen), anchor="run", divider="gray")
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
            help="One row per evaluation",
        )
