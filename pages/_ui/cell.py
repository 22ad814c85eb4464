"""A cell of the notebook: why, the figure, what to see in it, the code that made it, and its numbers to take away.

A cell is made by a plain function of plain values. Its source is what is shown and what ran: pasted into a script where
``miii`` is installed, it gives the same figure.
"""

import inspect
from collections.abc import Callable
from functools import wraps
from typing import Any, Literal, ParamSpec, TypeVar

import pandas as pd
import streamlit as st

import miii
from miii import plots
from miii.notebook.source import source
from miii.plots.style import Chart
from miii.runs import Run

P = ParamSpec("P")
T = TypeVar("T")


def cell(
    make: Callable[..., Chart | tuple[Chart, ...]],
    *,
    alt: str,
    see: str = "",
    stamp: object = None,
    width: Literal["stretch", "content"] = "stretch",
    **arguments: Any,
) -> None:
    """Run ``make(**arguments)``, or remember what it gave, and show its chart with its code and its numbers.

    Several charts that one computation gives stand two by two.

    Args:
        alt: what the chart shows, for those who cannot see it; of several charts, each one's title goes before it.
        see: what there is to see in it, below the chart.
        stamp: anything that changes with the files that the chart is read from; see ``stamp_of``.
    """
    name = "-".join([make.__name__, *(str(value) for key, value in arguments.items() if key not in ("name", "step"))])
    made = _made(make, source(make, {}), tuple(arguments.items()), stamp)
    if isinstance(made, tuple):
        rows = [st.columns(2) for _ in made[::2]]  # so that the two of each row begin at the same height
        for i, chart in enumerate(made):
            with rows[i // 2][i % 2]:
                st.altair_chart(chart, width=width, alt=f"{chart.title}. {alt}", key=f"chart-{name}-{i}")
                _tools(f"{name}-{i + 1}", source(make, arguments), chart)
    else:
        st.altair_chart(made, width=width, alt=alt, key=f"chart-{name}")
    if see:
        st.caption(see)
    if not isinstance(made, tuple):
        _tools(name, source(make, arguments), made)


def shared(function: Callable[P, T]) -> Callable[P, T]:
    """Compute what several cells and sentences of a page need only once: a decorator.

    The function takes the name of a run, and other plain values. Its source is a part of the code of every cell that
    calls it.
    """
    signature = inspect.signature(function)

    @wraps(function)
    def once(*args: P.args, **kwargs: P.kwargs) -> T:
        given = signature.bind(*args, **kwargs).arguments
        return _computed(function, source(function, {}), tuple(given.items()), stamp_of(miii.runs.open(given["name"])))

    return once


def stamp_of(run: Run) -> float:
    """Changes when a run of the same name is written anew."""
    return (run.folder / "config.json").stat().st_mtime


def _tools(name: str, code: str, chart: Chart) -> None:
    with st.container(horizontal=True, gap="small"):
        with st.popover("Code", icon=":material/code:", type="tertiary", help="The code that made this figure"):
            st.code(code, language="python")
        csv(lambda: plots.frame(chart), name, "The numbers of this figure")
        st.download_button(
            "Chart",
            lambda: chart.to_html(),
            f"{name}.html",
            "text/html",
            key=f"html-{name}",
            icon=":material/download:",
            type="tertiary",
            help="This figure as a page of its own, from which it can be saved as PNG or SVG",
            on_click="ignore",
        )


def csv(numbers: Callable[[], pd.DataFrame], name: str, says: str) -> None:
    """A button that downloads numbers; they are made when it is pressed."""
    st.download_button(
        "CSV",
        lambda: numbers().to_csv(index=False),
        f"{name}.csv",
        "text/csv",
        key=f"csv-{name}",
        icon=":material/download:",
        type="tertiary",
        help=says,
        on_click="ignore",
    )


@st.cache_resource(max_entries=64, show_spinner=False)
def _computed(_function: Callable[..., T], code: str, arguments: tuple, stamp: object) -> T:
    return _function(**dict(arguments))


@st.cache_resource(max_entries=256, show_spinner=False)
def _made(_make: Callable[..., Any], code: str, arguments: tuple, stamp: object) -> Any:
    return _make(**dict(arguments))
