"""From the whole to a part: a click in a figure, or a number typed, and the page that takes it apart."""

import re

import pytest
from browsing import link, main, number, reader, settled
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser


def pointed(page: Page, figure: Locator, words: str, across: list[float], down: float) -> tuple[int, ...]:
    """Move to the first of these places of a figure where its tooltip has these words: the numbers that it says."""
    figure.scroll_into_view_if_needed()
    box = figure.locator("canvas.marks").bounding_box()
    assert box is not None
    tooltip = page.locator("#vg-tooltip-element.visible")
    for x in across:
        for _ in range(2):  # a matrix says where the pointer was before its last move
            page.mouse.move(box["x"] + x * box["width"], box["y"] + down * box["height"])
            page.wait_for_timeout(150)
        found = re.search(words, tooltip.inner_text()) if tooltip.count() else None
        if found:
            return tuple(map(int, found.groups()))
    raise AssertionError(f"no tooltip with {words}")


def clicked(page: Page) -> None:
    page.mouse.down()
    page.mouse.up()


def back(page: Page, title: str) -> None:
    """Press Back until the page before is there: Streamlit notes some changes of an address as visits of their own."""
    for _ in range(6):  # a visit for each value that the next page has in its address
        page.go_back()
        page.wait_for_timeout(1000)
        settled(page)
        if page.locator("h1").inner_text() == title:
            return
    raise AssertionError(f"the way back does not lead to {title}, but to {page.url}")


@pytest.mark.slow
def test_a_pair_of_the_grid_is_followed(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("train"))
        settled(page)
        grid = page.get_by_label(re.compile("^Grid of all 113 by 113 pairs"))
        a, b = pointed(page, grid, r"a\D+(\d+)\s+b\D+(\d+)", [0.3, 0.4, 0.5], 0.55)
        assert (a, b) != (5, 8)  # what is offered first
        clicked(page)
        expect(main(page).get_by_label("a", exact=True)).to_have_value(str(a))
        expect(main(page).get_by_label("b", exact=True)).to_have_value(str(b))
        number(page, "b", 100)
        main(page).get_by_role("button", name=f"Follow ({a}, 100) through the network").click()
        expect(page.locator("h1")).to_have_text("Follow an input")
        expect(main(page).get_by_label("a", exact=True)).to_have_value(str(a))
        expect(main(page).get_by_label("b", exact=True)).to_have_value("100")
        settled(page)


@pytest.mark.slow
def test_a_frequency_leads_to_its_neurons(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("fourier"))
        settled(page)
        bars = page.get_by_label(re.compile("^Amplitudes of the embedding by frequency"))
        # half-way up, where only key frequencies reach
        (k,) = pointed(page, bars, r"frequency\D+(\d+)", [i / 100 for i in range(10, 100)], 0.6)
        clicked(page)
        expect(main(page).get_by_label("One frequency", exact=True)).to_have_value(str(k))
        main(page).get_by_role("button", name=f"Its neurons (k = {k})").click()
        expect(page.locator("h1")).to_have_text("Neurons")
        page.wait_for_url(f"**frequency={k}**")
        expect(main(page).get_by_text(re.compile(rf"^Neuron \d+ has .* at frequency {k}\."))).to_be_visible()
        settled(page)
        back(page, "Fourier")
        number(page, "One frequency", 3)  # the same without a pointer
        expect(main(page).get_by_text(re.compile(r"^Frequency 3 has"))).to_be_visible()
        expect(main(page).get_by_role("button", name="Its neurons (k = 3)")).to_be_visible()
