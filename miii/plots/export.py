"""A chart as a file: its numbers, or its picture drawn without a browser."""

import json
from typing import Any, Literal

import altair as alt
import numpy as np
import pandas as pd

from miii import platform
from miii.errors import InputError
from miii.plots.heatmap import COLUMNS
from miii.plots.style import Chart

SCALE = 2  #: pixels of a PNG for each pixel of the chart
_DRAW = (
    "import sys, vl_convert\n"
    "spec, kind, scale = sys.stdin.read(), sys.argv[1], float(sys.argv[2])\n"
    "options = {} if kind == 'svg' else {'scale': scale}\n"
    "drawn = getattr(vl_convert, f'vegalite_to_{kind}')(spec, **options)\n"
    "sys.stdout.buffer.write(drawn.encode() if kind == 'svg' else drawn)\n"
)


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


def picture(chart: Chart, kind: Literal["png", "svg"]) -> bytes:
    """Render a chart with Vega and return the file's bytes.

    Runs in a separate process, so its hundred megabytes are freed afterwards.

    Raises:
        InputError: the chart cannot be drawn.
    """
    done = platform.run_in_subprocess(_DRAW, [kind, str(SCALE)], json.dumps(chart.to_dict()))
    if done.returncode != 0:
        raise InputError(f"the chart could not be drawn ({done.stderr.decode(errors='replace').strip()[-200:]!r}).")
    return done.stdout
