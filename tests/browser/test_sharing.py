"""Two browser sessions train and read at once for half a minute."""

import importlib
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser

pytestmark = [pytest.mark.browser, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
PEAK = 690  #: MB, the goal: what a small server has


@pytest.fixture
def sharing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(ROOT)
    yield importlib.import_module("benchmarks.app.sharing")
    for name in [name for name in sys.modules if name.split(".")[0] == "benchmarks"]:
        del sys.modules[name]


def test_two_sessions_train_and_read_at_once(chromium: Browser, sharing) -> None:
    found = sharing.share(chromium, 30)
    assert found["problems"] == []
    assert found["errors"] == []
    assert min(found["trained"], found["stopped"], found["refused"], found["pages"], found["moves"]) >= 1
    assert found["peak_mb"] < PEAK
