"""What a newcomer does in the browser, and what nobody may ever see there."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser

PAGES = {
    "/": "Asked for primes, it learned to add",
    "/paper": "Asked for primes, it learned to add",
    "/train": "Watch a network learn to add",
    "/data": "Data",
    "/try": "Try it",
    "/symbolic": "Symbolic",
    "/attention": "Attention",
    "/fourier": "Fourier",
    "/neurons": "Neurons",
    "/circuits": "Circuits",
    "/progress": "Progress",
    "/formula": "Formula",
    "/frames?run=frames-10": "Frames",
    "/sparse": "Sparse grid",
    "/compare": "Compare",
    "/runs": "Runs",
}
#: How many charts the pages show of the run that comes with miii.
CHARTS = {
    "/": 20,
    "/data": 3,
    "/try": 5,
    "/symbolic": 3,
    "/attention": 10,
    "/fourier": 8,
    "/neurons": 9,
    "/circuits": 6,
    "/progress": 8,
    "/formula": 3,
}
BACKGROUNDS = {"light": "rgb(255, 255, 255)", "dark": "rgb(16, 22, 29)"}
WIDTH = 1280  # pixels
PATIENCE = 60_000  # milliseconds; the other core is busy with the rest of the suite
expect.set_options(timeout=PATIENCE)


def visit(browser: Browser, url: str, scheme: str = "light") -> tuple[Page, list[str]]:
    """A page in a fresh browser, and the console errors that it will have made."""
    context = browser.new_context(color_scheme=scheme, viewport={"width": WIDTH, "height": 900})  # type: ignore[arg-type]
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    errors: list[str] = []
    # Streamlit's own frame asks for resources below every path and from outside; neither is the app's.
    page.on(
        "console", lambda m: errors.append(m.text) if m.type == "error" and "Failed to load" not in m.text else None
    )
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(url)
    return page, errors


def settled(page: Page) -> None:
    """Wait until the script has run and its charts are drawn."""
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_function("document.querySelectorAll('[data-testid=stSkeleton]').length === 0")


def drawn(page: Page, charts: int) -> None:
    """Wait until so many charts stand there, each with a drawing in it that has a size."""
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(charts)
    page.wait_for_function(
        """[...document.querySelectorAll('[data-testid=stVegaLiteChart]')].every(chart => {
            const drawing = chart.querySelector('svg.marks, canvas.marks');
            return drawing !== null && drawing.getBoundingClientRect().height > 50;
        })"""
    )


def button(page: Page, name: str) -> Locator:
    """A button of ours: Streamlit's own header has a Stop too, while the script runs."""
    return page.get_by_test_id("stMain").get_by_role("button", name=name, exact=True)


def background(page: Page) -> str:
    return page.evaluate("getComputedStyle(document.querySelector('[data-testid=stApp]')).backgroundColor")


def width(page: Page) -> int:
    return page.evaluate("document.querySelector('[data-testid=stMain]').scrollWidth")


def no_exception(page: Page) -> None:
    expect(page.locator('[data-testid="stException"]')).to_have_count(0)


@pytest.mark.parametrize("path", PAGES)
def test_a_cold_server_answers_a_deep_link_with_that_page_in_the_app(
    chromium: Browser, start_server: Callable[[], str], path: str
) -> None:
    scheme = "dark" if path in CHARTS else "light"
    page, errors = visit(chromium, start_server() + path, scheme)
    expect(page.locator("h1")).to_have_text(PAGES[path])
    # without app.py there would be no navigation of ours and no run picker
    expect(page.get_by_test_id("stSidebar").get_by_text("Run", exact=True)).to_be_visible()
    expect(page.get_by_test_id("stSidebarNavLink")).to_have_count(15)
    settled(page)
    no_exception(page)
    if path in CHARTS:
        drawn(page, CHARTS[path])
    assert background(page) == BACKGROUNDS[scheme]
    assert width(page) <= WIDTH
    expect(page.get_by_text("Page not found")).to_have_count(0)
    assert errors == []
    page.context.close()


def test_pages_draw_in_both_themes_without_errors(chromium: Browser, server: str) -> None:
    for scheme in BACKGROUNDS:
        for path in ("/", "/data"):
            page, errors = visit(chromium, server + path, scheme)
            expect(page.locator("h1")).to_have_text(PAGES[path])
            settled(page)
            no_exception(page)
            assert errors == []
            assert background(page) == BACKGROUNDS[scheme]
            assert width(page) <= WIDTH
            page.context.close()


def test_start_watch_reload_second_tab_queue_and_stop(chromium: Browser, server: str) -> None:
    page, errors = visit(chromium, f"{server}/train")
    settled(page)
    page.get_by_label("steps", exact=True).fill("5000")
    page.get_by_label("steps", exact=True).press("Enter")
    settled(page)
    button(page, "Start").click()
    expect(page.get_by_text("Training", exact=True)).to_be_visible()
    progress = page.get_by_text("of 5,000 ·")
    expect(progress).to_be_visible()
    first = progress.inner_text()
    expect(progress).not_to_have_text(first)  # it moves by itself
    expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)

    page.reload()
    expect(page.get_by_text("Training", exact=True)).to_be_visible()

    other, other_errors = visit(chromium, page.url)
    expect(other.get_by_text("Training", exact=True)).to_be_visible()
    settled(other)
    button(other, "Start").click()
    expect(other.get_by_text("Queued: 1 job is ahead.")).to_be_visible()
    button(other, "Stop").click()
    expect(other.get_by_text("was taken out of the queue")).to_be_visible()
    expect(other.get_by_text("Training", exact=True)).to_be_visible()  # the other run is shown again

    page.get_by_role("link", name="Fourier").click()
    expect(page.locator("h1")).to_have_text("Fourier")
    page.get_by_role("link", name="Train").click()
    expect(page.get_by_text("Training", exact=True)).to_be_visible()
    button(page, "Stop").click()
    expect(page.get_by_text("Stopped at step")).to_be_visible()
    expect(button(page, "Resume")).to_be_visible()
    no_exception(page)
    assert errors == []
    assert other_errors == []
    other.context.close()
    page.context.close()


def test_a_copied_link_shows_the_same_view_in_a_fresh_browser(chromium: Browser, server: str) -> None:
    page, _ = visit(chromium, f"{server}/attention?a=7&b=9&head=2")
    expect(page.get_by_text("for (7, 9)")).to_be_visible()
    settled(page)
    last = page.get_by_text("for (7, 9)").inner_text()
    slider = page.get_by_role("slider", name="Training step of the snapshot")
    slider.press("ArrowLeft")
    expect(page.get_by_text("for (7, 9)")).not_to_have_text(last)
    page.wait_for_url("**step=**")
    said = page.get_by_text("for (7, 9)").inner_text()
    copy, _ = visit(chromium, page.url)
    expect(copy.get_by_text("for (7, 9)")).to_have_text(said)
    page.context.close()
    copy.context.close()


def test_a_broken_link_falls_back_with_a_note(chromium: Browser, server: str) -> None:
    page, errors = visit(chromium, f"{server}/fourier?run=nosuch&step=banana")
    expect(page.locator("h1")).to_have_text("Fourier")
    expect(page.get_by_text("There is no run named “nosuch” here")).to_be_visible()
    settled(page)
    no_exception(page)
    assert errors == []
    page.context.close()
