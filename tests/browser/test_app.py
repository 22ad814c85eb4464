"""What a newcomer does in the browser: comes by a link to a cold server, trains, and watches."""

import re

import pytest
from browsing import button, main, reader, settled
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

#: Links to a server that nobody has visited: the page's title, something that it says, and its charts at least.
COLD = {
    "/": ("Watch a network learn to add", "^A transformer, a kind of neural network, trains on some", 1),
    "/attention?run=add-113&a=7&b=9&head=2&step=0": (
        "Attention",
        r"^At step 0 the network answers \d+ for \(7, 9\)",
        6,
    ),
    "/fourier?run=nosuch&step=banana&k=1000": (
        "Fourier",
        "^The link asks for something that does not exist here: step",
        6,
    ),
}
#: Notes every name that the navigation shows, also for a moment.
WATCH = """
    window.worn = [];
    const links = "[data-testid=stSidebarNavLink]";
    const look = () => document.querySelectorAll(links).forEach((link) => window.worn.push(link.innerText));
    new MutationObserver(look).observe(document, { childList: true, subtree: true });
"""


def follow(page: Page, section: str, title: str) -> None:
    """Go to a page by the navigation at the top."""
    pages = page.get_by_role("navigation", name="App pages")
    pages.get_by_role("button", name=section, exact=True).click()
    page.get_by_role("menuitem", name=title).click()


def arrive(page: Page, server: str, path: str) -> None:
    """Follow a link to a cold server, which answers with that page in the app."""
    title, says, charts = COLD[path]
    page.add_init_script(WATCH)
    page.goto(server + path)
    page.wait_for_url("**run=**")
    expect(page.locator("h1")).to_have_text(title)
    # without app.py there would be no navigation of ours and no run picker
    expect(page.get_by_role("navigation", name="App pages")).to_be_visible()
    picker = page.get_by_test_id("stSidebar").get_by_role("combobox").first
    assert page.evaluate("new URL(location.href).searchParams.get('run')") == picker.input_value() != ""
    assert page.evaluate("history.length") == 2  # the empty tab, and the page
    assert not [name for name in page.evaluate("worn") if name.strip().islower()], "names of files were shown"
    expect(main(page).get_by_text(re.compile(says)).first).to_be_visible()
    settled(page)
    assert page.get_by_test_id("stVegaLiteChart").count() >= charts
    expect(page.get_by_text("There is no run named “nosuch” here")).to_have_count(int("nosuch" in path))
    expect(page.get_by_text("Page not found")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("path", COLD)
def test_a_cold_server_answers_a_link_with_that_page_in_the_app(chromium: Browser, server: str, path: str) -> None:
    with reader(chromium) as (page, _):
        arrive(page, server, path)


def started(page: Page, server: str) -> None:
    """Start a network of 5,000 steps."""
    page.goto(f"{server}/train")
    page.wait_for_url("**run=**")
    settled(page)
    steps = main(page).get_by_label("Steps", exact=True)
    steps.fill("5000")
    steps.press("Enter")
    settled(page)
    expect(steps).to_have_value("5000")
    button(page, "Start").click()
    expect(page.get_by_text("Training", exact=True)).to_be_visible()


def test_come_by_a_link_then_start_watch_leave_and_stop(chromium: Browser, server: str) -> None:
    with reader(chromium) as (page, _):
        arrive(page, server, next(path for path in COLD if "head" in path))
        started(page, server)
        progress = page.get_by_text("of 5,000 ·")
        expect(progress).to_be_visible()
        first = progress.inner_text()
        expect(progress).not_to_have_text(first)  # it moves by itself
        expect(page.get_by_test_id("stVegaLiteChart")).to_have_count(4)
        follow(page, "Look inside", "Fourier")
        expect(page.locator("h1")).to_have_text("Fourier")
        follow(page, "Train", "Train")
        expect(page.get_by_text("Training", exact=True)).to_be_visible()
        button(page, "Stop").click()
        expect(page.get_by_text("Stopped at step")).to_be_visible()
        expect(button(page, "Resume")).to_be_visible()


@pytest.mark.slow
def test_a_second_tab_shows_the_run_and_waits_with_its_own(chromium: Browser, server: str) -> None:
    with reader(chromium) as (page, _), reader(chromium) as (other, _):
        started(page, server)
        page.reload()
        expect(page.get_by_text("Training", exact=True)).to_be_visible()
        other.goto(page.url)
        expect(other.get_by_text("Training", exact=True)).to_be_visible()
        settled(other)
        button(other, "Start").click()
        expect(other.get_by_text("Queued: 1 job is ahead.")).to_be_visible()
        button(other, "Stop").click()
        expect(other.get_by_text("was taken out of the queue")).to_be_visible()
        expect(other.get_by_text("Training", exact=True)).to_be_visible()  # the other run is shown again
        button(page, "Stop").click()
        expect(page.get_by_text("Stopped at step")).to_be_visible()
