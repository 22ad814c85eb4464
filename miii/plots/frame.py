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
    if "cells" not in data:
        return data
    where = [name for name in data.columns if name != "cells"]  # the row, and of several matrices which one
    cells = data.set_index(where)["cells"].str.split(" ").explode().astype(float).rename("value").reset_index()
    cells.insert(len(where), "column", cells.groupby(where).cumcount())
    return cells
