"""Write a table of numbers as Markdown."""

import math
from typing import Any

import pandas as pd

from miii.notebook.cells import Table, escaped

ROWS = 50  #: maximum rows shown
NOTE = "Measured at export; the code does not recompute it."


def markdown(table: Table) -> str:
    """Return the title, the table and, unless it is prose, a note on the source of its numbers."""
    frame = table.frame
    header = [_text(name) for name in frame.columns]
    text = _prose if table.prose else _text
    rows = [[text(value) for value in row] for row in frame.head(ROWS).itertuples(index=False, name=None)]
    lines = [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows)]
    note = (
        ""
        if table.prose
        else f"*{NOTE}*"
        if len(frame) <= ROWS
        else f"*{NOTE} The first {ROWS} of {len(frame):,} rows.*"
    )
    return "\n\n".join(part for part in (table.title and f"**{table.title}**", "\n".join(lines), note) if part)


def _prose(value: Any) -> str:
    return " ".join(value.replace("|", "\\|").split()) if isinstance(value, str) else _text(value)


def _text(value: Any) -> str:
    if value is None or value is pd.NA or value is pd.NaT or (isinstance(value, float) and math.isnan(value)):
        return "–"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return " ".join(escaped(value).split())
