"""Run a page without a browser, to export it."""

import logging
from pathlib import Path
from urllib.parse import urlencode

from streamlit.logger import set_log_level
from streamlit.testing.v1 import AppTest

from miii.errors import InputError
from miii.notebook.cells import Page, unescaped
from pages._kit.navigation import PAGES

ROOT = Path(__file__).parents[2]
ADDRESS = "http://localhost:8501"  # the default of ``streamlit run app.py``
TIMEOUT = 3600  # maximum seconds of a page


def pages() -> list[str]:
    """Return the URL names of all pages, in the order of the navigation."""
    return [entry.file for entry in PAGES]


def record(page: str, run: str, step: int | None = None, **query: str) -> Page:
    """Open a page as a link does, and return its content.

    Args:
        page: one of ``pages()``.
        run: the name of a run in the sidebar.
        step: step of a snapshot; the last one if None.
        query: other parameters of the link.

    Raises:
        InputError: the page shows no figure; the message is the page's own.
    """
    set_log_level(logging.ERROR)  # Streamlit warns about the missing browser for every cached function
    from pages._kit.write import RECORDED
    from pages._server.gate import CONFIRMED

    asked = {"run": run} | ({} if step is None else {"step": str(step)}) | query
    at = AppTest.from_file(ROOT / "app.py", default_timeout=TIMEOUT)
    at.switch_page(f"pages/{page}.py")
    at.session_state[CONFIRMED] = True  # exports skip the cost prompt
    for name, value in asked.items():
        at.query_params[name] = value
    at.run()
    if at.exception:
        raise RuntimeError(at.exception[0].message)
    link = f"{ADDRESS}/{page}?{urlencode(asked)}"
    shown = Page.of(at.title[0].value, at.session_state.get(RECORDED, ()), run, link)
    if not shown.figures:
        why = [unescaped(box.value) for box in (*at.error, *at.info)]
        raise InputError(why[0] if why else "It shows no figure.")
    return shown
