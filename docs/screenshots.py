"""Take the README's pictures from the real app: ``streamlit run app.py``, then ``python docs/screenshots.py``."""

import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).parent
RUN = "add-113"
PICTURES = {
    "train": (f"/?run={RUN}", 1560),
    "formula": (f"/formula?run={RUN}", 1250),
    "circuits": (f"/circuits?run={RUN}", 900),
}


def main(address: str = "http://localhost:8501") -> None:
    """One picture a page, in the light theme, 1280 pixels wide."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name, (path, height) in PICTURES.items():
            page = browser.new_page(viewport={"width": 1280, "height": height}, color_scheme="light")
            page.goto(address + path)
            page.wait_for_selector("h1")
            page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
            page.wait_for_timeout(5000)  # charts fade in
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
