"""Downloads of a figure: its code, its data, and the figure as an image or a page."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import streamlit as st

from miii import plots
from miii.notebook.source import source
from miii.plots.style import Chart


def show(
    name: str, make: Callable[..., Any], arguments: dict[str, Any], made: Callable[[], Chart | tuple[Chart, ...]]
) -> None:
    """Show a popover below a figure; its content is made when opened.

    Args:
        name: name of the files and the widgets.
        made: returns the figure.
    """
    inside = st.popover(
        "Code and data",
        icon=":material/code:",
        type="tertiary",
        key=f"take-{name}",
        on_change="rerun",
        help="Also as CSV, PNG, SVG or HTML",
    )
    if not inside.open:
        return
    charts = made()
    with inside:
        st.code(source(make, arguments), language="python")
        for i, chart in enumerate(charts if isinstance(charts, tuple) else (charts,)):
            file = f"{name}-{i + 1}" if isinstance(charts, tuple) else name
            if isinstance(charts, tuple):
                st.caption(str(chart.title))
            with st.container(horizontal=True, gap="small"):
                csv(lambda chart=chart: plots.frame(chart), file)  # type: ignore[misc]
                for kind, mime in (("png", "image/png"), ("svg", "image/svg+xml")):
                    _button(
                        kind.upper(),
                        lambda chart=chart, kind=kind: plots.picture(chart, kind),  # type: ignore[misc]
                        f"{file}.{kind}",
                        mime,
                    )
                _button("HTML", chart.to_html, f"{file}.html", "text/html", "Interactive")


def csv(numbers: Callable[[], pd.DataFrame], name: str, help_text: str | None = None) -> None:
    """Show a button that downloads numbers; they are computed when pressed."""
    _button("CSV", lambda: numbers().to_csv(index=False), f"{name}.csv", "text/csv", help_text)


def _button(label: str, data: Callable[[], Any], file: str, mime: str, help_text: str | None = None) -> None:
    st.download_button(
        label,
        data,
        file,
        mime,
        key=f"download-{file}",
        icon=":material/download:",
        type="tertiary",
        help=help_text,
        on_click="ignore",
    )
