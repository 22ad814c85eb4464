"""The run that a page shows: chosen in the sidebar, kept in the URL."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import streamlit as st

import miii
from miii import runs
from miii.errors import QUOTED, InputError, shortened
from pages._kit import address, links, write
from pages._kit.second_run import SECOND_RUN
from pages._server.jobs import registry, waiting

RUN = "run"  #: widget key and URL parameter


@dataclass(frozen=True)
class Choice:
    """The runs to choose from.

    Attributes:
        options: their names; those of waiting jobs first.
        kinds: task kind of every run on disk.
        unknown: the name that the address asked for, if there is no such run.
    """

    options: list[str]
    kinds: Mapping[str, str]
    unknown: str | None

    @property
    def kind(self) -> str | None:
        """Task kind of the chosen run; None for one that waits."""
        return self.kinds.get(str(run_name()))


def select_run() -> Choice:
    """Select the run that the address asks for, or keep the selected one; the navigation needs it first."""
    kinds: dict[str, str] = {run.name: run.config.task.kind for run in runs.every()}
    requested = address.requested(RUN)
    kinds |= _of_sweeps(requested, st.session_state.get(RUN), address.last_written(RUN))
    options = [*(job.name for job in reversed(waiting()) if job.name not in kinds), *kinds]
    if requested in options:
        st.session_state[RUN] = requested
    elif st.session_state.get(RUN) not in options:  # pages without a picker lose the value
        kept = address.last_written(RUN)
        st.session_state[RUN] = kept if kept in options else options[0] if options else None
    return Choice(options, kinds, None if requested in options else requested)


def choose_run(choice: Choice, second: bool) -> None:
    """Show the run picker, in the sidebar of every page.

    Args:
        choice: from ``select_run``.
        second: whether the page can show a second run.
    """
    if choice.unknown is not None:
        write.warning(f"There is no run named “{shortened(choice.unknown, QUOTED)}” here; showing another one.")
    options = choice.options
    # not bound by Streamlit, which omits a value from the URL until a widget changes it
    st.selectbox(
        "Run",
        options,
        index=None,
        key=RUN,
        help="Your runs, then the shipped ones",
    )
    address.keep_run(st.session_state[RUN])
    if second:
        _second_picker(options, choice.kinds)
    elif SECOND_RUN in st.session_state:
        st.session_state[SECOND_RUN] = st.session_state[SECOND_RUN]  # Streamlit forgets the value of a hidden widget


def _of_sweeps(*names: str | None) -> dict[str, str]:
    """Return the task kinds of those names that are runs of sweeps: ``sweep/run``."""
    found: dict[str, str] = {}
    for name in names:
        if name is not None and name.count("/") == 1 and ".." not in name:
            with suppress(InputError):  # there is no such run
                run = runs.open(name)
                if run.name == name and run.folder.parents[1] in runs.homes():
                    found[name] = run.config.task.kind
    return found


def _second_picker(options: list[str], kinds: Mapping[str, str]) -> None:
    """Show the picker of a second run, for figures next to the first run's.

    Args:
        kinds: task kind of every run on disk.
    """
    chosen = str(st.session_state.get(RUN))
    alike = [name for name in options if name != chosen and kinds.get(name) == kinds.get(chosen)]
    requested = st.query_params.get(SECOND_RUN)
    if SECOND_RUN not in st.session_state and requested and requested not in alike:
        links.note(
            f"{SECOND_RUN} must be another run on a task of the same kind (got {shortened(requested, QUOTED)}); showing none."
        )
    if st.session_state.get(SECOND_RUN, requested) not in alike:
        st.session_state[SECOND_RUN] = None
    st.selectbox(
        "Compare with",
        alike,
        index=None,
        key=SECOND_RUN,
        bind="query-params",
        placeholder="another run",
        help="Same kind of task, nearest snapshot",
    )


def run_name() -> str | None:
    """Return the name chosen in the sidebar; None if there are no runs."""
    return st.session_state.get(RUN)


def chosen_run() -> runs.Run:
    """Return the chosen run; stop the page if it has no snapshot yet."""
    name = run_name()
    if name is None:
        write.info("There is no run yet. Train one first.", icon="play_circle")
        write.stop()
    try:
        run = miii.runs.open(name)
        if run.steps:
            return run
        finished = run.result is not None
    except InputError as error:
        finished = False
        if registry().get(name) is None:
            write.error(error)
            write.stop()
    if finished:
        write.info(f"{name} has no snapshots to show.")
    else:
        write.info(f"{name} has not started to train.")
    write.stop()


def refuse(run: runs.Run, why: str) -> NoReturn:
    """Explain why a run cannot be shown, and stop the page."""
    write.info(f"{run.name} cannot be shown here: {why}")
    write.stop()
