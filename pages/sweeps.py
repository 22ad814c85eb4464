"""Sweeps: many runs at once, while they train and after."""

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.errors import InputError
from miii.plots.style import Chart
from miii.plots.sweeps import named
from pages._kit import links, startup, write
from pages._kit.cell import cell, shared
from pages._kit.downloads import csv
from pages._kit.run_picker import RUN
from pages._kit.step_picker import STEP
from pages._parts.sweeps import controls
from pages._server import sweeping

startup.run_app_first()

POLL = 2.0  # seconds between looks at a sweep that trains
NOT_METRICS = ("run", "seed", "changed", "status", "steps", "reason", "seconds")
TITLES = {
    "test_accuracy": "Test accuracy",
    "train_accuracy": "Training accuracy",
    "test_loss": "Test loss",
    "train_loss": "Training loss",
    "weight_norm": "Weight norm",
    "grokked_at": "Step of grokking",
}


@shared
def table_of(sweep: str, version: str) -> "pd.DataFrame":
    return miii.sweeps.open(sweep).table()


def by_two_options(sweep: str, version: str, x: str, y: str, metric: str, title: str) -> Chart:
    return plots.sweep_heatmap(table_of(sweep, version), x, y, metric, title)


def over_training(sweep: str, version: str, metric: str, title: str, log: bool) -> Chart:
    return plots.sweep_curves(miii.sweeps.open(sweep).curves(metric), title, log)


def every_run(sweep: str, version: str, columns: tuple[str, ...], metric: str) -> Chart:
    return plots.sweep_parallel(table_of(sweep, version), columns, metric)


def choose(point: dict[str, str]) -> None:
    """Select the run of a click: every other page then shows it."""
    st.session_state[RUN] = f"{st.session_state[controls.SWEEP]}/{point['run']}"
    st.session_state.pop(STEP, None)


def figures(name: str, live: bool) -> None:
    """Everything about one sweep; called again and again while it trains."""
    try:
        everything(name)
    except InputError as error:  # a fragment's errors do not reach app.py
        write.error(error)
    training = sweeping.get(name)
    if live and (training is None or training.ended):
        st.rerun()


def everything(name: str) -> None:
    sweep = miii.sweeps.open(name)
    rows = sweep.rows()
    counts = {
        status: sum(row["status"] == status for row in rows) for status in dict.fromkeys(row["status"] for row in rows)
    }
    ended = sum(row["status"] in ("done", "diverged", "failed") for row in rows)
    st.progress(ended / len(rows), text=" · ".join(f"{number} {status}" for status, number in counts.items()))
    known = [column for column in rows[0] if column not in (*NOT_METRICS, *sweep.varying)]
    metrics = [column for column in known if any(row[column] is not None for row in rows)]
    if not metrics:
        write.info("No run has been evaluated yet.", icon="hourglass_empty")
        return
    # figures are computed anew once a run has ended or has been evaluated
    version = "-".join(str(value) for value in (len(rows), ended, sum(row["steps"] or 0 for row in rows)))
    first = metrics.index("test_accuracy") if "test_accuracy" in metrics else 0
    with st.container(horizontal=True, gap="small"):
        metric = st.selectbox(
            "Metric",
            metrics,
            first,
            format_func=titled,
            key="metric",
            bind="query-params",
            width=200,
            help="At the end of each run",
        )
        x, y = None, None
        if len(sweep.varying) > 1:
            x = st.selectbox(
                "Horizontal",
                sweep.varying,
                0,
                format_func=titled,
                key="x",
                bind="query-params",
                width=170,
            )
            others = [option for option in sweep.varying if option != x]
            y = st.selectbox("Vertical", others, 0, format_func=titled, key=f"y-{x}", width=170)
    title = titled(metric)
    left, right = st.columns(2)
    if x is not None and y is not None:
        with left:
            cell(
                by_two_options,
                sweep=name,
                version=version,
                x=x,
                y=y,
                metric=metric,
                title=title,
                caption="Click to open the median run.",
                pick=("run", choose),
            )
    if metric != "grokked_at":
        with right if x is not None else left:
            cell(
                over_training,
                sweep=name,
                version=version,
                metric=metric,
                title=title,
                log=metric.endswith("loss"),
                caption="Median over seeds, with the range."
                + (" The 8 best settings." if len(rows) / len(sweep.seeds) > 8 else ""),
            )
    if sweep.varying:
        columns = (*sweep.varying, "seed", metric)
        cell(
            every_run,
            sweep=name,
            version=version,
            columns=columns,
            metric=metric,
            caption="Click a point to open its run.",
            pick=("run", choose),
        )
    table(name, pd.DataFrame(rows))


def table(name: str, rows: pd.DataFrame) -> None:
    order = ["run", "changed", "seed", "status", "steps", "grokked_at", "test_accuracy", "test_loss", "weight_norm"]
    if rows["reason"].notna().any():
        order.insert(4, "reason")
    event = st.dataframe(
        rows,
        hide_index=True,
        column_order=[column for column in order if column in rows],
        column_config=dict(zip(order, map(named, order), strict=True))
        | {"test_accuracy": st.column_config.NumberColumn("test accuracy", format="percent")},
        on_select="rerun",
        selection_mode="single-row",
        key=f"sweep-rows-{name}",
        width="stretch",
        placeholder="–",
    )
    csv(lambda: rows, "sweep")
    picked = [rows["run"][row] for row in event["selection"]["rows"] if row < len(rows)]
    chosen = f"{name}/{picked[0]}" if picked else st.session_state.get(RUN)
    if chosen is not None and chosen.startswith(f"{name}/"):
        links.to("train", f"Open {chosen}", ":material/visibility:", **{RUN: chosen})


def titled(metric: str) -> str:
    return TITLES.get(metric, named(metric).capitalize())


write.title("Sweeps")
write.text("A sweep trains one run per setting and seed. `miii work FOLDER` adds processes.")
found = sorted(miii.sweeps.every(), key=lambda sweep: sweep.name.startswith("phases"))  # those have their own page
names = [sweep.name for sweep in found]
controls.messages()
if names:
    if st.session_state.get(controls.SWEEP) not in (None, *names):
        st.session_state.pop(controls.SWEEP)
    picked = st.selectbox(
        "Sweep",
        names,
        key=controls.SWEEP,
        bind="query-params",
        width=360,
    )
    chosen = picked or names[0]
    sweep = found[names.index(chosen)]
    write.caption(
        f"{len(sweep.configs)} runs of {write.escaped(sweep.base.task.description)}: "
        + "; ".join(f"{named(option)} {', '.join(map(str, values))}" for option, values in sweep.grid.items())
        + f"; {len(sweep.seeds)} {'seed' if len(sweep.seeds) == 1 else 'seeds'}."
    )
    controls.show(sweep)
    training = sweeping.get(chosen)
    live = training is not None and not training.ended
    live = live or "running" in sweep.counts()
    if live:
        st.fragment(figures, run_every=POLL)(chosen, training is not None and not training.ended)
    else:
        figures(chosen, False)
else:
    write.info("There is no sweep yet.", icon="tune")
links.to("phases", "Phase diagram", ":material/grid_view:")
write.header("Add a sweep", anchor="add")
controls.panel()
