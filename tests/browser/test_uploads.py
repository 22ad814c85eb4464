"""Zip files brought in by hand: a good one is a run, a bad one a sentence."""

import io
import json
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from browsing import button, link, main, reader, settled
from playwright.sync_api import Browser, Page, expect

from miii import runs

pytestmark = pytest.mark.browser

Files = dict[str, bytes]
LINK = zipfile.ZipInfo("bad/result.json")
LINK.external_attr = (stat.S_IFLNK | 0o777) << 16


def zipped(files: Files, top: str = "bad/") -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in files.items():
            archive.writestr(f"{top}{name}", data)
    return whole.getvalue()


def linked(files: Files) -> bytes:
    whole = io.BytesIO(zipped({name: data for name, data in files.items() if name != "result.json"}))
    with zipfile.ZipFile(whole, "a") as archive:
        archive.writestr(LINK, "/etc/passwd")
    return whole.getvalue()


def configured(files: Files, **changes: object) -> bytes:
    return zipped(files | {"config.json": json.dumps(json.loads(files["config.json"]) | changes).encode()})


#: Each with a word of what is said of it.
BAD: dict[str, tuple[Callable[[Files], bytes], str]] = {
    "not a zip": (lambda files: files["config.json"], "zip"),
    "cut off": (lambda files: zipped(files)[:-30], "zip"),
    "out of its folder": (lambda files: zipped(files | {"../../evil.json": b"{}"}), "only"),
    "absolute": (lambda files: zipped(files, "/"), "only"),
    "two folders": (lambda files: zipped({f"{top}/config.json": b"{}" for top in "ab"}, ""), "one folder"),
    "a symbolic link": (linked, "links"),
    "a pickle": (lambda files: zipped(files | {"snapshots/1.pt": b""}), "only"),
    "no config": (lambda files: zipped({"result.json": files["result.json"]}), "config.json"),
    "a field that is none": (lambda files: configured(files, evil=1), "evil is not a known field"),
    "weights of another network": (lambda files: configured(files, task={"p": 13}), "W_E must be"),
}


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
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        files = {name.removeprefix("eleven/"): archive.read(name) for name in archive.namelist()}
    with reader(chromium) as (page, _):
        page.goto(server + link("runs"))
        settled(page)
        for i, (build, word) in enumerate(BAD.values()):
            brought(page, f"bad{i}.zip", build(files))
            said = main(page).get_by_test_id("stAlert")
            expect(said).to_have_count(1)
            text = said.get_by_test_id("stMarkdownContainer").inner_text()
            assert word in text
            assert text.endswith(".")
            assert not re.search(r"[.!?] +[A-Z]", text), text
            assert not list((tmp_path / "runs").iterdir())
            settled(page)
        brought(page, "good.zip", packed)
        expect(main(page).get_by_text("Imported eleven")).to_be_visible()
        assert [path.name for path in (tmp_path / "runs").iterdir()] == ["eleven"]
        page.goto(server + link("attention", run="eleven"))
        expect(main(page).get_by_text("At step 24 the network answers")).to_be_visible()
        settled(page)
