"""Every page of the app in both themes: it fits two widths, logs no error, and has no barrier that axe-core finds."""

import importlib
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from browsing import BACKGROUNDS, FITTING, LAPTOP, PHONE, ROOT, link, main, reader, settled
from playwright.sync_api import Browser, Page, expect

pytestmark = pytest.mark.browser

VERSION = "axe-core@4"
FORBIDDEN = ("serious", "critical")
RUN = """async () => {
    const found = await axe.run(document, {resultTypes: ["violations"]});
    return found.violations.map(({id, impact, nodes}) => ({
        id, impact, nodes: nodes.map((node) => ({
            target: node.target.flat().join(" "), html: node.html.slice(0, 200), why: node.failureSummary,
        }))
    }));
}"""
#: What axe-core finds serious in Streamlit's own frame, as (rule, where its selector begins, why it is not ours).
FRAME: tuple[tuple[str, str, str], ...] = ()


def fetched(folder: Path) -> Path:
    """The script, asked of npm where the folder does not have it yet.

    Raises:
        OSError, subprocess.SubprocessError: npm is not there, or the registry is out of reach.
    """
    script = folder / "package" / "axe.min.js"
    if not script.exists():
        command = ["npm", "pack", VERSION, "--silent", "--pack-destination", str(folder)]
        subprocess.run(command, check=True, timeout=60, capture_output=True)
        with tarfile.open(max(folder.glob("axe-core-*.tgz"))) as archive:
            archive.extract("package/axe.min.js", folder, filter="data")
    return script


def barriers(page: Page, script: Path) -> list[dict[str, Any]]:
    """What is serious or critical: the rule, where, the HTML there, and why."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=script)
    return [
        {"rule": rule["id"], **node}
        for rule in page.evaluate(RUN)
        if rule["impact"] in FORBIDDEN
        for node in rule["nodes"]
    ]


@pytest.fixture
def pages(monkeypatch) -> list[str]:
    """From the navigation, so that no page is forgotten."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("pages._kit.headless").pages()


@pytest.fixture(scope="session")
def axe_core(pytestconfig: pytest.Config) -> Path:
    """The script of axe-core, from npm; pytest's own cache keeps it."""
    try:
        return fetched(pytestconfig.cache.mkdir("axe-core"))
    except (OSError, subprocess.SubprocessError) as error:
        if os.environ.get("MIII_REQUIRE_BROWSER"):
            raise
        pytest.skip(f"axe-core cannot be had from npm: {error}")


@pytest.mark.parametrize("scheme", BACKGROUNDS)
def test_every_page_fits(chromium: Browser, warm: str, pages: list[str], axe_core: Path, scheme: str) -> None:
    assert len(pages) > 10
    with reader(chromium, scheme) as (page, errors):
        for name in pages:
            page.set_viewport_size({"width": LAPTOP, "height": 900})
            before = page.evaluate("history.length")
            page.goto(warm + (link(name) if scheme == "dark" or name in FITTING else f"/{name}"))
            expect(page.get_by_role("heading", level=1)).to_have_count(1)
            page.wait_for_url("**run=**")
            for width in (LAPTOP, PHONE):
                page.set_viewport_size({"width": width, "height": 900})
                settled(page)
                expect(page.get_by_test_id("stException")).to_have_count(0)
                within = "main => main.scrollWidth <= main.clientWidth && main.clientWidth <= window.innerWidth"
                assert main(page).evaluate(within), f"{name} is wider than {width} pixels"
                if width == LAPTOP:
                    found = barriers(page, axe_core)
                    assert [one for one in found if not framed(one)] == [], name
                    chosen = page.get_by_test_id("stSidebar").get_by_role("combobox").first.input_value()
                    assert page.evaluate("new URL(location.href).searchParams.get('run')") == chosen != "", name
            background = page.get_by_test_id("stApp").evaluate("app => getComputedStyle(app).backgroundColor")
            assert background == BACKGROUNDS[scheme], name
            assert page.evaluate("history.length") == before + 1, name  # the page is one step of Back
            assert errors == [], name


def framed(barrier: dict[str, str]) -> bool:
    return any(barrier["rule"] == rule and barrier["target"].startswith(where) for rule, where, _ in FRAME)
