"""Choose what the map shows: condition, networks, bounds; zoom, go back up, compute and stop."""

import math
from typing import Any

import streamlit as st

from miii import landscape
from miii.cli.printing import duration
from miii.errors import InputError, quoted
from miii.plots import trainability as drawn
from pages._kit import write
from pages._server import mapping, rights

X, Y, POINT = "across", "upward", "point"  #: widget keys and URL parameters
TRAIL, WRONG = "zooms", "zoom-wrong"  # earlier bounds; the outcome of the last press
FACTOR = 8  #: of a step out
WHOLE = f"{landscape.FULL[0]:g} {landscape.FULL[1]:g}"
NETWORKS: dict[str, dict[str, Any]] = {
    "paper": {"width": 16, "steps": 500},
    "preview": {"width": 8, "steps": 100, "precision": "float32"},
}
LABELS = {"paper": "The paper's: width 16, 500 steps", "preview": "Small: width 8, 100 steps, single precision"}


def choose() -> landscape.View:
    """Show the controls and return the view.

    Raises:
        InputError: the bounds cannot be read, or the view is invalid.
    """
    titles = {name: condition.title for name, condition in landscape.CONDITIONS.items()}
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        condition = st.selectbox(
            "Condition",
            list(titles),
            list(titles).index("tanh"),
            format_func=titles.__getitem__,
            key="condition",
            bind="query-params",
            width=270,
            help="The rows of the paper's Table 1",
        )
        networks = st.selectbox(
            "Networks",
            list(NETWORKS),
            format_func=LABELS.__getitem__,
            key="networks",
            bind="query-params",
            width=340,
            help="Small networks take a fortieth of the time",
        )
        cells = st.selectbox(
            "Cells per axis",
            landscape.RESOLUTIONS,
            landscape.RESOLUTIONS.index(128),
            key="cells",
            bind="query-params",
            width=130,
            help="Four times the networks, twice as many along a smooth boundary, for each doubling",
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        for key, label in ((X, "From left to right"), (Y, "From bottom to top")):
            st.text_input(
                label,
                key=key,
                bind="query-params",
                max_chars=60,
                width=230,
                placeholder=WHOLE,
                help="Two numbers, as log10; or drag a rectangle on the map",
            )
        trail = st.session_state.get(TRAIL, [])
        st.button("Back", icon=":material/undo:", on_click=back, disabled=not trail, help="To the view before this one")
        st.button("Zoom out", icon=":material/zoom_out:", on_click=out, help=f"Shows a part {FACTOR} times as wide")
        st.button("Whole map", icon=":material/zoom_out_map:", on_click=whole, help="The paper's widest view")
    return _view(condition, networks, cells)


def _view(condition: str, networks: str, cells: int) -> landscape.View:
    settings: dict[str, Any] = {"condition": condition, "resolution": cells} | NETWORKS[networks]
    bounds = [_pair(key) for key in (X, Y)]
    narrow = min(high - low for low, high in bounds) < landscape.view.NARROWEST * (
        landscape.FULL[1] - landscape.FULL[0]
    )
    if narrow:
        settings["precision"] = "float64"
    (x_low, x_high), (y_low, y_high) = bounds
    return landscape.View(**settings, x_low=x_low, x_high=x_high, y_low=y_low, y_high=y_high)


def _pair(key: str) -> tuple[float, float]:
    text = str(st.session_state.get(key) or WHOLE)
    try:
        low, high = (float(word) for word in text.replace(",", " ").replace("−", "-").split())
    except ValueError:
        raise InputError(f"{key} must be two numbers, such as -3 6 (got {quoted(text)}).") from None
    return low, high


def _text(low: float, high: float) -> str:
    """Return bounds as text, to a thousandth of their distance; the widest view as nothing."""
    digits = 3 + max(0, math.ceil(-math.log10(high - low)))
    return "" if (low, high) == landscape.FULL else f"{round(low, digits):.16g} {round(high, digits):.16g}"


def current() -> landscape.View:
    """Return the view of the controls, for callbacks.

    Raises:
        InputError: see ``choose``.
    """
    state = st.session_state
    return _view(state["condition"], state["networks"], state["cells"])


def show(bounds: tuple[float, float, float, float], keep: bool = True) -> None:
    """Show other bounds, and compute the map if there is none.

    Args:
        keep: whether Back returns to the present ones.
    """
    before = st.session_state.get(X, ""), st.session_state.get(Y, "")
    after = _text(*bounds[:2]), _text(*bounds[2:])
    if keep and before != after:
        st.session_state[TRAIL] = [*st.session_state.get(TRAIL, []), before][-50:]
    st.session_state[X], st.session_state[Y] = after
    st.session_state[POINT] = ""
    try:
        view = current()
        if landscape.find(view) is None:
            start(view)
    except InputError as error:
        st.session_state[X], st.session_state[Y] = before
        if keep and before != after:
            st.session_state[TRAIL].pop()
        st.session_state[WRONG] = str(error)


def zoom(rectangle: dict[str, Any]) -> None:
    """Zoom into a dragged rectangle."""
    (x_low, x_high), (y_low, y_high) = (sorted(map(float, rectangle[key])) for key in ("x_low", "y_low"))
    show((x_low, x_high, y_low, y_high))


def pick(cell: dict[str, Any]) -> None:
    """Select the network of a clicked cell."""
    view = current()
    tile = landscape.open(landscape.find(view) or "")
    rows = min(tile.resolution, drawn.NUMBERS)
    x = view.x_low + (view.x_high - view.x_low) * cell["column"] / rows
    y = view.y_low + (view.y_high - view.y_low) * cell["row"] / rows
    st.session_state[POINT] = f"{x:.16g} {y:.16g}"


def back() -> None:
    """Show the view before this one."""
    trail = st.session_state[TRAIL]
    st.session_state[X], st.session_state[Y] = trail.pop()
    st.session_state[POINT] = ""


def out() -> None:
    """Show a part that is wider around the same middle, at most the paper's widest view."""
    try:
        view = current()
    except InputError:
        return whole()
    ends: list[float] = []
    for low, high in (view.bounds[:2], view.bounds[2:]):
        wide = min((high - low) * FACTOR, landscape.FULL[1] - landscape.FULL[0])
        start_ = min(max((low + high - wide) / 2, landscape.FULL[0]), landscape.FULL[1] - wide)
        ends += [start_, start_ + wide]
    show((ends[0], ends[1], ends[2], ends[3]))


def whole() -> None:
    """Show the paper's widest view."""
    show((*landscape.FULL, *landscape.FULL))


def start(view: landscape.View) -> None:
    """Compute or refine a map."""
    try:
        name = landscape.find(view)
        tile = None if name is None else landscape.open(name)
        mapping.start(view, rights.keys()[0], None if tile is None or tile.resolution > view.resolution else tile)
    except InputError as error:
        st.session_state[WRONG] = str(error)


def stop() -> None:
    """Stop this session's map."""
    mapping.stop(rights.keys()[0])


def buttons(view: landscape.View, tile: landscape.Tile | None) -> None:
    """Show the button that computes, refines or stops, the progress, and the outcome of the last press."""
    if WRONG in st.session_state:
        write.error(st.session_state.pop(WRONG))
    job = mapping.get(view)
    if job is not None and not job.ended:
        own = rights.keys()
        mine = job.owner in own
        now = job.tile
        text = (
            "Starting"
            if now is None
            else f"{now.resolution} x {now.resolution}: {now.done:,} of {now.total:,} networks"
        )
        if now is not None and now.left is not None:
            text += f" · {duration(now.left)} left at this resolution"
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.progress(0.0 if now is None or not now.total else now.done / now.total, text=text)
            st.button(
                "Stop",
                icon=":material/stop:",
                on_click=stop,
                disabled=not mine,
                help="Keeps the last complete resolution" if mine else "Another session computes this map",
            )
        return
    if job is not None and job.message:
        write.warning(job.message, icon="error")
    size = 0 if tile is None else tile.resolution
    if size < view.resolution:
        st.button(
            f"Refine to {view.resolution} x {view.resolution}" if size else "Compute this map",
            icon=":material/play_arrow:",
            type="primary",
            on_click=start,
            args=(view,),
            help="In the background, from coarse to fine; can be stopped",
        )
