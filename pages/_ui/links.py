"""What a link asked for and could not have: said once, above the page."""

import streamlit as st

NOTES, ASKED = "link_notes", "link_asked"


def begin() -> None:
    """A new run of the page; what the address asked for is remembered at the first one of a session."""
    st.session_state[NOTES] = []
    if ASKED not in st.session_state:
        st.session_state[ASKED] = dict(st.query_params)


def note(text: str) -> None:
    """Something that the link asked for is not there."""
    st.session_state.setdefault(NOTES, []).append(text)


def end(place: st.delta_generator.DeltaGenerator) -> None:
    """Say what could not be had: what was noted, and the values that a widget did not take."""
    asked: dict[str, str] = st.session_state.get(ASKED, {})
    for name, value in asked.items():
        if name in ("run", "step", "beside", "key") or name not in st.session_state:
            continue
        shown = st.session_state[name]
        if not _same(value, shown):
            note(f"{name} could not be {value} here; showing {_said(shown)}.")
    st.session_state[ASKED] = {}
    for text in st.session_state[NOTES]:
        place.warning(f"The link asked for something that is not here: {text}", icon=":material/link_off:")


def _same(asked: str, shown: object) -> bool:
    if isinstance(shown, list | tuple):
        return all(asked == str(item) or str(item) in asked for item in shown) and bool(shown)
    if isinstance(shown, bool):
        return asked.lower() in (("true", "1") if shown else ("false", "0"))
    try:
        return float(asked) == float(str(shown))
    except ValueError:
        return asked == str(shown)


def _said(value: object) -> str:
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
