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
ADDRESS = "http://localhost:8501"  # where ``streamlit run app.py`` shows it
PATIENCE = 3600  # seconds that a page may take


def pages() -> list[str]:
    """Return the names of all pages, as in the URL, in the order of the navigation."""
    return [entry.file for entry in PAGES]


def record(page: str, run: str, step: int | None = None, **query: str) -> Page:
    """Open a page as a link does, and return what it shows.

    Args:
        page: one of ``pages()``.
        run: the name of a run that the sidebar lists.
        step: of one of its snapshots; the last one if None.
        query: further parameters of the link.

    Raises:
        InputError: the page shows no figure; the message is the page's own.
    """
    set_log_level(logging.ERROR)  # Streamlit warns at the import of every cached function that there is no browser
    from pages._kit.say import KEPT
    from pages._server.gate import OPEN

    asked = {"run": run} | ({} if step is None else {"step": str(step)}) | query
    at = AppTest.from_file(ROOT / "app.py", default_timeout=PATIENCE)
    at.switch_page(f"pages/{page}.py")
    at.session_state[OPEN] = True  # an export is wanted whatever it costs
    for name, value in asked.items():
        at.query_params[name] = value
    at.run()
    if at.exception:
        raise RuntimeError(at.exception[0].message)
    link = f"{ADDRESS}/{page}?{urlencode(asked)}"
    shown = Page.of(at.title[0].value, at.session_state.get(KEPT, ()), run, link)
    if not shown.figures:
        why = [unescaped(box.value) for box in (*at.error, *at.info)]
        raise InputError(why[0] if why else "It shows no figure.")
    return shown
