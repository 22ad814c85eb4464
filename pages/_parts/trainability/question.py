"""The project's own question, from the shipped maps: is the boundary of grokking fractal?"""

from typing import TYPE_CHECKING

import streamlit as st

import miii
from miii import plots
from miii.plots.style import Chart
from pages._kit import write
from pages._kit.cell import cell, shared

if TYPE_CHECKING:
    import pandas as pd


@shared
def boundaries(version: str) -> "pd.DataFrame":
    return miii.landscape.question.table()


@shared
def moved(version: str) -> "pd.DataFrame":
    return miii.landscape.question.moved()


def zooms(version: str) -> tuple[Chart, ...]:
    return tuple(plots.trainability_map(tile) for tile in miii.landscape.sequence("grokking"))


def roughness(version: str) -> tuple[Chart, ...]:
    table = boundaries(version)
    return plots.trainability_zooms(table, "dimension"), plots.trainability_zooms(table, "structure")


def show() -> None:
    """Show the question, its answer, and what it rests on."""
    write.header("Is the boundary of grokking fractal?", anchor="grokking")
    maps = miii.landscape.question.maps()
    if not maps:
        write.info("The shipped maps are missing.")
        return
    version, own = f"{len(maps)}-{maps[0][1].resolution}", miii.landscape.grokking
    table, nudged = boundaries(version), moved(version)
    write.text(miii.landscape.question.answer(table, nudged))
    write.text(
        f"Each cell learns addition modulo {own.P} from {own.SHARE:.0%} of the pairs, with its own learning rate and weight decay but the same "
        f"split and initial weights. It groks if test accuracy reaches 99% within {maps[0][1].view.steps} steps. To explore, choose *{write.escaped('Modular addition: does it grok?')}* above."
    )
    cell(
        zooms,
        version=version,
        caption="Zooms into the busiest part. Darker blue: groks sooner; darker orange: lower test accuracy.",
    )
    cell(
        roughness,
        version=version,
        caption="Control: inside its band, a noisy line reaches dimension 2 and loses structure.",
    )
    write.table(table.round(3), name="grokking-boundary")
    if len(nudged):
        write.text(
            "If all learning rates move by a *distance* (log10), the share of cells that change sides falls as the distance to the power 2 − D, for a "
            "boundary of dimension D ([McDonald et al. 1985](https://doi.org/10.1016/0167-2789(85)90001-6)). Last row: neighboring cells."
        )
        form = {"distance": st.column_config.NumberColumn(format="%.2g")}
        write.table(nudged, name="grokking-moved", width="content", column_config=form)
