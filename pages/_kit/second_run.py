"""Compare the chosen run with a second one, on every page."""

from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii.analysis.compare import differences
from miii.errors import InputError

SECOND_RUN = "beside"  #: widget key and URL parameter
SNAPSHOTS = frozenset({"step", "other"})  #: names of step arguments


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


def shown() -> bool:
    """Return whether figures stand beside a second run's, so that a row has room for one pair."""
    other = st.session_state.get(SECOND_RUN)
    return other is not None and other != st.session_state.get("run")


def columns(count: int) -> list[Any]:
    """Return columns for ``count`` cells, or one below the other beside a second run's."""
    return [st.container() for _ in range(count)] if shown() else list(st.columns(count))


def _nearest(steps: list[int], to: int) -> int:
    return min(steps, key=lambda step: abs(step - to))


def what_changed(name: str | None) -> None:
    """Show in a table how the second run differs from the run ``name``, and what each of them reached.

    Nothing without a second run, or if one cannot be read: the figures then say why.
    """
    other = st.session_state.get(SECOND_RUN)
    if name is None or other is None or other == name:
        return
    try:
        pair = [miii.runs.open(each) for each in (name, other)]
        changed = differences(*(run.config for run in pair))
        reached = [_reached(run) for run in pair]
    except InputError:
        return
    rows = [(field, *values) for field, values in changed.items()]
    rows += [(what, reached[0][what], reached[1].get(what, "—")) for what in reached[0]]
    st.caption("What changed" if changed else "What changed: nothing in the configs")
    st.dataframe(pd.DataFrame(rows, columns=["", name, other]), hide_index=True, key="what-changed")


def _reached(run: miii.runs.Run) -> dict[str, str]:
    """Return the headline, the verdict and the steps of a run, in words."""
    rows, task = run.rows(), run.config.task
    last = rows[-1] if rows else {}
    headline, report = task.headline(last), run.report or {}
    shown = {headline.name[:1].upper() + headline.name[1:]: headline.text}
    shown |= {"Verdict": str(report.get("verdict", "—"))} if "verdict" in report else {}
    learned = next((row["step"] for row in rows if task.learned(row)), None)
    return shown | {task.milestone.capitalize(): "no" if learned is None else f"at step {learned:,.0f}"}


def label(arguments: dict[str, Any]) -> str:
    """Return the run and step of a chart, as its label."""
    return arguments["name"] + (f", step {arguments['step']:,}" if "step" in arguments else "")
