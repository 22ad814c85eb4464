"""Maps and films of trainability that this server computes: one at a time, while no run waits."""

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import streamlit as st

from miii import landscape, runs
from miii.errors import InputError
from miii.jobs import lower_priority
from miii.plots.trainability import shades
from pages._server import settings
from pages._server.jobs import waiting

PAUSE = 0.2  # seconds between looks at the queue of runs


@dataclass
class Mapping:
    """A map or a film in a background thread, written at each complete resolution or frame.

    Attributes:
        owner: the session that started it.
        frames: of a film; 0 for a map.
        tile: what is computed so far; of a film, of the frame that is computed.
        frame: the progress of a film.
    """

    view: landscape.View
    owner: str
    start: landscape.Tile | None
    frames: int = 0
    frame: landscape.film.Frame | None = None
    tile: landscape.Tile | None = None
    message: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True, name=f"map-{landscape.named(self.view)}")
        self.thread.start()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended."""
        return not self.thread.is_alive()

    def _run(self) -> None:
        lower_priority()
        limit = settings.read().max_seconds
        until = None if limit is None else time.monotonic() + limit

        def stopping() -> bool:
            while waiting() and not self.stop.wait(PAUSE):  # runs come first
                pass
            if until is not None and time.monotonic() > until and not self.stop.is_set():
                self.message = f"Stopped after {limit:,} seconds, the limit here."
                self.stop.set()
            return self.stop.is_set()

        try:
            if self.frames:
                folder = film_place(self.view, self.frames)
                for frame in landscape.film.write(folder, self.view, self.frames, shades, stop=stopping):
                    self.frame, self.tile = frame, frame.tile
                return
            for tile in landscape.compute(self.view, stop=stopping, start=self.start):
                self.tile = tile
                if tile.finished:
                    landscape.write(place(self.view), tile)
        except Exception as error:  # the thread must not die silently
            self.message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}."


def place(view: landscape.View) -> Path:
    """Return the folder of a map computed here."""
    return (runs.homes()[0] / landscape.files.FOLDER / landscape.named(view)).absolute()


def film_place(view: landscape.View, frames: int) -> Path:
    """Return the folder of a film computed here."""
    name = f"film-{frames}-{view.resolution}-{landscape.named(view)}"
    return (runs.homes()[0] / landscape.files.FOLDER / name).absolute()


def _close(found: list[Mapping]) -> None:
    for each in found:
        each.stop.set()
    for each in found:
        each.thread.join()


@st.cache_resource(show_spinner=False, on_release=_close)
def _latest() -> list[Mapping]:
    return []


def get(view: landscape.View) -> Mapping | None:
    """Return the latest computation, if it is of this view."""
    found = _latest()
    return found[0] if found and landscape.named(found[0].view) == landscape.named(view) else None


def start(view: landscape.View, owner: str, tile: landscape.Tile | None, frames: int = 0) -> None:
    """Compute a map or a film, in place of the one that this session computes.

    Args:
        tile: a coarser map of the view to go on from.
        frames: of a film that ends at the view.

    Raises:
        InputError: another session computes one, the disk is full, or no film can end at the view.
    """
    found = _latest()
    settings.check_disk(4 * view.resolution**2 * max(1, frames))
    if frames:
        landscape.film.check(film_place(view, frames), view, frames)
    if found and not found[0].ended:
        if found[0].owner != owner:
            raise InputError("one map is computed at a time on this server: wait for the other one to end.")
        stop(owner)
        found[0].thread.join()
    found[:] = [Mapping(view, owner, tile, frames)]


def stop(owner: str) -> None:
    """Stop this session's map after the networks that train now; complete resolutions stay."""
    for each in _latest():
        if each.owner == owner:
            each.stop.set()
