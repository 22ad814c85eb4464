"""What a reader takes away: charts as they are sent, their code and numbers, and a page as a notebook or an article."""

import io
import json
import os
import re
from xml.etree import ElementTree

import nbformat
import pandas as pd
import pyarrow as pa
import pytest
import torch
from shown import app, run_cell, shown, title_of

import miii
from miii import plots
from miii.notebook.cells import Text
from miii.plots.style import Chart

KINDS = ("csv", "png", "svg", "html")


# ---- charts as they are sent ----


def heatmap(seed: int) -> Chart:
    matrix = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    return plots.heatmap(matrix, title="A matrix", row="row", column="column", value="value")


def lines(seed: int) -> Chart:
    loss = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    return plots.loss(pd.DataFrame({"step": [0, 1, 2], "train_loss": loss, "test_loss": loss[::-1]}))


@pytest.mark.parametrize("make", [heatmap, lines])
def test_other_numbers_are_the_same_chart_with_other_data(server, make):
    drawing = app("_kit.draw").drawing
    one, other = drawing(make(0)), drawing(make(1))
    assert one.spec == other.spec
    assert list(one.data) == [f"data-{i}" for i in range(len(one.data))]
    assert one.data != other.data
    sent = [pa.ipc.open_stream(data).read_pandas().to_csv(index=False) for data in one.data.values()]
    wanted = [pd.DataFrame(rows).to_csv(index=False) for rows in make(0).to_dict()["datasets"].values()]
    assert sorted(sent) == sorted(wanted)


@pytest.mark.parametrize("page", ["fourier", "neurons", "attention", "formula", "progress", "circuits"])
def test_from_step_to_step_a_page_s_charts_are_the_same_with_other_numbers(zoo, see, page):
    """Vega changes the numbers of a chart in place; if anything else differs, it compiles the chart anew."""
    # graphs of other edges, axes as long as the largest score, and rows of neurons by their frequencies
    redrawn = ("Circuit", "Score of each edge", "The ", "Every neuron")
    query = {"run": "adding", "circles": "2", "frequency": "2", "neuron": 0}
    views = [see(page, **query, step=step) for step in zoo("adding").steps[-2:]]
    early, late = ({chart.title: (chart.spec, chart.alt) for chart in view.charts} for view in views)
    alike = set(early) & set(late)
    assert alike
    assert not [title for title in alike if early[title] != late[title] and not title.startswith(redrawn)]


# ---- a figure, a table ----


def test_nothing_is_made_before_a_figure_is_opened_and_then_all_of_it_is_the_figure_s_own(visit, gives):
    at = visit("fourier", run="adding")
    assert len(at.get("popover")) == len(shown(at).figures)
    assert not at.code
    assert not [button for button in at.get("download_button") if button.key.startswith("download-")]
    at.session_state["take-embedding_spectrum"] = True
    at.run()
    view = shown(at)
    at_figure = [figure.make.__name__ for figure in view.figures].index("embedding_spectrum")
    assert view.codes == [view.sources[at_figure]]
    made = view.figures[at_figure].make(**view.figures[at_figure].arguments)
    csv, png, svg, html = (gives(at, f"download-embedding_spectrum.{kind}") for kind in KINDS)
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(csv)), plots.frame(made), check_dtype=False)
    assert png.startswith(b"\x89PNG")
    assert ElementTree.fromstring(svg).tag == "{http://www.w3.org/2000/svg}svg"
    assert json.dumps(made.title) in html


def test_each_of_several_charts_gives_its_own_numbers(visit, gives):
    at = visit("progress", run="adding")
    (figure,) = shown(at).figures
    key = next(key for key in at.session_state.to_dict() if key.startswith("take-progress"))
    at.session_state[key] = True
    at.run()
    charts = figure.make(**figure.arguments)
    assert {str(chart.title) for chart in charts} <= set(shown(at).prose["caption"])
    for part in (1, 2):
        csv = pd.read_csv(io.StringIO(gives(at, f"{key.replace('take', 'download', 1)}-{part}.csv")))
        wanted = plots.frame(charts[part - 1]).reset_index(drop=True)
        pd.testing.assert_frame_equal(csv, wanted, check_dtype=False)


#: Tables by the name of their file: columns that tell what each holds.
TABLES: dict[tuple[str, str], dict[str, str]] = {
    ("sieve", "sieves"): {"residue-share-by-place": "10⁰", "digits-and-residues": "10⁰", "addition-by-modulus": "q"},
    ("formula", "adding"): {"verdict-evidence": "criterion", "network-and-formula": "measure"},
    ("attention", "adding"): {"heads": "head"},
    ("attention", "miu"): {"attention-of-one-input": "token", "mean-attention-by-token": "head"},
    ("attention", "primes"): {"mean-attention-by-position": "head"},
    ("try", "residues"): {"answers-of-one-number": "target"},
    ("data", "primes"): {"first-integers": "spf", "table-1": "0", "table-1-row": "0", "integer-as-tokens": "token"},
    ("data", "frames"): {"sequence-as-tokens": "frame"},
}


