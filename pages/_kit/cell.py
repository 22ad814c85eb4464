"""A cell: a figure with its caption, its code and its data.

A cell is a plain function of plain values. The source shown is the code that ran; it draws the same figure in a
script with ``miii`` installed.
"""

import inspect
import zlib
from collections.abc import Callable, Mapping
from functools import wraps
from types import CodeType
from typing import Any, Final, NamedTuple, ParamSpec, TypeVar

import streamlit as st

import miii
from miii.errors import InputError
from miii.notebook.cells import Figure
from miii.notebook.source import source
from miii.plots.style import Chart
from miii.runs import Run
from pages._kit import downloads, second_run, write
from pages._kit.draw import Drawing, Pick, Width, draw, drawing
from pages._server import memory

P = ParamSpec("P")
T = TypeVar("T")
MOVED = ("name", "step", "pair")  #: arguments that change the data of a chart but not the chart
LONGEST = 40  #: characters of an argument in the name of a figure's files
COMPUTED, DRAWN = 60_000_000, 40_000_000  #: bytes of cached results, and of cached drawings
#: Function source by code object: each page run makes new functions with the same code.
_SOURCES: Final[dict[CodeType, str]] = {}
#: Errors of a cell with an incompatible second run: another p, fewer heads, other tokens.
UNFIT = (InputError, AssertionError, IndexError, KeyError, ValueError, RuntimeError)


class Titled(NamedTuple):
    """A cached chart with its title."""

    title: str
    drawing: Drawing


def cell(
    make: Callable[..., Chart | tuple[Chart, ...]],
    *,
    alt: str = "",
    caption: str = "",
    stamp: object = None,
    width: Width = "stretch",
    pick: Pick | None = None,
    **arguments: Any,
) -> None:
    """Show the cached chart of ``make(**arguments)`` with its code and its data.

    Several charts of one computation are shown two per row; of an odd number, the first is as wide as the page. With a second run, its chart is beside each: in two columns,
    which stack on a phone.

    Args:
        alt: what the chart shows, for screen readers, where its title does not say it; added to the title if there are
            several. Keep it constant over the steps: Vega recompiles a chart when its specification changes.
        caption: a caption.
        stamp: what the chart depends on besides its arguments and the config of the run ``name``: the length of growing
            metrics, or the time of another file.
        pick: see ``draw``.
    """
    stamp, caption = (_stamp(arguments), stamp), write.signed(caption)
    values = [_named(str(value)) for key, value in arguments.items() if key not in MOVED]
    name = "-".join([make.__name__, *values])
    found = _drawn(make, _code(make), tuple(arguments.items()), stamp)
    titles = "; ".join(each.title for each in ((found,) if isinstance(found, Titled) else found))
    write.record(Figure(make, arguments, alt or titles, caption))
    other = second_run.arguments_of_second(arguments)
    number = write.figure_number(make.__name__)
    label = "" if number is None else f"**Figure {number}.** "
    if other is None:
        _charts(found, alt, width, name, pick)
        _caption(label + caption)
    else:
        left, right = st.columns(2, gap="medium")
        with left:
            st.markdown(f"**{write.escaped(second_run.label(arguments))}**")
            _charts(found, alt, width, name, pick)
            _caption(label + caption)  # it describes this run
        with right:
            st.markdown(f"**{write.escaped(second_run.label(other))}**")
            try:
                beside = _drawn(make, _code(make), tuple(other.items()), (_stamp(other), stamp[1]))
                _charts(beside, alt, width, f"{name}-beside", None)
            except UNFIT as error:
                why = f": {error}" if isinstance(error, InputError) else "."
                write.info(f"This figure cannot be drawn for {other['name']}{why}", icon="balance")
    downloads.show(name, make, arguments, lambda: _chart(make, _code(make), tuple(arguments.items()), stamp))


def _caption(text: str) -> None:
    if text:
        st.caption(text)


def _named(value: str) -> str:
    """Return the part of a file's name for an argument: a long one is its beginning and a checksum."""
    return value if len(value) <= LONGEST else f"{value[:LONGEST]}-{zlib.crc32(value.encode()):08x}"


def _charts(found: Titled | tuple[Titled, ...], alt: str, width: Width, name: str, pick: Pick | None) -> None:
    if not isinstance(found, Titled):
        across = 1 if second_run.shown() else 2  # align the charts of each row
        wide = len(found) % across  # of an odd number, the first is as wide as the page
        places = [st.container() for _ in range(wide)]
        places += [place for _ in found[wide::across] for place in st.columns(across)]
        for i, (place, each) in enumerate(zip(places, found, strict=True)):
            with place:
                draw(each.drawing, width=width, alt=f"{each.title}. {alt}".strip(), key=f"chart-{name}-{i}")
    else:
        draw(found.drawing, width=width, alt=alt or found.title, key=f"chart-{name}", pick=pick)


def shared(function: Callable[P, T]) -> Callable[P, T]:
    """Cache a function that several cells of a page call (decorator).

    The function takes a run name and other plain values. Its source is part of the code of every cell that calls it.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs).arguments
        return _computed(function, _code(function), tuple(given.items()), _stamp(given))

    return once


def _stamp(arguments: Mapping[str, Any]) -> float | None:
    """Return the stamp of the run named in a function's arguments; None without one."""
    return stamp_of(miii.runs.open(arguments["name"])) if "name" in arguments else None


def stamp_of(run: Run, file: str = "config.json") -> float:
    """Return a number that changes when a run is rewritten under the same name.

    Raises:
        InputError: the run was renamed or deleted meanwhile.
    """
    try:
        return (run.folder / file).stat().st_mtime
    except OSError as error:
        raise InputError(f"{run.name} cannot be read ({error.strerror or error}).") from None


def _code(function: Callable[..., Any]) -> str:
    if function.__code__ not in _SOURCES:
        _SOURCES[function.__code__] = source(function, {})
    return _SOURCES[function.__code__]


@st.cache_resource(show_spinner=False)
def _kept() -> tuple[memory.Cache, memory.Cache]:
    """Return the caches of all sessions: results of ``shared`` functions, and drawings of cells."""
    return memory.Cache(COMPUTED), memory.Cache(DRAWN)


def _computed(function: Callable[..., T], code: str, arguments: tuple, stamp: object) -> T:
    return _kept()[0].get((code, arguments, stamp), lambda: function(**dict(arguments)))


def _drawn(make: Callable[..., Any], code: str, arguments: tuple, stamp: object) -> Titled | tuple[Titled, ...]:
    def compute() -> Titled | tuple[Titled, ...]:
        made = make(**dict(arguments))
        return tuple(map(_titled, made)) if isinstance(made, tuple) else _titled(made)

    return _kept()[1].get((code, arguments, stamp), compute)


def _titled(chart: Chart) -> Titled:
    return Titled(str(chart.title), drawing(chart))


@st.cache_resource(max_entries=8, show_spinner=False)
def _chart(_make: Callable[..., Any], code: str, arguments: tuple, stamp: object) -> Chart | tuple[Chart, ...]:
    """Return the chart itself, for downloads."""
    return _make(**dict(arguments))
