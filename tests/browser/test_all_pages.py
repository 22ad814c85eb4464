"""Every page of the app in both themes: whole on two widths, without errors, and with no barrier for anybody."""

import os
import subprocess
from pathlib import Path

import pytest
from axe import barriers, fetched
from browsing import BACKGROUNDS, FITTING, link, main, reader, settled
from playwright.sync_api import Browser, expect

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}
LAPTOP = {"width": 1280, "height": 900}
#: What axe-core finds serious in Streamlit's own frame, as (rule, where its selector begins, why it is not ours).
FRAME: tuple[tuple[str, str, str], ...] = ()


@pytest.fixture(scope="session")
def axe_core(pytestconfig: pytest.Config) -> Path:
    """The script of axe-core, from npm; pytest's own cache keeps it."""
    try:
        return fetched(pytestconfig.cache.mkdir("axe-core"))
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("MIII_REQUIRE_BROWSER"):
            raise
        pytest.skip(f"axe-core cannot be had from npm: {error}")


@pytest.mark.parametrize("asked", [("start", "try"), pytest.param((), marks=pytest.mark.slow)])
def test_every_page_stands_there(
    chromium: Browser, warm: str, pages: list[str], axe_core: Path, asked: tuple[str, ...]
) -> None:
    """A few pages, each in one theme, opened without a run; the slow test has every page in both."""
    assert set(asked) <= set(pages)
    for i, scheme in enumerate(BACKGROUNDS):
        check_pages(chromium, warm, list(asked[i::2]) or pages, axe_core, scheme)


def check_pages(chromium: Browser, warm: str, pages: list[str], axe_core: Path, scheme: str) -> None:
    with reader(chromium, scheme) as (page, errors):
        for name in pages:
            page.set_viewport_size(LAPTOP)
            before = page.evaluate("history.length")
            page.goto(warm + (link(name) if name in FITTING else f"/{name}"))
            page.wait_for_url(f"**run={FITTING.get(name, 'eleven')}**")  # the address names the run from the start
            assert page.evaluate("history.length") == before + 1, name
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            for size in (LAPTOP, PHONE):
                page.set_viewport_size(size)
                settled(page)
                expect(page.get_by_test_id("stException")).to_have_count(0)
                within = "main => main.scrollWidth <= main.clientWidth && main.clientWidth <= window.innerWidth"
                assert main(page).evaluate(within), f"{name} is wider than {size['width']} pixels"
                if size is LAPTOP:
                    found = barriers(page, axe_core)
                    assert [one for one in found if not framed(one)] == [], name
            background = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
            assert background == BACKGROUNDS[scheme], name
            assert errors == [], name


def framed(barrier: dict[str, str]) -> bool:
    return any(barrier["rule"] == rule and barrier["target"].startswith(where) for rule, where, _ in FRAME)
