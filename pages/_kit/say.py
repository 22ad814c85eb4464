"""What a page says, said and remembered: a page can be exported as it stands.

Text that is not our own (of a URL, a file, a run's name, an error) is plain: ``error``, ``warning``, ``info``, ``success``
and ``header`` show it as it is, and ``escaped`` protects it within our own Markdown.
"""

from typing import Any, Literal

import pandas as pd
import streamlit as st

from miii.notebook.cells import Figure, Table, Text
from miii.notebook.cells import escaped as escaped
from pages._kit.take import csv

KEPT = "notes"  #: where the session keeps what its page said
OPEN = "notes_open"  #: whether the page is being said; a fragment that runs again says nothing new


def begin() -> list[Text | Figure | Table]:
    """A new page: nothing has been said."""
    kept: list[Text | Figure | Table] = []
    st.session_state[KEPT], st.session_state[OPEN] = kept, True
    return kept


def end() -> None:
    """The page has been said."""
    st.session_state[OPEN] = False


def keep(note: Text | Figure | Table) -> None:
    """Remember a part of the page."""
    if st.session_state.get(OPEN):
        st.session_state[KEPT].append(note)


def title(text: str) -> None:
    """The page's title, of which there is one."""
    st.title(text)
    keep(Text(f"# {text}"))


def header(text: str, **options: Any) -> None:
    """Where a chapter begins; ``anchor`` is its address."""
    st.header(text, **options)
    keep(Text(f"## {text}"))


def subheader(text: str, **options: Any) -> None:
    """Where a part of a chapter begins."""
    st.subheader(text, **options)
    keep(Text(f"### {text}"))


def text(markdown: str, **options: Any) -> None:
    """Prose."""
    st.markdown(markdown, **options)
    keep(Text(markdown))


def caption(markdown: str, **options: Any) -> None:
    """Small print."""
    st.caption(markdown, **options)
    keep(Text(markdown))


def error(plain: object, icon: str = "error") -> None:
    """Why something cannot be done, as plain text."""
    st.error(escaped(plain), icon=f":material/{icon}:")


def warning(plain: object, icon: str = "link_off") -> None:
    """What is not as it was asked for, as plain text."""
    st.warning(escaped(plain), icon=f":material/{icon}:")


def info(plain: object, icon: str = "info") -> None:
    """What there is to know of this page, as plain text."""
    st.info(escaped(plain), icon=f":material/{icon}:")


def success(plain: object, icon: str = "check") -> None:
    """What has been done, as plain text."""
    st.success(escaped(plain), icon=f":material/{icon}:")


def box(kind: Literal["success", "info", "warning"], markdown: str, icon: str) -> None:
    """What a page comes to, in a coloured box."""
    {"success": st.success, "info": st.info, "warning": st.warning}[kind](markdown, icon=f":material/{icon}:")
    keep(Text(f"> {markdown}"))


def latex(formula: str, **options: Any) -> None:
    """A formula in a line of its own."""
    st.latex(formula, **options)
    keep(Text(f"$$\n{formula}\n$$"))


def metric(label: str, value: object, **options: Any) -> None:
    """A number with a name."""
    st.metric(label, value, **options)  # type: ignore[arg-type]
    keep(Text(f"**{label}**: {value}"))


def table(rows: Any, name: str, says: str = "The numbers of this table", **options: Any) -> None:
    """Numbers in rows, to be taken away as CSV.

    Args:
        rows: whatever a data frame can be made of.
        name: of the file, and of the widgets.
        options: as ``st.dataframe`` takes them.
    """
    frame = rows if isinstance(rows, pd.DataFrame) else pd.DataFrame(rows)
    st.dataframe(frame, hide_index=True, key=f"table-{name}", **options)
    keep(Table(frame))
    csv(lambda: frame, name, says)
