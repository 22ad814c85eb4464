"""Maps and films of trainability that this server computes: one at a time, while no run waits."""

from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from miii import landscape, runs
from miii.errors import InputError
from miii.plots.trainability import shades
from pages._server import settings
from pages._server.background import Background, close


@dataclass(kw_only=True)
class Mapping(Background):
    """A map or a film, written at each complete resolution or frame.

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

    def work(self) -> None:
        """Compute the film frame by frame, or the map from the coarsest resolution to the finest."""
        if self.frames:
            folder = film_place(self.view, self.frames)
            for frame in landscape.film.write(folder, self.view, self.frames, shades, stop=self._gives_way_or_stops):
                self.frame, self.tile = frame, frame.tile
            return
        for tile in landscape.compute(self.view, stop=self._gives_way_or_stops, start=self.start):
            self.tile = tile
            if tile.finished:
                landscape.write(place(self.view), tile)

    def _gives_way_or_stops(self) -> bool:
        self.give_way()
        return self.stopping()


def place(view: landscape.View) -> Path:
    """Return the folder of a map computed here."""
    return (runs.homes()[0] / landscape.files.FOLDER / landscape.named(view)).absolute()


def film_place(view: landscape.View, frames: int) -> Path:
    """Return the folder of a film computed here."""
    name = f"film-{frames}-{view.resolution}-{landscape.named(view)}"
    return (runs.homes()[0] / landscape.files.FOLDER / name).absolute()


@st.cache_resource(show_spinner=False, on_release=close)
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
    found[:] = [Mapping(view=view, owner=owner, start=tile, frames=frames)]


def stop(owner: str) -> None:
    """Stop this session's map after the networks that train now; complete resolutions stay."""
    for each in _latest():
        if each.owner == owner:
            each.stop.set()
