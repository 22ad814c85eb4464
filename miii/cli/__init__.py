"""The command line: each command parses, calls the library, and prints."""

import dataclasses
import io
import os
import sys
from collections.abc import Callable
from typing import Annotated, Any, Union

import tyro

import miii
from miii.cli import comparing, export, files, inside, landscape, sweeping, training
from miii.errors import InputError, quoted, shortened

#: Commands by name: argument class and function.
COMMANDS: dict[str, tuple[Any, Callable[[Any], int]]] = {
    "train": (training.Train, training.run_train),
    "resume": (training.Resume, training.run_resume),
    "sweep": (sweeping.Sweep, sweeping.run_sweep),
    "work": (sweeping.Work, sweeping.run_work),
    "fractal": (landscape.Fractal, landscape.run_fractal),
    "analyze": (inside.Analyze, inside.run_analyze),
    "residues": (inside.Residues, inside.run_residues),
    "rollout": (inside.Rollout, inside.run_rollout),
    "progress": (inside.Progress, inside.run_progress),
    "formula": (inside.Formula, inside.run_formula),
    "circuit": (inside.Circuit, inside.run_circuit),
    "compare": (comparing.Compare, comparing.run_compare),
    "runs": (files.Runs, files.run_runs),
    "pack": (files.Pack, files.run_pack),
    "unpack": (files.Unpack, files.run_unpack),
    "ship": (files.Ship, files.run_ship),
    "import": (files.Import, files.run_import),
    "export": (export.Export, export.run_export),
    "export-weights": (files.ExportWeights, files.run_export_weights),
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command ``miii``: return 0 on success, 2 on invalid input, 130 when stopped by Ctrl-C."""
    named = tuple(
        # the first line of the docstring
        Annotated[kind, tyro.conf.subcommand(name, description=kind.__doc__.partition("\n")[0])]
        for name, (kind, _) in COMMANDS.items()
    )
    union: Any = Union[named]  # noqa: UP007 - made from a dict
    arguments = sys.argv[1:] if arguments is None else arguments
    if arguments[:1] == ["--version"]:
        print(miii.__version__)
        return 0
    chosen = tyro.cli(  # type: ignore[call-overload]
        union,
        prog="miii",
        description="See what a network learned about numbers.",
        args=arguments,
        config=(tyro.conf.OmitSubcommandPrefixes, tyro.conf.FlagCreatePairsOff),
    )
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be text
    try:
        _check_names(chosen)
        return next(run for kind, run in COMMANDS.values() if type(chosen) is kind)(chosen)
    except InputError as error:
        print(f"miii: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        return 0
    except OSError as error:  # a path that no command checked: too long, below a file, not permitted
        place = shortened(str(error.filename or "a file"), 300)
        print(f"miii: {place} cannot be used: {error.strerror or error}.", file=sys.stderr)
        return 2


def _check_names(chosen: Any) -> None:
    """Check that no argument has a null character, which file names cannot contain.

    Raises:
        InputError: an argument has one.
    """
    for field in dataclasses.fields(chosen):
        value = getattr(chosen, field.name)
        for text in value if isinstance(value, tuple) else (value,):
            try:
                known = not isinstance(text, str | os.PathLike) or b"\0" not in os.fsencode(text)
            except UnicodeEncodeError:
                known = False
            if not known:
                raise InputError(f"{field.name} must be text without null characters (got {quoted(str(text))}).")
