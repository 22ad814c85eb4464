"""One palette for both themes: colour-blind safe (Okabe and Ito's hues), 3 : 1 or more on white and on near black."""

from typing import Any, Final

import altair as alt

# A chart of this package has as many rows as what it shows, such as one a neuron; Altair stops at 5,000 unless asked.
alt.data_transformers.disable_max_rows()

Chart = alt.Chart | alt.LayerChart | alt.FacetChart


def _colors(digits: str) -> list[str]:
    return [f"#{digits[i : i + 6]}" for i in range(0, len(digits), 6)]


TRAIN, TEST = "#0f83c4", "#d3691f"
MAIN, ACCENT, MUTED = "#0f83c4", "#d3691f", "#87919b"
WRONG = "#c2477f"
#: for names, up to eight of them (Okabe and Ito, 3 : 1 or more on both themes)
CATEGORY: Final = ["#0f83c4", "#d3691f", "#c2477f", "#0a9b77", "#8b7a00", "#7a6ad8", "#87919b", "#b04a3a"]
SEQUENTIAL: Final = "viridis"  #: for magnitudes
DIVERGING: Final = "blueorange"  #: for values around 0
#: their colours, between which Vega interpolates (vega-scale, palettes.js), for images, which are coloured here
VIRIDIS: Final = _colors(
    "440154470e61481a6c482575472f7d443a834144873d4e8a39568c35608d31688e2d708e2a788e27818e23888e21918d"
    "1f988b1fa08822a8842ab07f35b77943bf7154c56866cc5d7ad1518fd744a5db36bcdf27d2e21be9e51afde725"
)
BLUE_ORANGE: Final = _colors("134b852f78b35da2cb9dcae1d2e5eff2f0ebfce0bafbbf74e8932fc5690d994a07")
HEIGHT = 240  #: pixels of a chart that has no reason for another height

# Sizes are those of the plot itself; Streamlit's theme would otherwise take title and legend out of them.
FIXED: Final = alt.AutoSizeParams(type="pad")  #: width and height as given
FLUID: Final = alt.AutoSizeParams(type="fit-x", contains="padding")  #: as wide as the page

#: Streamlit draws charts as SVG, which for a 113 x 113 heatmap is 12,769 elements of the page
CANVAS: Final = {"embedOptions": {"renderer": "canvas"}}


def clicked(name: str, *fields: str) -> alt.Parameter:
    """A selection of what a click on a mark says in these fields, for whoever draws the chart to listen to.

    The chart needs a name of its own: the one that Altair gives changes with the data.
    """
    return alt.selection_point(name=name, fields=list(fields), on="click", toggle=False)


def top_legend(**options: Any) -> alt.Legend:
    """A legend in one line above the plot, close to it."""
    return alt.Legend(orient="top", title=None, offset=4, padding=0, **options)


def log_axis() -> alt.Axis:
    """The vertical axis of a logarithmic scale: lines at powers of ten, or at 1, 2 and 5 of the few that there are.

    The browser decides by what is drawn, so that a chart of other values is the same chart.
    """
    decades = range(-12, 7)
    few, all_of_them, every_second = (
        [float(f"{step}e{k}") for k in decades[::every] for step in steps]
        for steps, every in (((1, 2, 5), 1), ((1,), 1), ((1,), 2))
    )
    span = "log(domain('y')[1] / domain('y')[0]) / LN10"
    values = alt.expr(f"{span} < 2.5 ? {few} : {span} < 9.5 ? {all_of_them} : {every_second}")
    return alt.Axis(values=values, format="~g")
