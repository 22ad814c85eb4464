"""An article shows every figure of its pages, and nothing of what they say is taken for HTML."""

import json
from html.parser import HTMLParser
from typing import Any

import altair as alt
import pandas as pd
import pytest

import miii
from miii import analysis, plots
from miii.notebook.cells import Figure, Page, Table, Text
from miii.notebook.html import CDN, html, spec
from miii.notebook.source import source
from miii.plots.style import FLUID, Chart

EVIL = "</script><b>&"
VOID = {"meta", "link", "br", "hr", "img"}


def spectrum(name: str, step: int) -> Chart:
    found = analysis.fourier.embedding_spectrum(miii.runs.open(name).model(step))
    return plots.spectrum(found)


def two(name: str, step: int, evil: str) -> tuple[Chart, ...]:
    # 1 < 2 & more
    W = analysis.fourier.operand_embedding(miii.runs.open(name).model(step), 7)
    titled = plots.spectrum(analysis.fourier.spectrum(W), evil)
    return plots.circle(analysis.fourier.circle(W, 2)), titled


def large(n: int) -> Chart:
    return alt.Chart(pd.DataFrame({"n": range(n)})).mark_point().encode(x="n:Q")


class Reader(HTMLParser):
    """The elements of a document with the text in each; every one must be closed in its turn."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.open: list[dict[str, Any]] = []
        self.all: list[dict[str, Any]] = []
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {"tag": tag, "text": "", "in": [one["tag"] for one in self.open], **dict(attrs)}
        self.all.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()["tag"] == tag

    def handle_data(self, data: str) -> None:
        for element in self.open:
            element["text"] += data

    def every(self, tag: str, **attributes: str) -> list[dict[str, Any]]:
        return [one for one in self.all if one["tag"] == tag and attributes.items() <= one.items()]


@pytest.fixture
def page(small) -> Page:
    at = {"name": "small", "step": small.steps[-1]}
    return Page(
        f"Fourier {EVIL}",
        (
            Text(f"## Which *frequencies*?\n\nOn circles, $w_k < 2 \\pi k / p$:\n\n$$\\cos w_k a$$\n\n{EVIL}"),
            Figure(spectrum, at, f'Bars "by" frequency {EVIL}', f"**Key** frequencies: $k$ {EVIL}"),
            Figure(two, at | {"evil": EVIL}, "A circle and bars."),
            Table(pd.DataFrame({"measure": [EVIL], "value": [0.5]}), "Measured"),
        ),
        run="small",
        step=small.steps[-1],
        link="http://localhost:8501/fourier?run=small&step=3",
    )


def drawn(document: str) -> list[dict[str, Any]]:
    return [json.loads(one["text"]) for one in Reader(document).every("script", type="application/json")]


def test_every_figure_is_there_with_its_code_and_its_words(page):
    read = Reader(html([page]))
    figures = read.every("figure")
    assert [figure["aria-label"] for figure in figures] == [f'Bars "by" frequency {EVIL}', "A circle and bars."]
    assert [one["data-name"] for one in read.every("div", **{"class": "chart"})] == ["spectrum", "two", "two"]
    codes = [one["text"] for one in read.every("code") if "details" in one["in"]]
    assert codes == [source(figure.make, figure.arguments) for figure in page.figures]
    assert [one["text"].strip() for one in read.every("figcaption")] == [f"Key frequencies: k {EVIL}"]


def test_the_charts_are_those_of_the_page(page):
    charts = drawn(html([page]))
    first, second = page.figures
    made = [first.make(**first.arguments), *second.make(**second.arguments)]
    assert [{**chart, "width": None} for chart in charts] == [{**chart.to_dict(), "width": None} for chart in made]
    assert charts[2]["title"] == EVIL


def test_nothing_that_is_said_is_taken_for_html(page):
    document = html([page])
    assert Reader(document).every("b") == []
    assert document.count("</script>") == document.count("<script")
    assert {one.get("src", "").rpartition("@")[0] for one in Reader(document).every("script")} == {
        "",
        *(f"{CDN}/{name}" for name in ("katex", "vega", "vega-lite", "vega-embed")),
    }


def test_prose_is_rendered_and_formulas_wait_for_katex(page):
    read = Reader(html([page]))
    assert [one["text"] for one in read.every("h2")] == ["Which frequencies?"]
    assert [one["text"] for one in read.every("span", **{"class": "math inline"})] == ["w_k < 2 \\pi k / p", "k"]
    assert [one["text"].strip() for one in read.every("div", **{"class": "math block"})] == ["\\cos w_k a"]
    assert [one["text"] for one in read.every("td")] == [EVIL, "0.5"]


def test_it_says_what_it_shows(page, small):
    read = Reader(html([page]))
    assert read.every("title")[0]["text"] == f"Fourier {EVIL}: small"
    assert f"Run small, step {small.steps[-1]}." in " ".join(read.every("p", **{"class": "of"})[0]["text"].split())
    assert [link["href"] for link in read.every("a")] == [page.link]


def test_several_pages_are_one_article_with_a_list_of_them(page):
    about = Page("Data", (Text("Numbers."),))
    read = Reader(html([about, page]))
    headings = [(one["id"], one["text"]) for one in read.every("h1")]
    assert headings == [("page-1", "Data"), ("page-2", f"Fourier {EVIL}")]
    assert [one["href"] for one in read.every("a") if "nav" in one["in"]] == ["#page-1", "#page-2"]
    assert len(drawn(html([about, page]))) == 3


def test_versions_are_those_of_altair_s_own_pages(page):
    wanted = [one["src"] for one in Reader(alt.Chart().mark_point().to_html()).every("script") if "src" in one]
    assert [one["src"] for one in Reader(html([page])).every("script") if "vega" in one.get("src", "")] == wanted


def test_a_chart_as_wide_as_the_page_is_as_wide_as_its_column():
    bars = alt.Chart(pd.DataFrame({"n": [1]})).mark_bar().encode(x="n:Q")
    assert spec(bars.properties(autosize=FLUID))["width"] == "container"
    assert spec(bars.properties(width=300))["width"] == 300
    assert "width" not in spec(bars)


def test_a_chart_may_have_many_rows():
    (chart,) = drawn(html([Page("Data", (Figure(large, {"n": 6000}, "Dots."),))]))
    assert [len(rows) for rows in chart["datasets"].values()] == [6000]


def test_the_same_page_gives_the_same_bytes(page):
    assert html([page]) == html([page])
