"""Phase diagram: which settings of two options comprehend, grok, memorize or do neither."""

from typing import Literal

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.errors import InputError
from miii.plots.style import Chart
from pages._kit import links, startup, write
from pages._kit.cell import cell, shared
from pages._kit.downloads import csv
from pages._kit.run_picker import RUN
from pages._kit.step_picker import STEP
from pages._parts.phases import controls
from pages._parts.sweeps.controls import messages
from pages._server import sweeping

startup.run_app_first()

POLL = 2.0  # seconds between looks at a diagram that trains
COLORS: dict[str, Literal["phase", "learned_at"]] = {"Phase": "phase", "Step of learning": "learned_at"}


@shared
def diagram_of(sweep: str, version: str, x: str, y: str, delay: int) -> "pd.DataFrame":
    return miii.sweeps.Diagram(miii.sweeps.open(sweep), x, y, delay).table()


def phase_map(sweep: str, version: str, x: str, y: str, delay: int, color: Literal["phase", "learned_at"]) -> Chart:
    return plots.phase_diagram(diagram_of(sweep, version, x, y, delay), x, y, color)


def learning_of(sweep: str, run: str) -> Chart:
    return plots.accuracy(miii.runs.open(f"{sweep}/{run}").metrics())


def choose(point: dict[str, str | None]) -> None:
    """Select the run of a click: every other page then shows it. An inferred cell has none."""
    if point.get("run"):
        st.session_state[RUN] = f"{st.session_state[controls.DIAGRAM]}/{point['run']}"
        st.session_state.pop(STEP, None)


def figures(diagram: miii.sweeps.Diagram, color: Literal["phase", "learned_at"], live: bool) -> None:
    """Everything about one diagram; called again and again while it trains."""
    try:
        everything(diagram, color)
    except InputError as error:  # a fragment's errors do not reach app.py
        write.error(error)
    training = sweeping.get(diagram.sweep.name)
    if live and (training is None or training.ended):
        st.rerun()


def everything(diagram: miii.sweeps.Diagram, color: Literal["phase", "learned_at"]) -> None:
    name, rows = diagram.sweep.name, pd.DataFrame(diagram.rows())
    known = int(rows["phase"].notna().sum())
    controls.progress(diagram, len(rows), known)
    counts = rows["phase"].value_counts()
    trained = int((rows["phase"].notna() & ~rows["inferred"]).sum())
    cell(
        phase_map,
        sweep=name,
        version=f"{known}-{trained}",
        x=diagram.x,
        y=diagram.y,
        delay=diagram.delay,
        color=color,
        caption=f"Of {len(rows)} cells: "
        + ", ".join(f"{counts[phase]} {phase}" for phase in miii.sweeps.phases.PHASES if phase in counts)
        + f". {trained} networks were trained; faded cells take their neighbors' phase. Click to open a run.",
        pick=("run", choose),
    )
    table(name, rows)


def table(name: str, rows: pd.DataFrame) -> None:
    found = rows[rows["run"].notna()].reset_index(drop=True)
    with st.expander("Networks", icon=":material/table:"):
        event = st.dataframe(
            found,
            hide_index=True,
            on_select="rerun",
            selection_mode="single-row",
            key=f"phase-rows-{name}",
            width="stretch",
        )
        csv(lambda: rows, "phases", "Every cell")
    picked = [found["run"][row] for row in event["selection"]["rows"] if row < len(found)]
    chosen = f"{name}/{picked[0]}" if picked else st.session_state.get(RUN)
    if chosen is not None and chosen.startswith(f"{name}/"):
        run = chosen.partition("/")[2]
        cell(
            learning_of,
            sweep=name,
            run=run,
            caption=f"{write.escaped(run)}.",
        )
        links.to("train", f"Open {chosen}", ":material/visibility:", **{RUN: chosen})


write.title("Phase diagram")
write.text(
    "Each cell is a network. **Confusion**: training accuracy never reaches 90%. **Memorization**: only training accuracy does. "
    "**Comprehension**: test accuracy follows within the delay. **Grokking**: later ([Liu et al. 2022](https://arxiv.org/abs/2205.10343), table 1)."
)
messages()
found = {sweep.name: sweep for sweep in miii.sweeps.every() if len(controls.axes_of(sweep)) > 1}
names = sorted(found, key=lambda name: not name.startswith("phases"))
if names:
    if st.session_state.get(controls.DIAGRAM) not in (None, *names):
        st.session_state.pop(controls.DIAGRAM)
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        name = st.selectbox(
            "Diagram",
            names,
            key=controls.DIAGRAM,
            bind="query-params",
            width=320,
            help="All sweeps over two options",
        )
        sweep = found[name]
        x, y = controls.axes_of(sweep)[:2]
        colored = st.segmented_control("Color", list(COLORS), default="Phase", required=True, key="phase-color")
        delay = st.number_input(
            "Delay",
            0,
            sweep.base.steps,
            sweep.base.steps // 20,
            key=f"delay-{name}",
            width=120,
            help="Liu et al. use 1% of all steps",
        )
    diagram = miii.sweeps.Diagram(sweep, x, y, int(delay))
    task = sweep.base.task
    ending = "a network groks" if sweep.base.until_accuracy is None else "the phase is decided"
    write.caption(f"{write.escaped(task.description)}, at most {sweep.base.steps:,} steps, fewer once {ending}.")
    controls.show(diagram)
    training = sweeping.get(name)
    live = training is not None and not training.ended
    color = COLORS[colored or "Phase"]
    if live:
        st.fragment(figures, run_every=POLL)(diagram, color, True)
    else:
        figures(diagram, color, False)
else:
    write.info("There is no phase diagram yet.", icon="grid_view")
write.header("New diagram", anchor="new")
controls.panel()
links.to("sweeps", "All sweeps", ":material/tune:")
