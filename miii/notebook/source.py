"""The source of a cell's function, as a cell of a notebook has it."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

IMPORTS = "import miii\nfrom miii import analysis, plots"


@dataclass(frozen=True)
class Source:
    """A cell's code in its parts.

    Args:
        helpers: name and definition of each shared function that the body calls, those that others call first.
        given: the arguments, assigned.
        body: the function's body; its last statement is the value that it returns.
        several: whether that is a tuple, by the function's annotation.

    Source: own design.
    """

    helpers: tuple[tuple[str, str], ...]
    given: str
    body: str
    several: bool


def source(make: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """A cell that runs by itself: imports, shared functions, arguments, and the body, whose value comes last.

    Source: own design.
    """
    cell = parts(make, arguments)
    return "\n\n".join(part for part in (IMPORTS, *dict(cell.helpers).values(), cell.given, cell.body) if part)


def parts(make: Callable[..., Any], arguments: Mapping[str, Any]) -> Source:
    """What a cell is made of.

    Its function uses no names but its own, those of ``IMPORTS``, and of shared functions: those that a decorator wraps
    (``functools.wraps``), which stand here without it.

    Source: own design.
    """
    lines, function = _parsed(make)
    last = function.body[-1].lineno - 1
    lines[last] = lines[last].replace("return ", "", 1)
    body = textwrap.dedent("\n".join(lines[function.body[0].lineno - 1 :]))
    several = function.returns is not None and ast.unparse(function.returns).startswith("tuple")
    return Source(tuple(dict(_helpers(make)).items()), assigned(arguments), body, several)


def assigned(values: Mapping[str, Any]) -> str:
    """A line for each name, which gives it its value. Source: own design."""
    return "\n".join(f"{name} = {value!r}" for name, value in values.items())


def _helpers(function: Callable[..., Any]) -> Iterator[tuple[str, str]]:
    for name in dict.fromkeys(node.id for node in ast.walk(_parsed(function)[1]) if isinstance(node, ast.Name)):
        helper = getattr(function.__globals__.get(name), "__wrapped__", None)
        if helper is not None and helper is not function:
            yield from _helpers(helper)
            lines, node = _parsed(helper)
            yield name, "\n".join(lines[node.lineno - 1 :])  # without its decorator


def _parsed(function: Callable[..., Any]) -> tuple[list[str], ast.FunctionDef]:
    code = textwrap.dedent(inspect.getsource(function))
    node = ast.parse(code).body[0]
    assert isinstance(node, ast.FunctionDef)
    return code.splitlines(), node
