"""Export a page as a notebook that recomputes its figures, or as an article."""

from collections.abc import Callable

import streamlit as st

from miii.notebook.cells import Figure, Page, Table, Text
from pages._kit import address
from pages._kit.run_picker import RUN


def page(title: str, parts: list[Text | Figure | Table]) -> None:
    """Show the two export buttons.

    Args:
        parts: the page's recorded content, complete by the time a button is pressed.
    """
    run, where = st.session_state.get(RUN), address.final_link()

    def made() -> Page:
        return Page.of(title, parts, run, where[-1])

    file = "-".join(part for part in ("miii", title.lower().replace(" ", "-"), run) if part)
    with st.container(horizontal=True, gap="small"):
        _button("Notebook", lambda: _ipynb(made()), f"{file}.ipynb", "application/x-ipynb+json", "a Jupyter notebook")
        _button("Article", lambda: _html(made()), f"{file}.html", "text/html", "one HTML file with interactive figures")


def _ipynb(made: Page) -> str:
    import nbformat  # only needed once a button is pressed

    from miii.notebook.build import notebook

    return nbformat.writes(notebook([made]))


def _html(made: Page) -> str:
    from miii.notebook.html import html

    return html([made])


def _button(label: str, data: Callable[[], str], file: str, mime: str, help_text: str) -> None:
    st.download_button(
        label,
        data,
        file,
        mime,
        key=f"share-{label}",
        icon=":material/download:",
        help=f"This page as {help_text}",
        on_click="ignore",
    )
