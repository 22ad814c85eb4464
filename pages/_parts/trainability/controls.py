"""Choose what the map shows: condition, networks, bounds; zoom, go back up, compute and stop."""

import math
from typing import Any

import streamlit as st

from miii import landscape
from miii.cli.printing import duration
from miii.errors import InputError, quoted
from miii.plots import trainability as drawn
from pages._kit import address, write
from pages._kit.inputs import stop_button
from pages._server import mapping, rights

X, Y, POINT = "across", "upward", "point"  #: widget keys and URL parameters
TRAIL, WRONG = "zooms", "zoom-wrong"  # earlier bounds; the outcome of the last press
FACTOR = 8  #: of a step out
PAPER, OWN = "The paper's: width 16, 500 steps", "As shipped: width 16, 300 steps"
SMALL = "Small: width 8, 100 steps, single precision"
#: Settings by what the control shows, which is also what the URL says.
NETWORKS: dict[str, dict[str, Any]] = {
    PAPER: {"width": 16},
    OWN: {"width": 16},
    SMALL: {"width": 8, "steps": 100, "precision": "float32"},
}
OWN_TITLE = "Modular addition: does it grok?"
CONDITIONS = {condition.title: name for name, condition in landscape.CONDITIONS.items()} | {
    OWN_TITLE: landscape.GROKKING
}


def choose() -> landscape.View:
    """Show the controls and return the view.

    Raises:
        InputError: the bounds cannot be read, or the view is invalid.
    """
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        condition = st.selectbox(
            "Condition",
            list(CONDITIONS),
            list(CONDITIONS).index(landscape.CONDITIONS["tanh"].title),
            key="condition",
            bind="query-params",
            width=300,
            on_change=_changed,
            help="The paper's Table 1",
        )
        own = CONDITIONS[condition] == landscape.GROKKING
        if own == (st.session_state.get("networks") == PAPER):
            st.session_state.pop("networks", None)
        networks = st.selectbox(
            "Networks",
            [OWN if own else PAPER, SMALL],
            key="networks",
            bind="query-params",
            width=340,
            help="Small: 40 times faster",
        )
        cells = st.selectbox(
            "Cells per axis",
            landscape.RESOLUTIONS,
            landscape.RESOLUTIONS.index(128),
            key="cells",
            bind="query-params",
            width=130,
            help="Doubling costs two to four times",
        )
    with st.container(horizontal=True, gap="small", vertical_alignment="bottom"):
        whole_map = landscape.widest(CONDITIONS[condition])
        for key, label, ends in ((X, "From left to right", whole_map[:2]), (Y, "From bottom to top", whole_map[2:])):
            st.text_input(
                label,
                key=key,
                bind="query-params",
                max_chars=60,
                width=200,
                placeholder=f"{ends[0]:g} {ends[1]:g}",
                help="Two numbers, as log10",
            )
        trail = st.session_state.get(TRAIL, [])
        st.button(
            "Back",
            icon=":material/undo:",
            on_click=back,
            disabled=not trail,
        )
        st.button("Zoom out", icon=":material/zoom_out:", on_click=out, help=f"{FACTOR} times as wide")
        st.button("Show whole map", icon=":material/zoom_out_map:", on_click=whole)
    address.keep(X, Y)
    return _view(condition, networks, cells)


def _view(condition: str, networks: str, cells: int) -> landscape.View:
    settings: dict[str, Any] = {"condition": CONDITIONS[condition], "resolution": cells} | NETWORKS[networks]
    ends = landscape.widest(CONDITIONS[condition])
    bounds = [_pair(X, *ends[:2]), _pair(Y, *ends[2:])]
    if min(high - low for low, high in bounds) < landscape.view.NARROWEST:
        settings["precision"] = "float64"
    (x_low, x_high), (y_low, y_high) = bounds
    return landscape.View(**settings, x_low=x_low, x_high=x_high, y_low=y_low, y_high=y_high)


def _changed() -> None:
    """Forget the bounds if the axes changed."""
    own, known = st.session_state["condition"] == OWN_TITLE, "trainability-own"
    if own != st.session_state.get(known, not own):
        st.session_state.update({X: "", Y: "", POINT: "", TRAIL: []})
    st.session_state[known] = own


def _pair(key: str, low: float, high: float) -> tuple[float, float]:
    text = str(st.session_state.get(key) or "")
    if not text:
        return low, high
    try:
        low, high = (float(word) for word in text.replace(",", " ").replace("−", "-").split())
    except ValueError:
        raise InputError(f"{key} must be two numbers, such as -3 6 (got {quoted(text)}).") from None
    return low, high


def _text(low: float, high: float, widest: tuple[float, ...]) -> str:
    """Return bounds as text, to a thousandth of their distance; the widest view as nothing."""
    digits = 3 + max(0, math.ceil(-math.log10(high - low)))
    return "" if (low, high) == widest else f"{round(low, digits):.16g} {round(high, digits):.16g}"


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
    ends = landscape.widest(CONDITIONS[st.session_state["condition"]])
    after = _text(*bounds[:2], ends[:2]), _text(*bounds[2:], ends[2:])
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
    """Show a part that is wider around the same middle, at most the widest view."""
    try:
        view = current()
    except InputError:
        return whole()
    ends, full = list[float](), landscape.widest(view.condition)
    for low, high, least, most in (view.bounds[:2] + full[:2], view.bounds[2:] + full[2:]):
        wide = min((high - low) * FACTOR, most - least)
        start_ = min(max((low + high - wide) / 2, least), most - wide)
        ends += [start_, start_ + wide]
    show((ends[0], ends[1], ends[2], ends[3]))


def whole() -> None:
    """Show the widest view."""
    show(landscape.widest(CONDITIONS[st.session_state["condition"]]))


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


def _progress(job: mapping.Mapping) -> tuple[float, str]:
    """Return how much of a map's resolution, or of a film, is done, and in words."""
    tile, frame = job.tile, job.frame
    if tile is None:
        return 0.0, "Starting"
    done = tile.done / tile.total if tile.total else 1.0
    if frame is not None:
        text = f"Frame {frame.number + 1} of {job.frames}"
        left, done = frame.left, (frame.number + (done if tile.resolution == job.view.resolution else 0)) / job.frames
    else:
        text = f"{tile.resolution} x {tile.resolution}: {tile.done:,} of {tile.total:,} networks"
        left = tile.left
    if left is not None:
        text += f" · {duration(left)} left" + ("" if job.frames else " at this resolution")
    return done, text


def buttons(view: landscape.View, tile: landscape.Tile | None) -> None:
    """Show the button that computes, refines or stops, the progress, and the outcome of the last press."""
    if WRONG in st.session_state:
        write.error(st.session_state.pop(WRONG))
    job = mapping.get(view)
    if job is not None and not job.ended:
        mine = rights.keys()
        other = None if job.owner in mine else "Another session is computing this map"
        share, text = _progress(job)
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.progress(share, text=text)
            stop_button(stop, why_not=other, help_text="Keeps the completed part")
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
            help="Coarse to fine",
        )
