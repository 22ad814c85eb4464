"""Trainability: where two hyperparameters train a network, and the dimension of the boundary."""

from typing import Any

import pandas as pd
import streamlit as st

import miii
from miii import landscape, plots
from miii.errors import InputError, quoted
from miii.plots import trainability as drawn
from miii.plots.style import Chart
from pages._kit import address, startup, write
from pages._kit.cell import cell, shared
from pages._parts.trainability import controls, film, question
from pages._server import mapping

startup.run_app_first()

CAPTION = "Darker: faster, by rank. Drag to zoom; click for its loss. Only cells near the boundary are trained."
OWN_CAPTION = (
    "Darker blue: groks sooner, by rank; darker orange: lower test accuracy. Drag to zoom, click for a cell's curves."
)
POLL = 1.0  # seconds between looks at a map that is computed


def map_of(saved: str) -> Chart:
    return plots.trainability_map(miii.landscape.open(saved))


def learning_at(units: int, steps: int, seed: int, x: float, y: float) -> Chart:
    view = miii.landscape.View(condition="grokking", width=units, steps=steps, seed=seed)
    return plots.accuracy(miii.landscape.grokking.curves(view, x, y))


def loss_at(condition: str, units: int, steps: int, seed: int, x: float, y: float) -> Chart:
    view = miii.landscape.View(condition=condition, width=units, steps=steps, seed=seed)
    return plots.trainability_loss(miii.landscape.losses(view, x, y))


def dimension_here(saved: str, title: str) -> Chart:
    tile, known = miii.landscape.open(saved), miii.landscape.CONTROLS
    found = {title: miii.landscape.dimension([tile.measures])}
    for name in known:
        found[name] = miii.landscape.dimension([miii.landscape.control(name, tile.resolution)])
    return plots.trainability_dimensions(found, known)


@shared
def estimates(version: int) -> "dict[str, miii.landscape.Dimension]":
    conditions = miii.landscape.CONDITIONS
    maps = {name: miii.landscape.sequence(name) for name in (*conditions, "tanh-random")}
    return {name: miii.landscape.dimension([tile.measures for tile in each]) for name, each in maps.items() if each}


def dimensions(version: int) -> Chart:
    conditions, found = miii.landscape.CONDITIONS, estimates(version)
    named = {conditions[name].title: each for name, each in found.items() if name in conditions}
    paper = {each.title: each.dimension for each in conditions.values() if each.dimension is not None}
    return plots.trainability_dimensions(named, paper)


def point(view: landscape.View) -> tuple[float, float]:
    """Show the input of a network and return it: what was clicked or typed, or the middle of the map.

    Raises:
        InputError: it is not two numbers.
    """
    text = st.text_input(
        "Network",
        key=controls.POINT,
        bind="query-params",
        max_chars=60,
        width=270,
        placeholder="middle of the map",
        help="Two numbers, as log10",
    )
    address.keep(controls.POINT)
    if not text:
        return (view.x_low + view.x_high) / 2, (view.y_low + view.y_high) / 2
    try:
        x, y = (float(word) for word in text.replace(",", " ").replace("−", "-").split())
        view.zoomed(x, x + 1, y, y + 1)
    except ValueError:
        raise InputError(f"point must be two numbers of -20 to 19, such as 1 2 (got {quoted(text)}).") from None
    return x, y


def figures(view: landscape.View, live: bool) -> None:
    """Everything about one map; called again and again while it is computed."""
    try:
        name = landscape.find(view)
        tile = None if name is None else landscape.open(name)
        controls.buttons(view, tile)
        left, right = st.columns([3, 2], gap="medium")
        with left:
            if name is None or tile is None:
                write.info("This map has not been computed yet.", icon="hourglass_empty")
            else:
                cell(
                    map_of,
                    saved=name,
                    stamp=(tile.resolution, tile.seconds),
                    caption=OWN_CAPTION if view.condition == landscape.GROKKING else CAPTION,
                    pick={drawn.BRUSH: controls.zoom, drawn.POINT: controls.pick},
                )
                film.show(view)
        with right:
            x, y = point(view)
            place = f"({x:.6g}, {y:.6g})".replace("-", "−")
            network: dict[str, Any] = {"units": view.width, "steps": view.steps, "seed": view.seed, "x": x, "y": y}
            if view.condition == landscape.GROKKING:
                cell(
                    learning_at,
                    **network,
                    caption=f"At {place}. Training stops at 99% test accuracy.",
                )
            else:
                cell(
                    loss_at,
                    condition=view.condition,
                    **network,
                    caption=f"At {place}. It converges if its last 20 losses average below the first (dashed).",
                )
            if name is not None and tile is not None:
                cell(
                    dimension_here,
                    saved=name,
                    title="this map",
                    stamp=(tile.resolution, tile.seconds),
                    caption="Orange: control curves of known dimension.",
                )
    except InputError as error:  # a fragment's errors do not reach app.py
        write.error(error)
    job = mapping.get(view)
    if live and (job is None or job.ended):
        st.rerun()


def table(found: dict[str, landscape.Dimension]) -> pd.DataFrame:
    rows = []
    for name, each in found.items():
        condition = landscape.CONDITIONS.get(name)
        maps = landscape.sequence(name)
        paper = None if condition is None else condition.dimension
        agrees = None
        if paper is not None and each.low is not None and each.high is not None:
            agrees = "yes" if each.low <= paper <= each.high else "no"
        rows.append(
            {
                "condition": "tanh, full batch, around random cells" if condition is None else condition.title,
                "paper": paper,
                "here": each.value,
                "from": each.low,
                "to": each.high,
                "maps": len(maps),
                "cells per axis": " to ".join(map(str, sorted({tile.resolution for tile in maps}))),
                "paper within interval": agrees,
            }
        )
    return pd.DataFrame(rows)


write.title("Trainability")
write.text(
    "[Sohl-Dickstein (2024)](https://arxiv.org/abs/2402.06184) found that the boundary of trainability is fractal: intricate at every "
    "zoom. Each point is a network with its own two learning rates, from one initialization; blue converges, orange diverges."
)
try:
    view = controls.choose()
except InputError as error:
    write.error(error)
    write.stop()
job = mapping.get(view)
if job is not None and not job.ended:
    st.fragment(figures, run_every=POLL)(view, True)
else:
    figures(view, False)

write.header("The six conditions of the paper", anchor="conditions")
shipped = [tile for name in landscape.CONDITIONS for tile in landscape.sequence(name)]
if not shipped:
    write.info("The shipped maps are missing.")
    write.stop()
version = sum(tile.resolution for tile in shipped)
found = estimates(version)
compared = table(found)
within = compared["paper within interval"].dropna()
write.text(
    f"The paper's dimension is within our interval for {(within == 'yes').sum()} of {len(within)} rows. A smooth boundary has dimension 1, a "
    "fractal one more. Our intervals are wide: the paper uses many more zooms, of 4,096 cells per axis. A zoom that misses the intricate part "
    "looks smooth, as in the last row."
)
cell(
    dimensions,
    version=version,
    caption="Blue: median of local box-counting slopes, 95% interval, one seed. Orange: the paper.",
)
write.table(
    compared,
    name="trainability-dimensions",
    column_config={name: st.column_config.NumberColumn(format="%.2f") for name in ("paper", "here", "from", "to")},
)
missing = [condition.title for name, condition in landscape.CONDITIONS.items() if name not in found]
if missing:
    write.text(f"No maps are shipped of {'; '.join(missing)}. Compute one above.")
write.text("The last condition has two rows: the paper offsets initial weights, its notebook those at every step.")
question.show()
