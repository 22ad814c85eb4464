"""Zip files brought in by hand: a good one is a run, a bad one a sentence."""

from pathlib import Path

import pytest
from browsing import button, link, main, reader, settled
from playwright.sync_api import Browser, Page, expect

from miii import runs

pytestmark = pytest.mark.browser


def brought(page: Page, name: str, data: bytes) -> None:
    expect(button(page, "Import").first).to_be_disabled()  # the one before is gone, taken in or refused
    files = page.get_by_test_id("stFileUploaderDropzoneInput").first
    files.set_input_files({"name": name, "mimeType": "application/zip", "buffer": data})
    expect(main(page).get_by_text(name, exact=True)).to_be_visible()
    expect(button(page, "Import").first).to_be_enabled()
    settled(page)
    button(page, "Import").first.click()


@pytest.mark.slow
def test_a_good_zip_is_a_run_and_a_bad_one_a_sentence(
    chromium: Browser, server: str, eleven: Path, tmp_path: Path
) -> None:
    packed = runs.pack(runs.open(eleven))
    with reader(chromium) as (page, _):
        page.goto(server + link("runs"))
        settled(page)
        for i, data in enumerate((b"no zip", packed[:-30])):  # for the others, see test_bundle
            brought(page, f"bad{i}.zip", data)
            said = main(page).get_by_test_id("stAlert")
            expect(said).to_have_count(1)
            text = said.get_by_test_id("stMarkdownContainer").inner_text()
            assert "zip" in text
            assert text.endswith(".")
            assert not list((tmp_path / "runs").iterdir())
            settled(page)
        brought(page, "good.zip", packed)
        expect(main(page).get_by_text("Imported eleven")).to_be_visible()
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["eleven"]
        page.goto(server + link("attention", run="eleven"))
        expect(main(page).get_by_text("At step 24 the network answers")).to_be_visible()
        settled(page)
