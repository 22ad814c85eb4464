"""Maps of trainability: the fast program is plain gradient descent, and the estimator finds known dimensions."""

import json

import numpy as np
import pytest

from miii import InputError, landscape
from miii.landscape import reference, training
from miii.landscape.tiles import Tile
from miii.landscape.view import Points, View, problem

SMALL = View(width=3, steps=25, resolution=32)


def last(view: View, **options: object) -> Tile:
    (*_, tile) = landscape.compute(view, **options)
    return tile


def drawn(name: str, resolution: int) -> Tile:
    measures = landscape.control(name, resolution)
    whole = np.ones(measures.shape, bool)
    return Tile(View(resolution=resolution), measures, whole, whole.size, whole.size, 0.0)


def test_the_matrix_program_is_plain_gradient_descent():
    """On 105 random networks of all conditions; near the boundary, rounding grows exponentially."""
    draw = np.random.default_rng(0)
    for condition in landscape.CONDITIONS:
        view, points = View(condition=condition, width=3, steps=22), Points(*draw.uniform(-2, 3, (2, 15)))
        fast, plain = training.measure(view, problem(view), points), reference.measure(view, points)
        assert {True, False} == set((plain < 0).tolist()), condition
        assert fast == pytest.approx(plain, rel=0.01), condition
    curve = reference.curve(view, -1.0, 0.5)
    assert landscape.losses(view, -1.0, 0.5) == pytest.approx(curve / curve[0], rel=1e-6)


def test_a_chunk_that_loses_networks_measures_the_same():
    view, points = View(width=3, steps=70), Points(np.linspace(-2, 5, 6), np.linspace(-2, 5, 6))
    together = training.measure(view, problem(view), points)
    apart = [
        training.measure(view, problem(view), Points(x, y))[0]
        for x, y in zip(*np.array(points)[..., None], strict=True)
    ]
    assert together == pytest.approx(apart, rel=1e-9)


def test_maps_are_refined_where_the_boundary_is():
    tile, whole = last(SMALL), last(SMALL, every_cell=True)
    assert 256 < tile.trained.sum() < 1024 == whole.trained.sum()
    assert (tile.measures == whole.measures)[tile.trained].all()
    assert ((tile.measures < 0) == (whole.measures < 0)).mean() > 0.99
    tiles = list(landscape.compute(SMALL))
    coarse = next(each for each in tiles if each.finished)
    assert coarse.resolution == 16
    assert (coarse.measures == whole.measures[::2, ::2]).all()
    assert (last(SMALL, start=coarse).measures == tile.measures).all()
    stopped = list(landscape.compute(View(width=16, steps=20), stop=iter([False, True, True]).__next__))
    assert [each.finished for each in stopped] == [False]


def test_the_estimator_finds_known_dimensions():
    for name, wanted in landscape.CONTROLS.items():
        found = landscape.dimension([landscape.control(name, 256)])
        assert found.value == pytest.approx(wanted, abs=0.03), name
        assert found.low <= wanted + 0.01, name
        assert found.high >= wanted - 0.01, name
    square = np.where(np.mgrid[:8, :8].max(0) < 4, -1.0, 1.0)
    assert landscape.edges(square).sum() == 7
    flat = landscape.dimension([np.ones((64, 64))])
    assert (flat.value, flat.low, flat.slopes) == (None, None, ())


def test_zooms_lie_on_the_boundary():
    for name in ("circle", "Koch curve"):
        tile = drawn(name, 128)
        for view in (landscape.busiest(tile), landscape.around_boundary(tile)):
            x_low, x_high, y_low, y_high = view.bounds
            assert (x_high - x_low, y_high - y_low) == pytest.approx((9 / 8, 9 / 8))
            columns, rows = (
                slice(round((low + 3) / 9 * 128), round((high + 3) / 9 * 128))
                for low, high in ((x_low, x_high), (y_low, y_high))
            )
            inside = tile.measures[rows, columns]
            assert inside.min() < 0 < inside.max()
    with pytest.raises(InputError, match="one phase"):
        landscape.busiest(Tile(View(), np.ones((16, 16)), np.ones((16, 16), bool), 256, 256, 0.0))


def test_views_that_cannot_be_mapped_are_refused():
    for wrong, match in (
        ({"x_low": 2.0, "x_high": 1.0}, "x_high must be greater than x_low"),
        ({"y_low": 1.0, "y_high": 1.0}, "y_high must be greater than y_low"),
        ({"x_low": 1.0, "x_high": 1.0 + 1e-13}, "the resolution of float64"),
        ({"x_low": 1.0, "x_high": 1.0 + 1e-5, "precision": "float32"}, "precision must be float64"),
        ({"y_high": float("nan")}, "finite"),
        ({"resolution": 100}, "resolution must be one of"),
        ({"condition": "sigmoid"}, "condition must be one of"),
    ):
        with pytest.raises(InputError, match=match):
            View(**wrong)
    assert View(x_low=1.0, x_high=1.0 + 1e-11).bounds[1] > 1.0


def test_maps_are_files(tmp_path, monkeypatch):
    tile = last(SMALL)
    landscape.write(tmp_path / "trainability" / "mine", tile, digits=7)
    monkeypatch.setenv("MIII_RUNS", str(tmp_path))
    back = landscape.open("mine")
    assert back.view == tile.view
    assert (back.trained == tile.trained).all()
    assert ((back.measures < 0) == (tile.measures < 0)).all()
    assert back.measures == pytest.approx(tile.measures, rel=0.01)
    assert landscape.find(View(width=3, steps=25, resolution=128)) == "mine"
    assert landscape.find(View(width=3, steps=26)) is None
    settings = tmp_path / "trainability" / "mine" / "view.json"
    for broken in ("{", json.dumps({"view": {"width": -1}, "seconds": 1}), "{}"):
        settings.write_text(broken)
        with pytest.raises(InputError):
            landscape.read(settings.parent)
    assert "mine" not in landscape.every()
    with pytest.raises(InputError, match="a new folder"):
        landscape.write(tmp_path, tile)


def test_shipped_maps_are_of_their_settings():
    """Some cells are trained again."""
    tile = landscape.open("linear-1")
    rows, columns = (found[::151] for found in np.nonzero(tile.trained))
    again = training.measure(tile.view, problem(tile.view), tile.view.at(rows, columns, tile.resolution))
    assert len(set(again < 0)) == 2
    assert tile.measures[rows, columns] == pytest.approx(again, rel=0.01)
