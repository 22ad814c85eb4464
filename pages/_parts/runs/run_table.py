"""The table of all runs: task, state, headline metric, what changed, and origin."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from miii import RunConfig, runs
from miii.analysis.compare import changed
from miii.errors import InputError
from miii.jobs import Job
from pages._server import rights, settings

UNREADABLE = "unreadable"  #: the state of a folder that cannot even be opened
STATES = {"queued": "queued", "running": "training", "pausing": "training", "stopping": "training"}


def table(waiting: list[Job], search: str, group: str = "") -> pd.DataFrame:
    """Return a row a run, in the order of the sidebar, and then the folders that cannot be opened.

    Only those whose name, task, changes or origin have every word of ``search``.

    Args:
        waiting: the jobs that are not over.
        group: a column; runs with the same value follow one another.
    """
    found = runs.every()
    busy = {job.name: job for job in waiting}
    on_disk = {run.name for run in found}
    rows = [_row(job.name, job.config, "queued") for job in reversed(waiting) if job.name not in on_disk]
    rows += [_read(run, busy.get(run.name)) for run in found]
    rows += [
        dict.fromkeys(COLUMNS) | {"run": name, "state": UNREADABLE, "reason": reason}
        for name, _, reason in runs.broken()
        if name not in busy
    ]
    asked = search.casefold().split()
    rows = [row for row in rows if all(word in _text(row) for word in asked)]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["steps", "reached at", "MB"]
    frame[numbers] = frame[numbers].astype(float)
    frame["date"] = pd.to_datetime(frame["date"], utc=True)
    return frame.sort_values(group, kind="stable", ignore_index=True) if group else frame


def _text(row: dict[str, Any]) -> str:
    return " ".join(str(row[name] or "") for name in ("run", "task", "changed", "state", "from")).casefold()


def _row(name: str, config: RunConfig, state: str, origin: str = "", **known: Any) -> dict[str, Any]:
    whose = "others" if settings.read().shared and rights.why_not(name) else origin or "yours"
    row = {
        "run": name,
        "task": config.task.description,
        "changed": changed(config) or "–",
        "state": state,
        "from": origin if origin == "shipped" else whose,
    }
    return dict.fromkeys(COLUMNS) | row | known


def _read(run: runs.Run, job: Job | None) -> dict[str, Any]:
    told = runs.row(run)
    known: dict[str, Any] = {"steps": told["steps"], "reached at": told["grokked_at"], "reason": told["reason"]}
    state = STATES.get(job.status, told["status"]) if job is not None else told["status"].replace("running", "training")
    origin = "shipped" if run.folder.parent == runs.homes()[1] else ""
    try:
        rows, provenance = run.rows(), run.provenance
        last = rows[-1] if rows else {}
        headline = run.config.task.headline(last)
        known |= {"result": f"{headline.text:>6}", "metric": headline.name} if last else {}
        known |= {"reached": run.config.task.milestone} if told["grokked_at"] is not None else {}
        known |= {"date": _date(provenance.get("date"))}
        origin = origin or ("uploaded" if "uploaded" in provenance else "imported" if run.imported else "")
    except InputError as error:  # a corrupt run must not hide the others
        state, known["reason"] = "corrupt", str(error)
    return _row(run.name, run.config, state, origin, MB=runs.nbytes(run.folder) / 1e6, **known)


def _date(said: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(said))
    except ValueError:
        return None


def columns(table: pd.DataFrame, group: str = "") -> list[str]:
    """Return the columns to show: that of the groups second, and the reason only where there is one."""
    shown = [name for name in COLUMNS if name != "reason" or table["reason"].notna().any()]
    return sorted(shown, key=lambda name: (name != "run", name != group)) if group else shown


def packed(name: str, resumable: bool) -> bytes:
    """Return the run as a zip file."""
    return runs.pack(runs.open(name), resumable)


def has_state(name: str) -> bool:
    """Return whether a download of the run can be resumed."""
    try:
        run = runs.open(name)
        return run.has_state and run.can_resume
    except InputError:
        return False


COLUMNS: dict[str, Any] = {
    "run": st.column_config.TextColumn(pinned=True),
    "task": st.column_config.TextColumn(width=210),
    "changed": st.column_config.TextColumn(width=210, help="Against the task's recipe"),
    "result": st.column_config.TextColumn(help="At the last evaluation"),
    "metric": st.column_config.TextColumn(help="What the result measures"),
    "state": st.column_config.TextColumn(),
    "reason": st.column_config.TextColumn(),
    "from": st.column_config.TextColumn(help="Shipped runs are read-only"),
    "steps": st.column_config.NumberColumn(format="localized", help="Last evaluated step"),
    "reached": st.column_config.TextColumn(help="Usually 99% test accuracy"),
    "reached at": st.column_config.NumberColumn(format="localized", help="First step that met it"),
    "MB": st.column_config.NumberColumn(format="%.1f"),
    "date": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", help="Start of training, UTC"),
}
