"""Compute a map from coarse to fine, and only where it is not yet clear."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float

from miii.landscape import grokking, training
from miii.landscape.view import GROKKING, Points, View, levels, problem

REACH: Final = 1  #: cells around a cell with the boundary that are refined as well


@dataclass(frozen=True)
class Tile:
    """A map at one resolution, as far as it is computed.

    Attributes:
        measures: by row (y, upward) and column (x); negative where the network converged. The network of a cell lies
            at the cell's lowest x and y.
        trained: which cells were trained; the others have the value of the coarser cell around them.
        done, total: networks of this resolution trained, and to train.
        seconds: wall-clock time of this computation so far; left: what the rest of this resolution may take.
    """

    view: View
    measures: Float[np.ndarray, "row column"]
    trained: Bool[np.ndarray, "row column"]
    done: int
    total: int
    seconds: float
    left: float | None = None

    @property
    def resolution(self) -> int:
        """Cells per axis."""
        return len(self.measures)

    @property
    def finished(self) -> bool:
        """Whether this resolution is complete."""
        return self.done == self.total

    @property
    def last(self) -> bool:
        """Whether the whole map is complete."""
        return self.finished and self.resolution == self.view.resolution


def compute(
    view: View,
    *,
    threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
    start: Tile | None = None,
    every_cell: bool = False,
) -> Iterator[Tile]:
    """Compute a map at 16 x 16 cells, then at each doubled resolution; yield it as it grows.

    A cell is refined if its corners, or those of a neighbor, differ in sign. So an island of divergence that lies
    between the points of all coarser maps is missed.

    Args:
        stop: asked between chunks; the last tile is then incomplete.
        start: a complete tile of this view to go on from.
        every_cell: train every cell, as is always done for ``grokking``, whose boundary has many islands.
    """
    (program, size_of_chunk), begun = _program(view), time.monotonic()
    before = start
    for size in levels(view.resolution):
        if start is not None and size <= start.resolution:
            continue
        if before is None:
            measures, trained = np.full((size, size), np.nan), np.zeros((size, size), bool)
            wanted = ~trained
        else:
            measures, trained = _doubled(before.measures), np.zeros((size, size), bool)
            trained[::2, ::2] = before.trained
            wanted = (
                ~trained
                if every_cell or view.condition == GROKKING
                else np.kron(_unclear(before.measures), np.ones((2, 2), bool)) & ~trained
            )
        rows, columns = np.nonzero(wanted)
        points = view.at(rows, columns, size)
        done, level_begun = 0, time.monotonic()
        for place, found in _in_chunks(program, size_of_chunk, points, threads, stop):
            measures[rows[place], columns[place]] = found
            trained[rows[place], columns[place]] = True
            done += len(found)
            now = time.monotonic()
            left = (now - level_begun) / done * (len(rows) - done)
            before = Tile(view, measures.copy(), trained.copy(), done, len(rows), now - begun, left)
            yield before
        if done < len(rows):
            return
        if not len(rows):
            before = Tile(view, measures, trained, 0, 0, time.monotonic() - begun, 0.0)
            yield before


Program = Callable[[Points], Float[np.ndarray, " point"]]


def _program(view: View) -> tuple[Program, int]:
    """Return the function that measures points of a view, and how many it takes at a time."""
    if view.condition == GROKKING:
        return partial(grokking.measure, view), grokking.CHUNK
    shared = problem(view)
    size = training.CHUNK // (view.width * len(shared.targets))
    return partial(training.measure, view, shared), min(1024, max(32, size))


def _in_chunks(
    program: Program, size: int, points: Points, threads: int, stop: Callable[[], bool]
) -> Iterator[tuple[slice, Float[np.ndarray, " point"]]]:
    """Measure points chunk by chunk in threads; yield each chunk's place and its measures as it ends.

    Args:
        stop: asked before each chunk; those that train are finished.
    """
    places = [slice(i, min(i + size, len(points.x))) for i in range(0, len(points.x), size)]
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_flush_denormal, initargs=(True,)) as pool:
            waiting = iter(places)
            running: dict[Future, slice] = {}
            while True:
                while len(running) < threads and not stop() and (place := next(waiting, None)) is not None:
                    part = Points(points.x[place], points.y[place])
                    running[pool.submit(program, part)] = place
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
    finally:
        torch.set_num_threads(before)


def _doubled(measures: Float[np.ndarray, "row column"]) -> Float[np.ndarray, "double double"]:
    return measures.repeat(2, 0).repeat(2, 1)


def _unclear(measures: Float[np.ndarray, "row column"]) -> Bool[np.ndarray, "row column"]:
    """Return the cells whose corners differ in sign, and their neighbors."""
    size = len(measures)
    # the last row and column have no far corner
    signs = np.pad(measures < 0, (0, 1), mode="edge")
    corners = [signs[i : i + size, j : j + size] for i in (0, 1) for j in (0, 1)]
    found = np.any([corner != corners[0] for corner in corners[1:]], axis=0)
    wide = np.pad(found, REACH)
    shifts = range(2 * REACH + 1)
    return np.any([wide[i : i + size, j : j + size] for i in shifts for j in shifts], axis=0)
