"""A film through the zoom: start it, follow it, show it, download it."""

import io
import zipfile

import streamlit as st

from miii import landscape
from miii.errors import InputError
from pages._parts.trainability.controls import WRONG
from pages._server import mapping, rights

FRAMES = "film-frames"  # widget key


def start(view: landscape.View) -> None:
    """Compute a film that ends at this view."""
    try:
        mapping.start(view, rights.keys()[0], None, st.session_state[FRAMES])
    except InputError as error:
        st.session_state[WRONG] = str(error)


def show(view: landscape.View) -> None:
    """Show the button that starts a film, and the film once there is one."""
    wide, narrow = landscape.widest(view.condition), view.bounds
    job = mapping.get(view)
    if (job is not None and not job.ended) or any(narrow[i + 1] - narrow[i] >= wide[i + 1] - wide[i] for i in (0, 2)):
        return
    with st.popover("Film", icon=":material/movie:", help="From the whole map to this view"):
        frames = int(st.number_input("Frames", 2, landscape.film.MOST, 24, key=FRAMES))
        cells = view.resolution
        st.button(
            f"Compute {frames} maps of {cells} x {cells} cells",
            icon=":material/play_arrow:",
            on_click=start,
            args=(view,),
            help="Existing frames are kept",
        )
    place = mapping.film_place(view, frames)
    film = place / landscape.film.FILM
    if not film.exists():
        return
    picture = film.read_bytes()
    st.image(picture, caption=f"{frames} maps of {cells} x {cells} cells", width=512)
    with st.container(horizontal=True, gap="small"):
        st.download_button("Film (GIF)", picture, "trainability.gif", "image/gif", icon=":material/movie:")

        def archive() -> bytes:
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as found:
                for each in sorted(place.glob("frame-*.png")):
                    found.write(each, each.name)
            return file.getvalue()

        st.download_button("Frames (PNG)", archive, "trainability.zip", "application/zip", icon=":material/folder_zip:")
