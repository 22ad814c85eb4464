"""Share a server between two browser sessions: one trains while the other reads, then they swap."""

import itertools
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np

from benchmarks import app
from benchmarks.app.server import TIMEOUT, megabytes, serving
from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log

SECONDS, SHORT, LONG = 600, 150, 3000  #: total time; steps of a run that finishes, and of one to stop
SLOPE = 5.0  #: goal: MB per minute over the second half
READ = "add-113"  #: run to read
PAGES = ("fourier", "attention", "data")  #: pages to read; the last has no slider


@dataclass
class Session:
    """A browser session, recognizable by its modulus and operands.

    Attributes:
        p: modulus of the runs that it trains.
        pair: operands on the pages that it reads.
        problems: everything it saw that it should not have seen.
    """

    page: Any
    p: int
    pair: tuple[int, int]
    problems: list[str] = field(default_factory=list)
    pages: int = 0
    moves: int = 0
    trained: int = 0
    stopped: int = 0
    refused: int = 0

    def check(self, right: bool, otherwise: str) -> None:
        """Record a problem unless ``right``."""
        if not right:
            self.problems.append(f"session {self.p}: {otherwise}")


def run() -> Result:
    """Run both sessions for ten minutes."""
    if not Path(app.CHROMIUM).exists():
        raise Unavailable(f"there is no {app.CHROMIUM}: apt-get install chromium.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=app.CHROMIUM, args=app.BROWSER_ARGUMENTS)
        found = share(browser, SECONDS)
        browser.close()
    wrong = [*found["problems"], *found["errors"]]
    rows = [
        Row(
            f"sharing: {SECONDS / 60:g} minutes of two sessions that train and read at once: what went wrong",
            f"{len(wrong)}{': ' + wrong[0] if wrong else ''} ({found['trained']} runs trained, {found['stopped']} "
            f"stopped, {found['refused']} times refused to stop the other's, {found['pages']} pages read, "
            f"{found['moves']} moves of the slider)",
            "0",
            not wrong,
        ),
        at_most("sharing: peak resident memory of the server", found["peak_mb"], app.MEMORY, "MB", digits=0),
        at_most("sharing: growth of its memory over the last half", found["slope"], SLOPE, "MB a minute", digits=1),
    ]
    return Result(rows, found)


def share(browser: Any, seconds: float) -> dict[str, Any]:
    """Let two sessions take turns in training and reading for about ``seconds``.

    Returns:
        ``problems``: exceptions, and leaks between the sessions; ``errors`` of the browser's console; the number of
        runs ``trained`` to the end and ``stopped``, of refusals to stop the other's run (``refused``), of ``pages``
        read and slider ``moves``; ``peak_mb``, and the ``slope`` of memory in MB per minute over the second half.
    """
    errors: list[str] = []
    with serving(ROOT / "app.py", MIII_SHARED="1") as server:
        sessions = [Session(_page(browser, errors), 23, (7, 9)), Session(_page(browser, errors), 29, (20, 31))]
        began, memory = time.monotonic(), [(0.0, megabytes(server.pid))]
        for trainer, reader in itertools.cycle([sessions, sessions[::-1]]):
            for _ in _round(server.url, trainer, reader):
                memory.append((time.monotonic() - began, megabytes(server.pid)))
            log(f"sharing: {memory[-1][0]:.0f} s, {memory[-1][1]:.0f} MB")
            if memory[-1][0] >= seconds:
                break
        peak = megabytes(server.pid, "VmHWM")
        for session in sessions:
            session.page.context.close()
    late = np.array([sample for sample in memory if sample[0] >= memory[-1][0] / 2])
    return {
        "problems": [problem for session in sessions for problem in session.problems],
        "errors": errors,
        **{
            name: sum(getattr(s, name) for s in sessions)
            for name in ("trained", "stopped", "refused", "pages", "moves")
        },
        "peak_mb": peak,
        "slope": float(np.polyfit(late[:, 0] / 60, late[:, 1], 1)[0]),
        "memory": memory,
    }


def _page(browser: Any, errors: list[str]) -> Any:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(TIMEOUT)
    # ignore missing resources: Streamlit requests some from other hosts
    page.on(
        "console", lambda m: errors.append(m.text) if m.type == "error" and "Failed to load" not in m.text else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page


def _round(url: str, trainer: Session, reader: Session) -> Iterator[None]:
    """Train one run to its end and stop another while the other session reads."""
    for steps in (SHORT, LONG):
        name = _start(url, trainer, steps)
        yield
        for page in PAGES:
            _read(url, reader, page)
            yield
        if steps == SHORT:
            _says(trainer, "Finished at step")
            trainer.trained += 1
        else:
            _cannot_stop(url, reader, name)
            app.button(trainer.page, app.STOP).click()
            _says(trainer, "Stopped at step")
            trainer.stopped += 1
        _sees(trainer, name)
        yield


def _start(url: str, session: Session, steps: int) -> str:
    """Start a run and return its name."""
    page = session.page
    page.goto(f"{url}train?run={READ}")
    _settled(session)
    for label, value in (("p", session.p), ("steps", steps)):
        box = page.get_by_label(label, exact=True)
        box.fill(str(value))
        box.press("Enter")
        _settled(session)
    app.button(page, app.START).click()
    page.wait_for_function(f"!new URL(location).searchParams.get('run').startsWith('{READ}')")
    name = _asked(page)["run"]
    session.check(name.startswith(f"add-{session.p}-"), f"it started a run modulo {session.p} and was given {name}")
    return name


def _sees(session: Session, name: str) -> None:
    """Check that Train shows the session's own run and not the other's."""
    _settled(session)
    heading = session.page.locator("#run").inner_text()
    session.check(name in heading, f"it trained {name} and was shown {heading!r}")
    session.check(_asked(session.page)["run"] == name, f"the address of {name} became {session.page.url}")


def _read(url: str, session: Session, name: str) -> None:
    """Read a page, move the slider back one snapshot, and check the inputs and the step on the page."""
    page, (a, b) = session.page, session.pair
    page.goto(f"{url}{name}?run={READ}&a={a}&b={b}")
    _settled(session)
    session.pages += 1
    slider = page.get_by_role("slider", name=app.SLIDER)
    if name != PAGES[-1]:
        slider.press("ArrowLeft")
        page.wait_for_function("new URL(location).searchParams.has('step')")
        _settled(session)
        session.moves += 1
    if name == "attention":
        step = int(_asked(page)["step"])
        told = page.get_by_text(f"for ({a}, {b})")
        told.wait_for()
        said = re.search(r"At step (\d+)", told.inner_text())
        session.check(said is not None and int(said[1]) == step, f"at step {step} it read {told.inner_text()!r}")
    session.check(_asked(page)["run"] == READ, f"it read {READ} and came to {page.url}")


def _cannot_stop(url: str, session: Session, name: str) -> None:
    """Check that the session can watch the other's run but not stop it."""
    page = session.page
    page.goto(f"{url}train?run={name}")
    app.button(page, app.STOP).wait_for()
    refused = app.button(page, app.STOP).is_disabled()
    session.check(refused, f"it could have stopped {name}, which is the other's")
    session.refused += refused


def _says(session: Session, text: str) -> None:
    session.page.get_by_text(text).wait_for()


def _settled(session: Session) -> None:
    page = session.page
    page.wait_for_selector("h1")
    page.wait_for_timeout(100)  # a requested run has started by then
    page.wait_for_selector(app.IDLE)
    session.check(not page.locator('[data-testid="stException"]').count(), f"there was an exception at {page.url}")


def _asked(page: Any) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
