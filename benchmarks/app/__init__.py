"""Measure the app in a browser: first paint, page switches while a job trains, Stop, memory."""

import re
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.app.server import TIMEOUT, megabytes, serving, watching
from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log, percentile, spread

# Expected labels of the app, and selectors of Streamlit 1.67's frontend.
PAGES = ("Data", "Train", "Attention", "Fourier")  #: links in the navigation
STEPS = "20000"  #: steps of the job in the background
TRAIN, START, STOP = "Train", "Start", "Stop"  #: the job's page and its buttons
FORM = "Settings of a new run"  #: the fold around the form on the job's page
STOPPED = r"\bStopped\b"  #: regular expression for the page's text after Stop
SLIDER = "Training step of the snapshot"  #: label of the slider at the bottom of every page
MAIN = '[data-testid="stMain"]'
HEADING = f"{MAIN} h1"
SECTION, LINK = "stTopNavSection", "stTopNavDropdownLink"
IDLE = '[data-testid="stApp"][data-test-script-state="notRunning"]'

CHROMIUM = "/usr/bin/chromium"
BROWSER_ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]

FIRST_PAINTS, SWITCHES, STOPS = 3, 24, 3  #: repetitions
FIRST_PAINT, SWITCH, STOP_WITHIN, MEMORY = 5.0, 1.0, 1.0, 690  #: goals: seconds, seconds, seconds, MB

# Conditions polled once per frame; Playwright itself polls only every half second.
_PAINTED = "heading => document.querySelector(heading)?.checkVisibility()"
_SHOWN = """([heading, idle, text]) => document.querySelector(idle) !== null
    && [...document.querySelectorAll(heading)].some(h => text === null ? h.innerText : h.innerText.trim() === text)"""
_SAYS = "text => new RegExp(text).test(document.body.innerText)"


def run(app: Path = ROOT / "app.py") -> Result:
    """Measure everything; runs go to a temporary folder."""
    if not app.exists():
        raise Unavailable(f"there is no {app}.")
    if not Path(CHROMIUM).exists():
        raise Unavailable(f"there is no {CHROMIUM}: apt-get install chromium.")
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        raise Unavailable('playwright is not installed: pip install -e ".[test]".') from None
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
            paints = []
            for turn in range(FIRST_PAINTS):
                paints.append(first_paint(browser, app))
                log(f"app: first paint {turn + 1}: {paints[-1]:.2f} s")
            session = use(browser, app)
            browser.close()
    except Error as error:
        raise Unavailable(f"the browser failed: {' '.join(str(error).split())[:300]}") from None
    return Result(_rows(paints, session), {"first_paint": paints, **session})


def _rows(paints: list[float], session: dict[str, Any]) -> list[Row]:
    switches = [switch["seconds"] for switch in session["switches"]]
    slowest = max(session["switches"], key=lambda switch: switch["seconds"])["to"]
    return [
        at_most(
            f"app: first paint from a cold start (process spawned until the heading shows), median of {len(paints)}",
            statistics.median(paints), FIRST_PAINT, "s", spread(paints),
        ),
        at_most(
            f"app: page switch while a job trains (click until heading shown and script idle), p95 of {len(switches)}",
            percentile(switches, 0.95), SWITCH, "s",
            f" (median {statistics.median(switches):.2f}, slowest {max(switches):.2f} to {slowest})",
        ),
        at_most(
            f'app: Stop (click until "Stopped" shows), slowest of {len(session["stops"])}',
            max(session["stops"]), STOP_WITHIN, "s", spread(session["stops"]),
        ),
        at_most(
            "app: peak resident memory of the server's processes, trained runs open on every page and jobs run",
            session["peak_mb"], MEMORY, "MB", f" ({session['final_mb']:.0f} at the end)", digits=0,
        ),
    ]  # fmt: skip


def first_paint(browser: Any, app: Path) -> float:
    """Return the seconds from spawning a server until the heading is visible in a new browser context."""
    with serving(app) as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.url, wait_until="commit", timeout=TIMEOUT)
        page.wait_for_function(_PAINTED, arg=HEADING, timeout=TIMEOUT)
        took = time.perf_counter() - server.began
        context.close()
    return took


def use(browser: Any, app: Path) -> dict[str, Any]:
    """Run one session: switch pages while a job trains, stop jobs, and record the memory."""
    with serving(app) as server, watching(server.pid) as peak:
        page = browser.new_context().new_page()
        page.goto(server.url, timeout=TIMEOUT)
        headings = _headings(page)
        switches = _switches(page, headings)
        stops = [_stop(page) for _ in range(STOPS)]
        for name in PAGES:  # open the trained runs
            switch(page, name, headings[name])
        final = megabytes(server.pid)
        return {
            "headings": headings,
            "switches": switches,
            "stops": stops,
            "peak_mb": max(peak(), megabytes(server.pid, "VmHWM")),
            "final_mb": final,
        }


