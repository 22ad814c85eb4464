"""What is downloaded arrives, is what its name says, and works away from the app."""

import io
import os
from pathlib import Path
from xml.etree import ElementTree

import nbclient
import nbformat
import pandas as pd
import pytest
import vl_convert
from browsing import PHONE, ROOT, link, main, reader, settled
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, Route

from miii.notebook.html import CDN

pytestmark = pytest.mark.browser
#: Formulas are typeset by a library that no Python package brings: this one shows what it was given.
KATEX = "window.katex = { render: (text, at, options) => { at.textContent = `${options.displayMode}: ${text}`; } };"


def deliver(route: Route) -> None:
    """Send what the content delivery network of articles would send; no other address may be asked."""
    url = route.request.url
    if not url.startswith("http"):
        route.continue_()
        return
    assert url.startswith(CDN)
    if url.endswith(".css"):
        route.fulfill(body="", content_type="text/css")
    else:  # all of Vega is in the one bundle that comes with vl-convert
        bundle = vl_convert.javascript_bundle() if "vega-embed@" in url else ""
        route.fulfill(body=KATEX if "katex" in url else bundle, content_type="text/javascript")


def arrives(page: Page, press: Locator, folder: Path) -> Path:
    """Press a button, and return the file that it gives."""
    with page.expect_download() as download:
        press.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


def test_a_figure_and_a_page_are_taken_away(
    chromium: Browser, warm: str, small: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("fourier", step=0))
        settled(page)
        popovers = main(page).get_by_role("button", name="Code and data")
        charts, figures = page.get_by_test_id("stVegaLiteChart").count(), popovers.count()
        assert charts >= figures > 3
        sidebar = page.get_by_test_id("stSidebar")
        notebook, article = (
            arrives(page, sidebar.get_by_role("button", name=name), tmp_path) for name in ("Notebook", "Article")
        )
        popovers.first.click()
        inside = page.get_by_test_id("stPopoverBody")
        assert "plots.spectrum(" in inside.get_by_test_id("stCode").inner_text()
        kinds = ("CSV", "PNG", "SVG", "HTML")
        files = [arrives(page, inside.get_by_role("button", name=kind), tmp_path) for kind in kinds]
    assert [file.name for file in files] == [f"embedding_spectrum.{kind.lower()}" for kind in kinds]
    numbers, picture, drawing, alive = (file.read_bytes() for file in files)
    assert set(pd.read_csv(io.BytesIO(numbers))["frequency"]) == set(range(1, 6))
    with Image.open(io.BytesIO(picture)) as image:
        assert (image.format, image.width > 300) == ("PNG", True)
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"vegaEmbed" in alive
    read = nbformat.read(notebook, as_version=4)
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):  # not the user's
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("MIII_RUNS", str(small["eleven"].parent))
    ran = nbclient.NotebookClient(read, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [cell for cell in ran.cells if cell.cell_type == "code" and "vegaEmbed" in str(cell.outputs)]
    assert len(shown) == figures
    reads_on_a_phone(chromium, article, charts)


def reads_on_a_phone(chromium: Browser, article: Path, charts: int) -> None:
    """Check that an article fits a phone, follows the reader's theme, and gives its charts and code."""
    ink = "getComputedStyle(document.querySelector('h1')).color"
    inks = "[...document.querySelectorAll('.chart svg text')].map(text => text.getAttribute('fill'))"
    with reader(chromium, width=PHONE) as (page, _):
        page.route("**/*", deliver)
        page.goto(article.as_uri())
        page.wait_for_function(f"document.querySelectorAll('.chart :is(svg.marks, canvas)').length === {charts}")
        assert page.locator("h1").first.inner_text() == "Fourier"
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE
        assert page.evaluate(ink) == "rgb(0, 0, 0)"
        assert "#fff" not in page.evaluate(inks)
        assert all(text.startswith(("true: ", "false: ")) for text in page.locator(".math").all_inner_texts())
        assert page.get_by_role("figure").first.locator(".chart").count() == 1
        code = page.get_by_text("plots.spectrum(").first
        assert not code.is_visible()
        page.get_by_text("Code", exact=True).first.click()
        assert code.is_visible()
        page.emulate_media(color_scheme="dark")
        page.wait_for_function(f"{inks}.includes('#fff')")
        assert page.evaluate(ink) == "rgb(255, 255, 255)"
        page.locator(".chart summary").first.click()
        with page.expect_download() as download:
            page.get_by_text("Save as SVG").first.click()
        assert download.value.suggested_filename == "embedding_spectrum.svg"
