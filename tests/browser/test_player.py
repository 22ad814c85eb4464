"""The slider of steps: by keys, by itself, and with the phases of training marked."""

import re
from collections.abc import Callable

import pytest
from browsing import link, main, reader, settled, slider
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser


def answered(page: Page) -> Locator:
    return main(page).get_by_text(re.compile(r"^At step \d+ the network answers"))


def test_the_page_follows_keys_a_drag_and_the_play_button(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("attention", run="eleven"))
        expect(answered(page)).to_contain_text("At step 24 ")
        settled(page)
        expect(page.locator("output.at")).to_contain_text("step 24")
        visits = page.evaluate("history.length")
        slider(page).press("ArrowLeft")
        page.wait_for_url("**step=**")
        before = int(re.findall(r"step=(\d+)", page.url)[0])
        assert before < 24
        expect(answered(page)).to_contain_text(f"At step {before} ")
        slider(page).press("Home")
        expect(answered(page)).to_contain_text("At step 0 ")
        expect(page.locator("output.at")).to_contain_text("step 0")

        page.get_by_role("button", name="Play", exact=True).click()
        for _ in range(3):
            follows(page)
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        settled(page)
        page.wait_for_timeout(800)  # what was sent before the pause arrives
        settled(page)
        at = slider(page).get_attribute("aria-valuetext")
        page.wait_for_timeout(2000)  # two more steps, if it still played
        assert slider(page).get_attribute("aria-valuetext") == at

        box = slider(page).bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + 8, middle)
        page.mouse.down()
        for share in (0.6, 0.8, 0.4):
            follows(page, lambda share=share: page.mouse.move(box["x"] + share * box["width"], middle, steps=3))
        page.mouse.up()
        settled(page)
        at = int(re.findall(r"step=(\d+)", page.url)[0])
        expect(answered(page)).to_contain_text(f"At step {at} ")
        slider(page).press("End")
        expect(answered(page)).to_contain_text("At step 24 ")
        assert page.evaluate("history.length") == visits, "a step is no visit of its own"


def follows(page: Page, change: Callable[[], None] = lambda: None) -> None:
    """Make a change, and wait until the page says something else."""
    said = answered(page).inner_text()
    change()
    expect(answered(page)).not_to_have_text(said)


@pytest.mark.slow
def test_the_phases_of_training_are_marked(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("attention"))
        settled(page)
        phases = ["memorization", "circuit formation", "cleanup", "afterwards"]
        marked = page.locator(".phases span:not(.before)").all()
        assert [each.get_attribute("title") for each in marked] == phases
        expect(page.locator("output.at")).to_have_text("step 400 · afterwards")
