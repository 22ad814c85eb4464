"""The numbers behind a chart."""

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from miii.plots.heatmap import COLUMNS
from miii.plots.style import Chart


def frame(chart: Chart) -> pd.DataFrame:
    """Return the data of a chart; a heatmap has one row per cell: row, column, value."""
    inner: Any = chart
    while not isinstance(inner.data, pd.DataFrame):  # of a facet or layers, the first layer
        inner = inner.layer[0] if isinstance(inner, alt.LayerChart) else inner.spec
    data = inner.data
    return data if not set(COLUMNS) <= set(data.columns) else pd.concat([_cells(row) for _, row in data.iterrows()])


def _cells(matrix: pd.Series) -> pd.DataFrame:
    """Return the cells of a matrix, with the fields that identify it."""
    rows, columns = matrix["rows"], matrix["columns"]
    which = {name: matrix[name] for name in map(str, matrix.index) if name not in COLUMNS}
    values = np.array(matrix["cells"].split(" "), dtype=float)
    return pd.DataFrame(
        which | {"row": np.arange(rows).repeat(columns), "column": np.tile(np.arange(columns), rows), "value": values}
    )
