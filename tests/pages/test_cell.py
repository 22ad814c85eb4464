"""What is shown is what ran: the code of every cell runs by itself, and gives the cell's own chart."""

import ast
import importlib
import inspect
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shown import codes

import miii
from miii import plots, runs
from miii.plots.style import Chart

ROOT = Path(__file__).parents[2]
SCRIPTS = [path for path in sorted((ROOT / "pages").rglob("*.py")) if not {"_kit", "_server"} & set(path.parts)]
#: A value for each argument that a page's cell functions take.
ARGUMENTS: dict[str, Any] = {
    "name": "small",
    "step": 30,
    "other": 0,
    "example": 27,
    "layer": 0,
    "head": 1,
    "key": 1,
    "k": 3,
    "neuron": 4,
    "site": "0.mlp_post",
    "kind": "mean",
    "method": "eap",
    "edges": 5,
    "by_head": True,
    "operation": "add",
    "expression": None,
    "p": 7,
    "train_fraction": 0.5,
    "balanced": False,
    "seed": 0,
    "low": 1000,
    "high": 1999,
    "base": 10,
    "candidates": "all",
    "sample": None,
    "split": "random",
    "q": 7,
    "others": True,
    "side": 7,
    "start": 1,
    "asked": "mod 3",
    "basis": False,
    "masked": "",
    "longest": 5,
    "longest_test": 7,
    "n": 200,
    "d": 3,
    "ahead": 2,
    "frames": 3,
    "largest_step": 4,
    "comparison": "add-113",
    "measure": "explained",
    "a": 11,
    "b": 3,
    "steps": (38, 83),
    "snapshots": 3,
    "shown": "5 8 =",
    "target": "answer",
    "truth": 2,
    "answer": 2,
    "string": "MIIU",
}
ADDER = {"step": 83, "k": 15}  # of add-113
FRAMES = {"name": "frames-10", "step": 500}
PRIMES = {"name": "primes-10", "step": 2000, "shown": "1 2 3 4 5 ?", "n": 12345, "q": 3}
#: Where a function of this name needs another.
INSTEAD: dict[str, dict[str, Any]] = {
    "path_patching": {"site": "k"},
    "active_frequencies": {"name": "residues-113"},
    "values": {"expression": "a*b", "p": 7},
    "compiled_spectrum": {"expression": "3*a - b + 7", "p": 11},
    "compiled_clusters": {"expression": "3*a - b + 7", "p": 11},
    "evidence_by_letter": {"name": "miu-24", "step": 3000},
    **dict.fromkeys(("evidence_beside", "digit_walk"), PRIMES),
    "clock": {"p": 12},
    "circle_of_the_adder": ADDER,
    "frames_that_it_writes": {"n": 1987},
    **dict.fromkeys(("frames_written", "by_frame", "one_ahead", "places"), FRAMES),
}


def called(script: Path) -> list[str]:
    """The names of the functions that a page hands to ``cell``."""
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    cells = [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "cell"]
    return [call.args[0].id for call in cells if isinstance(call.args[0], ast.Name)]


CELLS = [(script, name) for script in SCRIPTS for name in dict.fromkeys(called(script))]


def is_shared(node: ast.AST) -> bool:
    """Whether it is a function that several cells of a page share."""
    return isinstance(node, ast.FunctionDef) and [ast.unparse(name) for name in node.decorator_list] == ["shared"]


def function(script: Path, name: str) -> Callable[..., Any]:
    """A page's function, without running the page: only its own definition, what it shares, and their imports."""
    body = [
        node
        for node in ast.parse(script.read_text()).body
        if (isinstance(node, ast.FunctionDef) and node.name == name)
        or is_shared(node)
        or (isinstance(node, ast.Import | ast.ImportFrom) and re.search(r"miii|_kit\.cell", ast.unparse(node)))
    ]
    space: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), script, "exec"), space)
    return space[name]


def arguments_of(make: Callable[..., Any]) -> dict[str, Any]:
    values = ARGUMENTS | INSTEAD.get(make.__name__, {})
    return {argument: values[argument] for argument in inspect.signature(make).parameters}


def same(one: Any, other: Any) -> bool:
    """Whether two cells show the same: a chart, or several."""
    ones, others = (made if isinstance(made, tuple) else (made,) for made in (one, other))
    return [chart.to_dict() for chart in ones] == [chart.to_dict() for chart in others]


def run_cell(code: str) -> Any:
    """Run a cell as a notebook does: in an empty namespace, its value that of the last line."""
    tree = ast.parse(code)
    last = tree.body.pop()
    assert isinstance(last, ast.Expr), "a cell must end with its chart"
    space: dict[str, Any] = {}
    exec(compile(tree, "cell", "exec"), space)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), space)


@pytest.fixture
def cell(server) -> Any:
    return importlib.import_module("pages._kit.cell")


