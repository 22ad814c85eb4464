"""The lecture view, ``?view=lecture``: larger type, no sidebar, arrow keys from figure to figure."""

from pathlib import Path

import streamlit as st

VIEW, LECTURE = "view", "lecture"  #: widget key and URL parameter, and its value
_HERE = Path(__file__).parent
_SCRIPT = (_HERE / "lecture.js").read_text()


def choose() -> None:
    """Show the control in the sidebar, which the view hides."""
    # the address holds a pill's label
    st.pills("View", [LECTURE], key=VIEW, bind="query-params", help="Larger type, no sidebar")


def shown() -> bool:
    """Return whether the view is chosen."""
    return bool(st.session_state.get(VIEW) == LECTURE)


def begin() -> None:
    """Apply the view, if it is chosen; above the page, a button leaves it."""
    if not shown():
        return
    st.html(_HERE / "lecture.css")
    with st.container(key="lecture", horizontal=True, vertical_alignment="center"):
        st.caption("← and → move from figure to figure.")
        st.button("Leave", key="leave-lecture", type="tertiary", on_click=_leave)
        st.html(f"<script>({_SCRIPT})()</script>", unsafe_allow_javascript=True)


def _leave() -> None:
    st.session_state[VIEW] = None
