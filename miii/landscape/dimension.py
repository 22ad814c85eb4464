"""The dimension of a boundary by counting boxes, with an interval, and curves of known dimension as controls."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float
from PIL import Image, ImageDraw

from miii.errors import InputError

DRAWS: Final = 2000  #: bootstrap samples
FEWEST: Final = 8  #: boxes from which on a count is used


@dataclass(frozen=True)
class Dimension:
    """An estimate of the box-counting dimension.

    Attributes:
        value: median of the local slopes of all maps; None if no map has enough boundary.
        low, high: 95% interval: slopes drawn again with replacement.
        slopes: log2 of the ratio of counts at one box size and the next larger one.
        sizes, counts: of the last map: edge of a box in cells, and number of boxes that the boundary meets.
    """

    value: float | None
    low: float | None
    high: float | None
    slopes: tuple[float, ...]
    sizes: tuple[int, ...]
    counts: tuple[int, ...]


def edges(measures: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row_1 column_1"]:
    """Return where the sign changes within 2 x 2 neighbors. Source: Sohl-Dickstein 2024, section 3.3."""
    signs = measures < 0
    corners = np.stack([signs[1:, 1:], signs[:-1, 1:], signs[1:, :-1], signs[:-1, :-1]])
    return np.asarray(corners.any(0) & ~corners.all(0))


def box_counts(boundary: Bool[np.ndarray, "row column"]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return box sizes 1, 2, 4, ... up to a quarter of the map, and how many boxes of each meet the boundary."""
    size = 2 ** math.ceil(math.log2(max(boundary.shape)))
    padded = np.zeros((size, size), bool)
    padded[: boundary.shape[0], : boundary.shape[1]] = boundary
    sizes = [2**k for k in range(max(1, int(math.log2(size)) - 1))]
    counts = [padded.reshape(size // s, s, size // s, s).any((1, 3)).sum() for s in sizes]
    return tuple(sizes), tuple(int(count) for count in counts)


def dimension(maps: Sequence[Float[np.ndarray, "_ _"]]) -> Dimension:
    """Estimate the dimension of the boundary in one map or in several zooms.

    The median over local slopes of all maps is the paper's estimator; the interval is ours. Box sizes with fewer than
    ``FEWEST`` boxes are left out, since there the slope is decided by where the map is cut.

    Raises:
        InputError: there is no map.
    """
    if not len(maps):
        raise InputError("maps must have at least one map (got none).")
    slopes: list[float] = []
    sizes: tuple[int, ...] = ()
    counts: tuple[int, ...] = ()
    for measures in maps:
        sizes, counts = box_counts(edges(measures))
        slopes += [math.log2(fine / coarse) for fine, coarse in itertools.pairwise(counts) if coarse >= FEWEST]
    if not slopes:
        return Dimension(None, None, None, (), sizes, counts)
    draws = np.random.default_rng(0).choice(slopes, (DRAWS, len(slopes)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return Dimension(float(np.median(slopes)), float(low), float(high), tuple(slopes), sizes, counts)


def structure(measures: Float[np.ndarray, "row column"]) -> float | None:
    """Return how far cells beside each other lie in the same phase: 0 as by chance, 1 always; None for one phase.

    By chance, two cells agree with probability s^2 + (1 - s)^2, where s is the share of a phase. Noise has 0 at every
    zoom; a smooth curve approaches 1 with the resolution.
    """
    signs = measures < 0
    share = signs.mean()
    if share in (0, 1):
        return None
    pairs = [signs[1:] == signs[:-1], signs[:, 1:] == signs[:, :-1]]
    agree, chance = np.concatenate([each.ravel() for each in pairs]).mean(), share**2 + (1 - share) ** 2
    return float((agree - chance) / (1 - chance))


def smoothed(measures: Float[np.ndarray, "row column"], reach: int = 2) -> Float[np.ndarray, "row column"]:
    """Return a control without fine structure: the phase of most cells within ``reach`` rows and columns."""
    signs = np.where(measures < 0, -1.0, 1.0)
    wide = np.pad(signs, reach, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(wide, (2 * reach + 1, 2 * reach + 1))
    return np.asarray(windows.mean((2, 3)))


def noisy_line(resolution: int, factor: float = 1.0, width: float = 0.05) -> Float[np.ndarray, "row column"]:
    """Return a control whose apparent dimension is noise: a line with a coin toss in each cell close to it.

    Args:
        factor: how far the map is zoomed into the line. Noise stays as it is, so the band fills a zoomed map.
        width: standard deviation of the noise, as a share of the map without zoom.
    """
    rows, columns = np.mgrid[:resolution, :resolution] / resolution - 0.5
    distance = (rows - columns / math.sqrt(3)) / factor
    noise = np.random.default_rng(0).normal(0, width, (resolution, resolution))
    return np.where(distance + noise < 0, -1.0, 1.0)


#: Controls by name, with the dimension of their boundary.
CONTROLS: Final = {"line": 1.0, "circle": 1.0, "Koch curve": math.log(4) / math.log(3), "noise": 2.0}


def control(name: str, resolution: int) -> Float[np.ndarray, "row column"]:
    """Return a map that is -1 on one side of a curve of known dimension and 1 on the other.

    Args:
        name: one of ``CONTROLS``; ``noise`` is a coin toss in every cell.

    Raises:
        InputError: there is no such control.
    """
    rows, columns = np.mgrid[:resolution, :resolution] / resolution
    if name == "line":
        inside = rows < 0.1 + columns / math.sqrt(3)
    elif name == "circle":
        inside = (rows - 0.5) ** 2 + (columns - 0.5) ** 2 < 0.4**2
    elif name == "Koch curve":
        image = Image.new("1", (resolution, resolution))
        corners = [complex(0.5, 0.5) + 0.45j * np.exp(2j * np.pi * k / 3) for k in (0, 2, 1)]
        depth = math.ceil(math.log(resolution, 3)) + 1
        curve = np.concatenate([_koch(corners[k], corners[(k + 1) % 3], depth) for k in range(3)]) * resolution
        ImageDraw.Draw(image).polygon(list(zip(curve.real.tolist(), curve.imag.tolist(), strict=True)), fill=1)
        inside = np.asarray(image)
    elif name == "noise":
        inside = np.random.default_rng(0).random((resolution, resolution)) < 0.5
    else:
        raise InputError(f"name must be one of {', '.join(CONTROLS)} (got {name!r}).")
    return np.where(inside, -1.0, 1.0)


def _koch(start: complex, end: complex, depth: int) -> np.ndarray:
    points = np.array([start, end])
    for _ in range(depth):
        a, b = points[:-1], points[1:]
        third = (b - a) / 3
        parts = np.stack([a, a + third, a + third * (1 + np.exp(-1j * np.pi / 3)), b - third], axis=1)
        points = np.append(parts.ravel(), b[-1])
    return points[:-1]
