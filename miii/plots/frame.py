"""The numbers behind a chart."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from miii.plots.heatmap import COLUMNS
from miii.plots.style import Chart


def frame(chart: Chart) -> pd.DataFrame:
    """The data frame that a chart of this package shows; a heatmap's as one row a cell: row, column, value.

    Source: own design.
    """
    inner: Any = chart
    while not isinstance(inner.data, pd.DataFrame):  # a facet or a stack of layers: the first layer's
        inner = inner.layer[0] if isinstance(inner, alt.LayerChart) else inner.spec
    data = inner.data
    if list(data.columns) != COLUMNS:
        return data
    rows, columns = int(data["rows"].item()), int(data["columns"].item())
    values = np.array(data["cells"].item().split(" "), dtype=float)
    return pd.DataFrame(
        {"row": np.arange(rows).repeat(columns), "column": np.tile(np.arange(columns), rows), "value": values}
    )
