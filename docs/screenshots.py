"""Take the screenshots in docs/images: run ``streamlit run app.py``, then ``python docs/screenshots.py``."""

import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

IMAGES = Path(__file__).parent / "images"
sys.path.insert(0, str(Path(__file__).parents[1]))

from pages._kit import headless  # noqa: E402

WIDTH, HEIGHT, COLORS = 1280, 900, 256
#: Runs of pages that do not show add-113.
RUNS = {"try": "primes-10", "sieve": "primes-10", "frames": "frames-10", "sequences": "sequences-24"}
DONE = """document.querySelector('[data-testid="stApp"][data-test-script-state="notRunning"]') !== null
    && document.querySelectorAll('[data-testid=stSkeleton], [data-testid=stSpinner]').length === 0"""


def main(address: str = "http://localhost:8501") -> None:
    """Take one screenshot per page, in the light theme."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for name in headless.pages():
            page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            page.set_default_timeout(300_000)
            page.goto(f"{address}/{name}?run={RUNS.get(name, 'add-113')}")
            page.wait_for_selector("h1")
            page.wait_for_timeout(1000)
            page.wait_for_function(DONE)
            page.wait_for_timeout(3000)  # charts fade in
            picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
            picture.quantize(COLORS, dither=Image.Dither.NONE).save(IMAGES / f"{name}.png", optimize=True)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
