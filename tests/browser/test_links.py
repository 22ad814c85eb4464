"""A copied address shows the same view in a fresh browser, on a server that has never seen it."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from browsing import link, main, number, reader, serving, settled, slider
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory, eleven: Path) -> Iterator[str]:
    with serving(tmp_path_factory.mktemp("cold") / "runs", (eleven,)) as address:
        yield address


def attention(page: Page) -> None:
    number(page, "a", 3)
    number(page, "b", 9)
    settled(page)
    main(page).get_by_role("radio", name="1", exact=True).click()


def fourier(page: Page) -> None:
    number(page, "One frequency", 4)


def neurons(page: Page) -> None:
    number(page, "Neuron", 6)


def train(page: Page) -> None:
    number(page, "a", 10)


#: What is set by hand on a page, what it then says, and what the address then has.
VIEWS: dict[str, tuple[Callable[[Page], None], str, str]] = {
    "attention": (attention, r"At step \d+ the network answers \d+ for \(3, 9\).*", "head=1"),
    "fourier": (fourier, r"Frequency 4 has .* long\.", "k=4"),
    "neurons": (neurons, r"Neuron 6.*", "neuron=6"),
    "train": (train, r".*Follow \(10, 8\) through the network", "a=10"),
}


def told(page: Page, pattern: str) -> str:
    """The sentence that a view is known by."""
    return main(page).get_by_text(re.compile(f"^{pattern}$")).last.inner_text()


@pytest.mark.parametrize("name", VIEWS)
def test_a_copied_address_is_the_same_view(chromium: Browser, warm: str, cold: str, name: str) -> None:
    choose, pattern, asked = VIEWS[name]
    with reader(chromium) as (page, _):
        page.goto(warm + link(name, run="eleven"))
        settled(page)
        choose(page)
        page.wait_for_url(f"**{asked}**")
        slider(page).press("ArrowLeft")
        page.wait_for_url("**step=**")
        settled(page)
        said, at, address = told(page, pattern), slider(page).get_attribute("aria-valuetext"), page.url
    assert "run=eleven" in address
    with reader(chromium) as (page, _):
        page.goto(address.replace(warm, cold))
        settled(page)
        assert told(page, pattern) == said
        expect(slider(page)).to_have_attribute("aria-valuetext", str(at))
        expect(main(page).get_by_text("The link asked for something")).to_have_count(0)
        assert page.url == address.replace(warm, cold)
