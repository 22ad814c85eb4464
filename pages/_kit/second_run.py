"""Compare the chosen run with a second one, on every page."""

from typing import Any

import streamlit as st

import miii
from miii.errors import InputError

SECOND_RUN = "beside"  #: widget key and URL parameter
SNAPSHOTS = frozenset({"step", "other"})  #: names of step arguments
WIDTH = 470  #: pixels of each chart; on narrow screens they stack


def arguments_of_second(arguments: dict[str, Any]) -> dict[str, Any] | None:
    """Return a cell's arguments for the second run, at its snapshot nearest to the step.

    None if there is no second run, or the cell shows no run.
    """
    other = st.session_state.get(SECOND_RUN)
    if other is None or "name" not in arguments or other == arguments["name"]:
        return None
    try:
        steps = miii.runs.open(other).steps
    except InputError:
        return None
    if not steps:
        return None
    changed = arguments | {"name": other}
    for argument in SNAPSHOTS & arguments.keys():
        if arguments[argument] is not None:
            changed[argument] = _nearest(steps, arguments[argument])
    if "snapshots" in arguments:
        changed["snapshots"] = len(steps)
    return changed


def _nearest(steps: list[int], to: int) -> int:
    return min(steps, key=lambda step: abs(step - to))


def label(arguments: dict[str, Any]) -> str:
    """Return the run and step of a chart, as its label."""
    return arguments["name"] + (f", step {arguments['step']:,}" if "step" in arguments else "")
