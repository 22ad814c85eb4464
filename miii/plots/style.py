"""One palette for both themes: colour-blind safe (Okabe and Ito's hues), 3 : 1 or more on white and on near black."""

from typing import Final

import altair as alt

Chart = alt.Chart | alt.LayerChart | alt.FacetChart

TRAIN, TEST = "#0f83c4", "#d3691f"
MAIN, ACCENT, MUTED = "#0f83c4", "#d3691f", "#87919b"
WRONG = "#c2477f"
SEQUENTIAL: Final = "viridis"  #: for magnitudes
DIVERGING: Final = "blueorange"  #: for values around 0
HEIGHT = 300  #: pixels of a chart that has no reason for another height
