"""Links within the app, and notes on invalid link parameters."""

from contextlib import suppress

import streamlit as st
from streamlit.errors import StreamlitAPIException

from miii.errors import QUOTED, shortened
from pages._kit import address, write

NOTES, REQUESTED, TARGET = "link_notes", "link_asked", "link_going"
ARROW = ":material/arrow_forward:"


def to(page: str, label: str, icon: str = ARROW, **changed: object) -> None:
    """Show a link to another page with the same run, step and inputs.

    Args:
        changed: values of widgets to change, by key.
    """
    # not st.page_link: it repeats the run in the address, and drops parameters bound to widgets of this page
    key = f"to-{len(st.session_state.get(write.RECORDED, []))}-{page}-{label}"  # equal links differ by position
    st.button(label, icon=icon, type="tertiary", key=key, on_click=go, args=(page,), kwargs=changed)


def go(page: str, **changed: object) -> None:
    """Open another page after this callback, with values of widgets changed by key."""
    st.session_state.update(changed)
    st.session_state[TARGET] = page, {name: str(value) for name, value in changed.items() if value is not None}


def begin() -> None:
    """Start a page run, or switch to a link's page; first store the parameters of the address."""
    going = st.session_state.pop(TARGET, None)
    if going is not None:
        page, changed = going
        query = {
            name: str(st.session_state[name]) for name in ("run", "step") if st.session_state.get(name) is not None
        }
        with suppress(StreamlitAPIException):  # a widget of this page owns the parameter and sets it
            st.switch_page(f"pages/{page}.py", query_params=changed | query)
        st.switch_page(f"pages/{page}.py", query_params=query)
    st.session_state[NOTES] = []
    if REQUESTED not in st.session_state:
        st.session_state[REQUESTED] = {name: st.query_params.get_all(name) for name in st.query_params}


def note(text: str) -> None:
    """Record a one-sentence note about an invalid link parameter."""
    st.session_state.setdefault(NOTES, []).append(text)


def end(place: st.delta_generator.DeltaGenerator) -> None:
    """Show the notes, and the values rejected by widgets."""
    requested: dict[str, list[str]] = st.session_state.get(REQUESTED, {})
    for name, values in requested.items():
        if name == "beside" or not address.belongs_to_a_widget(name) or not any(values):
            continue
        shown = st.session_state[name]
        several = isinstance(shown, list | tuple)
        if sorted(values) != sorted(map(str, shown)) if several else not _same(values[-1], shown):
            listed = shortened(", ".join(values), QUOTED)
            note(f"{name} cannot be {listed} here; showing {shortened(_as_text(shown), QUOTED)}.")
    st.session_state[REQUESTED] = {}
    with place:
        for text in st.session_state[NOTES]:
            write.warning(f"The link asks for something that does not exist here: {text}")


def _same(requested: str, shown: object) -> bool:
    if isinstance(shown, bool):
        return requested.lower() in (("true", "1") if shown else ("false", "0"))
    try:
        return float(requested) == float(str(shown))
    except ValueError:
        return requested == str(shown)


def _as_text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "nothing"
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
