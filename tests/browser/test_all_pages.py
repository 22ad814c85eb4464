"""Every page of the app, in both themes and on two widths: it stands there, whole, and nothing goes wrong."""

import importlib

import pytest
from browsing import BACKGROUNDS, ROOT, link, main, reader, settled
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 900}


@pytest.fixture
def pages(monkeypatch) -> list[str]:
    """From the navigation, so that no page is forgotten."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("pages._ui.headless").pages()


@pytest.mark.parametrize("scheme", BACKGROUNDS)
def test_every_page_stands_there(chromium: Browser, warm: str, pages: list[str], scheme: str) -> None:
    assert len(pages) > 10
    with reader(chromium, scheme) as (page, errors):
        for name in pages:
            page.set_viewport_size(LAPTOP)
            page.goto(warm + link(name))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            for size in (LAPTOP, PHONE):
                page.set_viewport_size(size)
                settled(page)
                expect(page.get_by_test_id("stException")).to_have_count(0)
                within = "main => main.scrollWidth <= main.clientWidth && main.clientWidth <= window.innerWidth"
                assert main(page).evaluate(within), f"{name} is wider than {size['width']} pixels"
            background = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
            assert background == BACKGROUNDS[scheme], name
            assert errors == [], name
