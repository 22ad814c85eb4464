"""Write pages as one article: an HTML file with the figures and their code."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt
import jinja2
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from miii.notebook import table
from miii.notebook.article import ARTICLE
from miii.notebook.cells import Figure, Page, Table, Text
from miii.notebook.source import source
from miii.plots.style import FLUID, Chart

CDN = "https://cdn.jsdelivr.net/npm"
KATEX = f"{CDN}/katex@0.16.22/dist/katex.min"
VEGA = [
    f"{CDN}/{name}@{version}"
    for name, version in (
        ("vega", alt.VEGA_VERSION),
        ("vega-lite", alt.VEGALITE_VERSION),
        ("vega-embed", alt.VEGAEMBED_VERSION),
    )
]
MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin, double_inline=True)
TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(ARTICLE)


def html(pages: Sequence[Page]) -> str:
    """Return an article of pages with recomputed figures.

    Formulas and charts are drawn in the browser, with libraries from a content delivery network.

    Args:
        pages: one or more, about the same run.
    """
    title = " and ".join(page.title for page in pages) if len(pages) < 3 else "miii"
    run = next((page.run for page in pages if page.run is not None), None)
    return TEMPLATE.render(
        title=title if run is None else f"{title}: {run}",
        pages=[
            {
                "title": page.title,
                "run": page.run,
                "step": page.step,
                "link": page.link,
                "blocks": [
                    _figure(cell) if isinstance(cell, Figure) else {"text": _prose(cell)} for cell in page.cells
                ],
            }
            for page in pages
        ],
        katex=KATEX,
        vega=VEGA,
    )


def _figure(figure: Figure) -> dict[str, Any]:
    made = figure.make(**figure.arguments)
    return {
        "name": figure.make.__name__,
        "alt": figure.alt,
        "caption": Markup(MARKDOWN.render(figure.caption)),
        "code": source(figure.make, figure.arguments),
        "charts": [_embedded(spec(chart)) for chart in (made if isinstance(made, tuple) else (made,))],
    }


def spec(chart: Chart) -> dict[str, Any]:
    """Return a chart's Vega-Lite specification; full-width charts fill their column."""
    made: dict[str, Any] = chart.to_dict()
    return made | {"width": "container"} if made.get("autosize") == FLUID.to_dict() else made


def _embedded(value: Mapping[str, Any]) -> Markup:
    """Return JSON that is safe in a script element, which ends at the first ``</script``."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))


def _prose(cell: Text | Table) -> Markup:
    return Markup(MARKDOWN.render(cell.markdown if isinstance(cell, Text) else table.markdown(cell)))
