"""The commands that train a run: ``train`` and ``resume``."""

import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, make_dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import tyro
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from miii import cost, hardware, runs
from miii.cli.printing import Json, RunName, by_task, defaulted, duration, print_values
from miii.errors import InputError
from miii.tasks import KINDS, TASKS, table
from miii.training import Step, flat, train
from miii.training.config import RECIPES, RunConfig


def _flag(text: str, metavar: str) -> Any:
    """Return the type of a text option; the config validates it."""
    return Annotated[str | None, defaulted(text, metavar)]


def _metavar(annotation: Any) -> str:
    inner = [kind for kind in get_args(annotation) if kind is not type(None)]
    if get_origin(annotation) is Literal:
        return "{" + ",".join(inner) + "}"
    if get_origin(annotation) is tuple:
        return "INT,INT,..." if get_args(annotation)[0] is int else "TEXT,TEXT,..."
    if inner:  # optional
        return f"{_metavar(inner[0])}|none"
    return {int: "INT", float: "FLOAT", bool: "{true,false}", str: "TEXT"}[annotation]


def option_fields() -> list[tuple[str, Any, Any]]:
    """Return a flag for each option of a run; absent flags take the recipe's values."""
    fast = {kind: flat.defaults(kind) for kind in KINDS}
    fields: list[tuple[str, Any, Any]] = []
    for option in flat.options():
        if option.name in ("task", "operation"):  # positional
            continue
        text = f"{option.description} [{_defaults(option.name, fast)}]"
        fields.append((option.name, _flag(text, _metavar(option.annotation)), None))
    return fields


def _defaults(name: str, fast: Mapping[str, Mapping[str, Any]]) -> str:
    """Return an option's default, and the defaults of other tasks where they differ."""
    found = {kind: flat.text(values[name]) for kind, values in fast.items() if name in values}
    common = found.pop("modular", None)
    others = [f"{kind}: {value}" for kind, value in found.items() if value != common]
    return ", ".join(([f"fast: {common}"] if common is not None else []) + others) or "not used"


Task = Annotated[tyro.conf.Positional[str], tyro.conf.arg(help="task to learn", metavar="{" + ",".join(TASKS) + "}")]
Recipe = Annotated[str, tyro.conf.arg(help="default values of the options", metavar="{" + ",".join(RECIPES) + "}")]
Out = Annotated[Path | None, defaulted("folder of the run [a new one in runs/]", "DIR")]
MANY = 1_000  #: runs of a sweep above which to ask
Yes = Annotated[bool, tyro.conf.arg(help="do not ask when memory or disk is short")]

Train: Any = make_dataclass(
    "Train",
    [
        ("task", Task),
        ("recipe", Recipe, "fast"),
        ("out", Out, None),
        ("json", Json, False),
        ("yes", Yes, False),
        *option_fields(),
    ],
    frozen=True,
    kw_only=True,
)
Train.__doc__ = "Train a network and write the run."


@dataclass(frozen=True)
class Resume:
    """Resume a run that was stopped or killed."""

    run: RunName
    json: Json = False


def run_train(args: Any) -> int:
    """Train and print the result: return 0 on success, 130 when stopped by Ctrl-C.

    Raises:
        InputError: the folder exists, or an option is invalid.
    """
    config = chosen_config(args)
    out = args.out if args.out is not None else runs.new_folder(config)
    if os.path.lexists(out):  # before any work
        raise InputError(f"out must be a folder that does not exist yet (got {str(out)!r}).")
    check_cost(1, cost.training(config), args.yes)
    return _run_steps(out, partial(train, config), config, args.json)


def run_resume(args: Resume) -> int:
    """Resume and print the result; exit codes as in ``run_train``."""
    run = runs.open(args.run)
    return _run_steps(run.folder, partial(runs.resume, run.folder.absolute()), run.config, args.json)


