"""Charts of the integers, and of the residues and strings beside them: their numbers, and their pictures."""

import base64
import io
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import miii
from miii import numbers, plots
from miii.analysis import integers
from miii.plots.integers import HALF, PART_COLORS, SQUARE
from miii.plots.style import ACCENT, MAIN, Chart
from miii.tasks.integers import PARTS

PRIMES = miii.Primes(low=1000, high=1999)
RESIDUES = miii.Residues(p=13, masked=(3,)).build()
LENGTH, COUNT = np.array([1, 1, 2, 3, 3]), np.array([0, 1, 1, 3, 2])


@cache
def members() -> integers.Members:
    return integers.members(PRIMES)


CHARTS: dict[str, Callable[[], Chart]] = {
    "chance": lambda: plots.chance(RESIDUES),
    "density": lambda: plots.density(integers.density(2, 9999)),
    "digit_split": lambda: plots.digit_split(RESIDUES, 13),
    "last_digits": lambda: plots.last_digits(integers.last_digits(members(), 10)),
    "loss_weights": lambda: plots.loss_weights(RESIDUES),
    "polar": lambda: plots.polar(integers.polar(1, 500, 7)),
    "split_counts": lambda: plots.split_counts(members().counts()),
    "split_rows": lambda: plots.split_rows(integers.rows(members())),
    "string_counts": lambda: plots.string_counts(COUNT, COUNT % 3 != 0),
    "string_lengths": lambda: plots.string_lengths(LENGTH, COUNT % 3 != 0),
    "string_split": lambda: plots.string_split(LENGTH, LENGTH < 3),
    "ulam": lambda: plots.ulam(integers.ulam(101), 7),
    "wheel": lambda: plots.wheel(integers.classes(2, 9999, 10)),
}


def rgba(color: str, alpha: int = 255) -> tuple[int, int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16), alpha


def picture(chart: Chart) -> tuple[np.ndarray, dict[str, Any]]:
    """The pixels of a chart's image, one of each cell, and the specification."""
    spec = chart.to_dict()
    data = next(rows for rows in spec["datasets"].values() if "url" in rows[0])
    head, _, code = data[0]["url"].partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(code))).convert("RGBA")
    assert spec["width"] % image.width == spec["height"] % image.height == 0  # whole pixels of the screen a cell
    return np.array(image), spec


def test_density():
    values = integers.density(2, 9999)
    got = plots.frame(CHARTS["density"]())
    for name, expected in (("from", values.first), ("to", values.last), ("primes", values.primes)):
        assert got[name].tolist() == expected.tolist()
    assert got["density"].to_numpy() == pytest.approx(values.primes / values.integers)
    assert got["1 / ln n"].to_numpy() == pytest.approx(values.expected / values.integers)


def test_wheel_areas_are_counts():
    values = integers.classes(2, 9999, 10)
    got = plots.frame(CHARTS["wheel"]())
    assert got["integers"].tolist() == values.integers.tolist()
    assert got["primes"].tolist() == values.primes.tolist()
    assert (got["end"] - got["begin"]).to_numpy() == pytest.approx(2 * np.pi / 10)
    assert got["begin"][1:].to_numpy() == pytest.approx(got["end"][:-1].to_numpy())
    area = got["rim of primes"] ** 2
    assert (area / area.max()).to_numpy() == pytest.approx(values.primes / values.primes.max())
    for q, every in [(10, 1), (40, 1), (100, 3)]:
        labels = plots.wheel(integers.classes(2, 9999, q)).to_dict()["layer"][-1]
        assert labels["transform"] == [{"filter": f"datum.class % {every} == 0"}]


def test_polar():
    got = plots.frame(CHARTS["polar"]())
    assert sorted(got["n"]) == list(range(1, 501))
    assert np.hypot(got["x"], got["y"]).to_numpy() == pytest.approx(got["n"], abs=0.01)
    assert np.cos(np.arctan2(got["y"], got["x"]) - got["n"]).min() > 0.999
    kinds = got.set_index("n")["kind"]
    assert [kinds[n] for n in (1, 7, 11, 14)] == ["other", "prime", "prime", "multiple of 7"]
    assert got["kind"].tolist() == sorted(got["kind"], key=["other", "multiple of 7", "prime"].index)  # primes on top
    plots.polar(integers.polar(4, 4, 7, others=False)).to_dict()  # empty


