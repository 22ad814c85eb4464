"""What a reader does in a browser: opens a page, waits until it stands there, and looks at it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).parents[2]
TIMEOUT = 120_000  # milliseconds; the other core is busy with the rest of the suite
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 29)"}
#: The runs of pages that show nothing of modular arithmetic; the others show one that adds.
FITTING = {"sieve": "primes-10", "frames": "frames-10"}
ADDING = "add-113"
expect.set_options(timeout=TIMEOUT)


@contextlib.contextmanager
def serving(home: Path, runs: tuple[Path, ...] = ()) -> Iterator[str]:
    """A cold server: its address.

    Args:
        home: where it keeps its runs.
        runs: folders of runs that are copied there first.
    """
    home.mkdir(parents=True, exist_ok=True)
    for run in runs:
        shutil.copytree(run, home / run.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = os.environ | {"MIII_RUNS": str(home), "OMP_NUM_THREADS": "1"}
    said = home.with_name(f"{home.name}-{port}.log")
    with said.open("w") as log:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield _answering(f"http://127.0.0.1:{port}", said)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answering(address: str, said: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            return address
        time.sleep(0.1)
    raise AssertionError(said.read_text())


@contextlib.contextmanager
def reader(browser: Browser, scheme: str = "light", width: int = 1280) -> Iterator[tuple[Page, list[str]]]:
    """A tab of a fresh browser, and what goes wrong in it; at the end nothing may have."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(TIMEOUT)
    errors: list[str] = []
    # Streamlit's own frame asks for resources below every path and from outside; neither is the app's.
    page.on(
        "console", lambda m: errors.append(m.text) if m.type == "error" and "Failed to load" not in m.text else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield page, errors
        expect(page.get_by_test_id("stException")).to_have_count(0)
        assert errors == []
    finally:
        context.close()


def link(page: str, **query: object) -> str:
    """The way to a page of the app, with a run that has something to show there."""
    asked = {"run": FITTING.get(page, ADDING)} | query
    return f"/{page}?{urlencode(asked)}"


def settled(page: Page) -> None:
    """Wait until the script has run and its charts are drawn."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function(
        """document.querySelector('[data-testid=stSkeleton], [data-stale=true]') === null
            && [...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(chart => {
                const drawing = chart.querySelector('svg.marks, canvas.marks');
                return drawing !== null && drawing.getBoundingClientRect().height > 50
                    && drawing.getBoundingClientRect().width > 50;
            })"""
    )


def main(page: Page) -> Locator:
    """The page between Streamlit's own bars."""
    return page.get_by_test_id("stMain")


def button(page: Page, name: str) -> Locator:
    """A button of ours: Streamlit's own header has a Stop too, while the script runs."""
    return main(page).get_by_role("button", name=name, exact=True)


def slider(page: Page) -> Locator:
    """The slider of steps below every page."""
    return page.get_by_label("Training step of the snapshot")


def number(page: Page, label: str, value: int) -> None:
    """Type a number into a field of the page."""
    field = main(page).get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
