"""What a newcomer does in the browser: comes by a link to a cold server, trains, and watches."""

import re
from collections.abc import Callable

import pytest
from browsing import button, main, reader, settled
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

#: Links to a server that nobody has visited: the page's title, and something that it says.
COLD = {
    "/": ("Watch a network learn to add", "^A small transformer trains on half of all sums"),
    "/attention?run=add-113&a=7&b=9&head=2&step=0": ("Attention", r"^At step 0 the network answers \d+ for \(7, 9\)"),
    "/fourier?run=nosuch&step=banana&k=1000": ("Fourier", "^The link asked for something that is not here: step"),
}


def follow(page: Page, section: str, title: str) -> None:
    """Go to a page by the navigation at the top."""
    pages = page.get_by_role("navigation", name="App pages")
    pages.get_by_role("button", name=section, exact=True).click()
    page.get_by_role("menuitem", name=title).click()


@pytest.mark.parametrize(
    "path", [pytest.param(path, marks=() if "head" in path else pytest.mark.slow) for path in COLD]
)
def test_a_cold_server_answers_a_deep_link_with_that_page_in_the_app(
    chromium: Browser, start_server: Callable[[], str], path: str
) -> None:
    title, says = COLD[path]
    with reader(chromium) as (page, _):
        page.goto(start_server() + path)
        expect(page.locator("h1")).to_have_text(title)
        # without app.py there would be no navigation of ours and no run picker
        expect(page.get_by_role("navigation", name="App pages")).to_be_visible()
        expect(page.get_by_test_id("stSidebar").get_by_text("Run", exact=True)).to_be_visible()
        expect(main(page).get_by_text(re.compile(says)).first).to_be_visible()
        settled(page)
        assert page.get_by_test_id("stVegaLiteChart").count() > 5
        expect(page.get_by_text("There is no run named “nosuch” here")).to_have_count(int("nosuch" in path))
        expect(page.get_by_text("Page not found")).to_have_count(0)


def test_start_watch_reload_second_tab_queue_and_stop(chromium: Browser, server: str) -> None:
    with reader(chromium) as (page, _), reader(chromium) as (other, _):
        page.goto(f"{server}/train")
        settled(page)
        page.get_by_label("Steps", exact=True).fill("5000")
        page.get_by_label("Steps", exact=True).press("Enter")
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

        other.goto(page.url)
        expect(other.get_by_text("Training", exact=True)).to_be_visible()
        settled(other)
        button(other, "Start").click()
        expect(other.get_by_text("Queued: 1 job is ahead.")).to_be_visible()
        button(other, "Stop").click()
        expect(other.get_by_text("was taken out of the queue")).to_be_visible()
        expect(other.get_by_text("Training", exact=True)).to_be_visible()  # the other run is shown again

        follow(page, "Look inside", "Fourier")
        expect(page.locator("h1")).to_have_text("Fourier")
        follow(page, "Train", "Train")
        expect(page.get_by_text("Training", exact=True)).to_be_visible()
        button(page, "Stop").click()
        expect(page.get_by_text("Stopped at step")).to_be_visible()
        expect(button(page, "Resume")).to_be_visible()
