"""Check that a run fits a page; otherwise offer a run that does, and the page that fits the run."""

from collections.abc import Callable
from typing import NoReturn, TypeVar

import streamlit as st

from miii import runs
from miii.runs import Run
from miii.tasks import TaskConfig
from pages._kit import links, write
from pages._kit.navigation import entry
from pages._kit.run_picker import chosen_run
from pages._kit.step_picker import open_run
from pages._tasks.view import view_of

T = TypeVar("T", bound=TaskConfig)
OFFERED = ("add-113", "primes-10", "frames-10", "sequences-24")  #: shipped runs, the first that fits is offered


def run_of_kind(kind: type[T], shows: str) -> tuple[Run, T]:
    """Return the chosen run and its task; for another task kind, offer two ways on and stop.

    Args:
        shows: the runs that fit, as in "This page needs ...".
    """
    run = chosen_run()
    task = run.config.task
    if not isinstance(task, kind):
        redirect(run, shows, lambda other: isinstance(other.config.task, kind))
    return run, task


def redirect(run: Run, shows: str, fits: Callable[[Run], bool]) -> NoReturn:
    """Explain that the run does not fit the page, offer a run that fits and the page for the run, and stop.

    Args:
        shows: as in ``run_of_kind``.
        fits: whether a run fits; of several, a shipped one is offered.
    """
    view = view_of(run.config.task.kind)
    write.info(f"This page needs {shows}, but {run.name} {view.about}.", icon="signpost")
    home, others = entry(view.home), [each.name for each in runs.every() if fits(each)]
    with st.container(horizontal=True):
        if others:
            name = next((name for name in OFFERED if name in others), others[-1])
            open_run(name, "open_fitting")
        links.to(home.file, home.title, f":material/{home.icon}:")
    write.stop()
