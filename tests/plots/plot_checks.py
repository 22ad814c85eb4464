"""What the tests of the charts share."""

import json
from collections.abc import Iterator
from typing import Any

import torch
import vl_convert

from miii import plots
from miii.plots.style import Chart


def noise(*shape: int) -> torch.Tensor:
    """Normally distributed numbers, always the same."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def encodings(spec: Any) -> Iterator[dict[str, Any]]:
    """Every encoding within a specification, those of layers and facets too."""
    if isinstance(spec, dict):
        if "encoding" in spec:
            yield spec["encoding"]
        for value in spec.values():
            yield from encodings(value)
    elif isinstance(spec, list):
        for value in spec:
            yield from encodings(value)


def bare(chart: Chart | dict[str, Any]) -> dict[str, Any]:
    """A chart's specification without its data: what a browser builds a chart from, once."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(below) for key, below in value.items() if key not in ("data", "datasets")}
        return [strip(below) for below in value] if isinstance(value, list) else value

    return strip(chart if isinstance(chart, dict) else chart.to_dict())


def drawn(chart: Chart) -> str:
    """The chart as an SVG image, as ``plots.picture`` draws it, but without a process for each."""
    text = vl_convert.vegalite_to_svg(json.dumps(chart.to_dict(), allow_nan=False))
    assert "NaN" not in text
    return text


def lines(chart: Chart, by: str, *columns: str) -> dict[str, list]:
    """The rows of a chart's table, by one of its columns: the values of a column, or a list of each column's values."""
    groups = plots.frame(chart).groupby(by, sort=False)
    return {
        name: rows[columns[0]].tolist() if len(columns) == 1 else [rows[column].tolist() for column in columns]
        for name, rows in groups
    }
