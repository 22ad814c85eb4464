"""Charts of trainability: a map's numbers and colors, a loss that is cut, and dimensions with their intervals."""

import numpy as np
import pytest

from miii import landscape, plots
from miii.landscape.tiles import Tile
from miii.landscape.view import View
from miii.plots.style import BLUE_ORANGE
from miii.plots.trainability import BRUSH, POINT, shades

MEASURES = np.where(np.add.outer(np.arange(16), np.arange(16)) < 16, -2.0, 3.0)
MEASURES[0, :2] = -1.0, -5.0
TILE = Tile(View(resolution=16), MEASURES, np.ones((16, 16), bool), 256, 256, 0.0)
CURVE = np.array([1.0, 0.5, 2e9, np.inf, np.nan])
FOUND = {name: landscape.dimension([landscape.control(name, 64)]) for name in landscape.CONTROLS}
FOUND["flat"] = landscape.dimension([np.ones((64, 64))])
CHARTS = {
    "trainability_map": lambda: plots.trainability_map(TILE),
    "trainability_loss": lambda: plots.trainability_loss(CURVE),
    "trainability_zooms": lambda: plots.trainability_zooms(landscape.question.table(), "dimension"),
    "trainability_dimensions": lambda: plots.trainability_dimensions(FOUND, landscape.CONTROLS),
}


def test_trainability_plots():
    chart = CHARTS["trainability_map"]()
    assert plots.frame(chart)["value"].tolist() == MEASURES.ravel().tolist()
    selections = {param["name"] for param in chart.to_dict()["params"]}
    assert {BRUSH, POINT} <= selections
    colors = shades(MEASURES)
    ends = [[*bytes.fromhex(BLUE_ORANGE[end][1:]), 255] for end in (0, -1)]
    assert colors[0, 0].tolist() == ends[0]  # converges fastest
    assert colors[15, 15].tolist() == ends[1]
    assert len(np.unique(colors.reshape(-1, 4), axis=0)) == 4
    assert (shades(np.full((2, 2), np.nan))[..., 3] == 0).all()
    assert plots.frame(CHARTS["trainability_loss"]())["loss"].tolist() == [1.0, 0.5, 1e6, 1e6, 1e6]
    zooms = plots.frame(CHARTS["trainability_zooms"]())
    assert set(zooms[zooms["zoom"] == 1]["map"]) == {"whole map", "whole map, other seed", "noisy line"}
    assert zooms["zoom"].notna().all()
    rows = plots.frame(CHARTS["trainability_dimensions"]()).set_index("boundary")
    assert rows.index.tolist() == list(landscape.CONTROLS)
    assert rows.loc["noise", "known"] == 2.0
    assert rows.loc["circle", "low"] <= rows.loc["circle", "estimate"] == pytest.approx(FOUND["circle"].value)