def test_a_table_is_downloaded_under_the_name_of_what_it_holds(visit, gives):
    for (page, of), wanted in TABLES.items():
        at = visit(page, **{"task" if page == "data" else "run": of})
        view = shown(at)
        keys = [button.key for button in at.get("download_button") if button.key]
        tables = [key.removeprefix("download-").removesuffix(".csv") for key in keys if key.endswith(".csv")]
        assert not {figure.make.__name__ for figure in view.figures} & set(tables)
        assert set(wanted) <= set(tables)
        for name, column in wanted.items():
            assert column in pd.read_csv(io.StringIO(gives(at, f"download-{name}.csv"))), name


# ---- a page ----


@pytest.mark.parametrize("page", ["train", "attention", "progress", "symbolic"])  # all by night: see test_app_export
def test_both_files_hold_the_whole_page(visit, gives, page):
    at = visit(page, run="adding")
    view = shown(at)
    notebook = nbformat.reads(gives(at, "share-Notebook"), 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.metadata.alt for cell in code[1:]] == [figure.alt for figure in view.figures]
    assert ("Run `adding`" in notebook.cells[0].source) == (page != "symbolic")
    prose = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    for note in view.notes[1:]:
        assert not isinstance(note, Text) or note.markdown.strip() in prose
    article = gives(at, "share-Article")
    charts = re.findall(r'<script type="application/json">(.*?)</script>', article, re.DOTALL)
    assert sorted(title_of(json.loads(chart)) for chart in charts) == sorted(view.drawn)
    assert len(view.figures) == article.count("<summary>Code</summary>") <= len(charts)


def test_the_files_name_the_run_and_step_of_the_figures_alone(zoo, visit, gives):
    zoo("seven")
    for step in zoo("adding").steps[::3]:
        at = visit("fourier", run="adding", step=step)  # also on the first visit
        alone = gives(at, "share-Notebook")
        assert f"Run `adding`, step {step}." in nbformat.reads(alone, 4).cells[0].source
        assert f"step {step}" in gives(at, "share-Article")
    assert gives(visit("fourier", run="adding", beside="seven", step=step), "share-Notebook") == alone
    at = visit("symbolic", run="adding")  # which is about no run
    first, setup = nbformat.reads(gives(at, "share-Notebook"), 4).cells[:2]
    assert "Run `" not in first.source
    assert "name = " not in setup.source


# ---- the code of a cell ----

SHARING = """
from pages._kit.cell import shared

@shared
def counted(name: str, step: int) -> list[int]:
    CALLS.append(step)
    return [*CALLS]

def first(name: str, step: int):
    return counted(name, step)

def second(name: str):
    return [*(counted(name, at) for at in (0, 30)), counted(name, step=0)]
"""


def returning(name: str, step: int) -> Chart:
    # what a return in a text or a comment says must stay
    title = "what they return "
    W_E = miii.runs.open(name).model(step).W_E
    return plots.heatmap(W_E, title=title, row="token", column="dimension", value="weight")


@pytest.fixture
def sharing(bring, tmp_path):
    """Two cells that share a computation, the steps at which that was made, and their run."""
    space = {"CALLS": [], "run": bring("adding", tmp_path.name)}
    path = tmp_path / "page.py"
    path.write_text(SHARING)
    exec(compile(SHARING, path, "exec"), space)
    return space


def test_the_code_of_a_cell_loses_no_more_than_its_return(zoo):
    zoo("adding")
    arguments = {"name": "adding", "step": 0}
    code = app("_kit.cell").source(returning, arguments)
    assert run_cell(code).to_dict() == returning(**arguments).to_dict()


def test_what_cells_share_is_computed_once_for_a_run_as_it_is_written(sharing):
    name = sharing["run"].name
    assert sharing["first"](name, 0) == [0]
    assert sharing["second"](name) == [[0], [0, 30], [0]]
    os.utime(sharing["run"].folder / "config.json", (0, 0))
    assert sharing["first"](name, 0) == [0, 30, 0]
    assert sharing["CALLS"] == [0, 30, 0]


def test_the_code_of_a_cell_contains_what_it_shares(sharing):
    code = app("_kit.cell").source(sharing["second"], {"name": sharing["run"].name})
    assert code.count("def counted(name: str, step: int) -> list[int]:") == 1
    assert "shared" not in code
    assert run_cell(code.replace("CALLS.append(step)", "CALLS = [step]")) == [[0], [30], [0]]