@pytest.fixture(scope="session")
def made(recorded_adder) -> Path:
    """A run whose last network has key frequencies and neurons that keep to them."""
    return recorded_adder("small", snapshots=3)


@pytest.fixture
def small(home, made) -> runs.Run:
    return runs.open(shutil.copytree(made, home / "small"))


def test_the_pages_have_cells():
    assert {name for _, name in CELLS} >= {"split", "pattern", "circle", "clusters", "circuit", "progress", "steering"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_cell_is_a_function_of_the_page_called_by_its_name(script):
    defined = {node.name for node in ast.parse(script.read_text()).body if isinstance(node, ast.FunctionDef)}
    calls = [node for node in ast.walk(ast.parse(script.read_text())) if isinstance(node, ast.Call)]
    assert set(called(script)) <= defined
    cells = [c for c in calls if isinstance(c.func, ast.Name) and c.func.id == "cell"]
    by_name = [c for c in cells if isinstance(c.args[0], ast.Name)]
    assert len(called(script)) == len(by_name)
    assert len(cells) - len(by_name) == (script.stem == "figures")  # the curve of the kind of task


@pytest.mark.parametrize(("script", "name"), CELLS, ids=[f"{script.stem}-{name}" for script, name in CELLS])
def test_the_code_of_a_cell_runs_by_itself_and_gives_its_chart(cell, small, script, name):
    make = function(script, name)
    arguments = arguments_of(make)
    code = cell.source(make, arguments)
    assert "streamlit" not in code
    assert same(run_cell(code), make(**arguments))


@pytest.mark.parametrize(("script", "name"), CELLS, ids=[f"{script.stem}-{name}" for script, name in CELLS])
def test_the_code_of_a_cell_is_the_function_line_by_line(cell, script, name):
    make = function(script, name)
    arguments = arguments_of(make)
    written = inspect.getsource(make)
    begin = ast.parse(written).body[0].body[0].lineno - 1  # below a signature of one or of several lines
    body = [line.strip().removeprefix("return ") for line in written.splitlines()[begin:]]
    assert [line.strip() for line in cell.source(make, arguments).splitlines()[-len(body) :]] == body


def returning(name: str, step: int) -> Chart:
    # what a return in a text or a comment says must stay
    title = "what they return "
    W_E = miii.runs.open(name).model(step).W_E
    return plots.heatmap(W_E, title=title, row="token", column="dimension", value="weight")


def test_the_code_of_a_cell_loses_no_more_than_its_return(cell, small):
    arguments = {"name": "small", "step": 0}
    code = cell.source(returning, arguments)
    assert same(run_cell(code), returning(**arguments))


SHARING = """
from pages._kit.cell import shared
import miii
from miii import plots

@shared
def counted(name: str, step: int) -> list[int]:
    CALLS.append(step)
    return [*CALLS]

def first(name: str, step: int):
    return counted(name, step)

def second(name: str):
    return [*(counted(name, at) for at in (0, 30)), counted(name, step=0)]
"""


@pytest.fixture
def sharing(small, tmp_path) -> dict[str, Any]:
    """Two cells that share a computation, and the steps at which that was made."""
    space: dict[str, Any] = {"CALLS": []}
    path = tmp_path / "page.py"
    path.write_text(SHARING)
    exec(compile(SHARING, path, "exec"), space)
    return space


def test_what_cells_share_is_computed_once(sharing):
    assert sharing["first"]("small", 0) == [0]
    assert sharing["second"]("small") == [[0], [0, 30], [0]]
    assert sharing["CALLS"] == [0, 30]


def test_what_cells_share_is_computed_anew_when_the_run_is_written_anew(sharing, small):
    sharing["first"]("small", 0)
    os.utime(small.folder / "config.json", (0, 0))
    assert sharing["first"]("small", 0) == [0, 0]


def test_the_code_of_a_cell_has_what_it_shares_in_it(cell, sharing):
    shown = cell.source(sharing["second"], {"name": "small"})
    assert shown.count("def counted(name: str, step: int) -> list[int]:") == 1
    assert "shared" not in shown
    assert run_cell(shown.replace("CALLS.append(step)", "CALLS = [step]")) == [[0], [30], [0]]


@pytest.mark.parametrize(
    ("page", "step"),
    [("fourier", 0), ("fourier", 30), ("neurons", 30), ("formula", 30), ("attention", 30), ("try", 30)],
)
def test_a_page_shows_the_code_of_the_charts_that_it_shows(small, visit, page, step):
    at = visit(page, run="small", step=step)
    charts, shown = at.get("vega_lite_chart"), codes(at)
    assert len(charts) == len(shown) >= 3
    for chart, code in zip(charts, shown, strict=True):
        assert run_cell(code).to_dict()["title"] == json.loads(chart.proto.spec)["title"]
        assert f"step = {step}\n" in code or "run.steps" in code
