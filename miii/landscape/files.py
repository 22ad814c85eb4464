"""Maps as folders: ``view.json`` with the settings, ``map.npz`` with the measures. Both are written at once."""

import contextlib
import hashlib
import json
import zipfile
from pathlib import Path
from typing import Final

import numpy as np
from pydantic import ValidationError

from miii import __version__, runs
from miii.errors import InputError, quoted, sentence, shortened
from miii.landscape.tiles import Tile
from miii.landscape.view import View
from miii.runs import atomic

SETTINGS, MEASURES = "view.json", "map.npz"
FOLDER: Final = "trainability"  #: of maps, in the folder of runs and among the shipped runs
SIDE: Final = 512  #: largest number of cells per axis


def write(folder: Path, tile: Tile, digits: int | None = None) -> None:
    """Write a complete tile, in place of an earlier one.

    Args:
        digits: bits of the measures' fractions to keep, for small files; signs always stay.

    Raises:
        InputError: the folder holds something else, or cannot be written.
    """
    if folder.exists() and not (folder / SETTINGS).exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"out must be a new folder or one of a map (got {shortened(str(folder), 200)!r}).")
    measures = tile.measures.astype(np.float32)
    measures[(tile.measures < 0) & (measures == 0)] = -np.finfo(np.float32).tiny
    if digits is not None:
        kept = np.uint32(0xFFFFFFFF << (23 - digits) & 0xFFFFFFFF)
        measures = (measures.view(np.uint32) & kept).view(np.float32)
    facts = {
        "view": tile.view.model_dump(),
        "resolution": tile.resolution,
        "trained": int(tile.trained.sum()),
        "seconds": round(tile.seconds, 1),
        "miii": __version__,
    }
    folder.mkdir(parents=True, exist_ok=True)
    # the measures carry their own resolution, so a reader between the two writes sees a whole map
    atomic.write_atomically(
        folder / MEASURES,
        lambda path: np.savez_compressed(path, measures=measures, trained=np.packbits(tile.trained)),
    )
    atomic.write_json(folder / SETTINGS, facts)


def open(name: str) -> Tile:
    """Read a map by name: from ``trainability`` in the folder of runs, then from the shipped maps.

    Raises:
        InputError: there is no such map, or it cannot be read.
    """
    for home in runs.homes():
        if "/" not in name and (home / FOLDER / name / SETTINGS).exists():
            return read(home / FOLDER / name)
    raise InputError(f"map must be one of {', '.join(every()) or '(there are none yet)'} (got {quoted(name)}).")


def read(folder: Path) -> Tile:
    """Read a map.

    Raises:
        InputError: the folder has no map, or it cannot be read.
    """
    try:
        facts = json.loads((folder / SETTINGS).read_text())
        with np.load(folder / MEASURES, allow_pickle=False) as arrays:
            measures, packed = arrays["measures"].astype(float), arrays["trained"]
        size = len(measures)
        trained = np.unpackbits(packed, count=measures.size).astype(bool).reshape(measures.shape)
        seconds = float(facts["seconds"])
        view = View(**facts["view"])
    except InputError:
        raise
    except ValidationError as error:
        raise InputError(sentence(error, View)) from None
    except OSError as error:
        place = shortened(str(folder), 200)
        raise InputError(f"{place} is not a map of trainability ({error.strerror or error}).") from None
    except (ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise InputError(f"{shortened(str(folder), 200)} is not a map of trainability ({error}).") from None
    if measures.shape != (size, size) or not 1 <= size <= SIDE:
        raise InputError(f"measures must be a square of at most {SIDE} cells (got {measures.shape}).")
    return Tile(view, measures, trained, int(trained.sum()), int(trained.sum()), seconds, 0.0)


def every() -> dict[str, Tile]:
    """Return all readable maps by name: those in the folder of runs, then the shipped ones."""
    found: dict[str, Tile] = {}
    for home in runs.homes():
        for place in sorted((home / FOLDER).glob(f"*/{SETTINGS}")):
            with contextlib.suppress(InputError):
                found.setdefault(place.parent.name, read(place.parent))
    return found


def sequence(name: str) -> list[Tile]:
    """Return a shipped sequence of zooms: the maps ``name-0``, ``name-1``, ..., each inside the one before."""
    places = sorted((runs.homes()[1] / FOLDER).glob(f"{name}-[0-9]"))
    return [read(place) for place in places]


def named(view: View) -> str:
    """Return the name under which the app keeps a map of a view, at any resolution."""
    facts = json.dumps(view.model_dump(exclude={"resolution"}), sort_keys=True)
    return f"{view.condition}-{hashlib.sha256(facts.encode()).hexdigest()[:10]}"


def find(view: View) -> str | None:
    """Return the name of a map of a view, shipped or in the folder of runs, with the most cells; None without one."""
    same = {
        name: tile.resolution
        for name, tile in every().items()
        if tile.view.model_copy(update={"resolution": view.resolution}) == view
    }
    return max(same, key=lambda name: same[name], default=None)
