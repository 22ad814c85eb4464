"""Sweeps: a metric over two options, curves with seeds as bands, and every run across its options."""

from collections.abc import Sequence
from typing import Any, Final, Literal

import altair as alt
import pandas as pd

from miii.plots.style import CATEGORY, FLUID, GAP, HEIGHT, SEQUENTIAL, WHOLE, Chart, clicked, top_legend

RUN = "run"  #: name of the selection made by a click: the run
CELL = 64  #: pixels of a row of the heatmap
PHASE_COLORS: Final = {
    "comprehension": CATEGORY[3],
    "grokking": CATEGORY[0],
    "memorization": CATEGORY[1],
    "confusion": CATEGORY[6],
    "failed": CATEGORY[2],
    "waiting": GAP,
}
LINES = 8  #: settings drawn as curves: one color each

#: Titles of the axes of options.
TITLES: Final = {
    "lr": "learning rate",
    "weight_decay": "weight decay",
    "train_fraction": "training share",
    "d_model": "width",
    "init_scale": "initial scale",
}


def named(option: str) -> str:
    """Return an option or metric in words."""
    return TITLES.get(option, option.replace("_", " "))


def _spread(table: pd.DataFrame, options: Sequence[str], metric: str) -> pd.DataFrame:
    """Return the median, lowest and highest value over the seeds of each setting, and the run with the median."""
    rows = []
    for setting, group in table[table[metric].notna()].groupby(list(options), sort=True):
        values = group.sort_values(metric)
        middle = values.iloc[(len(values) - 1) // 2]
        numbers = values[metric].astype(float)
        spread = {"median": numbers.median(), "lowest": numbers.min(), "highest": numbers.max(), "seeds": len(values)}
        rows.append(dict(zip(options, setting, strict=True)) | spread | {RUN: middle["run"]})
    return pd.DataFrame(rows, columns=[*options, "median", "lowest", "highest", "seeds", RUN])


def sweep_heatmap(table: pd.DataFrame, x: str, y: str, metric: str, title: str) -> Chart:
    """Draw the median of a metric over seeds, and over all other options, by two options.

    Args:
        table: from ``Sweep.table``.
        x, y: options that vary.
        title: what the metric is called.
    """
    found = _spread(table, (x, y), metric)
    shown = [f"{x}:N", f"{y}:N"] + [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("median", "lowest", "highest")]
    base = alt.Chart(found, name="by-two-options").encode(
        x=alt.X(f"{x}:O", title=named(x), axis=alt.Axis(labelAngle=0), scale=WHOLE),
        y=alt.Y(f"{y}:O", title=named(y), sort="descending", scale=WHOLE),
        tooltip=[*shown, alt.Tooltip("seeds:Q", title="runs"), alt.Tooltip("run:N", title="run of the median")],
    )
    color = alt.Color("median:Q", title=None, scale=alt.Scale(scheme=SEQUENTIAL), legend=alt.Legend(orient="top"))
    height = CELL * max(2, found[y].nunique())
    return (
        base.mark_rect(cursor="pointer")
        .encode(color=color)
        .add_params(clicked(RUN, RUN))
        .properties(title=f"{title}: median over seeds", height=height, autosize=FLUID)
    )


def phase_diagram(table: pd.DataFrame, x: str, y: str, color: Literal["phase", "learned_at"] = "phase") -> Chart:
    """Draw the learning phase, or the step of 90% test accuracy, of each setting of two options.

    Inferred cells, between neighbors of one phase, are paler.

    Args:
        table: from ``sweeps.Diagram.table``.
        x, y: its options.
    """
    found = table.assign(shown=table["phase"].fillna("waiting"))
    labels = alt.Axis(labelAngle=0, labelExpr="format(datum.value, '.3~g')", labelOverlap=True)
    base = alt.Chart(found, name="phases").encode(
        x=alt.X(f"{x}:O", title=named(x), axis=labels, scale=WHOLE),
        y=alt.Y(f"{y}:O", title=named(y), sort="descending", axis=labels, scale=WHOLE),
        opacity=alt.when("datum.inferred").then(alt.value(0.55)).otherwise(alt.value(1)),
        tooltip=[
            alt.Tooltip(f"{x}:Q", format=".4~g"),
            alt.Tooltip(f"{y}:Q", format=".4~g"),
            alt.Tooltip("shown:N", title="phase"),
            alt.Tooltip("learned_at:Q", title="90% test accuracy at step"),
            alt.Tooltip("inferred:N"),
        ],
    )
    if color == "phase":
        names = [name for name in PHASE_COLORS if name in set(found["shown"])]
        scale = alt.Scale(domain=names, range=[PHASE_COLORS[name] for name in names])
        shade: Any = alt.Color("shown:N", scale=scale, legend=top_legend(columns=2))
        title = "Phase diagram"
    else:
        steps = alt.Color(
            "learned_at:Q",
            title=None,
            scale=alt.Scale(type="log", scheme=SEQUENTIAL, reverse=True),
            legend=alt.Legend(orient="top", format="~s"),
        )
        shade = alt.when("isValid(datum.learned_at)").then(steps).otherwise(alt.value(GAP))
        title = "Step at which test accuracy reaches 90%"
    height = max(240, min(CELL, 480 / max(1, found[y].nunique())) * found[y].nunique())
    return (
        base.mark_rect(cursor="pointer")
        .encode(color=shade)
        .add_params(clicked(RUN, RUN))
        .properties(title=title, height=height, autosize=FLUID)
    )


def sweep_curves(curves: pd.DataFrame, title: str, log: bool = False) -> Chart:
    """Draw the median over seeds at each step as a line, and lowest to highest as a band.

    Args:
        curves: from ``Sweep.curves``; of more than ``LINES`` settings, the best are drawn.
        title: what the metric is called.
        log: the metric is a loss: lower is better, on a logarithmic scale.
    """
    last = curves.sort_values("step").groupby(["changed", "seed"], sort=False)["value"].last()
    best = last.groupby("changed", sort=False).median().sort_values(ascending=log, kind="stable")
    names = list(best.index)[:LINES]
    grouped = curves[curves["changed"].isin(names)].groupby(["changed", "step"])["value"]
    found = grouped.agg(median="median", lowest="min", highest="max", seeds="count").reset_index()
    scale = alt.Scale(type="log") if log else alt.Scale(zero=False)
    shown = [alt.Tooltip(f"{name}:Q", format=".4~g") for name in ("median", "lowest", "highest")]
    words = "datum.label"
    for option, name in TITLES.items():
        words = f"replace({words}, '{option}=', '{name} ')"
    base = alt.Chart(found).encode(
        x=alt.X("step:Q", title="step"),
        color=alt.Color(
            "changed:N",
            scale=alt.Scale(domain=names, range=CATEGORY[: len(names)]),
            legend=alt.Legend(
                orient="bottom",
                title=None,
                columns=1,
                labelExpr=words,
                labelLimit=300,
                symbolType="stroke",
                symbolStrokeWidth=3,
                symbolOpacity=1,
            ),
        ),
        tooltip=["changed:N", "step:Q", *shown, "seeds:Q"],
    )
    band = base.mark_area(opacity=0.16).encode(y=alt.Y("lowest:Q", title=title, scale=scale), y2="highest:Q")
    line = base.mark_line(strokeWidth=2).encode(y=alt.Y("median:Q", title=title, scale=scale))
    return alt.layer(band, line).properties(title=f"{title} over training", height=HEIGHT + 60, autosize=FLUID)


def sweep_parallel(table: pd.DataFrame, columns: Sequence[str], metric: str) -> Chart:
    """Draw every run as a line across the columns, colored by the last one's metric.

    Numbers are spread evenly by rank, so that options on any scale fill their axis.

    Args:
        table: from ``Sweep.table``.
        columns: options that vary, and metrics.
        metric: the column that colors the lines.
    """
    ended = table[table[list(columns)].notna().all(axis=1)].reset_index(drop=True)
    rows = []
    for column in columns:
        order = sorted(set(ended[column]), key=lambda value: (isinstance(value, str), value))
        places = {value: i / max(1, len(order) - 1) for i, value in enumerate(order)}
        for index, value in enumerate(ended[column]):
            told = f"{value:.4g}" if isinstance(value, float) else str(value)
            row = {"column": named(column), "place": places[value], "value": told, "color": ended[metric].iloc[index]}
            rows.append(row | {RUN: ended["run"].iloc[index]})
    frame = pd.DataFrame(rows, columns=["column", "place", "value", "color", RUN])
    near = alt.selection_point(name="near", fields=[RUN], on="pointerover", empty=False)
    base = alt.Chart(frame).encode(
        x=alt.X(
            "column:N",
            sort=[named(column) for column in columns],
            title="option",
            axis=alt.Axis(labelAngle=0),
            scale=alt.Scale(padding=0.3),
        ),
        y=alt.Y("place:Q", title="rank, low to high", axis=alt.Axis(labels=False, ticks=False, grid=False)),
        detail="run:N",
        tooltip=["run:N", "column:N", "value:N"],
    )
    color = alt.Color(
        "color:Q", title=named(metric), scale=alt.Scale(scheme=SEQUENTIAL), legend=alt.Legend(orient="top")
    )
    lines = (
        base.mark_line(interpolate="monotone")
        .properties(name="lines")
        .encode(
            color=color,
            opacity=alt.when(near).then(alt.value(1)).otherwise(alt.value(0.45)),
            strokeWidth=alt.when(near).then(alt.value(4)).otherwise(alt.value(1.5)),
        )
    )
    points = base.mark_point(filled=True, size=50, cursor="pointer").properties(name="parallel").encode(color=color)
    return alt.layer(lines, points.add_params(near, clicked(RUN, RUN))).properties(
        title="Every run", height=HEIGHT + 40, autosize=FLUID
    )
