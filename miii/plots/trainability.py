"""Trainability: a map to drag a rectangle on, loss curves, and dimensions beside controls."""

from collections.abc import Mapping, Sequence

import altair as alt
import numpy as np
import pandas as pd
from jaxtyping import Float, UInt8

from miii.landscape.dimension import Dimension
from miii.landscape.tiles import Tile
from miii.landscape.training import LAST
from miii.plots.heatmap import pixels
from miii.plots.image import url
from miii.plots.style import ACCENT, BLUE_ORANGE, FIXED, FLUID, HEIGHT, MAIN, MUTED, Chart, top_legend

BRUSH, POINT = "brush", "point"  #: names of the selections made by dragging a rectangle and by a click
SIZE = 480  #: pixels
NEAREST = 0.25  #: how close to the boundary's color the two phases come


def shades(measures: Float[np.ndarray, "row column"]) -> UInt8[np.ndarray, "row column 4"]:
    """Return a map's colors: blue where networks converge, orange where they diverge, each phase by rank.

    Cells not yet computed are transparent. Source: Sohl-Dickstein 2024, section 3.3.
    """
    ranks = np.full(measures.shape, np.nan)
    for phase, sign in ((measures < 0, -1), (measures >= 0, 1)):
        # equal values share a rank, so a plateau has one color
        distinct, place = np.unique(np.abs(measures[phase]), return_inverse=True)
        share = place / max(1, len(distinct) - 1)
        ranks[phase] = sign * (NEAREST + (1 - NEAREST) * (1 - share))
    return pixels(ranks, -1.0, 1.0, BLUE_ORANGE)