def test_ulam_pixels():
    for side, q in [(1, None), (5, 2), (101, 7), (301, None)]:
        values = integers.ulam(side)
        pixels, spec = picture(plots.ulam(values, q))
        cell = spec["width"] // side
        assert cell == max(1, SQUARE // side)
        assert (pixels == rgba(MAIN)).all(2).tolist() == values.prime.tolist()
        marked = np.zeros_like(values.prime) if q is None else (values.n % q == 0) & ~values.prime
        assert (pixels == rgba(ACCENT, 120)).all(2).tolist() == marked.tolist()
        assert (pixels[~values.prime & ~marked][:, 3] == 0).all()  # the page shows through, light or dark


def test_ulam_tooltips():
    values = integers.ulam(101)
    got = plots.frame(plots.ulam(values))
    assert got["integers"].sum() == 101**2
    assert got["primes"].sum() == values.prime.sum()
    assert (got["smallest n"].min(), got["largest n"].max()) == (1, 101**2)
    middle = got[(got["left"] < 0) & (got["right"] > 0) & (got["bottom"] < 0) & (got["top"] > 0)]
    assert middle["smallest n"].tolist() == [1]
    small = plots.frame(plots.ulam(integers.ulam(3, 41)))  # a field for each integer
    right = small[(small["left"] == 0.5) & (small["bottom"] == -0.5)]
    assert right["smallest n"].tolist() == right["largest n"].tolist() == [42]


def test_split_pixels():
    values = members()
    pixels, spec = picture(plots.split_rows(integers.rows(values)))
    cell = HALF // 32
    assert (spec["width"], spec["height"]) == (32 * cell, 32 * cell)
    got = pixels.reshape(-1, 4)
    assert got[:1000].tolist() == [list(rgba(PART_COLORS[part])) for part in values.part]
    assert (got[1000:, 3] == 0).all()
    pixels, _ = picture(plots.split_rows(integers.rows(values, 1)))
    share = np.bincount(values.part, minlength=3) / 1000
    mixed = sum(part * np.array(rgba(color)) for part, color in zip(share, PART_COLORS, strict=True))
    assert pixels[0, 0] == pytest.approx(mixed, abs=0.51)


def test_split_counts():
    got = plots.frame(CHARTS["split_counts"]()).pivot(index="split", columns="kind", values="integers")
    assert got.loc[list(PARTS), ["composite", "prime"]].to_numpy().tolist() == members().counts().tolist()


def test_last_digits():
    got = plots.frame(CHARTS["last_digits"]()).pivot(index="digit", columns="kind", values="integers")
    assert got["prime"].tolist() == [numbers.is_prime(np.arange(1000 + d, 2000, 10)).sum() for d in range(10)]
    assert got.sum(axis=1).tolist() == [100] * 10


def test_loss_weights():
    got = plots.frame(plots.loss_weights(RESIDUES)).set_index("task")
    assert got["weight"].to_dict() == pytest.approx(
        {f"mod {q}": 0 if q == 3 else 1 / np.log(q) for q in (2, 3, 5, 7, 11)}
    )


def test_chance():
    got = plots.frame(plots.chance(RESIDUES)).set_index("task")["accuracy"]
    assert got.to_dict() == {f"mod {q}": -(-169 // q) / 169 for q in (2, 3, 5, 7, 11)}
    assert plots.frame(CHARTS["digit_split"]())["value"].tolist() == RESIDUES.train_mask.int().tolist()


def test_string_counts():
    for chart, value, names in [
        ("string_lengths", LENGTH, np.where(COUNT % 3 != 0, "theorem", "not a theorem")),
        ("string_counts", COUNT, np.where(COUNT % 3 != 0, "theorem", "not a theorem")),
        ("string_split", LENGTH, np.where(LENGTH < 3, "train", "test")),
    ]:
        got = plots.frame(CHARTS[chart]())
        counted = pd.Series(list(zip(value.tolist(), names.tolist(), strict=True))).value_counts().to_dict()
        assert {(row[1], row[2]): row[3] for row in got.itertuples()} == counted
