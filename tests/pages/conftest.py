"""What the tests of pages share: a server of one's own for each, visits, and runs of every kind."""

from collections.abc import Callable
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def server(home, monkeypatch) -> None:
    """No cached result of the test before."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Opens a page as a link with these query parameters does; no trace may be seen."""

    def open_page(page: str, **query: object) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        at.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            at.query_params[name] = str(value)
        at.run()
        assert not at.exception
        assert len(at.title) == 1
        return at

    return open_page


@pytest.fixture(scope="session")
def texts() -> Callable[[AppTest], str]:
    """Everything that a page says."""

    def read(at: AppTest) -> str:
        kinds = (at.markdown, at.caption, at.info, at.success, at.error, at.warning)
        return "\n".join(element.value for kind in kinds for element in kind)

    return read
