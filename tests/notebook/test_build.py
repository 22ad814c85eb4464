"""A notebook runs by itself, and shows the very charts of the page."""

import nbformat
import pandas as pd
import pytest
from wrapped import shared

import miii
from miii import analysis, plots
from miii.notebook.build import notebook
from miii.notebook.cells import Figure, Page, Table, Text
from miii.plots.style import Chart


@shared
def spectrum_of(name: str, step: int) -> analysis.fourier.Spectrum:
    return analysis.fourier.embedding_spectrum(miii.runs.open(name).model(step))


def spectrum(name: str, step: int) -> Chart:
    return plots.spectrum(spectrum_of(name, step))


def both(name: str, step: int, k: int) -> tuple[Chart, ...]:
    W = analysis.fourier.operand_embedding(miii.runs.open(name).model(step), 7)
    power = spectrum_of(name, step)
    return plots.circle(
        analysis.fourier.circle(W, k)
    ), plots.spectrum(power, "the same")  # fmt: skip


def overwriting(name: str, step: int, k: int) -> Chart:
    spectrum_of = analysis.fourier.embedding_spectrum
    k = k + step
    return plots.spectrum(spectrum_of(miii.runs.open(name).model(step)), f"{k}")


def large(n: int) -> Chart:
    import altair
    import pandas

    return altair.Chart(pandas.DataFrame({"n": range(n)})).mark_point().encode(x="n:Q")


@pytest.fixture
def page(small) -> Page:
    first, last = small.steps[0], small.steps[-1]
    at = {"name": "small", "step": last}
    frame = pd.DataFrame({"measure": ["a|b", "none"], "value": [0.123456, float("nan")], "n": [3, 4]})
    return Page(
        "Fourier",
        (
            Text("\nTokens lie on **circles** of $w_k = 2 \\pi k / p$."),
            Figure(spectrum, at, "Bars by frequency.", "Some are *longer*."),
            Figure(both, at | {"k": 2}, "A circle and bars."),
            Figure(overwriting, at | {"k": 2}, "Bars."),
            Figure(both, at | {"k": 2}, "A circle and bars again."),
            Figure(spectrum, {"name": "small", "step": first}, "Bars, at first."),
            Table(frame, "What was measured"),
        ),
        run="small",
        step=last,
        link="http://localhost:8501/fourier?run=small",
    )


def sources(written: nbformat.NotebookNode, kind: str) -> list[str]:
    return [cell.source for cell in written.cells if cell.cell_type == kind]


@pytest.mark.slow
def test_a_notebook_of_several_pages_shows_their_charts(page, charts, made):
    about = Page("Data", (Text("Numbers."), Figure(large, {"n": 6000}, "Dots.")))  # more rows than altair takes
    other = Page("Attention", (Figure(spectrum, page.figures[0].arguments, "Bars."),), run="small", step=page.step)
    pages = [about, page, other]
    written = notebook(pages)
    titles = [text.split("\n")[0] for text in sources(written, "markdown") if text.startswith("#")]
    assert titles == ["# small", "# Data", "# Fourier", "# Attention"]
    shown = charts(written)
    assert shown[0] == []  # setting up shows nothing
    assert shown[1:] == [one for each in pages for one in made(each)]
    assert [len(rows) for rows in shown[1][0]["datasets"].values()] == [6000]


def test_what_cells_share_is_defined_once_until_a_name_is_taken(page, small):
    cells = sources(notebook([page]), "code")
    assert [cell.count("@cache\ndef spectrum_of(name: str, step: int)") for cell in cells] == [0, 1, 0, 0, 1, 0]
    assert cells[0].endswith(f"name = 'small'\nstep = {small.steps[-1]}")
    assigned = [[line for line in cell.splitlines() if line.startswith(("name =", "step =", "k = "))] for cell in cells]
    assert assigned[1:] == [[], ["k = 2"], ["k = k + step"], ["k = 2"], [f"step = {small.steps[0]}"]]


def test_prose_keeps_its_place_and_the_caption_stands_below_its_chart(page, small):
    written = notebook([page])
    first, *rest = sources(written, "markdown")
    assert first.startswith("# Fourier\n\n[This page in the app](http://localhost:8501/fourier?run=small)")
    assert f"Run `small`, step {small.steps[-1]}." in first
    assert "pip install" in first
    assert rest[:2] == [page.cells[0].markdown.strip(), "Some are *longer*."]
    assert "".join(cell.cell_type[0] for cell in written.cells) == "mcmcmccccm"
    figures = [cell for cell in written.cells if cell.cell_type == "code"][1:]
    assert [cell.metadata["alt"] for cell in figures] == [figure.alt for figure in page.figures]
    alone = notebook([Page("Data", (Figure(large, {"n": 6000}, "Dots."),))])
    assert "Run `" not in sources(alone, "markdown")[0]
    assert "name =" not in sources(alone, "code")[0]


def test_the_same_page_gives_the_same_bytes(page):
    assert nbformat.writes(notebook([page])) == nbformat.writes(notebook([page]))
    written = notebook([page, page])
    nbformat.validate(written)
    assert (written.nbformat, written.nbformat_minor) == (4, 5)
    ids = [cell.id for cell in written.cells]
    assert len(ids) == len(set(ids))
