"""Show a page's text and tables, and record them for export.

Untrusted text (from a URL, a file, a run's name, an error) is plain: ``error``, ``warning``, ``info``, ``success`` and
``header`` show it literally, and ``escaped`` protects it within Markdown.
"""

import re
from collections.abc import Callable
from typing import Any, Literal, NoReturn

import pandas as pd
import streamlit as st

from miii.notebook.cells import Figure, Table, Text
from miii.notebook.cells import escaped as escaped
from pages._kit.downloads import csv

RECORDED = "notes"  #: key of the recorded parts of the page
OPEN = "notes_open"  #: whether the page is recording; fragment reruns record nothing


#: code, formulas, and the hyphen in front of a number or a letter, or between two terms
_SIGNS = re.compile(r"`[^`]*`|\$[^$]*\$|(?<![\w.=/-])-(?=\.?\d|[a-z]\b)|(?<=\w )-(?= \w)")


def signed(markdown: str) -> str:
    """Write a true minus sign for a hyphen, outside code and formulas."""
    return _SIGNS.sub(lambda found: "\u2212" if found[0] == "-" else found[0], markdown)


NUMBERS = "figure_numbers"  #: numbers of the page's figures, by the name of their function; None if not numbered


def begin() -> list[Text | Figure | Table]:
    """Start recording a page."""
    parts: list[Text | Figure | Table] = []
    st.session_state[RECORDED], st.session_state[OPEN], st.session_state[NUMBERS] = parts, True, None
    return parts


def number_figures() -> None:
    """Number the figures of this page from here on, as an article does, so that text can refer to them."""
    st.session_state[NUMBERS] = {}


def figure_number(name: str) -> int | None:
    """Return the number of a figure, the next one if it is new; None if the page's figures have no numbers."""
    numbers: dict[str, int] | None = st.session_state.get(NUMBERS)
    return None if numbers is None else numbers.setdefault(name, len(numbers) + 1)


def figure(make: Callable[..., Any]) -> str:
    """Return the reference to a figure shown before, such as "Figure 3"."""
    return f"Figure {figure_number(make.__name__)}"


def end() -> None:
    """Stop recording."""
    st.session_state[OPEN] = False


class PageEnd(Exception):
    """Ends the script of a page; ``app.py`` then shows what every page has below."""


def stop() -> NoReturn:
    """End the page here; after ``st.stop``, nothing could be shown below it."""
    raise PageEnd


def record(note: Text | Figure | Table) -> None:
    """Record a part of the page."""
    if st.session_state.get(OPEN):
        st.session_state[RECORDED].append(note)


def title(text: str) -> None:
    """Show the title of the page."""
    st.title(text)
    record(Text(f"# {text}"))


def header(text: str, **options: Any) -> None:
    """Show a heading; ``anchor`` is its URL fragment."""
    st.header(text, **options)
    record(Text(f"## {text}"))


def subheader(text: str, **options: Any) -> None:
    """Show a second-level heading."""
    st.subheader(text, **options)
    record(Text(f"### {text}"))


def text(markdown: str, **options: Any) -> None:
    """Show Markdown."""
    markdown = signed(markdown)
    st.markdown(markdown, **options)
    record(Text(markdown))


def caption(markdown: str, **options: Any) -> None:
    """Show a caption."""
    markdown = signed(markdown)
    st.caption(markdown, **options)
    record(Text(markdown))


def error(plain: object, icon: str = "error") -> None:
    """Show an error as plain text."""
    st.error(escaped(plain), icon=f":material/{icon}:")


def warning(plain: object, icon: str = "link_off") -> None:
    """Show a warning as plain text."""
    st.warning(escaped(plain), icon=f":material/{icon}:")


def info(plain: object, icon: str = "info") -> None:
    """Show information as plain text."""
    st.info(escaped(plain), icon=f":material/{icon}:")


def success(plain: object, icon: str = "check") -> None:
    """Show a success as plain text."""
    st.success(escaped(plain), icon=f":material/{icon}:")


def box(kind: Literal["success", "info", "warning"], markdown: str, icon: str) -> None:
    """Show a page's result in a colored box."""
    markdown = signed(markdown)
    {"success": st.success, "info": st.info, "warning": st.warning}[kind](markdown, icon=f":material/{icon}:")
    record(Text(f"> {markdown}"))


def latex(formula: str, **options: Any) -> None:
    """Show a display formula."""
    st.latex(formula, **options)
    record(Text(f"$$\n{formula}\n$$"))


def metric(label: str, value: object, **options: Any) -> None:
    """Show a number with a label."""
    value = signed(value) if isinstance(value, str) else value
    st.metric(label, value, **options)  # type: ignore[arg-type]
    record(Text(f"**{label}**: {value}"))


def table(rows: Any, name: str, **options: Any) -> None:
    """Show a table, with a CSV download.

    Args:
        rows: anything that converts to a data frame.
        name: name of the file and the widgets.
        options: options of ``st.dataframe``.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    st.dataframe(frame, hide_index=True, key=f"table-{name}", placeholder="–", **options)
    record(Table(frame))
    csv(lambda: frame, name)
