"""What a reader does in a browser: open a page, wait until it is drawn, and look at it."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).parents[2]
PATIENCE = 60_000  # milliseconds; the other core is busy with the rest of the suite
PHONE, LAPTOP = 390, 1280  # pixels
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 29)"}
#: Small runs for the pages that show nothing of modular arithmetic; the others show one that adds modulo 11.
FITTING = {"sieve": "primes", "frames": "frames"}
ADDING = "eleven"
expect.set_options(timeout=PATIENCE)


@contextlib.contextmanager
def serving(home: Path, runs: tuple[Path, ...] = ()) -> Iterator[str]:
    """Start a cold server that keeps its runs in ``home``, with copies of these; its address."""
    home.mkdir(parents=True, exist_ok=True)
    for run in runs:
        shutil.copytree(run, home / run.name)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--server.headless=true", f"--server.port={port}", "--server.address=127.0.0.1"]
    environment = os.environ | {"MIII_RUNS": str(home), "OMP_NUM_THREADS": "1"}
    log_file = home.with_name(f"{home.name}-{port}.log")
    with log_file.open("w") as log:
        command = [sys.executable, "-m", "streamlit", "run", "app.py", *options]
        process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log)
    try:
        yield _answering(f"http://127.0.0.1:{port}", log_file)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _answering(address: str, log_file: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{address}/_stcore/health", timeout=1)
            return address
        time.sleep(0.1)
    raise AssertionError(log_file.read_text())


@contextlib.contextmanager
def reader(browser: Browser, scheme: str = "light", width: int = LAPTOP) -> Iterator[tuple[Page, list[str]]]:
    """Open a tab of a fresh browser, and collect its errors; at the end there may be none."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
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
    """Return the address of a page, with a run that has something to show there."""
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


def steady(page: Page, read: Callable[[], str | None], seconds: float) -> bool:
    """Whether what is read stays the same for a time."""
    first = read()
    page.wait_for_timeout(1000 * seconds)
    return read() == first


def number(page: Page, label: str, value: int) -> None:
    """Type a number into a field of the page."""
    field = main(page).get_by_label(label, exact=True)
    field.fill(str(value))
    field.press("Enter")
