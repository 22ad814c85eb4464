"""Every page of the app, exported and run: the notebook shows the very charts of the page."""

import importlib
from pathlib import Path

import pytest

from miii.notebook.build import notebook

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
#: Runs that came with miii, for the pages that show nothing of modular arithmetic.
SHIPPED = [("frames", "frames-10"), ("sieve", "primes-10"), ("sieve", "miu-24"), ("sieve", "residues-113")]
WITHOUT = ["runs"]  #: it lists runs, and draws none
OTHERS = [page for page in PAGES if page not in (*WITHOUT, *dict(SHIPPED))]


@pytest.fixture
def record(app, adds):
    return importlib.import_module("pages._kit.headless").record


def test_every_page_is_in_the_navigation(app):
    assert sorted(importlib.import_module("pages._kit.headless").pages()) == PAGES


@pytest.mark.parametrize("page", WITHOUT)
def test_a_page_without_figures_says_so(record, one_sentence, page):
    with one_sentence("no figure"):
        record(page, "adds")


@pytest.mark.parametrize(("page", "run"), SHIPPED)
def test_the_notebook_of_a_page_shows_its_charts(record, charts, made, page, run):
    shown = record(page, run)
    assert shown.run == run
    assert charts(notebook([shown]))[1:] == made(shown)


def test_one_notebook_of_all_other_pages_shows_their_charts(record, charts, made):
    shown = [record(page, "adds") for page in OTHERS]
    assert [page.title for page in shown if page.run is None] == [
        "Compare",
        "Data",
        "Asked for primes, it sums the digits' residues",
        "Sparse grid",
        "Symbolic",
    ]
    assert charts(notebook(shown))[1:] == [one for page in shown for one in made(page)]
