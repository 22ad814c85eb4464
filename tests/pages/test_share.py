"""A page to take away: its notebook is valid, its article shows every figure, and both say what the page says."""

import json
import re

import nbformat
import pytest
from shown import figures

from miii.notebook.cells import Text

#: Pages and what stands in their address; the run of the first is chosen on all of them.
OF_THE_RUN = ["train", "try", "attention", "fourier", "neurons", "circuits", "progress", "formula"]
OF_NONE = ["data", "symbolic", "compare"]


@pytest.mark.parametrize("page", [*OF_THE_RUN, *OF_NONE])
def test_both_buttons_give_the_whole_page(adding, visit, gives, page):
    at = visit(page, run="adding")
    shown = figures(at)
    notebook = nbformat.reads(gives(at, "share-Notebook"), 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.metadata.alt for cell in code[1:]] == [figure.alt for figure in shown]
    assert ("Run `adding`" in notebook.cells[0].source) == (page in OF_THE_RUN)
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for note in at.session_state["notes"]:
        assert not isinstance(note, Text) or note.markdown.strip() in prose or note.markdown.startswith("# ")

    article = gives(at, "share-Article")
    charts = re.findall(r'<script type="application/json">(.*?)</script>', article, re.DOTALL)
    titles = [json.loads(chart.proto.spec)["title"] for chart in at.get("vega_lite_chart")]
    assert sorted(json.loads(chart)["title"] for chart in charts) == sorted(titles)
    assert len(shown) == article.count("<summary>Code</summary>") <= len(charts)


def test_what_a_page_shows_first_is_its_title(adding, visit):
    for page in [*OF_THE_RUN, *OF_NONE, "paper", "runs", "sparse"]:  # which the files leave out: they have their own
        at = visit(page, run="adding")
        assert at.session_state["notes"][0] == Text(f"# {at.title[0].value}")
        assert sum(isinstance(note, Text) and note.markdown.startswith("# ") for note in at.session_state["notes"]) == 1


@pytest.mark.parametrize("index", [0, 1, -1])
def test_the_files_say_the_step_that_the_figures_show(adding, visit, gives, index):
    step = adding.steps[index]
    at = visit("fourier", run="adding", step=step)  # also on the first visit
    assert f"Run `adding`, step {step}." in nbformat.reads(gives(at, "share-Notebook"), 4).cells[0].source
    assert f"step {step}" in gives(at, "share-Article")


def test_a_page_about_other_runs_is_not_said_to_be_of_the_chosen_one(adding, visit, gives):
    at = visit("paper", run="adding")
    assert figures(at)
    first, setup = nbformat.reads(gives(at, "share-Notebook"), 4).cells[:2]
    assert "Run `" not in first.source
    assert "name = " not in setup.source


def test_what_stands_beside_is_no_part_of_the_files(adding, visit, gives, run_copy):
    alone = gives(visit("fourier", run="adding"), "share-Notebook")
    run_copy.rename(adding.folder.parent / "seven")
    both = gives(visit("fourier", run="adding", beside="seven"), "share-Notebook")
    assert both == alone