def _headings(page: Any) -> dict[str, str]:
    """Return the heading of each page, used to detect that a switch has happened."""
    headings = {}
    for name in PAGES:
        _link(page, name).click(timeout=TIMEOUT)
        page.wait_for_timeout(1000)
        page.wait_for_function(_SHOWN, arg=[HEADING, IDLE, None], timeout=TIMEOUT)
        headings[name] = page.locator(HEADING).first.inner_text().strip()
    if len(set(headings.values())) < len(headings):
        raise Unavailable(f"the pages' headings must differ, to tell when one has been switched to (got {headings}).")
    return headings


def _switches(page: Any, headings: dict[str, str]) -> list[dict[str, Any]]:
    """Switch to every page, round after round; a round counts only if the job trained throughout."""
    kept: list[dict[str, Any]] = []
    others = [name for name in PAGES if name != TRAIN]
    switch(page, TRAIN, headings[TRAIN])
    for turn in range(10 * SWITCHES):
        if len(kept) >= SWITCHES:
            return kept
        _train(page)
        order = others[turn % len(others) :] + others[: turn % len(others)]
        taken = [{"to": to, "seconds": switch(page, to, headings[to])} for to in [*order, TRAIN]]
        if _trains(page):
            kept += taken
            log("app: page switches: " + ", ".join(f"{one['to']} {one['seconds']:.2f} s" for one in taken))
    raise Unavailable(f"no job trained long enough for {SWITCHES} page switches (got {len(kept)}).")


def switch(page: Any, name: str, heading: str) -> float:
    """Return the seconds from clicking a page in the navigation until its heading appears and its script ends."""
    link = _link(page, name)
    began = time.perf_counter()
    link.click(timeout=TIMEOUT)
    page.wait_for_function(_SHOWN, arg=[HEADING, IDLE, heading], timeout=TIMEOUT)
    return time.perf_counter() - began


def _stop(page: Any) -> float:
    """Return the seconds from clicking Stop until the page confirms it, one second into training."""
    _train(page)
    page.wait_for_timeout(1000)
    if not _trains(page):
        raise Unavailable("a job ended by itself before it could be stopped.")
    began = time.perf_counter()
    button(page, STOP).click(timeout=TIMEOUT)
    page.wait_for_function(_SAYS, arg=STOPPED, timeout=TIMEOUT)
    took = time.perf_counter() - began
    log(f"app: Stop: {took:.2f} s")
    _until(page, lambda: not button(page, STOP, disabled=False).count(), f"{STOP} can still be pressed after {STOP}")
    return took


def _train(page: Any) -> None:
    """Start a job on the Train page unless one is training."""
    if not _trains(page):
        field = page.get_by_label(re.compile("^steps$", re.IGNORECASE))  # long enough to outlast a round
        if not field.is_visible():  # the form folds away once a job has run
            page.get_by_text(FORM, exact=True).click(timeout=TIMEOUT)
        if field.input_value() != STEPS:
            field.fill(STEPS)
            field.press("Enter")
            page.wait_for_function(_SHOWN, arg=[HEADING, IDLE, None], timeout=TIMEOUT)
        button(page, START).click(timeout=TIMEOUT)
        _until(page, lambda: _trains(page), f"no job that can be stopped follows {START}")


def _trains(page: Any) -> bool:
    return bool(button(page, STOP, disabled=False).count()) and not page.evaluate(_SAYS, STOPPED)


def _until(page: Any, condition: Callable[[], bool], otherwise: str) -> None:
    for _ in range(TIMEOUT // 50):
        if condition():
            return
        page.wait_for_timeout(50)
    raise Unavailable(f"{otherwise}.")


def button(page: Any, name: str, **state: bool) -> Any:
    """Return a button of the page by name."""
    # search the page only: Streamlit's header also has a Stop button while a script runs
    return page.locator(MAIN).get_by_role("button", name=name, exact=True, **state)


def _link(page: Any, name: str) -> Any:
    """Return the link to a page; open sections until it shows."""
    link = page.get_by_test_id(LINK).filter(has_text=re.compile(f"{name}$"))
    page.get_by_test_id(SECTION).first.wait_for(timeout=TIMEOUT)
    for section in page.get_by_test_id(SECTION).all():
        if link.count():
            break
        section.click(timeout=TIMEOUT)
        page.wait_for_timeout(500)
    link.wait_for(timeout=TIMEOUT)
    return link
