"""The code itself: the direction of imports, checked shapes, docstrings. ruff and mypy run in `.ci/lint`."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "miii").rglob("*.py"))
BIN = Path(sys.executable).parent


def test_imports_go_down():
    done = subprocess.run([BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_ignores_no_source():
    """An ignored file is in nobody's clone, and ruff skips it."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", "*.py"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = ("app.py", "miii/", "pages/", "tests/", "benchmarks/", "docs/", "examples/")
    assert [path for path in ignored if path.startswith(ours)] == []


def test_modules_and_folders_stay_small():
    """At most 300 lines of a module and 20 modules in a folder, but for ``pages/``, where each script is a page."""
    code = [path for part in ("miii", "pages", "benchmarks") for path in (ROOT / part).rglob("*.py")]
    long = {str(path): lines for path in code if (lines := len(path.read_text().splitlines())) > 300}
    folders = Counter(path.parent for path in [*code, *(ROOT / "tests").rglob("*.py")])
    full = {str(folder): n for folder, n in folders.items() if n > 20 and folder != ROOT / "pages"}
    assert (long, full) == ({}, {})


# ---- shapes ----


WRONG = """
import jaxtyping, torch, conftest
import miii
from miii import metrics
from miii.analysis.modular import fourier

miii.train(miii.RunConfig(**conftest.SMALL))
network = miii.Transformer(miii.ModelConfig(d_model=6, n_heads=3, d_mlp=7), 10, 9, 4, seed=0)
cases = (
    lambda: fourier.spectrum(torch.zeros(7)),  # a vector for a matrix
    lambda: metrics.cross_entropy(torch.zeros(5, 3), torch.zeros(4, dtype=torch.int64)),  # two sizes of one axis
    lambda: metrics.correct(torch.zeros(5, 3), torch.zeros(5)),  # floats for integers
    lambda: network(torch.zeros(4, dtype=torch.int64)),
)
for call in cases:
    try:
        call()
    except jaxtyping.TypeCheckError:
        print("caught")
"""


@pytest.mark.slow
def test_wrong_shapes_and_types_are_caught():
    """Where the shapes in signatures are checked, as they are by night in all tests: see ``conftest``."""
    environment = os.environ | {"MIII_SHAPES": "1", "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run([sys.executable, "-c", WRONG], cwd=ROOT, capture_output=True, text=True, env=environment)
    assert done.stdout.split() == 4 * ["caught"], done.stderr


# ---- docstrings ----

OVERRIDDEN = ("mix", "mixer_weights", "pattern", "skipped", "weights")  #: methods of mixers, documented in their bases
Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt], inside: str = "") -> Iterator[tuple[str, Documented]]:
    """Yield public functions and classes, and public methods and properties of those classes.

    Overloads are left out, and methods that inherit their docstring.
    """
    for node in body:
        if isinstance(node, Documented) and not node.name.startswith("_") and not is_overload(node):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                own = [item for item in node.body if not (node.bases and is_plain_method(item))]
                yield from public(own, f"{inside}{node.name}.")


def is_overload(node: Documented) -> bool:
    return any(isinstance(name, ast.Name) and name.id == "overload" for name in node.decorator_list)


def is_plain_method(node: ast.stmt) -> bool:
    """Return whether a method has no docstring and overrides one of ``OVERRIDDEN``."""
    return isinstance(node, ast.FunctionDef) and node.name in OVERRIDDEN and not ast.get_docstring(node)


def raises_input_error(node: Documented) -> bool:
    """Return whether a function, or a method of a class, has a ``raise InputError``."""
    raised = [n.exc for n in ast.walk(node) if isinstance(n, ast.Raise) and n.exc is not None]
    called = [exc.func if isinstance(exc, ast.Call) else exc for exc in raised]
    return any(isinstance(name, ast.Name) and name.id == "InputError" for name in called)


def complaints(source: str) -> list[str]:
    """Return what the docstrings of a module lack. Shapes are in the signatures."""
    tree = ast.parse(source)
    found = [] if not source or ast.get_docstring(tree) else ["the module has no docstring"]
    for name, node in public(tree.body):
        text = ast.get_docstring(node) or ""
        if not text:
            found.append(f"line {node.lineno}: {name} has no docstring")
            continue
        if not isinstance(node, ast.ClassDef) and raises_input_error(node) and "Raises:" not in text:
            found.append(f"line {node.lineno}: {name} lacks Raises:")
    return found


def test_every_module_and_public_name_is_documented():
    found = {str(path.relative_to(ROOT)): complaints(path.read_text()) for path in LIBRARY}
    assert {path: wrong for path, wrong in found.items() if wrong} == {}


BAD = '''
def silent(): ...

def raising():
    """Does something."""
    if True:
        raise InputError("no")

class Thing:
    """A thing."""

    @property
    def size(self): ...

    def check(self):
        """Look."""
        raise InputError("no")

class Nothing: ...
'''

GOOD = '''
"""A module."""

def _private(): raise InputError("no")

def f():
    """Does.

    Raises:
        InputError: always.
    """
    raise InputError("no")

class Thing:
    """A thing."""

    def __init__(self): raise InputError("no")

    @property
    def size(self):
        """Its size."""
        def helper(): ...
'''


def test_the_checker_finds_what_is_missing():
    assert [complaint.rpartition("line ")[2].partition(": ")[2] or complaint for complaint in complaints(BAD)] == [
        "the module has no docstring",
        "silent has no docstring",
        "raising lacks Raises:",
        "Thing.size has no docstring",
        "Thing.check lacks Raises:",
        "Nothing has no docstring",
    ]
    assert complaints(GOOD) == []
