"""Is the boundary of grokking fractal? The shipped maps of ``grokking``, beside controls of known dimension.

Three things can look like a fractal boundary. A smooth one has dimension 1 at every zoom. Noise between neighbors has
no structure: zoomed, it fills the map, and its dimension rises to 2. A fractal keeps both, its dimension and some
structure. The shipped maps also repeat the widest one with all learning rates moved by little: if cells change sides
however short the distance, then no zoom ends the roughness.
"""

import math
from typing import TYPE_CHECKING, Final

import numpy as np

from miii import runs
from miii.landscape.dimension import CONTROLS, Dimension, control, dimension, edges, noisy_line, smoothed, structure
from miii.landscape.files import FOLDER, read, sequence
from miii.landscape.tiles import Tile
from miii.landscape.view import GROKKING

if TYPE_CHECKING:
    import pandas as pd

#: Sequences of shipped maps, and what each shows.
SEQUENCES: Final = {
    GROKKING: "busiest part",
    f"{GROKKING}-random": "random part of the boundary",
    f"{GROKKING}-seed": "whole map, other seed",
}
SMOOTH, NOISE = 1.1, 1.98  #: dimension up to which a zoomed map is smooth, and from which on it is noise
NUDGED: Final = f"{GROKKING}-nudged"


def maps() -> list[tuple[str, Tile]]:
    """Return the shipped maps with what each shows."""
    found = [(what, tile) for name, what in SEQUENCES.items() for tile in sequence(name)]
    return [("whole map" if what == SEQUENCES[GROKKING] and zoom(tile) == 1 else what, tile) for what, tile in found]


def zoom(tile: Tile) -> float:
    """Return how many times narrower a map is than the widest."""
    return tile.view.zoom


def table() -> "pd.DataFrame":
    """Return one row per shipped map, then the controls at the same resolution.

    Columns: map, seed, zoom, cells per axis, share that groks, dimension with its interval, structure (``structure``),
    and the dimension of the same map once smoothed. A noisy line has a row for each zoom.
    """
    import pandas as pd

    found = maps()
    rows = [_row(what, tile.view.seed, zoom(tile), tile.measures) for what, tile in found]
    if not found:
        return pd.DataFrame()
    size = found[0][1].resolution
    for factor in sorted({round(zoom(tile)) for _, tile in found}):
        rows.append(_row("control: noisy line", None, factor, noisy_line(size, factor)))
    rows += [_row(f"control: {name}", None, None, control(name, size)) for name in CONTROLS]
    return pd.DataFrame(rows)


def _row(what: str, seed: int | None, factor: float | None, measures: np.ndarray) -> dict[str, object]:
    found, even = dimension([measures]), dimension([smoothed(measures)])
    return {
        "map": what,
        "seed": seed,
        "zoom": factor,
        "cells": len(measures),
        "groks": float((measures < 0).mean()),
        "dimension": found.value,
        "low": found.low,
        "high": found.high,
        "structure": structure(measures),
        "smoothed": even.value,
    }


def dimensions() -> dict[str, Dimension]:
    """Return the dimension at each zoom, over all seeds of the widest map, and over all zooms."""
    found = maps()
    return {
        "whole map, all seeds": dimension([tile.measures for _, tile in found if zoom(tile) == 1]),
        **{f"{what}, {round(zoom(tile))}x": dimension([tile.measures]) for what, tile in found if zoom(tile) > 1},
        "all maps": dimension([tile.measures for _, tile in found]),
    }


