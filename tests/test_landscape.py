"""Maps of trainability: the fast program is plain gradient descent, and the estimator finds known dimensions."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from miii import InputError, landscape
from miii.landscape import film, grokking, question, reference, training
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
    own = View(condition="grokking", x_high=-1.0)
    assert (own.steps, own.bounds) == (300, (-2.5, -1.0, -1.0, 1.5))
    with pytest.raises(InputError, match="width must be a multiple of 4"):
        View(condition="grokking", width=6)


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


def test_the_gradient_of_grokking_is_that_of_ensembles():
    """Adam divides rounding by rounding where a gradient is 0, so weights agree less well than gradients."""
    view, points = View(condition="grokking"), Points(np.linspace(-2, -1, 5), np.linspace(-1, 1, 5))
    ours, theirs = grokking.Group(view, points), grokking.Group(view, points)
    for step in range(1, 4):
        ours.update(step)
        theirs.networks.update(step, step / 10)
        assert ours.networks.weights.numpy() == pytest.approx(theirs.networks.weights.numpy(), abs=1e-8)
    evaluated = [each.test_accuracy for each in theirs.networks.evaluate()]
    assert ours.accuracy() == pytest.approx(evaluated)


def test_grokking_is_measured_by_its_step():
    """Points far from the boundary, where rounding does not decide."""
    view, points = View(condition="grokking", steps=60), Points(np.array([-0.9, -1.25]), np.array([0.0, 1.5]))
    found = grokking.measure(view, points)
    for measure, x, y in zip(found, *points, strict=True):
        curve = grokking.curves(view, x, y)
        learned = curve[curve["test_accuracy"] >= 0.99]
        assert measure == (-learned["step"].iloc[0] if len(learned) else curve["test_accuracy"].max())
    assert (found < 0).tolist() == [True, False]
    own = last(View(condition="grokking", steps=20, width=4, resolution=16))
    assert own.trained.all()


def test_noise_is_told_from_structure():
    noise, line = landscape.control("noise", 64), landscape.control("line", 64)
    assert landscape.structure(noise) == pytest.approx(0, abs=0.05)
    assert landscape.structure(line) > 0.9
    assert landscape.structure(np.ones((8, 8))) is None
    speckled = np.where(np.arange(64 * 64).reshape(64, 64) % 37, line, -line)
    inner = slice(4, -4)
    assert (np.sign(landscape.smoothed(speckled)) == line)[inner, inner].mean() > 0.99
    zoomed = [landscape.dimension([landscape.noisy_line(64, factor)]).value for factor in (1, 64)]
    assert zoomed[0] < 1.5 < 1.9 < zoomed[1]
    assert landscape.structure(landscape.noisy_line(64, 64)) < 0.1


def test_a_film_zooms_about_a_fixed_point_and_is_resumed(tmp_path):
    end = View(width=2, steps=20, resolution=16, x_low=1.0, x_high=2.125, y_low=0.0, y_high=4.5)
    frames = film.views(end, 4)
    assert (frames[0].bounds, frames[-1]) == ((-3, 6, -3, 6), end)
    for low, high in ((0, 1), (2, 3)):
        lows, highs = (np.array([view.bounds[end_] for view in frames]) for end_ in (low, high))
        widths = highs - lows
        assert widths[1:] / widths[:-1] == pytest.approx([(widths[-1] / 9) ** (1 / 3)] * 3)
        fixed = (lows[-1] * 9 + 3 * widths[-1]) / (9 - widths[-1])
        assert (fixed - lows) / widths == pytest.approx([(fixed + 3) / 9] * 4)
    picture = lambda measures: np.full((*measures.shape, 4), 255 * (measures < 0)[..., None], np.uint8)  # noqa: E731
    stopped = list(film.write(tmp_path / "F", end, 3, picture, stop=iter([False] * 3 + [True] * 9).__next__))
    assert stopped[-1].number < 2
    assert not (tmp_path / "F" / film.FILM).exists()
    shown = list(film.write(tmp_path / "F", end, 3, picture))
    assert shown[-1].number == 2
    with Image.open(tmp_path / "F" / film.FILM) as found:
        assert found.n_frames == 3
    assert len(list((tmp_path / "F").glob("frame-*.png"))) == 3
    for wrong, match in (((end, 1), "at least 2"), ((View(), 3), "narrower"), ((end, 4), "a new folder")):
        with pytest.raises(InputError, match=match):
            film.check(tmp_path / "F", *wrong)


def test_the_answer_is_that_of_the_shipped_maps():
    table, found = question.table(), question.maps()
    for (what, tile), row in zip(found, table.itertuples(), strict=False):
        estimate = landscape.dimension([tile.measures])
        assert (row.map, row.dimension, row.low, row.high) == (what, estimate.value, estimate.low, estimate.high)
        assert tile.trained.all()
        assert row.zoom == pytest.approx(4 ** round(np.log2(row.zoom) / 2))
    words = question.answer(table, question.moved())
    busiest = table[table["map"] == "busiest part"]
    for value in (busiest["dimension"].max(), busiest["structure"].max(), question.exponent(question.moved())):
        assert f"{value:.2f}" in words
    whole, nudged = landscape.open("grokking-0"), landscape.open("grokking-nudged-0")
    step = whole.resolution // nudged.resolution
    changed = (whole.measures[::step, ::step] < 0) != (nudged.measures < 0)
    assert question.moved()["all"].iloc[0] == changed.mean()
    assert question.moved()["distance"].iloc[0] == pytest.approx(1e-9, rel=1e-6)
    powers = pd.DataFrame({"distance": [1e-8, 1e-4, 1.0], "all": [1e-4, 1e-2, 1.0]})
    assert question.exponent(powers) == pytest.approx(1.5)


@pytest.mark.slow
def test_shipped_maps_of_grokking_are_of_their_settings():
    """Far from the boundary; beside it, rounding on another machine decides."""
    tile = landscape.open("grokking-0")
    wide = np.pad(landscape.edges(tile.measures), 1)
    calm = ~(wide[1:, 1:] | wide[:-1, 1:] | wide[1:, :-1] | wide[:-1, :-1])
    rows, columns = (each[::9] for each in np.nonzero(calm))
    again = grokking.measure(tile.view, tile.view.at(rows, columns, tile.resolution))
    assert ((again < 0) == (tile.measures[rows, columns] < 0)).mean() > 0.95
