"""Share a page: its link, a citation, and a note pinned to a run and a step.

A note is kept in the folder of a run of one's own, or carried by the link as ``note=RUN:STEP:TEXT``.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from miii import runs
from miii.errors import QUOTED, InputError, shortened
from miii.runs.notes import LONGEST
from pages._kit import address, links, write
from pages._kit.run_picker import RUN
from pages._kit.step_picker import SHOWN
from pages._server import rights

NOTE = "note"  #: URL parameter
LINKED = "linked_note"  #: key of the run, step and text of the address's note, or None
ICON = "sticky_note_2"


def begin() -> DeltaGenerator:
    """Show the closed expander; ``end`` fills it once the page's address is known."""
    st.session_state.pop(SHOWN, None)
    st.session_state[LINKED] = _read_link()
    return st.expander("Link, citation, note", icon=":material/link:", key="share-panel", on_change="rerun")


def end(place: DeltaGenerator, top: DeltaGenerator, own_runs: bool) -> None:
    """Fill the opened expander, and show the notes on the step at the top of the page.

    Args:
        own_runs: whether the page picks its own runs, so the citation is of miii.
    """
    run, step = st.session_state.get(RUN), st.session_state.get(SHOWN)
    pinned = None if run is None or step is None else (str(run), int(step))
    if getattr(place, "open", False):
        with place:
            note = "" if pinned is None else _field(*pinned)
            st.caption("Link to this page" + (", with the note" if note else ""))
            st.code(_link(pinned, note), language=None)
            st.caption("BibTeX")
            st.code(_bibtex(None if own_runs else run, step), language=None)
    if pinned is not None:
        with top:
            _show(*pinned)


def _field(run: str, step: int) -> str:
    """Show the field of the note on a step; return what it holds, empty if it is no valid note."""
    value, key = _saved(run, step) or _linked(run, step), f"note-{run}-{step}"
    text = st.text_area(f"Note on step {step}", value, max_chars=LONGEST, key=key)
    if rights.why_not(run) is None and "/" not in run and st.button("Save with the run", key="keep-note"):
        try:
            rights.check(run)
            runs.save_note(runs.open(run), step, text)
        except InputError as error:
            write.error(error)
    try:
        return runs.check_note(text) if text.strip() else ""
    except InputError as error:
        write.error(error)
        return ""


def _show(run: str, step: int) -> None:
    saved, linked = _saved(run, step), _linked(run, step)
    if saved:
        write.info(f"Note on step {step}: {saved}", ICON)
    if linked and linked != saved:
        write.info(f"Note on step {step}, from the link: {linked}", ICON)


def _saved(run: str, step: int) -> str:
    try:
        return runs.load_notes(runs.open(run)).get(step, "")
    except InputError as error:
        write.error(error)
        return ""


def _linked(run: str, step: int) -> str:
    """Return the address's note if it is pinned to this step, otherwise an empty text."""
    linked = st.session_state.get(LINKED)
    return linked[2] if linked is not None and linked[:2] == (run, step) else ""


def _read_link() -> tuple[str, int, str] | None:
    """Return run, step and text of the address's note; complain about one that is invalid."""
    asked = st.query_params.get(NOTE)
    if asked is None:
        return None
    run, step, text = (*asked.split(":", 2), "", "")[:3]
    try:
        if step.isascii() and step.isdecimal() and len(step) <= 18:
            return run, int(step), runs.check_note(text)
    except InputError:
        pass
    links.note(
        f"note must be RUN:STEP:TEXT, with a text of at most {LONGEST} characters (got {shortened(asked, QUOTED)})."
    )
    return None


def _link(pinned: tuple[str, int] | None, note: str) -> str:
    """Return the page's address with the note, and without one that the address had before."""
    whole = urlsplit(st.session_state.get(address.LINK, [""])[-1])
    query = [(name, value) for name, value in parse_qsl(whole.query) if name != NOTE]
    if pinned is not None and note:
        query.append((NOTE, f"{pinned[0]}:{pinned[1]}:{note}"))
    return urlunsplit(whole._replace(query=urlencode(query)))


def _bibtex(run: str | None, step: int | None) -> str:
    from miii.notebook.cite import bibtex  # only needed once the expander is open

    return bibtex(run, None if run is None else step)