def moved() -> "pd.DataFrame":
    """Return how many cells of the widest map change sides if all learning rates are moved.

    Columns: the distance as log10 of the learning rate, the share of all cells that change, and that of the cells at
    the boundary. The largest distance is that of the next cell. Near a boundary of dimension D, the share shrinks as
    the distance to the power 2 - D. Source: McDonald, Grebogi, Ott and Yorke 1985, *Fractal basin boundaries*.
    """
    import pandas as pd

    first = sequence(GROKKING)[:1]
    rows = [_moved(each.measures[:, :-1], each.measures[:, 1:], _spacing(each)) for each in first]
    for place in sorted((runs.homes()[1] / FOLDER).glob(f"{NUDGED}-[0-9]")):
        tile, base = read(place), first[0]
        size = min(tile.resolution, base.resolution)  # the points of a coarser map are among those of a finer one
        ours, theirs = (each.measures[:: each.resolution // size, :: each.resolution // size] for each in (base, tile))
        rows.append(_moved(ours, theirs, tile.view.x_low - base.view.x_low))
    return pd.DataFrame(rows, columns=["distance", "all", "boundary"]).sort_values("distance", ignore_index=True)


def _moved(ours: np.ndarray, theirs: np.ndarray, distance: float) -> dict[str, float]:
    changed = (ours < 0) != (theirs < 0)
    return {"distance": distance, "all": changed.mean(), "boundary": changed[_near(edges(ours))].mean()}


def _spacing(tile: Tile) -> float:
    return (tile.view.x_high - tile.view.x_low) / tile.resolution


def _near(boundary: np.ndarray) -> np.ndarray:
    """Return the cells at the corners of the boundary."""
    wide = np.pad(boundary, 1)
    return np.asarray(wide[1:, 1:] | wide[:-1, 1:] | wide[1:, :-1] | wide[:-1, :-1])


def exponent(found: "pd.DataFrame") -> float | None:
    """Return the dimension by the shares that change: 2 minus the slope of their logs; None without two shares."""
    rows = found[found["all"] > 0]
    if len(rows) < 2:
        return None
    slope = np.polyfit(np.log(rows["distance"]), np.log(rows["all"]), 1)[0]
    return float(2 - slope) if math.isfinite(slope) else None


def answer(found: "pd.DataFrame", nudged: "pd.DataFrame") -> str:
    """Return the answer in words, from ``table`` and ``moved``."""
    found = found[found["cells"] == found["cells"].max()]
    zoomed = found[found["map"].isin(SEQUENCES.values()) & (found["zoom"] > 1)]
    whole = found[found["seed"].notna() & (found["zoom"] == 1)]
    slope = exponent(nudged)
    if zoomed.empty or slope is None:
        return "The shipped maps are missing."
    busiest = zoomed[zoomed["map"] == SEQUENCES[GROKKING]].sort_values("zoom")
    deepest, first, least = busiest.iloc[-1], busiest.iloc[0], nudged.iloc[0]
    noise = found[(found["map"] == "control: noisy line") & (found["zoom"] == round(deepest["zoom"]))].iloc[0]
    if deepest["dimension"] <= SMOOTH:
        verdict = "**Not as far as these maps show: zoomed, it is smooth.**"
    elif slope > NOISE:
        verdict = "**It is rough, but as noise is: cells change sides however little their learning rate moves.**"
    else:
        verdict = "**In part: its busiest part looks fractal, with a dimension close to 2; elsewhere it is smoother.**"
    random = zoomed[zoomed["map"] != SEQUENCES[GROKKING]]
    sampled = f" Around a random cell of the boundary it is {_range(random['dimension'])}." if len(random) else ""
    next_, power = nudged.iloc[-1], f"{least['distance']:.0e}".replace("e-0", "e-")
    return (
        f"{verdict} The dimension of the whole map is {_range(whole['dimension'])} over {len(whole)} seeds. In its "
        f"busiest part, zoomed {first['zoom']:.0f} to {deepest['zoom']:.0f} times, it is "
        f"{_range(busiest['dimension'])}.{sampled}\n\n"
        "**Structure** is 0 if neighboring cells agree only by chance, as in noise, and 1 if they always agree. These "
        f"zooms have {_range(busiest['structure'])}; a noisy line at the deepest zoom has {noise['structure']:.2f}.\n\n"
        f"**Distance.** {next_['all']:.1%} of cells differ from the next one, {next_['distance']:.2g} away in log10 of "
        f"the learning rate; moved by {power}, {least['all']:.1%} change sides. Noise would change as many at any "
        f"distance; this is a power law with dimension {slope:.2f}."
    )


def _range(values: "pd.Series") -> str:
    low, high = values.min(), values.max()
    return f"{low:.2f}" if round(low, 2) == round(high, 2) else f"{low:.2f} to {high:.2f}"
