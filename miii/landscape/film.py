"""A film through a zoom: maps from a condition's widest view to a given one, each a constant factor narrower."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from miii.errors import InputError, quoted
from miii.landscape import files
from miii.landscape.tiles import Tile, compute
from miii.landscape.view import View, widest
from miii.runs import atomic

MOST: Final = 240  #: frames
SIZE, DURATION = 512, 150  #: pixels per axis, at least, and milliseconds of a frame
SETTINGS, FILM = "film.json", "film.gif"


@dataclass(frozen=True)
class Frame:
    """The progress of a film.

    Attributes:
        number: of the frame, from 0.
        tile: its map so far.
        left: seconds that the rest may take, from the frames computed so far; None during the first.
    """

    number: int
    tile: Tile
    left: float | None


def views(last: View, count: int) -> list[View]:
    """Return the views of the frames, from the widest to ``last``, about a fixed point.

    Raises:
        InputError: the count is not from 2 to ``MOST``, or the last view is not narrower than the widest.
    """
    if not 2 <= count <= MOST:
        raise InputError(f"film must have at least 2 and at most {MOST} frames (got {quoted(count)}).")
    wide, narrow = np.array(widest(last.condition)), np.array(last.bounds)
    shares = (narrow[1::2] - narrow[::2]) / (wide[1::2] - wide[::2])
    if not (shares < 1).all():
        raise InputError(
            f"bounds must be narrower than the widest view, {wide[0]:g} to {wide[1]:g} and {wide[2]:g} to {wide[3]:g}, "
            "so that a film can zoom in (got a view as wide or wider)."
        )
    found = []
    for number in range(count):
        sizes = shares.repeat(2) ** (number / (count - 1))
        # the bounds move in proportion to the width, so one point of the map stays in place
        passed = (1 - sizes) / (1 - shares.repeat(2))
        found.append(last if number == count - 1 else last.zoomed(*(wide + (narrow - wide) * passed).tolist()))
    return found


Picture = Callable[[Float[np.ndarray, "row column"]], UInt8[np.ndarray, "row column 4"]]


def write(
    folder: Path,
    last: View,
    count: int,
    picture: Picture,
    *,
    threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Frame]:
    """Compute the frames of a film one after the other, and yield the progress of each.

    Writes each frame as a picture and a map, and at the end the film. Frames that exist are not computed again.

    Args:
        folder: a new one, or one of this film.
        picture: the colors of a map's measures.
        stop: see ``compute``.

    Raises:
        InputError: see ``views``; the folder holds something else.
    """
    all_views = check(folder, last, count)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SETTINGS).write_text(_settings(last, count))
    pictures, spent = list[np.ndarray](), list[float]()
    for number, view in enumerate(all_views):
        name = f"frame-{number:03d}"
        place = folder / name
        if not (place / files.SETTINGS).exists():
            made: Tile | None = None
            for made in compute(view, threads=threads, stop=stop):
                share = made.done / max(1, made.total) if made.resolution == view.resolution else 0.0
                left = None if not spent else max(0.0, sum(spent) / len(spent) * (count - number - share))
                yield Frame(number, made, left)
            if made is None or not made.last:  # stopped
                return
            spent.append(made.seconds)
            files.write(place, made)
        tile = files.read(place)  # in single precision, so a resumed film is the same
        pictures.append(picture(tile.measures)[::-1])
        atomic.write_atomically(folder / f"{name}.png", lambda path: _enlarged(pictures[-1]).save(path, "PNG"))
        yield Frame(number, tile, sum(spent) / len(spent) * (count - number - 1) if spent else None)
    atomic.write_atomically(folder / FILM, lambda path: path.write_bytes(gif(pictures)))


def gif(frames: Sequence[UInt8[np.ndarray, "row column 4"]]) -> bytes:
    """Return an animated GIF of pictures; it repeats, and waits on the last one."""
    images = [_enlarged(each) for each in frames]
    file, durations = io.BytesIO(), [DURATION] * (len(images) - 1) + [10 * DURATION]
    images[0].save(file, "GIF", save_all=True, append_images=images[1:], duration=durations, loop=0)
    return file.getvalue()


def _enlarged(cells: UInt8[np.ndarray, "row column 4"]) -> Image.Image:
    """Return a picture of at least ``SIZE`` pixels per axis, each cell a square of whole pixels."""
    times, image = max(1, SIZE // len(cells)), Image.fromarray(cells).convert("RGB")
    return image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)


def _settings(last: View, count: int) -> str:
    return json.dumps({"frames": count, "view": last.model_dump()}, indent=2) + "\n"


def check(folder: Path, last: View, count: int) -> list[View]:
    """Return the views of a film, and check that it can be written to a folder.

    Raises:
        InputError: see ``views``; the folder holds something else.
    """
    found = views(last, count)
    try:
        same = not folder.exists() or (folder / SETTINGS).read_text() == _settings(last, count)
    except OSError:
        same = False
    if not same:
        raise InputError(f"out must be a new folder or one of this film (got {quoted(str(folder))}).")
    return found
