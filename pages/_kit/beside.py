"""Another run beside the chosen one, on every page."""

from typing import Any

import streamlit as st

import miii
from miii.errors import InputError

BESIDE = "beside"  #: the key of the widget, and so the name in the URL
SNAPSHOTS = frozenset({"step", "other"})  #: what cells call the step of a snapshot
WIDTH = 470  #: pixels of each of the two; where there is no room for both they stand one above the other


def instead(arguments: dict[str, Any]) -> dict[str, Any] | None:
    """The arguments of a cell with the other run in place of the chosen one, at its snapshot nearest to the step.

    None where no other run is to be shown, or the cell shows no run.
    """
    other = st.session_state.get(BESIDE)
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
    """Which run and step a chart shows."""
    return arguments["name"] + (f", step {arguments['step']:,}" if "step" in arguments else "")
