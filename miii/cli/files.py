"""File commands: ``runs``, ``pack``, ``unpack``, ``ship``, ``import``, ``export-weights``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import tyro

from miii import foreign, runs
from miii.cli.printing import Json, RunName, Step, defaulted, print_runs
from miii.errors import InputError, quoted
from miii.model.block import ACTIVATIONS
from miii.tasks import Operation

OPERATIONS = get_args(Operation)

Choice = Literal["auto", "yes", "no"]
CHOICES = {"auto": None, "yes": True, "no": False}


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
    name: Annotated[str | None, defaulted("the run's name [the one in the file]", "NAME")] = None


@dataclass(frozen=True)
class Ship:
    """Copy a finished run, small enough to commit."""

    run: RunName
    out: Annotated[Path, tyro.conf.arg(help="folder of the copy")]
    snapshots: Annotated[int, tyro.conf.arg(help="number of snapshots to keep")] = 14


@dataclass(frozen=True)
class Import:
    """Create a run from other people's weights."""

    file: Annotated[
        tyro.conf.Positional[Path],
        tyro.conf.arg(help="a file of weights, a folder of snapshots, or a quoted pattern such as 'run/*.pt'"),
    ]
    out: Annotated[
        Path | None,
        defaulted("folder of the run; required without --dry-run", "PATH"),
    ] = None
    dry_run: Annotated[bool, tyro.conf.arg(help="print what was recognized, and write nothing")] = False
    layout: Annotated[str, tyro.conf.arg(help="force a layout", metavar="auto|" + "|".join(foreign.NAMES))] = "auto"
    task: Annotated[
        str,
        defaulted("task it was trained on [the likeliest]", "{" + ",".join(OPERATIONS) + "}"),
    ] = "auto"
    expression: Annotated[str | None, defaulted("the formula of the task expr", "TEXT")] = None
    p: Annotated[int | None, defaulted("the modulus [from the shapes]", "INT")] = None
    act: Annotated[
        str,
        defaulted("its activation [recorded, or guessed]", "{" + ",".join(ACTIVATIONS) + "}"),
    ] = "auto"
    n_heads: Annotated[
        int | None,
        defaulted("attention heads [recorded, or guessed]", "INT"),
    ] = None
    causal: Annotated[Choice, tyro.conf.arg(help="causal attention; otherwise every position sees all")] = "auto"
    attn_coeff: Annotated[
        float | None,
        defaulted("share c of softmax in the attention c A + 1 - c", "FLOAT"),
    ] = None
    lnpre: Annotated[Choice, tyro.conf.arg(help="with weightless LayerNorms (TransformerLens' LNPre)")] = "auto"
    post: Annotated[Choice, tyro.conf.arg(help="norms after each sum, instead of before each part")] = "auto"
    rms: Annotated[Choice, tyro.conf.arg(help="RMSNorms, instead of LayerNorms without biases")] = "auto"
    operator: Annotated[Choice, tyro.conf.arg(help="prompts a op b =, with a token of the operation")] = "auto"
    equals_first: Annotated[
        Choice, tyro.conf.arg(help='with "=" as token p and the operation as p + 1; else the other way around')
    ] = "auto"
    train_fraction: Annotated[
        str, tyro.conf.arg(help="training share of miii's own split, if it was used", metavar="unknown|FLOAT")
    ] = "unknown"
    seed: Annotated[int, tyro.conf.arg(help="seed of the split, if known")] = 0
    json: Json = False


@dataclass(frozen=True)
class ExportWeights:
    """Write a network's weights for other tools."""

    run: RunName
    out: Annotated[
        Path, tyro.conf.arg(help="the file to write, ending in .safetensors or .pt; for hugging-face, a folder")
    ]
    format: Annotated[
        Literal["transformer-lens", "transformer-lens-4", "state-dict", "hugging-face"],
        tyro.conf.arg(help="names and layout of the weights"),
    ] = "transformer-lens"
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
    """Import and print the run's folder; print what was recognized on stderr, or on stdout for ``--dry-run``.

    Raises:
        InputError: an option is invalid.
    """
    if args.task not in (*OPERATIONS, "auto"):
        raise InputError(f"task must be one of {', '.join(OPERATIONS)} (got {quoted(args.task)}).")
    if args.out is None and not args.dry_run:
        raise InputError("out is required: the folder of the run; or pass --dry-run.")
    claim = foreign.Claim(_unless(args.task, "auto"), args.expression, _fraction(args.train_fraction), args.seed)
    given = foreign.Settings(
        p=args.p, act=_unless(args.act, "auto"), n_heads=args.n_heads, attn_coeff=args.attn_coeff,
        causal=CHOICES[args.causal], lnpre=CHOICES[args.lnpre], operator=CHOICES[args.operator],
        equals_first=CHOICES[args.equals_first], post=CHOICES[args.post], rms=CHOICES[args.rms],
    )  # fmt: skip
    layout = _unless(args.layout, "auto")
    run = None
    if args.dry_run or args.out is None:
        found = foreign.examine(foreign.read(args.file), claim, given, layout)
    else:
        run, found = foreign.import_run(args.file, args.out, claim, given, layout)
    fitness, recognized = found.fitness, found.recognized
    lines, notes = found.lines(), [*recognized.notes]
    text = "\n".join(f"{name:12} {value}" for name, value in lines.items())
    warnings = [f"miii: warning: {fitness.warning}"] if fitness.warning else []
    if run is None and not args.json:
        print(text)
    told = [f"miii: {note}" for note in notes] + warnings
    if run is not None and not args.json:
        told = [*(f"miii: {line}" for line in text.splitlines()), *told]
    for line in told:
        print(line, file=sys.stderr)
    if args.json:
        result: dict[str, Any] = {"run": run and run.name, "folder": run and str(run.folder), "task": found.task.name}
        result |= {"recognized": lines, "settings": recognized.settings.known(), "layout": recognized.layout}
        result |= {"accuracy": fitness.claimed.accuracy, "warning": fitness.warning, "ignored": recognized.ignored}
        result |= {"accuracies": {each.name: each.accuracy for each in fitness.readings}, "notes": notes}
        result["likelier"] = fitness.likelier and fitness.likelier.name
        print(json.dumps(result))
    elif run is not None:
        print(run.folder)
    return 0


def _unless(value: str, unset: str) -> str | None:
    return None if value == unset else value


def _fraction(text: str) -> float | None:
    """Return a training share; the task checks its range.

    Raises:
        InputError: it is no number.
    """
    try:
        return None if text == "unknown" else float(text)
    except ValueError:
        raise InputError(f"train_fraction must be a number, or unknown (got {text!r}).") from None


def run_export_weights(args: ExportWeights) -> int:
    """Export weights and print the file's name."""
    run = runs.open(args.run)
    foreign.write_file(run.model(args.step), args.out, args.format, run.config.task)
    print(args.out)
    return 0
