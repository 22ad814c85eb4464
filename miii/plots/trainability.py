"""Trainability: a map with a rectangle to drag, loss curves, and dimensions beside controls."""

from collections.abc import Mapping
from typing import Literal

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from miii.landscape.dimension import Dimension
from miii.landscape.tiles import Tile
from miii.landscape.training import MOST
from miii.landscape.view import GROKKING
from miii.plots.heatmap import COLUMNS, follow_pointer, pixels
from miii.plots.image import url
from miii.plots.style import (
    ACCENT,
    BLUE_ORANGE,
    CANVAS,
    CATEGORY,
    FLUID,
    HEIGHT,
    MAIN,
    MUTED,
    Chart,
    clicked,
    top_legend,
)

BRUSH, POINT = "brush", "point"  #: selections: a rectangle dragged, and the row and column of a click
SIZE = 460  #: height in pixels
NUMBERS = 128  #: rows and columns of a map up to which each cell has its number in the chart
NEAREST = 0.2  #: how close to the neutral color the colors of both phases come


def shades(measures: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column 4"]:
    """Return a map's colors: blue where networks converge, orange where they diverge, each phase by rank.

    Ranks show structure at any scale. Cells without a number are transparent. Source: Sohl-Dickstein 2024, figure 1.
    """
    ranks = np.full(measures.shape, np.nan)
    for phase, sign in ((measures < 0, -1), (measures >= 0, 1)):
        distinct, place = np.unique(np.abs(measures[phase]), return_inverse=True)
        share = place / max(1, len(distinct) - 1)  # equal values share a rank, so a plateau has one color
        ranks[phase] = sign * (1 - (1 - NEAREST) * share)
    return pixels(ranks, -1.0, 1.0, BLUE_ORANGE)


def trainability_map(tile: Tile) -> Chart:
    """Draw a map of trainability; drag a rectangle or click a cell.

    Maps finer than ``NUMBERS`` have every second or fourth cell's number in the tooltip and the data.
    """
    view, every = tile.view, max(1, tile.resolution // NUMBERS)
    groks = view.condition == GROKKING
    inside, outside = ("groks", "does not grok") if groks else ("converges", "diverges")
    measure = "'step ' + -toNumber(datum.text)" if groks else "datum.text"
    other = "'best test accuracy ' + format(datum.text, '.0%')" if groks else "datum.text"
    measures = tile.measures[::every, ::every]
    rows, columns = measures.shape
    texts = ("%.4g " * measures.size % tuple(measures.ravel().tolist())).rstrip()
    ends = dict(zip(("x_low", "x_high", "y_low", "y_high"), view.bounds, strict=True))
    row = pd.DataFrame([[url(shades(tile.measures)[::-1]), texts, rows, columns]], columns=COLUMNS).assign(**ends)
    pointer = follow_pointer()
    brush = alt.selection_interval(name=BRUSH, encodings=["x", "y"], translate=False, zoom=False)
    across = f"pointer_x ? clamp(floor(pointer_x[1] / width * {columns}), 0, {columns - 1}) : 0"
    upward = f"pointer_y ? clamp(floor((1 - pointer_y[1] / height) * {rows}), 0, {rows - 1}) : 0"
    x, y = (alt.Scale(domain=list(pair), nice=False, zero=False) for pair in (view.bounds[:2], view.bounds[2:]))
    axis = alt.Axis(grid=False, tickCount=6, labelOverlap=True)
    picture = (
        alt.Chart(row)
        .transform_calculate(row=upward, column=across)
        .transform_calculate(text="split(datum.cells, ' ')[datum.row * datum.columns + datum.column]")
        .transform_calculate(
            measure=f"toNumber(datum.text) < 0 ? {measure} : {other}",
            phase=f"toNumber(datum.text) < 0 ? '{inside}' : '{outside}'",
            x=f"datum.x_low + (datum.x_high - datum.x_low) * datum.column / {columns}",
            y=f"datum.y_low + (datum.y_high - datum.y_low) * datum.row / {rows}",
        )
        .mark_image(smooth=False, aspect=False)
        .encode(
            x=alt.X("x_low:Q", title=view.axes[0], scale=x, axis=axis),
            x2="x_high:Q",
            y=alt.Y("y_low:Q", title=view.axes[1], scale=y, axis=axis),
            y2="y_high:Q",
            url="image:N",
            tooltip=[
                alt.Tooltip("x:Q", format=".6f"),
                alt.Tooltip("y:Q", format=".6f"),
                "phase:N",
                "measure:N",
            ],
        )
        .add_params(pointer, brush, clicked(POINT, "row", "column"))
    )
    phases = alt.Chart(pd.DataFrame({"phase": [inside, outside]}))
    color = alt.Color(
        "phase:N",
        scale=alt.Scale(domain=[inside, outside], range=[BLUE_ORANGE[1], BLUE_ORANGE[-3]]),
        legend=top_legend(symbolType="square", symbolOpacity=1),
    )
    whole = alt.LayerChart(layer=[picture, phases.mark_square(opacity=0, size=0, tooltip=None).encode(color=color)])
    title = f"{tile.resolution} x {tile.resolution} networks, {tile.trained.sum():,} of them trained"
    if view.zoom > 1:
        title = f"Zoom {view.zoom:.3g}x: {title}"
    return whole.properties(title=title, height=SIZE, autosize=FLUID, usermeta=CANVAS)


def trainability_loss(losses: Float[np.ndarray, " step"]) -> Chart:
    """Draw the loss of one network, relative to its first, cut at a million as in the map."""
    values = np.where(np.isfinite(losses), np.minimum(losses, MOST), MOST)
    frame = pd.DataFrame({"step": range(len(values)), "loss": np.maximum(values, 1e-12)})
    line = (
        alt.Chart(frame)
        .mark_line(color=MAIN, strokeWidth=1.5)
        .encode(
            x=alt.X("step:Q", title="step"),
            y=alt.Y(
                "loss:Q",
                title="loss / first loss",
                scale=alt.Scale(type="log"),
                axis=alt.Axis(format="~g", tickCount=6),
            ),
            tooltip=["step:Q", alt.Tooltip("loss:Q", format=".4~g")],
        )
    )
    rule = alt.Chart(pd.DataFrame({"loss": [1.0]})).mark_rule(color=MUTED, strokeDash=[4, 4]).encode(y="loss:Q")
    return alt.layer(line, rule).properties(title="Loss of one network", height=HEIGHT, autosize=FLUID)


def trainability_dimensions(found: Mapping[str, Dimension], known: Mapping[str, float]) -> Chart:
    """Draw estimates of the dimension with their 95% intervals, beside what is known of each.

    Args:
        found: estimates by name, in order; those without a value are left out.
        known: exact values, or those of a paper, by the same names.
    """
    rows = [
        {"boundary": name, "estimate": each.value, "low": each.low, "high": each.high, "known": known.get(name)}
        for name, each in found.items()
        if each.value is not None
    ]
    frame = pd.DataFrame(rows, columns=["boundary", "estimate", "low", "high", "known"])
    scale = alt.Scale(domain=[0.8, 2.05], clamp=True, nice=False)
    y = alt.Y("boundary:N", title=None, sort=list(found), axis=alt.Axis(labelLimit=220))
    base = alt.Chart(frame).encode(
        y=y,
        tooltip=["boundary:N", *(alt.Tooltip(f"{name}:Q", format=".2f") for name in frame.columns[1:])],
    )
    x = alt.X("estimate:Q", title="box-counting dimension", scale=scale)
    interval = base.mark_rule(color=MAIN, strokeWidth=3, opacity=0.5).encode(
        x=alt.X("low:Q", title="box-counting dimension", scale=scale), x2="high:Q"
    )
    names = ["estimate", "reference"]
    color = alt.Color("kind:N", scale=alt.Scale(domain=names, range=[MAIN, ACCENT]), legend=top_legend())
    points = base.transform_calculate(kind=f"'{names[0]}'").mark_circle(size=70, opacity=1).encode(x=x, color=color)
    exact = (
        base.transform_calculate(kind=f"'{names[1]}'")
        .mark_tick(thickness=3, size=16)
        .encode(x=alt.X("known:Q", scale=scale), color=color)
    )
    return alt.layer(interval, points, exact).properties(
        title="Dimension of the boundary", height=26 * max(3, len(rows)), autosize=FLUID
    )


def trainability_zooms(table: pd.DataFrame, column: Literal["dimension", "structure"]) -> Chart:
    """Draw a measure of the boundary at each zoom, with the dimension's interval, for maps and the control.

    Args:
        table: of ``landscape.question.table``; rows without a zoom are left out.
        column: what to draw.
    """
    frame = table[table["zoom"].notna()].copy()
    frame["map"] = frame["map"].str.removeprefix("control: ")
    names = list(dict.fromkeys(frame["map"]))
    color = alt.Color("map:N", sort=names, scale=alt.Scale(domain=names, range=CATEGORY), legend=top_legend(columns=2))
    domain, title = ([0.8, 2.05], "box-counting dimension") if column == "dimension" else ([-0.1, 1.0], "structure")
    y = alt.Scale(domain=domain, clamp=True, nice=False)
    ticks = sorted(frame["zoom"].unique().tolist())
    axis = alt.Axis(values=ticks, format="d", labelExpr="datum.label + 'x'")
    x = alt.X("zoom:Q", title="zoom", scale=alt.Scale(type="log", base=2), axis=axis)
    base = alt.Chart(frame).encode(
        x=x,
        color=color,
        tooltip=["map:N", alt.Tooltip("zoom:Q", format=".0f"), alt.Tooltip(f"{column}:Q", format=".2f")],
    )
    lines = base.mark_line(point=True, strokeWidth=1.5).encode(y=alt.Y(f"{column}:Q", title=title, scale=y))
    layers = [lines]
    if column == "dimension":
        layers.append(base.mark_rule(opacity=0.4).encode(y=alt.Y("low:Q", title=title, scale=y), y2="high:Q"))
    return alt.layer(*layers).properties(title=title.capitalize(), height=HEIGHT, autosize=FLUID)
