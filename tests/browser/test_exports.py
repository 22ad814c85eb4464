"""What a page gives away arrives, is what it says it is, and works away from the app."""

import io
import os
from pathlib import Path
from xml.etree import ElementTree

import nbclient
import nbformat
import pandas as pd
import pytest
from browsing import ROOT, link, main, reader, settled
from PIL import Image
from playwright.sync_api import Browser, Locator, Page

pytestmark = pytest.mark.browser


def arrives(page: Page, press: Locator, folder: Path) -> Path:
    """The file that a button gives."""
    with page.expect_download() as download:
        press.click()
    path = folder / download.value.suggested_filename
    download.value.save_as(path)
    return path


@pytest.mark.slow
def test_a_figure_is_taken_away(chromium: Browser, warm: str, tmp_path: Path) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("fourier"))
        settled(page)
        button(main(page)).first.click()
        inside = page.get_by_test_id("stPopoverBody")
        assert "plots.circle(" in inside.get_by_test_id("stCode").inner_text()
        files = [
            arrives(page, inside.get_by_role("button", name=kind), tmp_path) for kind in ("CSV", "PNG", "SVG", "HTML")
        ]
    assert [file.name for file in files] == [f"circle-6.{kind}" for kind in ("csv", "png", "svg", "html")]
    numbers, picture, drawing, alive = (file.read_bytes() for file in files)
    assert set(pd.read_csv(io.BytesIO(numbers))["token"]) == set(range(113))
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "PNG"
        assert image.width > 200
    assert ElementTree.fromstring(drawing).tag == "{http://www.w3.org/2000/svg}svg"
    assert b"vegaEmbed" in alive


def button(where: Locator) -> Locator:
    return where.get_by_role("button", name="Code and data")


@pytest.mark.slow
def test_a_page_is_taken_away(chromium: Browser, warm: str, tmp_path: Path, monkeypatch) -> None:
    with reader(chromium) as (page, _):
        page.goto(warm + link("fourier", step=0))
        settled(page)
        charts, figures = page.get_by_test_id("stVegaLiteChart").count(), button(main(page)).count()
        assert charts >= figures > 3
        sidebar = page.get_by_test_id("stSidebar")
        notebook, article = (
            arrives(page, sidebar.get_by_role("button", name=name), tmp_path) for name in ("Notebook", "Article")
        )
    with reader(chromium) as (page, errors):
        page.context.set_offline(True)
        page.goto(article.as_uri())
        page.wait_for_function(f"document.querySelectorAll('.chart :is(svg.marks, canvas)').length === {charts}")
        assert page.locator("h1").first.inner_text() == "Fourier"
        assert errors == []
    read = nbformat.read(notebook, as_version=4)
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):  # not the user's
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    ran = nbclient.NotebookClient(read, timeout=120, resources={"metadata": {"path": tmp_path}}).execute()
    shown = [cell for cell in ran.cells if cell.cell_type == "code" and "vegaEmbed" in str(cell.outputs)]
    assert len(shown) == figures
