"""A matrix as colours, with the value of every cell under the pointer."""

from collections.abc import Mapping, Sequence

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
    chart = _cells(_lines(codes.tolist()), codes.shape, color, alt.Tooltip("label:N", title=value), (row, column), size)
    return chart.transform_calculate(label=_label(labels)).properties(title=title)


def panels(
    codes: Mapping[str, Int[Tensor, "row column"]],
    labels: Sequence[str],
    colors: Sequence[str],
    *,
    title: str,
    row: str,
    column: str,
    value: str,
    columns: int = 2,
    size: int = 150,
) -> alt.FacetChart:
    """Draw several such matrices of one shape under one legend, each below its name. Source: own design.

    Args:
        codes: the matrices by name.
        columns: how many stand beside one another.
        size: width of each in pixels, rounded to whole pixels a cell.
    """
    frames = [
        pd.DataFrame({"panel": name, "row": np.arange(len(matrix)), "cells": _lines(matrix.tolist())})
        for name, matrix in codes.items()
    ]
    shape = next(iter(codes.values())).shape
    cell = max(1, round(size / shape[1]))
    color = alt.Color(
        "label:N",
        title=value,
        scale=alt.Scale(domain=list(labels), range=list(colors)),
        legend=top_legend(columns=2, labelLimit=200),
    )
    tooltip = [
        alt.Tooltip("row:Q", title=row),
        alt.Tooltip("column:Q", title=column),
        alt.Tooltip("label:N", title=value),
    ]
    drawn = (
        _split(alt.Chart(), ["panel", "row"])
        .transform_calculate(label=_label(labels))
        .mark_rect()
        .encode(
            x=alt.X("column:O", title=column, axis=None),
            y=alt.Y("row:O", title=row, axis=None),
            color=color,
            tooltip=tooltip,
        )
        .properties(width=cell * shape[1], height=cell * shape[0])
    )
    facet = alt.Facet("panel:N", title=None, sort=list(codes), header=alt.Header(labelFontSize=12, labelPadding=4))
    return drawn.facet(facet=facet, columns=columns, data=pd.concat(frames), spacing=14).properties(
        title=title, usermeta=CANVAS
    )


def _label(labels: Sequence[str]) -> str:
    names = ",".join(f"'{label}'" for label in labels)
    return f"[{names}][datum.value]"


def _lines(rows: list[list[int]]) -> list[str]:
    return [" ".join(map(str, line)) for line in rows]


def _split(chart: alt.Chart, groups: list[str]) -> alt.Chart:
    """Rows of text as cells with a column and a value."""
    return (
        chart.transform_calculate(cell="split(datum.cells, ' ')")
        .transform_flatten(["cell"])
        .transform_window(number="row_number()", groupby=groups)
        .transform_calculate(value="toNumber(datum.cell)", column="datum.number - 1")
    )


def _cells(
    texts: list[str], shape: Sequence[int], color: alt.Color, shown: alt.Tooltip, names: tuple[str, str], size: int
) -> alt.Chart:
    # A row of the data is a row of the matrix, as text, and is split in the browser: a 113 x 113 heatmap is 113 rows,
    # below Altair's limit of 5,000, a fifth of the bytes, and its specification stays the same when its values change.
    row, column = names
    cell = max(1, round(size / shape[1]))  # whole pixels: fractions would draw a lattice of gaps between the cells
    tooltip = [alt.Tooltip("row:Q", title=row), alt.Tooltip("column:Q", title=column), shown]
    return (
        _split(alt.Chart(pd.DataFrame({"row": np.arange(len(texts)), "cells": texts})), ["row"])
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
