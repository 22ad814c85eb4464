"""What the chapters of the paper share: the runs that came with miii, tables, and the way to where they are taken apart."""

from typing import Any

import pandas as pd
import streamlit as st

from miii import runs
from miii.notebook.cells import Table
from pages._kit import links, write
from pages._kit.cell import stamp_of
from pages._kit.downloads import csv

#: The networks on primes. Seeds 0 to 4 chose the recipe; seeds 5 to 9 were run once, after it was chosen.
SEEDS = ("primes-10", *(f"seeds/primes-10-seed{seed}" for seed in range(1, 10)))
TUNED = 5  #: the seeds below this chose the recipe


def available(*names: str) -> bool:
    """Whether these runs came with miii; says so where one did not."""
    missing = [name for name in names if not (runs.homes()[1] / name / "config.json").exists()]
    if missing:
        write.info(f"{', '.join(missing)}, which came with miii, is not here.")
    return not missing


def report(name: str) -> dict[str, Any]:
    """What was measured of a run that came with miii."""
    found = runs.shipped(name).report
    assert found is not None, name
    return found


def reports_of_seeds(fresh: bool | None = None) -> dict[str, dict[str, Any]]:
    """The reports of the networks on primes that differ in their seed alone, by a short name.

    Args:
        fresh: only those that did not choose the recipe, or only those that did.
    """
    kept = {seed: name for seed, name in enumerate(SEEDS) if fresh in (None, seed >= TUNED)}
    return {f"seed {seed}": report(name) for seed, name in kept.items()}


def stamp(name: str) -> float:
    """Changes with the files of a run that came with miii."""
    return stamp_of(runs.shipped(name))


def link(page: str, label: str, **query: str) -> None:
    """A way to a page of the app, with what it shall show."""
    links.to(page, label, ":material/arrow_forward:", **{"step": None, **query})


def link_details(page: str, **query: str) -> None:
    """The way to the page where what was just shown can be taken apart."""
    link(page, f"Take it apart: {page.capitalize()}", **query)


def table(frame: pd.DataFrame, name: str, form: str = "%.3f", **said: str) -> None:
    """A table whose numbers are written alike, with its numbers to take away.

    Args:
        said: what a column holds, by its name, for those who ask.
    """
    numeric = frame.select_dtypes("number").columns
    columns = {
        column: st.column_config.NumberColumn(format=form, help=said.get(column))
        if column in numeric
        else st.column_config.TextColumn(help=said.get(column))
        for column in map(str, frame.columns)
    }
    write.table(frame, name, column_config=columns)


def short_table(frame: pd.DataFrame, name: str, says: str = "The numbers of this table", **options: Any) -> None:
    """A short table that is read like text, and can be taken away; an index with a name is its first column."""
    whole = frame.reset_index() if frame.index.name else frame
    write.record(Table(whole))
    st.table(frame, border="horizontal", **options)
    csv(lambda: whole, name, says)
