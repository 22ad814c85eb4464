"""The numbers behind a chart."""

from typing import Any

import altair as alt
import pandas as pd

from miii.plots.style import Chart


def frame(chart: Chart) -> pd.DataFrame:
    """The data frame that a chart of this package shows; a heatmap's as one row a cell: row, column, value.

    Source: own design.
    """
    inner: Any = chart
    while not isinstance(inner.data, pd.DataFrame):  # a facet or a stack of layers: the first layer's
        inner = inner.layer[0] if isinstance(inner, alt.LayerChart) else inner.spec
    data = inner.data
    if list(data.columns) != ["row", "cells"]:
        return data
    cells = data.set_index("row")["cells"].str.split(" ").explode().astype(float).rename("value").reset_index()
    cells.insert(1, "column", cells.groupby("row").cumcount())
    return cells
