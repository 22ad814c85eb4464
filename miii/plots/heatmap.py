"""Heatmaps drawn as one image, with tooltips for cells and a selection on click."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, Int, Real, UInt8
from torch import Tensor

from miii.plots.image import url
from miii.plots.style import BLUE_ORANGE, CANVAS, FIXED, VIRIDIS, clicked, top_legend

CELL: Final = "cell"  #: name of the selection made by a click on a cell: row and column
COLUMNS: Final = ["image", "cells", "rows", "columns"]  #: columns of a heatmap's data, which has one row


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
) -> alt.LayerChart:
    """Draw a matrix. Axes count from 0; NaN cells stay empty.

    Args:
        title, row, column, value: titles of chart, axes and legend, with units.
        size: greatest width in pixels; cells have whole pixels, and the height follows from the shape.
        domain: ends of the color scale; if None, the matrix's range.
        diverging: center the colors on 0, for signed values.
    """
    values = matrix.double().numpy()
    low, high = domain or (float(np.nanmin(values)), float(np.nanmax(values)))
    if diverging:
        low, high = -max(abs(low), abs(high)), max(abs(low), abs(high))
    colors = BLUE_ORANGE if diverging else VIRIDIS
    legend = alt.Legend(
        orient="top", gradientLength=size // 2, titleOrient="left", titleAnchor="middle", offset=4, padding=0
    )
    # the ends are data, so that other values change only the data and not the specification
    scale = alt.Scale(range=colors, interpolate="rgb", nice=False, zero=False)
    color = alt.Color("value:Q", title=value, scale=scale, legend=legend)
    # nine digits restore every float32; one format call is twice as fast as many
    cells = ("%.9g " * values.size % tuple(values.ravel().tolist())).rstrip()
    shown = alt.Tooltip("value:Q", title=value, format=".4g")
    return _chart(
        pixels(values, low, high, colors),
        cells,
        pd.DataFrame({"value": [low, high]}),
        color,
        shown,
        (row, column),
        size,
        "toNumber(datum.text)",
        title,
    )


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
) -> alt.LayerChart:
    """Draw a matrix of label codes."""
    color = _named("value:N", labels, colors).title(value)
    names = "[" + ",".join(f"'{label}'" for label in labels) + "]"
    return _chart(
        colors_of(colors)[codes.numpy()],
        " ".join(map(str, codes.flatten().tolist())),
        pd.DataFrame({"value": list(labels)}),
        color,
        alt.Tooltip("value:N", title=value),
        (row, column),
        size,
        f"{names}[datum.text]",
        title,
    )


def panels(
    codes: Mapping[str, Int[Tensor, "row column"]],
    labels: Sequence[str],
    colors: Sequence[str],
    *,
    title: str,
    row: str,
    column: str,
    columns: int = 2,
    size: int = 150,
) -> alt.FacetChart:
    """Draw several matrices of label codes with the same shape, one shared legend, and a name above each.

    Args:
        codes: the matrices by name.
        columns: number of matrices in a row.
        size: width of each in pixels, rounded to whole pixels per cell.
    """
    table, (rows, across) = colors_of(colors), next(iter(codes.values())).shape
    data = [
        [name, url(table[matrix.numpy()]), " ".join(map(str, matrix.flatten().tolist())), rows, across]
        for name, matrix in codes.items()
    ]
    cell = max(1, round(size / across))
    base = alt.Chart().transform_calculate(label=f"'{labels[0]}'")
    pictures = _image(base, (rows, across), (row, column)).encode(tooltip="panel:N")
    drawn = alt.layer(pictures, _legend(base, _named("label:N", labels, colors)))
    facet = alt.Facet("panel:N", title=None, sort=list(codes), header=alt.Header(labelFontSize=12, labelPadding=4))
    return (
        drawn.properties(width=cell * across, height=cell * rows)
        .facet(facet=facet, columns=columns, data=pd.DataFrame(data, columns=["panel", *COLUMNS]), spacing=14)
        .properties(title=title, usermeta=CANVAS)
    )


def mark_cell(chart: alt.LayerChart, row: int, column: int) -> alt.LayerChart:
    """Outline a cell of ``heatmap`` or ``categories``, in white with a dark rim."""
    marked = chart.copy(deep=False)
    place = alt.Chart(pd.DataFrame({"column": [column], "row": [row]}))
    axes = chart.layer[0].encoding  # layers with different axes would merge them
    x, y = (
        kind(field, **{option: axis[option] for option in ("title", "axis", "scale")})
        for kind, field, axis in ((alt.X, "column:Q", axes.x), (alt.Y, "row:Q", axes.y))
    )
    rims = (("black", 4), ("white", 2))
    marked.layer = [
        *chart.layer,
        *(
            place.mark_square(size=110, filled=False, opacity=1, stroke=color, strokeWidth=width, tooltip=None).encode(
                x=x, y=y
            )
            for color, width in rims
        ),
    ]
    return marked


def follow_pointer() -> alt.Parameter:
    """Return an invisible selection named ``pointer`` that holds the place of the pointer, in pixels."""
    return alt.selection_interval(
        name="pointer",
        encodings=["x", "y"],
        on="[pointermove, pointerout] > pointermove",
        translate=False,
        zoom=False,
        mark=alt.BrushConfig(fillOpacity=0, strokeOpacity=0),
    )


def _chart(
    pixels: UInt8[np.ndarray, "row column 4"],
    texts: str,
    ends: pd.DataFrame,
    color: alt.Color,
    shown: alt.Tooltip,
    names: tuple[str, str],
    size: int,
    value: str,
    title: str,
) -> alt.LayerChart:
    # One rectangle per cell would take 0.25 s for 113 x 113 cells at every change. So the matrix is one
    # image, and an interval selection follows the pointer to look up the cell for the tooltip.
    rows, columns = pixels.shape[:2]
    cell = max(1, size // columns)  # whole pixels, so that all cells have the same size
    width, height = cell * columns, cell * rows
    pointer = follow_pointer()

    def under(axis: str, n: int) -> str:
        return f"pointer_{axis} ? clamp(floor(pointer_{axis}[1] / {cell}), 0, {n - 1}) : 0"

    data = pd.DataFrame([[url(pixels), texts, rows, columns]], columns=COLUMNS)
    cells = (
        alt.Chart(data)
        .transform_calculate(row=under("y", rows), column=under("x", columns))
        .transform_calculate(text="split(datum.cells, ' ')[datum.row * datum.columns + datum.column]")
        .transform_calculate(value=value)
    )
    picture = (
        _image(cells, (rows, columns), names)
        .encode(tooltip=[alt.Tooltip("row:Q", title=names[0]), alt.Tooltip("column:Q", title=names[1]), shown])
        .add_params(pointer, clicked(CELL, "row", "column"))
        .properties(name="marks")
    )
    whole = alt.LayerChart(layer=[picture, _legend(alt.Chart(ends), color)])
    return whole.properties(title=title, width=width, height=height, autosize=FIXED, usermeta=CANVAS)


def _image(chart: alt.Chart, shape: tuple[int, int], names: tuple[str, str]) -> alt.Chart:
    """Draw the field ``image`` over axes that count cells."""
    rows, columns = shape
    return (
        chart.transform_calculate(left="-0.5", right=f"{columns - 0.5}", top="-0.5", bottom=f"{rows - 0.5}")
        .mark_image(smooth=False, aspect=False)
        .encode(
            x=alt.X("left:Q", title=names[1], scale=_scale(-0.5, columns - 0.5), axis=_axis(columns)),
            x2="right:Q",
            y=alt.Y("top:Q", title=names[0], scale=_scale(rows - 0.5, -0.5), axis=_axis(rows)),
            y2="bottom:Q",
            url="image:N",
        )
    )


def _legend(chart: alt.Chart, color: alt.Color) -> alt.Chart:
    """Draw only the legend; the pixels are already colored."""
    return chart.mark_square(opacity=0, size=0, tooltip=None).encode(color=color)


def _named(field: str, labels: Sequence[str], colors: Sequence[str]) -> alt.Color:
    legend = top_legend(columns=2, labelLimit=200, symbolType="square", symbolOpacity=1)
    return alt.Color(field, scale=alt.Scale(domain=list(labels), range=list(colors)), legend=legend)


def pixels(
    values: Float[np.ndarray, "row column"], low: float, high: float, colors: Sequence[str]
) -> UInt8[np.ndarray, "row column 4"]:
    """Return the colors of values on a scale from low to high; NaN is transparent."""
    share = np.nan_to_num((values - low) / ((high - low) or 1.0), posinf=1.0, neginf=0.0).clip(0, 1)
    table = colors_of(colors).astype(float)
    mixed = [np.interp(share * (len(table) - 1), np.arange(len(table)), table[:, i]) for i in range(4)]
    pixels = np.stack(mixed, axis=-1).round().astype(np.uint8)
    pixels[np.isnan(values)] = 0
    return pixels


def colors_of(colors: Sequence[str]) -> UInt8[np.ndarray, "color 4"]:
    """Return opaque pixels of hexadecimal colors."""
    return np.array([[*bytes.fromhex(color.removeprefix("#")), 255] for color in colors], dtype=np.uint8)


def _scale(start: float, end: float) -> alt.Scale:
    return alt.Scale(domain=[start, end], nice=False, zero=False)


def _axis(n: int) -> alt.Axis:
    every = next(step for step in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, n) if n / step <= 12)
    options: dict[str, Any] = {"labelAngle": 0, "ticks": True, "domain": False, "grid": False, "format": "d"}
    options |= {"labelPadding": 4, "titlePadding": 8}  # two heatmaps beside each other fit the page
    return alt.Axis(values=list(range(0, n, every)), **options)
