"""Check that a run has the task kind of a page; otherwise link to the right page."""

from typing import NoReturn, TypeVar

import streamlit as st

from miii.runs import Run
from miii.tasks import TaskConfig
from pages._kit import links, write
from pages._kit.navigation import entry
from pages._kit.run_picker import chosen_run
from pages._tasks.view import view_of

T = TypeVar("T", bound=TaskConfig)


def run_of_kind(kind: type[T], shows: str) -> tuple[Run, T]:
    """Return the chosen run and its task; for another task kind, link to the right page and stop.

    Args:
        shows: what the page shows, as in "This page shows ...".
    """
    run = chosen_run()
    task = run.config.task
    if not isinstance(task, kind):
        redirect(run, shows)
    return run, task


def redirect(run: Run, shows: str) -> NoReturn:
    """Explain that the page does not fit the run, link to the right one, and stop."""
    view = view_of(run.config.task.kind)
    home = entry(view.home)
    write.info(
        f"This page shows {shows}; {run.name} {view.about}, and what it has learned is on the page {home.title}.",
        icon="signpost",
    )
    links.to(home.file, home.title, f":material/{home.icon}:")
    st.stop()
