"""File commands: ``runs``, ``pack``, ``unpack``, ``ship``, ``import``, ``export-weights``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

import tyro

from miii import runs, transformer_lens
from miii.cli.printing import Json, RunName, Step, print_runs
from miii.errors import InputError, quoted
from miii.model.block import ACTIVATIONS
from miii.tasks import ModularAddition, Operation

OPERATIONS = get_args(Operation)

Format = Annotated[Literal["transformer-lens"], tyro.conf.arg(help="format of the weights")]


@dataclass(frozen=True)
class Runs:
    """List the runs in runs/ and checkpoints/."""

    json: Annotated[bool, tyro.conf.arg(help="print a JSON array on stdout")] = False


@dataclass(frozen=True)
class Pack:
    """Write a run as one zip file, for the app or another machine."""

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="the file to write, ending in .zip")]
    resumable: Annotated[
        bool, tyro.conf.arg(help="add the training state of a stopped run, to resume it elsewhere")
    ] = False


@dataclass(frozen=True)
class Unpack:
    """Create a run from a zip file, after checking it."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="a zip file, as written by pack")]
    name: Annotated[
        str | None, tyro.conf.arg(help="the run's name [the one in the file]", metavar="NAME", help_behavior_hint="")
    ] = None


@dataclass(frozen=True)
class Ship:
    """Copy a finished run, small enough to commit."""

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="folder of the copy")]
    snapshots: Annotated[int, tyro.conf.arg(help="number of snapshots to keep")] = 14


@dataclass(frozen=True)
class Import:
    """Create a run from external weights."""

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="a .safetensors file, or a .pt with tensors only")]
    out: Annotated[Path, tyro.conf.arg(help="folder of the run")]
    format: Format = "transformer-lens"
    task: Annotated[str, tyro.conf.arg(help="task it was trained on", metavar="{" + ",".join(OPERATIONS) + "}")] = "add"
    expression: Annotated[
        str | None, tyro.conf.arg(help="the formula of the task expr", metavar="TEXT", help_behavior_hint="")
    ] = None
    p: Annotated[int, tyro.conf.arg(help="the modulus")] = 113
    act: Annotated[str, tyro.conf.arg(help="its activation", metavar="{" + ",".join(ACTIVATIONS) + "}")] = "relu"
    causal: Annotated[bool, tyro.conf.arg(help="causal attention; otherwise every position sees all")] = True
    lnpre: Annotated[bool, tyro.conf.arg(help="with weightless LayerNorms (LNPre)")] = False
    train_fraction: Annotated[
        str, tyro.conf.arg(help="training share of miii's own split, if it was used", metavar="unknown|FLOAT")
    ] = "unknown"
    seed: Annotated[int, tyro.conf.arg(help="seed of the split, if known")] = 0
    json: Json = False


@dataclass(frozen=True)
class ExportWeights:
    """Write a network's weights for other tools."""

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="the file to write, ending in .safetensors")]
    format: Format = "transformer-lens"
    step: Step = None


def run_runs(args: Runs) -> int:
    """Print the runs, and the folders that cannot be opened."""
    print_runs(runs.every(), args.json, runs.broken())
    return 0


def run_pack(args: Pack) -> int:
    """Pack a run and print the file's name."""
    runs.write_pack(runs.open(args.run), args.out, args.resumable)
    print(args.out)
    return 0


def run_unpack(args: Unpack) -> int:
    """Unpack into ``runs`` and print the run's folder."""
    print(runs.unpack(args.file, args.name).folder)
    return 0


def run_ship(args: Ship) -> int:
    """Copy a run and print the copy's folder."""
    print(runs.ship(runs.open(args.run), args.out, args.snapshots).folder)
    return 0


def run_import(args: Import) -> int:
    """Import and print the run's folder; print accuracy and skipped tensors on stderr.

    Raises:
        InputError: an option is invalid.
    """
    if args.task not in OPERATIONS:
        raise InputError(f"task must be one of {', '.join(OPERATIONS)} (got {quoted(args.task)}).")
    values = {"operation": args.task, "expression": args.expression, "p": args.p, "seed": args.seed}
    fraction = None if args.train_fraction == "unknown" else args.train_fraction
    task = ModularAddition(**values, train_fraction=fraction)
    run, extras = transformer_lens.import_run(args.file, args.out, task, args.act, args.causal, lnpre=args.lnpre)
    found = transformer_lens.accuracies(run)
    if extras:
        print(f"miii: {transformer_lens.left_out(extras)}", file=sys.stderr)
    print(f"miii: accuracy over all pairs, as {task.name}: {found[task.operation]:.1%}", file=sys.stderr)
    if warning := transformer_lens.doubt(run, found):
        print(f"miii: warning: {warning}", file=sys.stderr)
    result = {
        "run": run.name,
        "folder": str(run.folder),
        "task": task.name,
        "accuracy": found[task.operation],
        "accuracies": found,
        "likelier": transformer_lens.likelier(found),
        "warning": warning,
        "left_out": extras,
    }
    print(json.dumps(result) if args.json else run.folder)
    return 0


def run_export_weights(args: ExportWeights) -> int:
    """Export weights and print the file's name."""
    run = runs.open(args.run)
    transformer_lens.write_file(run.model(args.step), args.out)
    print(args.out)
    return 0
