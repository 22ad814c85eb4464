"""The commands that train many runs: ``sweep`` and ``work``."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from pathlib import Path
from typing import Annotated, Any

import joblib
import tyro
from rich.console import Console
from rich.live import Live
from rich.text import Text

from miii import sweeps
from miii.cli.printing import Json, defaulted, duration
from miii.cli.training import Recipe, Yes, check_cost, chosen_config, option_fields, stop_on_signal
from miii.errors import InputError, quoted
from miii.sweeps import MOST, claims
from miii.tasks import TASKS

Task = Annotated[tyro.conf.Positional[str | None], defaulted("task to learn", "{" + ",".join(TASKS) + "}")]
Out = Annotated[Path | None, defaulted("folder of the sweep, with one run per setting", "DIR")]
Seeds = Annotated[int, tyro.conf.arg(help="number of seeds, from 0")]
Grid = Annotated[tuple[str, ...], tyro.conf.arg(help="settings such as lr=0.01,0.02 weight_decay=1,2")]
Count = Annotated[int, tyro.conf.arg(help="processes that train at a time; each has its share of the cores")]
Dask = Annotated[str | None, defaulted("train on a dask cluster, such as tcp://host:8786", "ADDRESS")]
Table = Annotated[Path | None, defaulted("print the table of a sweep and train nothing", "DIR")]
Place = Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="folder of the sweep")]

Sweep: Any = make_dataclass(
    "Sweep",
    [
        ("task", Task, None),
        ("recipe", Recipe, "fast"),
        ("out", Out, None),
        ("seeds", Seeds, 1),
        ("grid", Grid, ()),
        ("jobs", Count, 1),
        ("dask", Dask, None),
        ("table", Table, None),
        ("json", Json, False),
        ("yes", Yes, False),
        *[item for item in option_fields() if item[0] != "seed"],
    ],
    frozen=True,
    kw_only=True,
)
Sweep.__doc__ = "Train a grid of settings and seeds; skip finished runs."


@dataclass(frozen=True)
class Work:
    """Train runs of a sweep that no other process trains.

    Start it any number of times, on any number of machines that share a disk.
    """

    folder: Place
    json: Json = False


def run_sweep(args: Any) -> int:
    """Train the grid and print one row per run: return 0 on success, 130 when stopped by Ctrl-C.

    Raises:
        InputError: an option or a setting of the grid is invalid.
    """
    if args.table is not None:
        print_table(sweeps.open(args.table), args.json)
        return 0
    for name in ("task", "out"):
        if getattr(args, name) is None:
            raise InputError(f"{name} is required to train a sweep; to print one, pass --table DIR.")
    choices = sweeps.choices(args.grid)
    if not 1 <= args.seeds <= MOST:
        raise InputError(f"seeds must be at least 1 and at most {MOST:,} (got {quoted(args.seeds)}).")
    cores = joblib.cpu_count()
    if not 1 <= args.jobs <= cores:
        raise InputError(f"jobs must be at least 1 and at most {cores}, the cores here (got {quoted(args.jobs)}).")
    config = chosen_config(args)
    count, needs = sweeps.estimate(config, choices | {"seed": range(args.seeds)})
    check_cost(count, needs, args.yes, args.jobs)
    sweep = sweeps.create(args.out, config, choices, args.seeds, threads=max(1, cores // args.jobs))
    with stop_on_signal() as stopped, _line(sweep, args.jobs) as changed:
        sweeps.train(sweep, args.jobs, args.dask, lambda: bool(stopped), changed)
    print_table(sweep, args.json)
    return 130 if stopped else 0


def run_work(args: Work) -> int:
    """Train what no other process trains; exit codes as in ``run_sweep``.

    Raises:
        InputError: the folder is not a sweep's.
    """
    sweep = sweeps.open(args.folder)
    with stop_on_signal() as stopped, _line(sweep, 1) as changed:
        sweeps.work(sweep, lambda: bool(stopped), changed)
    print_table(sweep, args.json)
    return 130 if stopped else 0


def print_table(sweep: sweeps.Sweep, as_json: bool) -> None:
    """Print a sweep's table: the columns that have values, then the reasons of failures."""
    rows = sweep.rows()
    if as_json:
        print(json.dumps(rows))
        return
    import pandas as pd

    table = pd.DataFrame(rows, dtype=object).drop(columns=["changed", "reason"]).dropna(axis="columns", how="all")
    print(table.where(table.notna(), "-").to_string(index=False, float_format="{:.4g}".format))
    for row in rows:
        if row["reason"] is not None:
            print(f"{row['run']} is {row['status']}: {row['reason']}")


@contextmanager
def _line(sweep: sweeps.Sweep, jobs: int) -> Iterator[Any]:
    """Show runs done, running, failed and the time left on stderr, with a line for each run as it ends."""
    total, begun, console = len(sweep.configs), time.monotonic(), Console(stderr=True)
    found: dict[str, str] = {}
    slow: list[float] = []  # when a run that was not done before ended

    def text() -> Text:
        failed = sum(outcome == "failed" for outcome in found.values())
        done = sum(outcome in ("done", "diverged") for outcome in found.values())
        running = claims.running(sweep.folder)
        parts = [f"{done} of {total} runs done", f"{running} running", f"{failed} failed"]
        if slow:
            parts.append(f"{duration((slow[-1] - begun) / len(slow) * (total - done - failed))} left")
        return Text(" · ".join(parts))

    def changed(name: str, outcome: str) -> None:
        found[name] = outcome
        if outcome in ("done", "diverged", "failed") and time.monotonic() - begun > 0.01 * len(found):
            slow.append(time.monotonic())
        if outcome in ("done", "diverged", "failed") and console.is_terminal:
            console.print(Text(f"{name}: {outcome}"))

    with Live(get_renderable=text, console=console, refresh_per_second=2, transient=False):
        try:
            yield changed
        except InputError:  # only its message is printed
            console.quiet = not console.is_terminal
            raise
