"""A real server and a real browser: Debian's chromium, driven by Playwright."""

import importlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import ROOT, serving
from playwright.sync_api import Browser, sync_playwright

import miii
from miii import runs

CHROMIUM = os.environ.get("MIII_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("MIII_REQUIRE_BROWSER"):
            pytest.fail(f"{CHROMIUM} is required and is not there")
        pytest.skip(f"{CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def pages(monkeypatch) -> list[str]:
    """From the navigation, so that no page is forgotten."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("pages._kit.headless").pages()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A cold server with runs of its own: its address."""
    with serving(tmp_path / "runs") as address:
        yield address


@pytest.fixture(scope="session")
def eleven(small_config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small run that every page can show."""
    folder = tmp_path_factory.mktemp("shared") / "eleven"
    return runs.record(folder, miii.train(small_config(task={"p": 11}, snapshots=12))).folder


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, eleven: Path) -> Iterator[str]:
    """One server for all readers, who change no run; it has a small run beside those that came with miii."""
    with serving(tmp_path_factory.mktemp("server") / "runs", (eleven,)) as address:
        yield address
