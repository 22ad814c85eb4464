"""Shared by the paper's chapters: shipped runs, tables and links."""

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
    """Return whether these shipped runs are present; otherwise say which is missing."""
    missing = [name for name in names if not (runs.homes()[1] / name / "config.json").exists()]
    if missing:
        write.info(f"{', '.join(missing)} is missing from the shipped runs.")
    return not missing


def report(name: str) -> dict[str, Any]:
    """Return the report of a shipped run."""
    found = runs.shipped(name).report
    assert found is not None, name
    return found


def reports_of_seeds(fresh: bool | None = None) -> dict[str, dict[str, Any]]:
    """Return the reports of the networks on primes, by seed.

    Args:
        fresh: True for seeds that did not choose the recipe, False for those that did, None for all.
    """
    kept = {seed: name for seed, name in enumerate(SEEDS) if fresh in (None, seed >= TUNED)}
    return {f"seed {seed}": report(name) for seed, name in kept.items()}


def stamp(name: str) -> float:
    """Return the stamp of a shipped run."""
    return stamp_of(runs.shipped(name))


def link(page: str, label: str, **query: str) -> None:
    """Show a link to a page of the app."""
    asked: dict[str, Any] = {"step": None, **query}
    links.to(page, label, **asked)


def link_details(page: str, **query: str) -> None:
    """Show a link to the page that analyzes what was just shown."""
    link(page, f"Look inside: {page.capitalize()}", **query)


def table(frame: pd.DataFrame, name: str, form: str = "%.3f", **said: str) -> None:
    """Show a table with one number format and a CSV download.

    Args:
        said: help texts, by column.
    """
    numeric = frame.select_dtypes("number").columns
    tiny = {str(c): frame[c].mask(frame[c].between(-5e-4, 5e-7), 0.0) for c in frame.select_dtypes("float").columns}
    frame = frame.assign(**tiny)  # no −0
    columns = {
        column: st.column_config.NumberColumn(format=form, help=said.get(column))
        if column in numeric
        else st.column_config.TextColumn(help=said.get(column))
        for column in map(str, frame.columns)
    }
    write.table(frame, name, column_config=columns)


def short_table(frame: pd.DataFrame, name: str, says: str = "The numbers of this table", **options: Any) -> None:
    """Show a short table with a CSV download; a named index becomes its first column."""
    whole = frame.reset_index() if frame.index.name else frame
    write.record(Table(whole, prose=True))
    st.table(frame, border="horizontal", **options)
    csv(lambda: whole, name, says)
