"""A page without a browser: what it shows of a run, to be exported."""

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
    """The names of all pages, as in the URL, in the order of the app's navigation."""
    return [entry.file for entry in PAGES]


def record(page: str, run: str, step: int | None = None, **query: str) -> Page:
    """Open a page as a link to it does, and keep what it says and shows.

    The page is one of a run where any of its figures is.

    Args:
        page: one of ``pages()``.
        run: the name of a run that the sidebar lists.
        step: of one of its snapshots; the last one if None.
        query: what else stands in the link.

    Raises:
        InputError: the page shows no figure; the text is what it says instead.
    """
    set_log_level(logging.ERROR)  # Streamlit warns of every cached function, at its import, that there is no browser
    from pages._kit.say import KEPT
    from pages._server.gate import OPEN

    asked = {"run": run} | ({} if step is None else {"step": str(step)}) | query
    at = AppTest.from_file(ROOT / "app.py", default_timeout=PATIENCE)
    at.switch_page(f"pages/{page}.py")
    at.session_state[OPEN] = True  # an export was asked for, whatever it takes
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
