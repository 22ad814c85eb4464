"""The snapshot of a run that a page shows: chosen with the player, kept in the URL."""

from dataclasses import dataclass

import streamlit as st

from miii import runs
from miii.analysis.modular.phases import Phase, outline
from miii.errors import QUOTED, shortened
from pages._kit import address, links, write
from pages._kit.cell import stamp_of
from pages._kit.player import player
from pages._kit.run_picker import RUN, chosen_run, refuse

STEP = "step"  #: widget key and URL parameter
SHOWN = "shown_step"  #: key of the step that the page shows; absent if it shows none
LONGEST, DIGITS = 500, 10  # maximum characters of a list of steps in a message, and of one step


@dataclass(frozen=True)
class Selection:
    """A run and one of its snapshots."""

    run: runs.Run
    step: int


def run_and_step() -> Selection:
    """Return the chosen run and step; stop the page if there is nothing to show."""
    run = chosen_run()
    return Selection(run, step_of(run))


def open_run(name: str, key: str) -> None:
    """Show a button that opens this page for another run, at its last step.

    Args:
        key: of the widget.
    """
    change, args = st.session_state.update, ({RUN: name, STEP: None},)
    st.button(f"Open {write.escaped(name)}", icon=":material/swap_horiz:", key=key, on_click=change, args=args)


def step_of(run: runs.Run) -> int:
    """Return the step chosen with the player; stop the page if its weights are not finite."""
    step = _step(run)
    if not _finite(run.name, step, stamp_of(run)):
        refuse(run, f"its weights at step {step} are not finite: its training diverged.")
    return step


def _step(run: runs.Run) -> int:
    """Return the chosen step; by default the last one, even while the run trains."""
    steps, asked = run.steps, address.requested(STEP)
    if asked is not None:
        known = asked.isascii() and asked.isdecimal() and len(asked) < DIGITS and int(asked) in steps
        if not known:
            listed = shortened(", ".join(map(str, steps)), LONGEST)
            links.note(f"step must be one of {listed} (got {shortened(asked, QUOTED)}); showing {steps[-1]}.")
        st.session_state[STEP] = int(asked) if known else None
    elif address.is_history_navigation() and STEP not in st.query_params:
        st.session_state[STEP] = None
    step = st.session_state.get(STEP)
    if step not in steps or step == steps[-1]:
        st.session_state[STEP], step = None, steps[-1]
    st.session_state[SHOWN] = step
    address.write(STEP, None if step == steps[-1] else str(step), dragged=True)
    if len(steps) > 1:
        with st.bottom:
            player(steps, step, _phases(run.name, stamp_of(run), len(steps)))
    return step


@st.cache_data(max_entries=256, show_spinner=False)
def _finite(name: str, step: int, stamp: float) -> bool:
    return all(value.isfinite().all() for value in runs.open(name).weights(step).values())


@st.cache_data(max_entries=64, show_spinner=False)
def _phases(name: str, stamp: float, snapshots: int) -> tuple[Phase, ...]:
    run = runs.open(name)
    grokked_at = (run.result or {}).get("grokked_at")
    return outline(run.config.task, run.metrics(), grokked_at) if run.rows() else ()
