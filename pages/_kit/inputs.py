"""Controls shared by several forms, each bound to the URL by its key."""

from collections.abc import Callable

import streamlit as st

from miii import KINDS, TASKS, runs
from miii.errors import InputError
from pages._kit import links, write

TASK_WIDTH = 280  #: pixels of the task picker, and of the control next to it
ROOM = 280  #: pixels of a message below a field
FOLLOWED = "followed_run"  #: key of the run whose task was chosen last
TYPED = "typed"  #: typed numbers by key, possibly invalid


def number(label: str, default: int, key: str, help_text: str | None = None) -> int | None:
    """Show an unbounded integer input; the task's config validates it."""
    return st.number_input(label, value=default, step=1, key=key, bind="query-params", width=140, help=help_text)


def train_fraction(help_text: str | None = None) -> float:
    """Show the training share input."""
    return st.slider(
        "Training share",
        0.01,
        0.99,
        0.5,
        0.01,
        key="train_fraction",
        bind="query-params",
        width=190,
        help=help_text,
    )


def stop_button(on_click: Callable[..., None], *args: object, why_not: str | None, help_text: str) -> None:
    """Show the button that stops what trains.

    Args:
        why_not: why this session may not; disables the button.
    """
    st.button(
        "Stop",
        icon=":material/stop:",
        on_click=on_click,
        args=args,
        disabled=why_not is not None,
        help=why_not or help_text,
    )


def choose_pair(cell: dict[str, int]) -> None:
    """Select the pair of a clicked cell."""
    st.session_state["a"], st.session_state["b"] = cell["row"], cell["column"]


def target(names: list[str], help_text: str) -> str:
    """Show a picker of targets."""
    if st.session_state.get("asked") not in names:
        st.session_state.pop("asked", None)
    asked = st.selectbox(
        "Target", names, index=min(3, len(names) - 1), key="asked", bind="query-params", width=140, help=help_text
    )
    return asked or names[0]


def integer(
    label: str,
    low: int,
    high: int,
    default: int | None,
    key: str,
    help_text: str | None = None,
    width: int = 140,
    step: int = 1,
    linked: bool = True,
) -> int | None:
    """Show an integer input from ``low`` to ``high``, kept across pages and runs while valid.

    Outside the bounds, keep what was typed, say below the field what is valid, and use ``default``; Streamlit's own
    bounds reject silently. Return None only if ``default`` is None and nothing was chosen.

    Args:
        linked: whether to keep it in the URL.
    """
    typed, kept = st.session_state.setdefault(TYPED, {}), st.session_state.get(key)
    known = key in st.session_state
    if kept is not None and not low <= kept <= high and typed.get(key) != kept:
        st.session_state[key] = default  # out of range for this run
    wrong = known and kept is not None and not low <= kept <= high and typed.get(key) == kept
    place = st.container(width=max(width, ROOM) if wrong else width, gap="xsmall")
    found = place.number_input(
        label,
        value=default,
        step=step,
        key=key,
        bind="query-params" if linked else None,
        on_change=_type,
        args=(key,),
        width=width,
        placeholder=f"{low} to {high}" if default is None else None,
        help=help_text,
    )
    if found is None or low <= found <= high:
        typed.pop(key, None)
        return default if found is None else int(found)
    shown = "nothing" if default is None else default
    why = f"{label} must be a whole number from {low} to {high} (got {found}); showing {shown}."
    if known:
        with place:
            write.error(why)
    else:
        links.note(why)
    return default


def _type(key: str) -> None:
    st.session_state.setdefault(TYPED, {})[key] = st.session_state[key]


def follow_run(name: str | None) -> None:
    """Set the task to that of a newly chosen run, unless the address asks for one."""
    first, asked = FOLLOWED not in st.session_state, "task" in st.query_params
    if name is None or (st.session_state.get(FOLLOWED) == name and (asked or "task" in st.session_state)):
        return
    st.session_state[FOLLOWED] = name
    try:
        task = runs.open(name).config.task.task_name
    except InputError:  # queued: started from this form
        return
    if task in TASKS and not (first and asked):
        st.session_state["task"] = task


def choose_task() -> str:
    """Show a task picker; return a name in ``TASKS``."""
    return st.selectbox(
        "Task",
        list(TASKS),
        key="task",
        bind="query-params",
        width=TASK_WIDTH,
        help=" ".join(kind.summary for kind in KINDS.values()),
    )
