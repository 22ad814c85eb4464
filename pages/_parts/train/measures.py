"""Measures of a run at its newest evaluation, and the step at which it learned."""

from collections.abc import Sequence

import streamlit as st

from miii import runs
from pages._tasks.view import Row, view_of


def show(run: runs.Run, rows: Sequence[Row]) -> None:
    """Show the measures of the run's task at its newest evaluation."""
    last, task = rows[-1], run.config.task
    if "accuracy" in last:  # imported, with an unknown split
        with st.container(horizontal=True):
            st.metric("Accuracy on all pairs", f"{last['accuracy']:.1%}", border=True)
            st.metric("Loss on all pairs", f"{last['loss']:.2g}", border=True, help="Mean cross-entropy in nats")
        st.caption("The training split is unknown.")
        return
    view = view_of(task.kind)
    since = next((row for row in rows if task.learned(row)), None)
    never = "not yet" if run.result is None else "not reached"
    with st.container(horizontal=True):
        for measure in view.measures(task, last):
            st.metric(measure.label, measure.value, border=True, help=measure.help)
        if run.imported:
            return
        st.metric(
            f"{task.milestone.capitalize()} at step",
            f"{since['step']:,.0f}" if since else never,
            border=True,
            help=f"First evaluated step with {view.criterion}",
        )
        if since:
            st.metric("Seconds to that step", f"{since['seconds']:.1f}", border=True, help="Wall clock")
    if caption := view.caption(last):
        st.caption(caption)
