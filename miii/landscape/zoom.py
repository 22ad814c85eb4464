"""Where to zoom into a map: to its busiest part, or around a random cell of its boundary."""

import numpy as np

from miii.errors import InputError
from miii.landscape.dimension import edges
from miii.landscape.tiles import Tile
from miii.landscape.view import View


def busiest(tile: Tile, factor: int = 8) -> View:
    """Return the view of the part with the most boundary, as a reader looking for structure chooses it.

    Its dimension is an upper estimate: elsewhere the boundary may be smooth, see ``around_boundary``.

    Args:
        factor: how many times narrower the view is.

    Raises:
        InputError: the map has no boundary.
    """
    side = max(1, tile.resolution // factor)
    boundary = _boundary(tile)
    sums = np.pad(boundary.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    counts = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    row, column = np.unravel_index(counts.argmax(), counts.shape)
    return _around(tile, (float(row) + side / 2, float(column) + side / 2), factor)


def around_boundary(tile: Tile, factor: int = 8, seed: int = 0) -> View:
    """Return the view around a random cell of the boundary: a fair sample of it.

    Args:
        factor: how many times narrower the view is.

    Raises:
        InputError: the map has no boundary.
    """
    rows, columns = np.nonzero(_boundary(tile))
    chosen = np.random.default_rng(seed).integers(len(rows))
    return _around(tile, (float(rows[chosen]) + 0.5, float(columns[chosen]) + 0.5), factor)


def _boundary(tile: Tile) -> np.ndarray:
    found = edges(tile.measures)
    if not found.any():
        raise InputError("map must have a boundary to zoom into (got one phase).")
    return found


def _around(tile: Tile, cell: tuple[float, float], factor: int) -> View:
    """Return the view around a row and a column, moved to lie within the map."""
    view, bounds = tile.view, []
    for low, high, at in ((view.x_low, view.x_high, cell[1]), (view.y_low, view.y_high, cell[0])):
        half = (high - low) / factor / 2
        middle = min(max(low + (high - low) * at / tile.resolution, low + half), high - half)
        bounds += [middle - half, middle + half]
    return view.zoomed(*bounds)
