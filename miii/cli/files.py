"""The commands on files: ``runs``, ``pack``, ``unpack``, ``ship``, ``import``, ``export-weights``."""

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

Format = Annotated[Literal["transformer-lens"], tyro.conf.arg(help="whose names and layouts the weights have")]


@dataclass(frozen=True)
class Runs:
    """List the runs in runs/ and checkpoints/.

    Source: ``miii.runs``.
    """

    json: Annotated[bool, tyro.conf.arg(help="print a JSON array on stdout")] = False


@dataclass(frozen=True)
class Pack:
    """Write a run as one zip file, for the app or another machine.

    Source: ``miii.runs``.
    """

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="the file to write, ending in .zip")]
    resumable: Annotated[
        bool, tyro.conf.arg(help="add the training state of a stopped run, so that it can be resumed elsewhere")
    ] = False


@dataclass(frozen=True)
class Unpack:
    """Make a run of a zip file, which is checked and not trusted.

    Source: ``miii.runs``.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="a zip file such as pack writes")]
    name: Annotated[
        str | None, tyro.conf.arg(help="the run's name [the one in the file]", metavar="NAME", help_behavior_hint="")
    ] = None


@dataclass(frozen=True)
class Ship:
    """Copy a finished run, small enough to be committed.

    Source: ``miii.runs``.
    """

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="folder of the copy")]
    snapshots: Annotated[int, tyro.conf.arg(help="how many snapshots to keep")] = 14


@dataclass(frozen=True)
class Import:
    """Make a run of other people's weights.

    Source: ``miii.transformer_lens``.
    """

    file: Annotated[tyro.conf.Positional[Path], tyro.conf.arg(help="a .safetensors file, or a .pt of tensors alone")]
    out: Annotated[Path, tyro.conf.arg(help="folder of the run")]
    format: Format = "transformer-lens"
    task: Annotated[str, tyro.conf.arg(help="what it was trained on", metavar="{" + ",".join(OPERATIONS) + "}")] = "add"
    expression: Annotated[
        str | None, tyro.conf.arg(help="the formula of the task expr", metavar="TEXT", help_behavior_hint="")
    ] = None
    p: Annotated[int, tyro.conf.arg(help="the modulus")] = 113
    act: Annotated[str, tyro.conf.arg(help="its activation", metavar="{" + ",".join(ACTIVATIONS) + "}")] = "relu"
    causal: Annotated[bool, tyro.conf.arg(help="whether a position sees only itself and those before it")] = True
    lnpre: Annotated[bool, tyro.conf.arg(help="whether it has LayerNorms without weights (LNPre)")] = False
    train_fraction: Annotated[
        str, tyro.conf.arg(help="share of the pairs that trained it, in this project's split", metavar="unknown|FLOAT")
    ] = "unknown"
    seed: Annotated[int, tyro.conf.arg(help="of the split, where it is known")] = 0
    json: Json = False


@dataclass(frozen=True)
class ExportWeights:
    """Write a network's weights for other people's tools.

    Source: ``miii.transformer_lens``.
    """

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="the file to write, ending in .safetensors")]
    format: Format = "transformer-lens"
    step: Step = None


def run_runs(chosen: Runs) -> int:
    """Print the runs, and the folders among them that cannot be opened. Source: ``miii.runs``."""
    print_runs(runs.every(), chosen.json, runs.broken())
    return 0


def run_pack(chosen: Pack) -> int:
    """Pack, and print the file. Source: ``miii.runs``."""
    runs.write_pack(runs.open(chosen.run), chosen.out, chosen.resumable)
    print(chosen.out)
    return 0


def run_unpack(chosen: Unpack) -> int:
    """Unpack into ``runs``, and print the run's folder. Source: ``miii.runs``."""
    print(runs.unpack(chosen.file, chosen.name).folder)
    return 0


def run_ship(chosen: Ship) -> int:
    """Copy, and print the copy's folder. Source: ``miii.runs``."""
    print(runs.ship(runs.open(chosen.run), chosen.out, chosen.snapshots).folder)
    return 0


def run_import(chosen: Import) -> int:
    """Import, and print the run's folder; how well the claimed task fits, and what was left out, go to stderr.

    Raises:
        InputError: an option has no such value.
    """
    if chosen.task not in OPERATIONS:
        raise InputError(f"task must be one of {', '.join(OPERATIONS)} (got {quoted(chosen.task)}).")
    values = {"operation": chosen.task, "expression": chosen.expression, "p": chosen.p, "seed": chosen.seed}
    fraction = None if chosen.train_fraction == "unknown" else chosen.train_fraction
    task = ModularAddition(**values, train_fraction=fraction)
    run, extras = transformer_lens.import_run(
        chosen.file, chosen.out, task, chosen.act, chosen.causal, lnpre=chosen.lnpre
    )
    found = transformer_lens.accuracies(run)
    if extras:
        print(f"miii: {transformer_lens.left_out(extras)}", file=sys.stderr)
    print(f"miii: accuracy over all pairs, as {task.name}: {found[task.operation]:.1%}", file=sys.stderr)
    if warning := transformer_lens.doubt(run, found):
        print(f"miii: warning: {warning}", file=sys.stderr)
    told = {
        "run": run.name,
        "folder": str(run.folder),
        "task": task.name,
        "accuracy": found[task.operation],
        "accuracies": found,
        "likelier": transformer_lens.likelier(found),
        "warning": warning,
        "left_out": extras,
    }
    print(json.dumps(told) if chosen.json else run.folder)
    return 0


def run_export_weights(chosen: ExportWeights) -> int:
    """Export, and print the file. Source: ``miii.transformer_lens``."""
    run = runs.open(chosen.run)
    transformer_lens.write_file(run.model(chosen.step), chosen.out)
    print(chosen.out)
    return 0
