"""An article shows every figure of its pages, and takes no text for HTML."""

import json
from html.parser import HTMLParser
from typing import Any

import altair as alt
import pandas as pd
import pytest
from markupsafe import escape

import miii
from miii import analysis, plots
from miii.notebook import network
from miii.notebook.cells import Figure, Page, Table, Text
from miii.notebook.formulas import mathml
from miii.notebook.html import html, spec
from miii.notebook.source import source
from miii.plots.style import FLUID, Chart

EVIL = "</script><b>&"
VOID = {"meta", "link", "br", "hr", "img"}


def two(name: str, step: int, evil: str) -> tuple[Chart, ...]:
    # 1 < 2 & more
    W = analysis.fourier.operand_embedding(miii.runs.open(name).model(step), 7)
    return plots.circle(analysis.fourier.circle(W, 2)), plots.spectrum(analysis.fourier.spectrum(W), evil)


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

    def texts(self, tag: str, **attributes: str) -> list[str]:
        return [one["text"].strip() for one in self.every(tag, **attributes)]

    def charts(self) -> list[dict[str, Any]]:
        """The Vega-Lite of every chart."""
        return [json.loads(one["text"]) for one in self.every("script", type="application/json") if "id" not in one]


@pytest.fixture
def page(small) -> Page:
    at = {"name": "small", "step": small.steps[-1], "evil": EVIL}
    return Page(
        f"Fourier {EVIL}",
        (
            Text(f"## Which *frequencies*?\n\nOn circles, $w_k < 2 \\pi k / p$:\n\n$$\\cos w_k a$$\n\n{EVIL}"),
            Figure(large, {"n": 6000}, f'Dots "by" number {EVIL}', f"**Key** frequencies: $k$ {EVIL}"),
            Figure(two, at, "A circle and bars."),
            Table(pd.DataFrame({"measure": [EVIL], "value": [0.5]}), "Measured"),
        ),
        run="small",
        step=small.steps[-1],
        link="http://localhost:8501/fourier?run=small&step=3",
    )


def test_every_figure_is_there_with_its_charts_code_and_words(page):
    read = Reader(html([page]))
    assert [figure["aria-label"] for figure in read.every("figure")] == [figure.alt for figure in page.figures]
    assert [one["data-name"] for one in read.every("div", **{"class": "chart"})] == ["large", "two", "two"]
    codes = [one["text"] for one in read.every("code") if "details" in one["in"] and "figure" in one["in"]]
    assert codes == [source(figure.make, figure.arguments) for figure in page.figures]
    assert read.texts("figcaption") == [f"Figure 1. Key frequencies: k {EVIL}", "Figure 2."]
    first, *others = read.charts()
    assert [len(rows) for rows in first["datasets"].values()] == [6000]  # more than altair takes
    made = page.figures[1].make(**page.figures[1].arguments)
    assert [{**chart, "width": None} for chart in others] == [{**chart.to_dict(), "width": None} for chart in made]
    assert others[1]["title"] == EVIL


def test_no_text_is_taken_for_html_and_nothing_is_loaded(page, small):
    document = html([page])
    read = Reader(document)
    assert read.every("link") == []
    assert [one for one in read.every("script") if "src" in one] == []
    assert read.texts("b") == ["Figure 1.", "Figure 2."]
    assert document.count("</script>") == document.count("<script")
    assert read.texts("h2") == ["Which frequencies?", "Ask the network yourself", "Cite"]
    assert ["".join(text.split()) for text in read.texts("math")] == ["wk<2πk/p", "coswka", "k"]
    assert "$" not in "".join(read.texts("p"))
    assert f"run small, step {small.steps[-1]}" in read.texts("pre")[-2]
    assert json.loads(read.texts("pre")[-1]) == json.loads(small.config.model_dump_json())
    assert read.texts("td") == [EVIL, "0.5"]
    assert read.texts("title") == [f"Fourier {EVIL}: small"]
    assert f"Run small, step {small.steps[-1]}." in " ".join(read.texts("p", **{"class": "of"})[0].split())
    assert [link["href"] for link in read.every("a")] == [page.link]


def test_several_pages_are_one_article_with_a_list_of_them(page):
    about = Page("Data", (Text("Numbers."),))
    read = Reader(html([about, page]))
    assert [(one["id"], one["text"]) for one in read.every("h1")] == [("page-1", "Data"), ("page-2", f"Fourier {EVIL}")]
    assert [one["href"] for one in read.every("a") if "nav" in one["in"]] == ["#page-1", "#page-2"]
    assert len(read.charts()) == 3
    assert html([page]) == html([page])


def test_only_a_network_that_the_script_can_run_is_in_the_article(small_config, home):
    at_seven = miii.ModularAddition(p=7).build()
    cases = [{"act": "gelu"}, {"mixer": "mean"}, {"block": "pre-norm"}, {"causal": False, "attn_coeff": 0.5}, {}]
    for i, shape in enumerate(cases):
        run = miii.runs.record(home / f"other{i}", miii.train(small_config(model=shape, steps=1)))
        words = Page("Words", (Text("Words."),), run=run.name)
        assert ("showNetwork" in html([words])) == (shape == {})
    assert network.of_run(miii.runs.open("primes-10"), None) is None
    model = miii.Transformer.of(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=12), at_seven, seed=0)
    assert network.values(model, at_seven)["planes"] is None
    model.W_E.data[0] = 1e5  # beyond float16
    assert network.values(model, at_seven) is None


def test_formulas_lose_links_and_styles_and_broken_ones_are_code():
    assert "javascript" not in mathml(r"\href{javascript:alert(1)}{x}")
    assert "style" not in mathml(r"\style{color:red}{x}")
    for broken in (r"\frac", "a_", "{" * 3000, EVIL + "{"):
        assert mathml(broken) == f"<code>{escape(broken)}</code>"


def test_formulas_keep_their_lines_and_spaces():
    lines = str(mathml(r"\begin{aligned} y \approx{}& \cos w \\ &+ c \end{aligned}", block=True))
    assert lines.count("<mtr>") == 2
    assert '<mi>cos</mi><mspace width="0.167em" />' in lines
    assert mathml(r"2 \pmod{3}").count('stretchy="false"') == 2


def test_a_fluid_chart_fills_its_column():
    bars = alt.Chart(pd.DataFrame({"n": [1]})).mark_bar().encode(x="n:Q")
    assert spec(bars.properties(autosize=FLUID))["width"] == "container"
    assert spec(bars.properties(width=300))["width"] == 300
    assert "width" not in spec(bars)
