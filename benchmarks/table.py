"""The result of a benchmark: rows of a Markdown table and the raw numbers."""

import datetime
import json
import math
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]  #: the repository, where every benchmark process starts


class Unavailable(Exception):
    """A benchmark cannot run on this machine; the message names what is missing."""


@dataclass(frozen=True)
class Row:
    """One line of the table. ``met`` is None without a goal."""

    what: str
    measured: str
    goal: str = ""
    met: bool | None = None


@dataclass(frozen=True)
class Result:
    """A benchmark's rows and its raw numbers."""

    rows: list[Row]
    raw: dict[str, Any] = field(default_factory=dict)


def at_most(what: str, value: float | None, goal: float, unit: str, note: str = "", digits: int = 2) -> Row:
    """Return a row with an upper bound as goal; None was never reached and misses it."""
    measured = "never" if value is None else f"{value:.{digits}f} {unit}".rstrip()
    return Row(what, measured + note, f"<= {goal:g} {unit}".rstrip(), value is not None and value <= goal)


def at_least(what: str, value: float, goal: float, unit: str, note: str = "", digits: int = 1) -> Row:
    """Return a row with a lower bound as goal."""
    return Row(what, f"{value:.{digits}f} {unit}".rstrip() + note, f">= {goal:g} {unit}".rstrip(), value >= goal)


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Return ``(min to max)`` of the values, to follow their median."""
    return f" ({min(values):.{digits}f} to {max(values):.{digits}f})"


def seeds_of(seeds: range) -> str:
    """Return a label such as ``seeds 0 to 9``."""
    return f"seeds {seeds[0]} to {seeds[-1]}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value at ``share`` of the sorted values: the nearest rank at or above, never interpolated."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def markdown(rows: Iterable[Row]) -> str:
    """Return the rows as one Markdown table."""
    marks = {True: "yes", False: "**no**", None: ""}
    lines = ["| what | measured | goal | met |", "|---|---|---|---|"]
    lines += [f"| {row.what} | {row.measured} | {row.goal} | {marks[row.met]} |" for row in rows]
    return "\n".join(lines)


def machine() -> dict[str, Any]:
    """Return processor, cores, torch's default threads, versions, load before the run, date in UTC."""
    import torch

    import miii
    from miii import hardware

    return {
        "processor": hardware.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "precision": str(hardware.precision()).removeprefix("torch."),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "miii": miii.__version__,
        "load": round(os.getloadavg()[0], 2),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def machine_row(facts: dict[str, Any]) -> Row:
    """Return the machine as the table's first row."""
    return Row(
        "machine",
        f"{facts['processor']}, {facts['cores']} cores, {facts['threads']} torch threads, "
        f"precision auto = {facts['precision']}, torch {facts['torch']}, Python {facts['python']}, "
        f"miii {facts['miii']}, {facts['date']}, load average before {facts['load']}",
    )


def log(text: str) -> None:
    """Print progress to stderr; stdout is for the table."""
    print(text, file=sys.stderr, flush=True)


def rounded(value: Any) -> Any:
    """Return a JSON value with its floats rounded to four digits."""
    if isinstance(value, dict):
        return {name: rounded(each) for name, each in value.items()}
    if isinstance(value, list):
        return [rounded(each) for each in value]
    return round(value, 4) if isinstance(value, float) else value


def write_lines(place: Path, found: Sequence[dict[str, Any]]) -> None:
    """Write measured runs, one JSON object a line, in place of the file."""
    from miii.runs.atomic import write_atomically

    text = "".join(json.dumps(each) + "\n" for each in found)
    write_atomically(place, lambda beside: beside.write_text(text))
