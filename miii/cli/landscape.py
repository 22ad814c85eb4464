"""The command that maps trainability: ``fractal``."""

import json
import os
from dataclasses import make_dataclass, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import joblib
import tyro
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from miii import landscape
from miii.cli.printing import Json, defaulted, duration, print_values
from miii.cli.training import stop_on_signal
from miii.errors import InputError, quoted
from miii.plots import image, trainability
from miii.runs import atomic

PICTURE = "map.png"

Out = Annotated[Path, tyro.conf.arg(help="folder of the map; one that exists is refined", metavar="DIR")]
Threads = Annotated[int | None, defaulted("threads, each with its own networks [all cores]", "INT")]


def _options() -> list[tuple[str, Any, Any]]:
    found: list[tuple[str, Any, Any]] = []
    for name, field in landscape.View.model_fields.items():
        kind = type(field.default)
        choices = get_args(field.annotation)
        metavar = "{" + ",".join(map(str, choices)) + "}" if choices else {int: "INT", float: "FLOAT"}[kind]
        own = f"[{field.default:g}; grokking: {landscape.view.OWN[name]:g}]" if name in landscape.view.OWN else ""
        if own:  # what was not given depends on the condition
            found.append((name, Annotated[kind | None, defaulted(f"{field.description} {own}", metavar)], None))
        else:
            found.append((name, Annotated[kind, tyro.conf.arg(help=field.description, metavar=metavar)], field.default))
    return found


Film = Annotated[int | None, defaulted("frames of a film from the widest view to this one [none: one map]", "INT")]

Fractal: Any = make_dataclass(
    "Fractal",
    [("out", Out), ("threads", Threads, None), ("film", Film, None), ("json", Json, False), *_options()],
    frozen=True,
    kw_only=True,
)
Fractal.__doc__ = "Map where in the space of two hyperparameters a network can be trained, and measure the boundary."


def run_fractal(args: Any) -> int:
    """Compute a map, writing each complete resolution: return 0 on success, 130 when stopped by Ctrl-C.

    Raises:
        InputError: an option is invalid, or the folder holds something else.
    """
    given = {name: getattr(args, name) for name in landscape.View.model_fields}
    view = landscape.View(**{name: value for name, value in given.items() if value is not None})
    cores = joblib.cpu_count()
    threads = cores if args.threads is None else args.threads
    if not 1 <= threads <= cores:
        raise InputError(f"threads must be at least 1 and at most {cores}, the cores here (got {quoted(threads)}).")
    if args.film is not None:
        return _film(args.out, view, args.film, threads, args.json)
    start = _start(args.out, view)
    with stop_on_signal() as stopped, _bars() as bars:
        bar = bars.add_task("", total=None, left="")
        before = 0.0 if start is None else start.seconds
        for tile in landscape.compute(view, threads=threads, stop=lambda: bool(stopped), start=start):
            name = f"{tile.resolution} x {tile.resolution}"
            left = "" if tile.left is None else f"{duration(tile.left)} left"
            bars.update(bar, description=name, completed=tile.done, total=tile.total, left=left)
            if tile.finished:
                write(args.out, replace(tile, seconds=tile.seconds + before))
    if not (args.out / landscape.files.SETTINGS).exists():
        return 130
    _report(landscape.read(args.out), args.json)
    return 130 if stopped else 0


def _bars() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, TextColumn("{task.fields[left]}"), console=Console(stderr=True))


def _film(out: Path, view: landscape.View, frames: int, threads: int, as_json: bool) -> int:
    """Compute a film: return 0 on success, 130 when stopped by Ctrl-C; the frames so far stay."""
    film = out / landscape.film.FILM
    landscape.film.check(out, view, frames)
    with stop_on_signal() as stopped, _bars() as bars:
        bar = bars.add_task("frames", total=frames, left="")
        for frame in landscape.film.write(
            out, view, frames, trainability.shades, threads=threads, stop=lambda: bool(stopped)
        ):
            left = "" if frame.left is None else f"{duration(frame.left)} left"
            bars.update(bar, completed=frame.number + frame.tile.last, left=left)
    if stopped or not film.exists():
        return 130
    values = {"frames": frames, "film": str(film), "bytes": film.stat().st_size}
    print(json.dumps(values)) if as_json else print_values(values)
    return 0


def write(out: Path, tile: landscape.Tile) -> None:
    """Write a map and its picture."""
    landscape.write(out, tile)
    picture = image.png(trainability.shades(tile.measures)[::-1])
    atomic.write_atomically(out / PICTURE, lambda path: path.write_bytes(picture))


def _start(out: Path, view: landscape.View) -> landscape.Tile | None:
    """Return the map that a folder already has of this view, at this resolution or a coarser one."""
    if not os.path.lexists(out):
        return None
    if not (out / landscape.files.SETTINGS).exists():
        raise InputError(f"out must be a new folder or one of a map (got {quoted(str(out))}).")
    tile = landscape.read(out)
    same = tile.view.model_copy(update={"resolution": view.resolution}) == view
    if not same or tile.resolution > view.resolution:
        raise InputError(f"out must be a folder of this map at a lower resolution (got {quoted(str(out))}).")
    return replace(tile, view=view)


def _report(tile: landscape.Tile, as_json: bool) -> None:
    found = landscape.dimension([tile.measures])
    values = {
        "resolution": tile.resolution,
        "converged": float((tile.measures < 0).mean()),
        "trained": int(tile.trained.sum()),
        "seconds": tile.seconds,
        "dimension": found.value,
        "dimension_low": found.low,
        "dimension_high": found.high,
        "paper": landscape.CONDITIONS[tile.view.condition].dimension,
    }
    controls = {
        name: landscape.dimension([landscape.control(name, tile.resolution)]).value for name in landscape.CONTROLS
    }
    if as_json:
        print(json.dumps({**values, "controls": controls}))
    else:
        print_values(values | {f"control: {name}": value for name, value in controls.items()})
