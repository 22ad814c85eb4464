"""Write pages as one article: an HTML file with the figures and their code."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from itertools import count
from typing import Any

import jinja2
import vl_convert
from markdown_it import MarkdownIt
from markupsafe import Markup
from mdit_py_plugins.dollarmath import dollarmath_plugin

from miii import runs
from miii.errors import InputError
from miii.notebook import network, table
from miii.notebook.article import ARTICLE
from miii.notebook.cells import Figure, Page, Table, Text
from miii.notebook.cite import bibtex
from miii.notebook.formulas import mathml
from miii.notebook.source import source
from miii.plots.style import FLUID, Chart, wrapped

MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table").use(dollarmath_plugin, double_inline=True)
MARKDOWN.add_render_rule("math_inline", lambda self, tokens, i, options, env: mathml(tokens[i].content))
for _rule in ("math_block", "math_block_label", "math_inline_double"):
    MARKDOWN.add_render_rule(_rule, lambda self, tokens, i, options, env: mathml(tokens[i].content, block=True))
TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(ARTICLE)


def html(pages: Sequence[Page]) -> str:
    """Return an article of pages with recomputed figures.

    The file works offline: formulas are MathML, and Vega is part of the file if there is a chart. A network on modular
    arithmetic is part of it too, if ``network.of_run`` can give it.

    Args:
        pages: one or more, about the same run.
    """
    title = " and ".join(page.title for page in pages) if len(pages) < 3 else "miii"
    run = next((page.run for page in pages if page.run is not None), None)
    step = next((page.step for page in pages if page.run == run), None)
    numbers = count(1)
    return TEMPLATE.render(
        title=title if run is None else f"{title}: {run}",
        pages=[
            {
                "title": page.title,
                "run": page.run,
                "step": page.step,
                "link": page.link,
                "blocks": [
                    _figure(cell) | {"number": next(numbers)} if isinstance(cell, Figure) else {"text": _prose(cell)}
                    for cell in page.cells
                ],
            }
            for page in pages
        ],
        bibtex=bibtex(run, step),
        config=_config(run),
        date=datetime.now(UTC).date().isoformat(),
        network=_network(run, step),
        vega=_vega() if any(page.figures for page in pages) else None,
    )


@cache
def _vega() -> Markup:
    """Return Vega, Vega-Lite and vega-embed as one script: those that draw the PNG files; bundling takes seconds."""
    bundle = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return Markup(f"(() => {{{bundle}}})();".replace("</script", r"<\/script").replace("<!--", r"<\!--"))


def _config(run: str | None) -> str | None:
    try:
        return None if run is None else runs.open(run).config.model_dump_json(indent=2)
    except InputError:
        return None


def _network(name: str | None, step: int | None) -> dict[str, Any] | None:
    try:
        run = None if name is None else runs.open(name)
    except InputError:
        return None
    values = None if run is None else network.of_run(run, step)
    if run is None or values is None:
        return None
    return {
        "run": run.name,
        "step": run.steps[-1] if step is None else step,
        "answer": run.config.task.description,
        "turns": values["planes"] is not None,
        "json": _embedded(values),
        "script": Markup(network.SCRIPT),
        "style": Markup(network.STYLE),
    }


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
    if made.get("autosize") != FLUID.to_dict():
        return made
    title = made.get("title")
    return made | {"width": "container"} | ({"title": wrapped(title)} if isinstance(title, str) else {})


def _embedded(value: Mapping[str, Any]) -> Markup:
    """Return JSON that is safe in a script element, which ends at the first ``</script``."""
    return Markup(json.dumps(value).replace("<", "\\u003c"))


def _prose(cell: Text | Table) -> Markup:
    return Markup(MARKDOWN.render(cell.markdown if isinstance(cell, Text) else table.markdown(cell)))
