"""A matrix as colours, with the value of every cell under the pointer."""

from collections.abc import Sequence

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Int, Real
from torch import Tensor

from miii.plots.style import CANVAS, DIVERGING, FIXED, SEQUENTIAL, top_legend


def heatmap(
    matrix: Real[Tensor, "row column"],
    *,
    title: str,
    row: str,
    column: str,
    value: str,
    size: int = 340,
    domain: tuple[float, float] | None = None,
    diverging: bool = False,
) -> alt.Chart:
    """Draw a matrix; axes count from 0.

    Args:
        title, row, column, value: what the reader sees, with units.
        size: width in pixels, rounded to whole pixels a cell; the height follows the matrix's shape.
        domain: the values at the ends of the colour scale; the matrix's own unless given.
        diverging: colours around 0, for values with a sign.

    Source: own design.
    """
    low, high = domain or (float(matrix.min()), float(matrix.max()))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    scale = alt.Scale(scheme=DIVERGING if diverging else SEQUENTIAL, domain=[low, high])
    legend = alt.Legend(
        orient="top", gradientLength=size // 2, titleOrient="left", titleAnchor="middle", offset=4, padding=0
    )
    color = alt.Color("value:Q", title=value, scale=scale, legend=legend)
    # nine digits give every float32 back
    texts = [" ".join(f"{x:.9g}" for x in line) for line in matrix.double().tolist()]
    shown = alt.Tooltip("value:Q", title=value, format=".4g")
    return _cells(texts, matrix.shape, color, shown, (row, column), size).properties(title=title)


def categories(
    codes: Int[Tensor, "row column"],
    labels: Sequence[str],
    colors: Sequence[str],
    *,
    title: str,
    row: str,
    column: str,
    value: str,
    size: int = 340,
) -> alt.Chart:
    """Draw a matrix of integers that stand for labels. Source: own design."""
    color = alt.Color(
        "label:N",
        title=value,
        scale=alt.Scale(domain=list(labels), range=list(colors)),
        legend=top_legend(columns=len(labels), labelLimit=200),
    )
    texts = [" ".join(map(str, line)) for line in codes.tolist()]
    names = "[" + ",".join(f"'{label}'" for label in labels) + "]"
    chart = _cells(texts, codes.shape, color, alt.Tooltip("label:N", title=value), (row, column), size)
    return chart.transform_calculate(label=f"{names}[datum.value]").properties(title=title)


def _cells(
    texts: list[str], shape: Sequence[int], color: alt.Color, shown: alt.Tooltip, names: tuple[str, str], size: int
) -> alt.Chart:
    # A row of the data is a row of the matrix, as text, and is split in the browser: a 113 x 113 heatmap is 113 rows,
    # below Altair's limit of 5,000, a fifth of the bytes, and its specification stays the same when its values change.
    row, column = names
    cell = max(1, round(size / shape[1]))  # whole pixels: fractions would draw a lattice of gaps between the cells
    tooltip = [alt.Tooltip("row:Q", title=row), alt.Tooltip("column:Q", title=column), shown]
    return (
        alt.Chart(pd.DataFrame({"row": np.arange(len(texts)), "cells": texts}))
        .transform_calculate(cell="split(datum.cells, ' ')")
        .transform_flatten(["cell"])
        .transform_window(number="row_number()", groupby=["row"])
        .transform_calculate(value="toNumber(datum.cell)", column="datum.number - 1")
        .mark_rect()
        .encode(
            x=alt.X("column:O", title=column, axis=_axis(shape[1])),
            y=alt.Y("row:O", title=row, axis=_axis(shape[0])),
            color=color,
            tooltip=tooltip,
        )
        .properties(width=cell * shape[1], height=cell * shape[0], autosize=FIXED, usermeta=CANVAS)
    )


def _axis(n: int) -> alt.Axis:
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, n) if n / step <= 12)
    return alt.Axis(values=list(range(0, n, every)), labelAngle=0, ticks=True, domain=False)
