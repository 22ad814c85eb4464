"""Time the app's figures in a browser: after a move of the step slider, a heatmap, and second visits to pages."""

import statistics
import time
from pathlib import Path
from typing import Any

from benchmarks.app import BROWSER_ARGUMENTS, CHROMIUM, HEADING, IDLE, SLIDER
from benchmarks.app.server import TIMEOUT, serving
from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log, percentile

RUN = "add-113"
MOVED = ("fourier", "attention", "neurons")  #: pages for the slider moves
MOVES, HEATMAPS = 20, 5  #: repetitions
MOVE, HEATMAP = 0.2, 0.3  #: goals in seconds
SIZES = {"113 x 113": HEATMAP, "128 x 512": None}
QUIET = 700  #: milliseconds without a change that mark a page as done

# Drawing on a canvas does not change the document, so patch the drawing calls.
_LISTEN = """
window.asked = 0; window.drawn = 0;
for (const name of ["clearRect", "fillRect", "drawImage", "fill", "stroke"]) {
    const original = CanvasRenderingContext2D.prototype[name];
    CanvasRenderingContext2D.prototype[name] = function (...given) {
        window.drawn = performance.now();
        return original.apply(this, given);
    };
}
for (const name of ["input", "click"]) document.addEventListener(name, () => {
    if (window.asked === 0) window.asked = performance.now();
}, true);
"""
_DONE = """([idle, quiet]) => document.querySelector(idle) !== null && window.asked > 0 && window.drawn > window.asked
    && performance.now() - window.drawn > quiet"""
_SETTLED = """([idle, quiet]) => document.querySelector(idle) !== null
    && document.querySelectorAll("[data-testid=stSkeleton]").length === 0 && performance.now() - window.drawn > quiet"""


def run() -> Result:
    """Time slider moves, heatmaps and second visits."""
    if not Path(CHROMIUM).exists():
        raise Unavailable(f"there is no {CHROMIUM}: apt-get install chromium.")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=BROWSER_ARGUMENTS)
        found = measure(browser)
        browser.close()
    return Result(_rows(found), found)


def measure(browser: Any) -> dict[str, Any]:
    """Return the seconds of all three, by page or by size."""
    with serving(ROOT / "app.py") as server:
        page = _page(browser)
        moves = {name: _moves(page, f"{server.url}{name}?run={RUN}") for name in MOVED}
        for name, seconds in moves.items():
            log(f"figures: slider on {name}: median {statistics.median(seconds):.3f} s")
        visits = {name: _visit(page, f"{server.url}{name}?run={RUN}") for name in _names()}
        page.context.close()
    with serving(ROOT / "benchmarks" / "sides" / "heatmap.py", PYTHONPATH=str(ROOT)) as server:
        page = _page(browser)
        page.goto(server.url)
        page.wait_for_selector(HEADING)
        heatmaps = {size: [_heatmap(page, size) for _ in range(HEATMAPS)] for size in SIZES}
        page.context.close()
    return {"moves": moves, "visits": visits, "heatmaps": heatmaps}


def _rows(found: dict[str, Any]) -> list[Row]:
    table = []
    for name, seconds in found["moves"].items():
        said = f"from a move of the step slider to the last change of a figure, {name}, both steps loaded"
        table.append(at_most(f"figures: {said}, median of {len(seconds)}", statistics.median(seconds), MOVE, "s"))
        table.append(Row(f"figures: the same, p95 of {len(seconds)}", f"{percentile(seconds, 0.95):.2f} s"))
    for size, seconds in found["heatmaps"].items():
        said, value, goal = (
            f"figures: a heatmap of {size} appears, median of {len(seconds)}",
            statistics.median(seconds),
            SIZES[size],
        )
        table.append(Row(said, f"{value:.2f} s") if goal is None else at_most(said, value, goal, "s"))
    slowest = max(found["visits"], key=found["visits"].get)
    listed = ", ".join(f"{name} {seconds:.2f}" for name, seconds in found["visits"].items())
    table.append(
        Row(
            f"figures: a page visited once more, in a new session, slowest: {slowest}",
            f"{found['visits'][slowest]:.2f} s ({listed})",
        )
    )
    return table


def _names() -> list[str]:
    from pages._kit import headless

    return headless.pages()


def _page(browser: Any) -> Any:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.set_default_timeout(TIMEOUT)
    page.add_init_script(_LISTEN)
    return page


def _open(page: Any, url: str) -> None:
    page.goto(url)
    page.wait_for_selector(HEADING)
    page.wait_for_timeout(200)
    page.wait_for_function(_SETTLED, arg=[IDLE, QUIET])


def _moves(page: Any, url: str) -> list[float]:
    """Return the seconds of each move between the last two snapshots, without the first two, which load them."""
    _open(page, url)
    slider = page.get_by_role("slider", name=SLIDER)
    keys = ["ArrowLeft", "ArrowRight"] * (MOVES // 2 + 1)
    return [_taken(page, lambda key=key: slider.press(key)) for key in keys][2:]


def _heatmap(page: Any, size: str) -> float:
    """Return the seconds from requesting a heatmap of noise until it is drawn."""
    page.get_by_text("none", exact=True).click()
    page.get_by_test_id("stVegaLiteChart").wait_for(state="detached")
    page.wait_for_selector(IDLE)
    return _taken(page, page.get_by_text(size, exact=True).first.click)


def _taken(page: Any, act: Any) -> float:
    page.evaluate("window.asked = 0; window.drawn = 0")
    act()
    page.wait_for_function(_DONE, arg=[IDLE, QUIET])
    return page.evaluate("(window.drawn - window.asked) / 1000")


def _visit(page: Any, url: str) -> float:
    """Return the seconds from opening a page for the second time until its script ends."""
    _open(page, url)
    began = time.perf_counter()
    page.goto(url)
    page.wait_for_selector(HEADING)
    page.wait_for_selector(IDLE)
    return time.perf_counter() - began
