"""Common arguments of the commands, and printing of results."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from miii import runs
from miii.analysis.modular.criteria import Criterion
from miii.errors import InputError
from miii.tasks import TaskConfig

LISTED = 50  #: most accuracies of single answers to print
RunName = Annotated[tyro.conf.Positional[str], tyro.conf.arg(help="name or folder of the run")]
Json = Annotated[bool, tyro.conf.arg(help="print one JSON object on stdout")]


def defaulted(text: str, metavar: str) -> Any:
    """Return the help of an option whose text names its default, in brackets or in words."""
    return tyro.conf.arg(help=text, metavar=metavar, help_behavior_hint="")


Step = Annotated[int | None, defaulted("step of the snapshot [the last one]", "INT")]


@contextmanager
def parts(name: str) -> Iterator[Callable[[int, int, str], None]]:
    """Show a progress bar on stderr; yield a function that takes parts done, total parts and next part."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(
        TextColumn(name, markup=False),
        *columns,
        TextColumn("{task.description}", markup=False),
        console=Console(stderr=True),
    ) as bar:
        task = bar.add_task("", total=1)
        try:
            yield lambda done, todo, what: bar.update(task, completed=done, total=todo, description=what)
        except InputError:  # only its message is printed
            bar.console.quiet = not bar.console.is_terminal
            raise


def print_values(values: dict[str, Any]) -> None:
    """Print names and values, one pair per line; None as "-"."""
    width = max(16, *map(len, values))
    for name, value in values.items():
        print(f"{name:{width}} {_text(value)}")


def print_criteria(criteria: Sequence[Criterion]) -> None:
    """Print a verdict's criteria below its other values."""
    print()
    print(f"{'criterion':34} {'value':>8} {'bound':>8}")
    for criterion in criteria:
        result = "pass" if criterion.passed else "fail"
        print(f"{criterion.name:34} {criterion.value:8.4f} {criterion.bound:8.4f}  {result}")


def by_task(values: dict[str, Any], task: TaskConfig) -> dict[str, Any]:
    """Rename values after the task's milestone, such as "sieves by 3 at", for printing.

    More than ``LISTED`` accuracies of single answers are left to the JSON.
    """
    single = {name for name in values if name.startswith("accuracy_")}
    if len(single) > LISTED:
        values = {name: value for name, value in values.items() if name not in single}
    what = task.milestone
    names = {} if what == "grokked" else {"grokked_at": f"{what} at", "seconds_to_grok": "seconds until then"}
    return {names.get(name, name): value for name, value in values.items()}


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_text(item)}" for key, item in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_text, value)) or "-"
    return str(value)


def print_runs(found: list[runs.Run], as_json: bool, broken: Sequence[runs.Broken] = ()) -> None:
    """Print runs as a table with a line per unreadable folder, or as a JSON array."""
    rows = [runs.row(run) for run in found] + [runs.broken_row(each) for each in broken]
    if as_json:
        print(json.dumps(rows))
    elif rows:
        import pandas as pd

        for run, row in zip(found, rows, strict=False):
            row["reached"] = None if row["grokked_at"] is None else run.config.task.milestone
        table = pd.DataFrame(rows, dtype=object).drop(columns=["reason", "test_accuracy"])
        table = table.rename(columns={"grokked_at": "reached_at"})
        print(table.where(table.notna(), "-").to_string(index=False, float_format="{:.4g}".format))
        for row in rows:
            if row["reason"] is not None:
                print(f"{row['run']} is {row['status']}: {row['reason']}")
    else:
        print("No runs yet. Train one: miii train add")


def duration(seconds: float) -> str:
    """Return a time in words, such as ``3 minutes``."""
    for unit, length in (("years", 31_557_600), ("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:,.0f} {unit}"
    return f"{seconds:,.0f} seconds"
