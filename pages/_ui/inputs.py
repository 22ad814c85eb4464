"""Controls that several forms share; each is kept in the URL under its key."""

import streamlit as st


def number(label: str, default: int, key: str, says: str) -> int | None:
    """A whole number without bounds: what the task makes of it says in a sentence what it must be."""
    return st.number_input(label, value=default, step=1, key=key, bind="query-params", width=140, help=says)


def train_fraction(says: str) -> float:
    """How much trains."""
    return st.slider(
        "Share for training", 0.01, 0.99, 0.5, 0.01, key="train_fraction", bind="query-params", width=190, help=says
    )


def choose_pair(cell: dict[str, int]) -> None:
    """What a click on a cell of a square of pairs means: from now on that pair is looked at."""
    st.session_state["a"], st.session_state["b"] = cell["row"], cell["column"]


def target(names: list[str], says: str) -> str:
    """Which of several questions about a number."""
    if st.session_state.get("asked") not in names:
        st.session_state.pop("asked", None)
    asked = st.selectbox(
        "Asked", names, index=min(3, len(names) - 1), key="asked", bind="query-params", width=140, help=says
    )
    return asked or names[0]


def whole(label: str, low: int, high: int, default: int | None, key: str, says: str, width: int = 140) -> int | None:
    """A whole number from ``low`` to ``high``, kept from page to page and from run to run where it is one of them.

    None only where ``default`` is and nothing was chosen.
    """
    kept = st.session_state.get(key)
    if kept is not None and not low <= kept <= high:
        del st.session_state[key]  # another run has fewer
    placeholder = f"{low} to {high}" if default is None else None
    return st.number_input(
        label, low, high, default, 1, key=key, bind="query-params", width=width, placeholder=placeholder, help=says
    )
