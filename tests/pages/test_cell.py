"""The code of a cell: no more than its return is lost, and what cells share is computed once."""

import os

import pytest
from shown import app, run_cell

import miii
from miii import plots
from miii.plots.style import Chart

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
