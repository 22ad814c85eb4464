"""What is shown is what ran: the code of every cell runs by itself, and gives the cell's own chart."""

import ast
import importlib
import inspect
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

import miii
from miii import plots, runs
from miii.plots.style import Chart

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for path in sorted((ROOT / "pages").rglob("*.py")) if "_ui" not in path.parts]
#: A value for each argument that a page's cell functions take.
ARGUMENTS: dict[str, Any] = {
    "name": "small",
    "step": 24,
    "a": 2,
    "b": 5,
    "layer": 0,
    "head": 1,
    "key": 1,
    "k": 3,
    "operation": "add",
    "p": 7,
    "train_fraction": 0.5,
    "seed": 0,
}


def called(script: Path) -> list[str]:
    """The names of the functions that a page hands to ``cell``."""
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    cells = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "cell"]
    return [call.args[0].id for call in cells if isinstance(call.args[0], ast.Name)]


CELLS = [(script, name) for script in SCRIPTS for name in dict.fromkeys(called(script))]


def function(script: Path, name: str) -> Callable[..., Any]:
    """A page's function, without running the page: only its imports from miii and its own definition."""
    body = [
        node
        for node in ast.parse(script.read_text()).body
        if (isinstance(node, ast.FunctionDef) and node.name == name)
        or (isinstance(node, ast.Import | ast.ImportFrom) and "miii" in ast.unparse(node))
    ]
    space: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), script, "exec"), space)
    return space[name]


def run_cell(code: str) -> Any:
    """Run a cell as a notebook does: in an empty namespace, its value that of the last line."""
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "a cell must end with its chart"
    space: dict[str, Any] = {}
    exec(compile(tree, "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


@pytest.fixture(autouse=True)
def app(monkeypatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)


@pytest.fixture
def cell(app) -> Any:
    return importlib.import_module("pages._ui.cell")


@pytest.fixture
def small(home, small_run) -> runs.Run:
    return runs.open(shutil.copytree(small_run.folder, home / "small"))


def test_the_pages_have_cells():
    assert {name for _, name in CELLS} >= {"split", "pattern", "over_inputs", "embedding_spectrum", "circle"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_cell_is_a_function_of_the_page_called_by_its_name(script):
    defined = {node.name for node in ast.parse(script.read_text()).body if isinstance(node, ast.FunctionDef)}
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    assert set(called(script)) <= defined
    assert len(called(script)) == sum(isinstance(c.func, ast.Name) and c.func.id == "cell" for c in calls)


@pytest.mark.parametrize(("script", "name"), CELLS, ids=[f"{script.stem}-{name}" for script, name in CELLS])
def test_the_code_of_a_cell_runs_by_itself_and_gives_its_chart(cell, small, script, name):
    make = function(script, name)
    arguments = {argument: ARGUMENTS[argument] for argument in inspect.signature(make).parameters}
    code = cell.source(make, arguments)
    assert "streamlit" not in code
    assert run_cell(code).to_dict() == make(**arguments).to_dict()


@pytest.mark.parametrize(("script", "name"), CELLS, ids=[f"{script.stem}-{name}" for script, name in CELLS])
def test_the_code_of_a_cell_is_the_function_line_by_line(cell, script, name):
    make = function(script, name)
    arguments = {argument: ARGUMENTS[argument] for argument in inspect.signature(make).parameters}
    body = [line.strip().removeprefix("return ") for line in inspect.getsource(make).splitlines()[1:]]
    assert cell.source(make, arguments).splitlines()[-len(body) :] == body


def returning(name: str, step: int) -> Chart:
    # what a return in a text or a comment says must stay
    title = "what they return "
    W_E = miii.runs.open(name).model(step).W_E
    return plots.heatmap(W_E, title=title, row="token", column="dimension", value="weight")


def test_the_code_of_a_cell_loses_no_more_than_its_return(cell, small):
    arguments = {"name": "small", "step": 0}
    code = cell.source(returning, arguments)
    assert run_cell(code).to_dict() == returning(**arguments).to_dict()


@pytest.mark.parametrize("step", [0, 24])
def test_a_page_shows_the_code_of_the_charts_that_it_shows(small, step):
    at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    at.switch_page(next(script for script in SCRIPTS if script.stem == "fourier").relative_to(ROOT).as_posix())
    at.query_params["run"], at.query_params["step"] = "small", str(step)
    at.run()
    assert not at.exception
    charts, codes = at.get("vega_lite_chart"), [code.value for code in at.code]
    assert len(charts) == len(codes) > 3
    for chart, code in zip(charts, codes, strict=True):
        assert run_cell(code).to_dict()["title"] == json.loads(chart.proto.spec)["title"]
        assert f"step = {step}\n" in code or "run.steps" in code
