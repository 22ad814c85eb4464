"""The slider of steps: by keys, by itself, and with the phases of training marked."""

import re

import pytest
from browsing import link, main, reader, settled, slider
from playwright.sync_api import Browser, Locator, Page, expect

pytestmark = pytest.mark.browser


def answered(page: Page) -> Locator:
    return main(page).get_by_text(re.compile(r"^At step \d+ the network answers"))


def test_keys_move_the_step_and_the_page_follows(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("attention"))
        expect(answered(page)).to_contain_text("At step 400 ")
        settled(page)
        assert page.locator(".phases span:not(.before)").all_inner_texts() == [
            "memorization",
            "circuit formation",
            "cleanup",
            "afterwards",
        ]
        expect(page.locator("output.at")).to_have_text("step 400 · afterwards")
        slider(page).press("ArrowLeft")
        page.wait_for_url("**step=**")
        before = int(re.findall(r"step=(\d+)", page.url)[0])
        assert before < 400
        expect(answered(page)).to_contain_text(f"At step {before} ")
        slider(page).press("Home")
        expect(answered(page)).to_contain_text("At step 0 ")
        expect(page.locator("output.at")).to_contain_text("step 0")
        slider(page).press("End")
        expect(answered(page)).to_contain_text("At step 400 ")


def test_it_plays_by_itself_and_pauses(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("attention", step=0))
        expect(answered(page)).to_contain_text("At step 0 ")
        settled(page)
        page.get_by_role("button", name="Play", exact=True).click()
        for _ in range(3):
            said = answered(page).inner_text()
            expect(answered(page)).not_to_have_text(said)
        page.get_by_role("button", name="Pause", exact=True).click()
        expect(page.get_by_role("button", name="Play", exact=True)).to_be_visible()
        settled(page)
        page.wait_for_timeout(800)  # what was sent before the pause arrives
        settled(page)
        at = slider(page).get_attribute("aria-valuetext")
        page.wait_for_timeout(2000)  # two more steps, if it still played
        assert slider(page).get_attribute("aria-valuetext") == at


def test_a_drag_and_a_play_are_no_steps_of_back(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("attention"))
        expect(answered(page)).to_contain_text("At step 400 ")
        settled(page)
        before = page.evaluate("history.length")
        box = slider(page).bounding_box()
        assert box is not None
        middle = box["y"] + box["height"] / 2
        page.mouse.move(box["x"] + box["width"] - 8, middle)
        page.mouse.down()
        for share in (0.8, 0.6, 0.4, 0.2):
            said = answered(page).inner_text()
            page.mouse.move(box["x"] + share * box["width"], middle, steps=3)
            expect(answered(page)).not_to_have_text(said)
        page.mouse.up()
        settled(page)
        at = int(re.findall(r"step=(\d+)", page.url)[0])
        expect(answered(page)).to_contain_text(f"At step {at} ")
        page.get_by_role("button", name="Play", exact=True).click()
        for _ in range(2):
            said = answered(page).inner_text()
            expect(answered(page)).not_to_have_text(said)
        page.get_by_role("button", name="Pause", exact=True).click()
        settled(page)
        assert page.evaluate("history.length") == before
