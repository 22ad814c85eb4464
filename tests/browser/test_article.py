"""An exported article in a browser: its charts are drawn, it fits a phone, and it follows the reader's theme."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

import miii
from miii import analysis, plots
from miii.notebook import cells
from miii.notebook.html import html
from miii.plots.style import Chart

pytestmark = pytest.mark.browser

PHONE = {"width": 390, "height": 844}


def spectrum(name: str, step: int) -> Chart:
    return plots.spectrum(analysis.fourier.embedding_spectrum(miii.runs.open(name).model(step)))


def two(name: str, step: int) -> tuple[Chart, ...]:
    W = analysis.fourier.operand_embedding(miii.runs.open(name).model(step), 7)
    return plots.circle(analysis.fourier.circle(W, 2)), plots.heatmap(
        W, title="W_E", row="token", column="dimension", value="weight"
    )


@pytest.fixture
def article(small_run, home, tmp_path) -> Path:
    shutil.copytree(small_run.folder, home / "small")
    at = {"name": "small", "step": small_run.steps[-1]}
    long = " + ".join(f"w_{k}" for k in range(60))
    content = (
        cells.Text(f"## Circles\n\nOf $k$:\n\n$$\n{long}\n$$"),
        cells.Figure(spectrum, at, "Bars by frequency.", "What to see."),
        cells.Figure(two, at, "A circle and a heatmap."),
    )
    path = tmp_path / "article.html"
    path.write_text(html([cells.Page("Fourier", content, run="small", step=small_run.steps[-1])]), encoding="utf-8")
    return path


def read(browser: Browser, path: Path, scheme: str) -> tuple[Page, list[str]]:
    page = browser.new_context(color_scheme=scheme, viewport=PHONE).new_page()  # type: ignore[arg-type]
    errors: list[str] = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.context.set_offline(True)
    page.goto(path.as_uri())
    page.wait_for_function("document.querySelectorAll('.chart :is(svg.marks, canvas)').length === 3")
    return page, errors


@pytest.mark.parametrize(("scheme", "ink"), [("light", "rgb(0, 0, 0)"), ("dark", "rgb(255, 255, 255)")])
def test_an_article_on_a_phone(chromium, article, scheme, ink):
    page, errors = read(chromium, article, scheme)
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert page.evaluate("getComputedStyle(document.querySelector('h1')).color") == ink
    assert page.locator("math").count() == 2
    assert page.locator('math[display="block"]').bounding_box()["width"] > 0
    assert "$" not in page.locator(".text").first.inner_text()
    assert page.get_by_role("figure", name="Bars by frequency.").locator(".chart").count() == 1
    code = page.get_by_text("plots.spectrum(analysis")
    assert not code.is_visible()
    page.get_by_text("Code", exact=True).first.click()
    assert code.is_visible()
    assert errors == []


def test_charts_follow_the_theme_and_can_be_taken_away(chromium, article):
    page, errors = read(chromium, article, "light")
    inks = "[...document.querySelectorAll('.chart svg text')].map((text) => text.getAttribute('fill'))"
    assert "#fff" not in page.evaluate(inks)
    page.emulate_media(color_scheme="dark")
    page.wait_for_function(f"{inks}.includes('#fff')")
    page.locator(".chart summary").first.click()
    with page.expect_download() as download:
        page.get_by_text("Save as SVG").first.click()
    assert download.value.suggested_filename == "spectrum.svg"
    assert errors == []
