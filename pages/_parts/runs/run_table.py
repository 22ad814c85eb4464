"""The table of all runs: task, state, accuracy and origin."""

from datetime import datetime
from typing import Any

import pandas as pd
import streamlit as st

from miii import RunConfig, runs
from miii.errors import InputError
from miii.jobs import Job
from pages._server import rights, settings

UNREADABLE = "unreadable"  #: the state of a folder that cannot even be opened
STATES = {"queued": "queued", "running": "training", "pausing": "training", "stopping": "training"}


def table(waiting: list[Job], search: str) -> pd.DataFrame:
    """Return a row a run, in the order of the sidebar, and then the folders that cannot be opened.

    Only those whose name, task or origin have every word of ``search``.

    Args:
        waiting: the jobs that are not over.
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
    numbers = ["steps", "accuracy", "auc", "reached at", "MB"]
    frame[numbers] = frame[numbers].astype(float)
    frame["date"] = pd.to_datetime(frame["date"], utc=True)
    return frame


def _text(row: dict[str, Any]) -> str:
    return " ".join(str(row[name] or "") for name in ("run", "task", "state", "from")).casefold()


def _row(name: str, config: RunConfig, state: str, origin: str = "", **known: Any) -> dict[str, Any]:
    whose = "others" if settings.read().shared and rights.why_not(name) else origin or "yours"
    row = {
        "run": name,
        "task": config.task.description,
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
        known |= dict(zip(("accuracy", "of"), run.config.task.accuracy(last), strict=True)) if last else {}
        known |= {"reached": run.config.task.milestone} if told["grokked_at"] is not None else {}
        known |= {"auc": last.get("auc"), "date": _date(provenance.get("date"))}
        origin = origin or ("uploaded" if "uploaded" in provenance else "imported" if run.imported else "")
    except InputError as error:  # a corrupt run must not hide the others
        state, known["reason"] = "corrupt", str(error)
    return _row(run.name, run.config, state, origin, MB=runs.nbytes(run.folder) / 1e6, **known)


def _date(said: object) -> datetime | None:
    try:
        return datetime.fromisoformat(str(said))
    except ValueError:
        return None


def columns(table: pd.DataFrame) -> list[str]:
    """Return the columns to show: the reason only where there is one."""
    return [name for name in COLUMNS if name != "reason" or table["reason"].notna().any()]


COLUMNS: dict[str, Any] = {
    "run": st.column_config.TextColumn(pinned=True, help="The folder's name."),
    "task": st.column_config.TextColumn(width=240, help="The training task."),
    "state": st.column_config.TextColumn(
        help="Training, queued, done, stopped, unfinished, imported, corrupt or unreadable."
    ),
    "reason": st.column_config.TextColumn(help="Why a run cannot be read."),
    "from": st.column_config.TextColumn(
        help="Shipped runs are read-only; others were trained here, uploaded or imported."
    ),
    "steps": st.column_config.NumberColumn(format="localized", help="Last evaluated step."),
    "accuracy": st.column_config.NumberColumn(
        format="percent",
        help="Final, on what the next column names.",
    ),
    "of": st.column_config.TextColumn(
        help="Test examples, or all pairs if the split is unknown. For residues, the mean over moduli."
    ),
    "auc": st.column_config.NumberColumn("ROC AUC", format="%.3f", help="Final; primes against composites."),
    "reached": st.column_config.TextColumn(
        help="Whether it met its task's criterion: 99% test accuracy, or two AUCs for primes."
    ),
    "reached at": st.column_config.NumberColumn(format="localized", help="First step that met it."),
    "MB": st.column_config.NumberColumn(format="%.1f", help="Megabytes on disk."),
    "date": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm", help="Start of training, UTC."),
}
