"""The code itself: linters, types, the direction of imports, shapes, and what every docstring must say."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from miii import metrics
from miii.analysis.modular import fourier

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "miii").rglob("*.py"))
BIN = Path(sys.executable).parent


def run(*command: str | Path) -> None:
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing():
    run(sys.executable, "-m", "ruff", "check", ".")


def test_ruff_would_format_nothing():
    run(sys.executable, "-m", "ruff", "format", "--check", "--diff", ".")


def test_mypy_finds_nothing():
    run(sys.executable, "-m", "mypy")


def test_imports_go_down():
    run(BIN / "lint-imports", "--no-cache")


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_git_ignores_no_source():
    """An ignored file is in nobody's clone, and ruff passes over it."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "--", "*.py"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    ours = ("app.py", "miii/", "pages/", "tests/", "benchmarks/")
    assert [path for path in ignored if path.startswith(ours)] == []


# ---- shapes ----


def test_a_matrix_where_a_vector_belongs_is_caught():
    with pytest.raises(TypeCheckError):
        fourier.spectrum(torch.zeros(7))


def test_two_sizes_of_one_axis_are_caught():
    with pytest.raises(TypeCheckError):
        metrics.cross_entropy(torch.zeros(5, 3), torch.zeros(4, dtype=torch.int64))


def test_the_wrong_kind_of_number_is_caught():
    with pytest.raises(TypeCheckError):
        metrics.correct(torch.zeros(5, 3), torch.zeros(5))


# ---- docstrings ----

Documented = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


def public(body: list[ast.stmt], inside: str = "") -> Iterator[tuple[str, Documented]]:
    """Public functions and classes, and the public methods and properties of those classes."""
    for node in body:
        if isinstance(node, Documented) and not node.name.startswith("_"):
            yield inside + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body, f"{inside}{node.name}.")


def raises_input_error(node: Documented) -> bool:
    """Whether it has a ``raise InputError`` of its own; a class has its methods'."""
    raised = [n.exc for n in ast.walk(node) if isinstance(n, ast.Raise) and n.exc is not None]
    called = [exc.func if isinstance(exc, ast.Call) else exc for exc in raised]
    return any(isinstance(name, ast.Name) and name.id == "InputError" for name in called)


def complaints(source: str) -> list[str]:
    """What the docstrings of a module fail to say. Shapes are in the signatures, so they need no words."""
    found = []
    for name, node in public(ast.parse(source).body):
        text = ast.get_docstring(node) or ""
        if not text:
            found.append(f"line {node.lineno}: {name} has no docstring")
            continue
        if not isinstance(node, ast.ClassDef) and raises_input_error(node) and "Raises:" not in text:
            found.append(f"line {node.lineno}: {name} does not say what it Raises:")
    return found


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_docstring_says_what_it_must(path):
    assert complaints(path.read_text()) == []


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is(path):
    source = path.read_text()
    assert not source or ast.get_docstring(ast.parse(source))


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


def test_the_checker_flags_what_is_missing():
    assert [complaint.partition(": ")[2] for complaint in complaints(BAD)] == [
        "silent has no docstring",
        "raising does not say what it Raises:",
        "Thing.size has no docstring",
        "Thing.check does not say what it Raises:",
        "Nothing has no docstring",
    ]


def test_the_checker_lets_the_good_pass():
    assert complaints(GOOD) == []
