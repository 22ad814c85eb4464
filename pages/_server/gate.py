"""Decide whether and when a page may be computed for a run, before computing anything."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from miii import RunConfig, cost, hardware, runs
from miii.cost import Cost
from miii.errors import InputError
from miii.jobs import lower_priority
from pages._kit import write
from pages._kit.run_picker import RUN
from pages._kit.second_run import SECOND_RUN
from pages._server import settings
from pages._server.settings import MB

CONFIRMED = "gate"  #: costs confirmed by this session; True confirms all
LIGHT = 80  #: maximum MB of a light page, which does not wait for heavy ones on a shared server
LIGHTS = 2  #: light pages computed concurrently
LONG = 60  #: maximum seconds of a page on a shared server; elsewhere, ask above this
SHARE = 0.5  #: share of free memory above which to ask on a local machine


@st.cache_resource(show_spinner=False)
def _turns() -> tuple[threading.Semaphore, threading.Semaphore]:
    """Return the semaphores of light and heavy pages, shared by all sessions."""
    return threading.Semaphore(LIGHTS), threading.Semaphore(1)


def admit(page: StreamlitPage) -> Cost:
    """Check that a page may be computed for the selected runs; stop it if not.

    Returns:
        Its cost.

    Raises:
        InputError: see ``check``.
    """
    names = [name for key in (RUN, SECOND_RUN) if (name := st.session_state.get(key))]
    needs = of_runs(page.url_path, names)
    try:
        check(needs, f"{page.title} of {' and '.join(names)}", page.title)
    except InputError:
        write.title(page.title)
        raise
    return needs


def of_runs(page: str, names: list[str]) -> Cost:
    """Return the cost of a page for its runs; skip runs that cannot be opened.

    Shipped runs are known to fit.
    """
    found, shipped = [], runs.homes()[1]
    for name in names:
        try:
            run = runs.open(name)
        except InputError:
            continue  # the page reports the error
        if run.folder.parent != shipped:
            found.append(cost.pages(run.config).get(page, Cost(0, 0)))
    return Cost(sum(each.nbytes for each in found), sum(each.flops for each in found))


def check(needs: Cost, what: str, title: str | None = None) -> None:
    """Check that a computation may run here; locally, ask before a large one and stop the page.

    Args:
        what: the computation, as the subject of a sentence.
        title: page title, if the page has none yet.

    Raises:
        InputError: it needs more than this server allows.
    """
    found, agreed = settings.read(), st.session_state.get(CONFIRMED)
    if found.max_memory is not None and needs.nbytes > found.max_memory * MB:
        raise InputError(
            f"{what} needs about {needs.nbytes / MB:,.0f} MB of memory; this server allows a page at most {found.max_memory:,} MB. "
            "Run miii on your own computer, or choose smaller sizes."
        )
    if found.shared and needs.seconds > LONG:
        raise InputError(
            f"{what} needs about {needs.seconds:,.0f} seconds; this server allows a page at most {LONG}. "
            "Run miii on your own computer, or choose smaller sizes."
        )
    if found.shared or agreed is True or agreed == what or not _is_expensive(needs):
        return
    if title is not None:
        write.title(title)
    write.warning(
        f"{what} needs about {needs.nbytes / MB:,.0f} MB of memory and {needs.seconds:,.0f} seconds.",
        icon="hourglass_top",
    )
    st.button(
        "Compute it",
        on_click=st.session_state.update,
        args=({CONFIRMED: what},),
        icon=":material/play_arrow:",
        help="Leaving the page stops it",
    )
    write.stop()


def _is_expensive(needs: Cost) -> bool:
    return needs.nbytes > SHARE * hardware.available_memory() or needs.seconds > LONG


def check_training(config: RunConfig) -> str | None:
    """Return the question to ask before training a run on a local machine; None if there is none.

    Raises:
        InputError: this server does not allow the run.
    """
    settings.check_run(config)
    needs = cost.training(config)
    if settings.read().shared or not (needs.nbytes > SHARE * hardware.available_memory() or needs.disk > 2_000 * MB):
        return None
    return f"This run needs about {needs.nbytes / MB:,.0f} MB of memory and {needs.disk / MB:,.0f} MB of disk."


@contextmanager
def turn(needs: Cost) -> Iterator[None]:
    """Wait for a turn to compute a page on a shared server; elsewhere, continue at once."""
    if not settings.read().shared:
        yield
        return
    places = _turns()[needs.nbytes > LIGHT * MB]
    waiting = st.empty()
    while not places.acquire(timeout=0.5):
        waiting.caption("Waiting for another visitor's page …")  # releases visitors who have left
    waiting.empty()
    if needs.nbytes > LIGHT * MB:
        lower_priority()  # light pages go first
    try:
        yield
    finally:
        places.release()
