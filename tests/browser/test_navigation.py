"""The run and the page are one: in the address of a first visit, over Back and Forward, and where they do not fit."""

import pytest
from browsing import main, reader, settled
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

RUNS = ("eleven", "primes-10", "miu-24", "residues-113", "frames-10")


def ready(page: Page) -> None:
    """Wait for the title: what the page then computes is not waited for."""
    expect(page.locator("h1")).to_be_visible()


STOPS = (
    ("neurons", "eleven"),
    ("attention", "primes-10"),
    ("try", "primes-10"),
    ("train", "eleven"),
    ("data", "eleven"),
)


@pytest.mark.parametrize("count", [3, pytest.param(5, marks=pytest.mark.slow)])
def test_back_and_forward_show_what_was_shown(chromium: Browser, warm: str, count: int) -> None:
    stops = STOPS[:count]
    with reader(chromium) as (page, _):
        seen = []
        page.goto(f"{warm}/neurons?run=eleven")
        picker = page.get_by_test_id("stSidebar").get_by_role("combobox").first
        for i, (name, run) in enumerate(stops):
            if i:
                page.get_by_role("navigation", name="App pages").get_by_role("button", name=section(name)).click()
                page.get_by_role("menuitem", name=title(name), exact=True).click()
                page.wait_for_url(f"**/{name}?**")
                settled(page)
            if picker.input_value() != run:
                picker.fill(run)
                picker.press("Enter")
                page.wait_for_url(f"**run={run}**")
            settled(page)
            seen.append((page.locator("h1").inner_text(), page.url))
        for way, order in ((page.go_back, seen[-2::-1]), (page.go_forward, seen[1:])):
            for heading, url in order:
                way()
                expect(page.locator("h1")).to_have_text(heading)
                page.wait_for_url(url)
                settled(page)
                expect(picker).to_have_value(dict(zip([u for _, u in seen], [r for _, r in stops], strict=True))[url])
                expect(main(page).get_by_text("There is no run yet")).to_have_count(0)


def section(name: str) -> str:
    return "Train" if name in ("train", "data") else "Look inside"


def title(name: str) -> str:
    return "Follow an input" if name == "try" else name.capitalize()


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_every_page_of_every_kind_of_run_ends_in_a_figure_or_two_ways_on(
    chromium: Browser, warm: str, pages: list[str], run: str
) -> None:
    with reader(chromium) as (page, _):
        for name in pages:
            page.goto(f"{warm}/{name}?run={run}")
            ready(page)
            settled(page)
            ways = main(page).locator(".st-key-open_fitting button, [class*=st-key-to-] button")
            figures = main(page).get_by_test_id("stVegaLiteChart")
            assert figures.count() or ways.count() >= 2 or name == "runs", (name, run)


@pytest.mark.slow
def test_the_lecture_view_goes_from_figure_to_figure_by_keys(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(f"{warm}/fourier?run=eleven&view=lecture")
        ready(page)
        settled(page)
        expect(page.get_by_test_id("stSidebar")).to_be_hidden()
        assert page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)") > 20
        figures = main(page).get_by_test_id("stVegaLiteChart")
        middle = "(figure) => Math.abs((({top, bottom}) => (top + bottom) / 2)(figure.getBoundingClientRect()) - 450)"
        places = "(all) => all.map((figure) => figure.getBoundingClientRect().top)"
        page.keyboard.press("ArrowRight")
        assert figures.first.evaluate(middle) < 30
        before = figures.evaluate_all(places)
        page.keyboard.press("ArrowRight")
        assert figures.evaluate_all(places)[-1] < before[-1] - 30
        page.keyboard.press("ArrowLeft")
        assert figures.first.evaluate(middle) < 30
        assert main(page).evaluate("(main) => main.scrollWidth <= main.clientWidth")
        main(page).get_by_role("button", name="Leave", exact=True).click()
        expect(page.get_by_test_id("stSidebar")).to_be_visible()
        page.wait_for_url(lambda url: "view=" not in url)
