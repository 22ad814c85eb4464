"""The content delivery network of exported pages, which is out of reach in a test: what it would send."""

import vl_convert
from playwright.sync_api import Page, Route

from miii.notebook.html import CDN

#: Formulas are typeset by a library that no Python package brings: this one says what it was given.
KATEX = "window.katex = { render: (text, at, options) => { at.textContent = `${options.displayMode}: ${text}`; } };"


def delivers(page: Page) -> None:
    """Let a page have it; anything else that it asks the network for is an error."""
    page.route("**/*", lambda route: _sent(route) if route.request.url.startswith("http") else route.continue_())


def _sent(route: Route) -> None:
    """All of Vega is in the one bundle that comes with vl-convert."""
    url = route.request.url
    assert url.startswith(CDN)
    if url.endswith(".css"):
        route.fulfill(body="", content_type="text/css")
    elif "katex" in url:
        route.fulfill(body=KATEX, content_type="text/javascript")
    else:
        body = vl_convert.javascript_bundle() if "vega-embed@" in url else ""
        route.fulfill(body=body, content_type="text/javascript")
