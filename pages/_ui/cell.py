"""A cell of the notebook: why, the figure, what to see in it, the code that made it, and its numbers to take away.

A cell is made by a plain function of plain values. Its source is what is shown and what ran: pasted into a script where
``miii`` is installed, it gives the same figure.
"""

import ast
import inspect
import textwrap
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from miii import plots
from miii.plots.style import Chart
from miii.runs import Run

IMPORTS = "import miii\nfrom miii import analysis, plots"


def cell(
    make: Callable[..., Chart],
    *,
    alt: str,
    see: str = "",
    stamp: object = None,
    width: Literal["stretch", "content"] = "stretch",
    **arguments: Any,
) -> None:
    """Run ``make(**arguments)``, or remember what it gave, and show its chart with its code and its numbers.

    Args:
        alt: what the chart shows, for those who cannot see it.
        see: what there is to see in it, below the chart.
        stamp: anything that changes with the files that the chart is read from; see ``stamp_of``.
    """
    name = "-".join([make.__name__, *(str(value) for key, value in arguments.items() if key not in ("name", "step"))])
    chart = _made(make, inspect.getsource(make), tuple(arguments.items()), stamp)
    st.altair_chart(chart, width=width, alt=alt, key=f"chart-{name}")
    if see:
        st.caption(see)
    _tools(name, source(make, arguments), chart)


def source(make: Callable[..., Chart], arguments: dict[str, Any]) -> str:
    """The function's body as a cell of a notebook: its arguments assigned above, its return value as the last line."""
    code = textwrap.dedent(inspect.getsource(make))
    function = ast.parse(code).body[0]
    assert isinstance(function, ast.FunctionDef)
    lines, last = code.splitlines(), function.body[-1].lineno - 1
    lines[last] = lines[last].replace("return ", "", 1)
    body = textwrap.dedent("\n".join(lines[function.body[0].lineno - 1 :]))
    given = "\n".join(f"{name} = {value!r}" for name, value in arguments.items())
    return f"{IMPORTS}\n\n{given}\n\n{body}"


def stamp_of(run: Run) -> float:
    """Changes when a run of the same name is written anew."""
    return (run.folder / "config.json").stat().st_mtime


def _tools(name: str, code: str, chart: Chart) -> None:
    with st.container(horizontal=True, gap="small"):
        with st.popover("Code", icon=":material/code:", type="tertiary", help="The code that made this figure"):
            st.code(code, language="python")
        st.download_button(
            "CSV",
            lambda: plots.frame(chart).to_csv(index=False),
            f"{name}.csv",
            "text/csv",
            key=f"csv-{name}",
            icon=":material/download:",
            type="tertiary",
            help="The numbers of this figure",
            on_click="ignore",
        )
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


@st.cache_resource(max_entries=256, show_spinner=False)
def _made(_make: Callable[..., Chart], code: str, arguments: tuple, stamp: object) -> Chart:
    return _make(**dict(arguments))
