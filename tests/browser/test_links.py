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
    number(page, "Neuron", 7)


def train(page: Page) -> None:
    number(page, "a", 10)


#: What is set by hand on a page, what it then says, and what the address then has.
VIEWS: dict[str, tuple[Callable[[Page], None], str, str]] = {
    "attention": (attention, r"At step \d+ the network answers \d+ for \(3, 9\).*", "head=1"),
    "fourier": (fourier, r"Frequency 4 has .*", "k=4"),
    "neurons": (neurons, r"Neuron 7.*", "neuron=7"),
    "train": (train, r".*Follow \(10, 8\) through the network", "a=10"),
}


def told(page: Page, pattern: str) -> str:
    """The sentence that a view is known by."""
    return main(page).get_by_text(re.compile(f"^{pattern}$")).last.inner_text()


@pytest.mark.slow
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
        expect(main(page).get_by_text("The link asks for something")).to_have_count(0)
        assert page.url == address.replace(warm, cold)


@pytest.mark.slow
def test_back_leads_to_each_page_as_it_was_left(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + "/neurons")
        page.wait_for_url("**run=**")
        settled(page)
        run = page.get_by_test_id("stSidebar").get_by_role("combobox").first
        chosen = run.input_value()
        number(page, "Neuron", 3)
        page.wait_for_url("**neuron=3**")
        settled(page)
        slider(page).press("ArrowLeft")
        page.wait_for_url("**step=**")
        settled(page)
        left = page.url
        pages = page.get_by_role("navigation", name="App pages")
        pages.get_by_role("button", name="Look inside", exact=True).click()
        page.get_by_role("menuitem", name="Fourier").click()
        page.wait_for_url("**/fourier?**step=**")
        settled(page)
        assert page.evaluate("history.length") == 3
        page.evaluate("history.replaceState({}, '', '/fourier')")  # as an old bookmark has it
        page.go_back()
        expect(page.locator("h1")).to_have_text("Neurons")
        settled(page)
        assert page.url == left
        expect(page.get_by_label("Neuron", exact=True)).to_have_value("3")
        page.go_forward()
        expect(page.locator("h1")).to_have_text("Fourier")
        page.wait_for_url("**/fourier?**run=**")
        settled(page)
        expect(run).to_have_value(chosen)
        expect(main(page).get_by_text("There is no run yet")).to_have_count(0)


@pytest.mark.slow
def test_a_number_beyond_its_bounds_is_refused_in_a_sentence(chromium: Browser, warm: str) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("try", a=2, b=3))
        settled(page)
        number(page, "a", 200)
        expect(main(page).get_by_text("a must be a whole number from 0 to 112 (got 200); showing 5.")).to_be_visible()
        expect(main(page).get_by_label("a", exact=True)).to_have_value("200")
        number(page, "a", 7)
        expect(main(page).get_by_test_id("stAlert")).to_have_count(0)
        page.wait_for_url("**a=7**")


@pytest.mark.slow
def test_foreign_text_is_no_link_and_a_recommended_formula_can_be_copied(chromium: Browser, warm: str) -> None:
    evil = "![x](http://x.test/x.png) [y](http://x.test) www.x.test $z$ :material/home: :material_home: :red[r]"
    with reader(chromium) as (page, _):
        page.goto(warm + link("train", run=evil))
        said = page.get_by_test_id("stAlert").first
        expect(said).to_contain_text("![x](http:")
        expect(said.locator("a, img, .katex, [role=img]:not([data-testid])")).to_have_count(0)
        page.goto(warm + link("symbolic", expression="a *"))
        expect(main(page).get_by_text("expression must be a formula such as (a*b + 3*a) % p")).to_be_visible()
