"""One palette for both themes: colour-blind safe (Okabe and Ito's hues), 3 : 1 or more on white and on near black."""

from typing import Any, Final

import altair as alt

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

TRAIN, TEST = "#0f83c4", "#d3691f"
MAIN, ACCENT, MUTED = "#0f83c4", "#d3691f", "#87919b"
WRONG = "#c2477f"
SEQUENTIAL: Final = "viridis"  #: for magnitudes
DIVERGING: Final = "blueorange"  #: for values around 0
HEIGHT = 240  #: pixels of a chart that has no reason for another height

# Sizes are those of the plot itself; Streamlit's theme would otherwise take title and legend out of them.
FIXED: Final = alt.AutoSizeParams(type="pad")  #: width and height as given
FLUID: Final = alt.AutoSizeParams(type="fit-x", contains="padding")  #: as wide as the page

#: Streamlit draws charts as SVG, which for a 113 x 113 heatmap is 12,769 elements of the page
CANVAS: Final = {"embedOptions": {"renderer": "canvas"}}


def top_legend(**options: Any) -> alt.Legend:
    """A legend in one line above the plot, close to it. Source: own design."""
    return alt.Legend(orient="top", title=None, offset=4, padding=0, **options)
