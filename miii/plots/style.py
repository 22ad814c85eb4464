"""One palette for both themes: color-blind safe (Okabe and Ito), with a contrast of at least 3 : 1 on both."""

import textwrap
from collections.abc import Iterable
from typing import Any, Final

import altair as alt

# Altair refuses more than 5,000 rows by default; charts here have one row per value, such as a neuron.
alt.data_transformers.disable_max_rows()

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


def _colors(digits: str) -> list[str]:
    return [f"#{digits[i : i + 6]}" for i in range(0, len(digits), 6)]


TRAIN, TEST = "#0f83c4", "#d3691f"
MAIN, ACCENT, MUTED = "#0f83c4", "#d3691f", "#87919b"
WRONG = "#c2477f"
GAP = "#d5d9dd"  #: for cells without a value
#: for up to eight names
CATEGORY: Final = ["#0f83c4", "#d3691f", "#c2477f", "#0a9b77", "#8b7a00", "#7a6ad8", "#87919b", "#b04a3a"]
SEQUENTIAL: Final = "viridis"  #: for magnitudes
DIVERGING: Final = "blueorange"  #: for values around 0
#: the colors of both schemes (vega-scale, palettes.js), for images
VIRIDIS: Final = _colors(
    "440154470e61481a6c482575472f7d443a834144873d4e8a39568c35608d31688e2d708e2a788e27818e23888e21918d"
    "1f988b1fa08822a8842ab07f35b77943bf7154c56866cc5d7ad1518fd744a5db36bcdf27d2e21be9e51afde725"
)
BLUE_ORANGE: Final = _colors("134b852f78b35da2cb9dcae1d2e5eff2f0ebfce0bafbbf74e8932fc5690d994a07")
LINE, BOLD = 40, 7.5  #: most characters in a title's line on a phone, and pixels of its letter
HEIGHT = 240  #: default height in pixels

# Width and height set the size of the plot itself; Streamlit's theme would subtract title and legend.
FIXED: Final = alt.AutoSizeParams(type="pad")  #: width and height as given
FLUID: Final = alt.AutoSizeParams(type="fit-x", contains="padding")  #: as wide as the page

#: Streamlit draws SVG by default, which is slow for charts with many marks
CANVAS: Final = {"embedOptions": {"renderer": "canvas"}}


WHOLE: Final = alt.Scale(round=True)  #: bands of whole pixels, so that no gaps show between the cells of a heatmap


def signed(names: Iterable[str]) -> list[str]:
    """Return names such as -b with a true minus sign."""
    return [name.replace("-", "\u2212") for name in names]


def clicked(name: str, *fields: str) -> alt.Parameter:
    """Return a selection of these fields by a click on a mark.

    The chart needs a fixed name, since Altair's default name changes with the data.
    """
    return alt.selection_point(name=name, fields=list(fields), on="click", toggle=False)


def wrapped(title: str, room: str = "containerSize()[0]") -> str | dict[str, Any]:
    """Return a title that wraps where the chart is too narrow for it.

    Args:
        room: pixels of the place, as a Vega expression.
    """
    if len(title) <= LINE:
        return title
    return {"text": {"expr": f"{room} < {BOLD * len(title)} ? {textwrap.wrap(title, LINE)} : {title!r}"}, "limit": 0}


def top_legend(**options: Any) -> alt.Legend:
    """Return a one-line legend directly above the plot."""
    return alt.Legend(orient="top", title=None, offset=4, padding=0, **options)


def bar_legend(**options: Any) -> alt.Legend:
    """Return a color bar above the plot, with its title to the left."""
    return alt.Legend(
        orient="top", titleOrient="left", titleAnchor="middle", gradientLength=140, offset=4, padding=0, **options
    )


def log_axis() -> alt.Axis:
    """Return a logarithmic vertical axis with ticks at powers of ten, or also at 2 and 5 for a short range.

    The browser decides, so new values do not change the specification.
    """
    decades = range(-12, 7)
    few, all_of_them, every_second = (
        [float(f"{step}e{k}") for k in decades[::every] for step in steps]
        for steps, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2))
    )
    span = "log(domain('y')[1] / domain('y')[0]) / LN10"
    values = alt.expr(f"{span} < 2.5 ? {few} : {span} < 9.5 ? {all_of_them} : {every_second}")
    return alt.Axis(values=values, format="~g")