def check_cost(runs: int, needs: cost.Cost, yes: bool, jobs: int = 1) -> None:
    """Ask before training what needs more memory or disk than this machine has, or very many runs.

    Args:
        needs: the largest memory, and the sum of operations and disk.
        jobs: runs trained at a time.

    Raises:
        InputError: the answer is no, or there is nobody to ask.
    """
    memory, free = hardware.available_memory(), shutil.disk_usage(Path.cwd()).free
    if yes or (needs.nbytes * jobs <= memory and needs.disk <= free and runs <= MANY):
        return
    text = (
        f"training needs about {needs.nbytes * jobs / 1e6:,.0f} MB of memory and {needs.disk / 1e6:,.0f} MB of disk, "
        f"and this machine has {memory / 1e6:,.0f} and {free / 1e6:,.0f} left"
    )
    if runs > MANY:
        text = f"{runs:,} runs take about {duration(needs.seconds / jobs)} and {needs.disk / 1e6:,.0f} MB of disk"
    if not sys.stdin.isatty():
        raise InputError(
            f"{text}: train {'fewer runs' if runs > 1 else 'a smaller run'}, or pass --yes to train anyway."
        )
    if Console(stderr=True).input(f"{text[0].upper()}{text[1:]}. Train anyway? [y/N] ").lower() not in (
        "y",
        "yes",
    ):
        raise InputError("nothing was trained.")


def _run_steps(out: Path, steps: Callable[..., Iterator[Step]], config: RunConfig, as_json: bool) -> int:
    with stop_on_signal() as stopped, progress_bars() as progress:
        followed = runs.follow(out, steps(stop=lambda: bool(stopped)))
        bar = progress.add_task(out.name, total=config.steps, note="")
        for step in followed:
            _show(progress, bar, step)
            if stopped:
                break
        followed.close()
    result = runs.open(out.absolute()).result
    assert result is not None
    if as_json:
        print(json.dumps(result | {"run": str(out)}))
    else:
        print_values(by_task(result, config.task) | {"run": str(out)})
    return 130 if stopped else 0


def chosen_config(args: Any) -> RunConfig:
    """Return the config of a command's options.

    Raises:
        InputError: an option is invalid.
    """
    names = [option.name for option in flat.options() if hasattr(args, option.name) and option.name != "task"]
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    if args.csv is not None:
        given["csv"] = _read_table(Path(args.csv))
    return flat.build_config(args.recipe, args.task, {name: flat.from_text(name, text) for name, text in given.items()})


def _read_table(path: Path) -> str:
    """Return the text of a task's table; the config checks it.

    Raises:
        InputError: the file cannot be read, or is too large.
    """
    try:
        if not path.is_file() or path.stat().st_size > 4 * table.LENGTH:  # UTF-8 has at most four bytes a character
            raise OSError(f"it is no file, or has more than {4 * table.LENGTH:,} bytes")
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise InputError(
            f"csv must name a readable file of comma-separated values (got {str(path)!r}: {error})."
        ) from None


@contextmanager
def stop_on_signal() -> Iterator[list[int]]:
    """Yield a list that is empty until Ctrl-C or SIGTERM arrives; the run is then written and can be resumed."""
    stopped: list[int] = []
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, lambda number, _: stopped.append(number)) for number in signals]
    try:
        yield stopped
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


@contextmanager
def progress_bars() -> Iterator[Progress]:
    """Yield progress bars on stderr; of an error, only its message is printed."""
    console = Console(stderr=True)
    bars = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=console,
    )
    with bars:
        try:
            yield bars
        except InputError:  # only its message is printed
            console.quiet = not console.is_terminal
            raise


def _show(progress: Progress, bar: TaskID, step: Step) -> None:
    progress.update(bar, completed=step.step)
    if step.evaluation is not None:
        progress.update(bar, note=f"test {step.evaluation.test_accuracy:.1%}")


class _Rate(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task: Any) -> Any:
        from rich.text import Text

        return Text(f"{task.speed:.0f} steps/s" if task.speed else "", style="progress.data.speed")
