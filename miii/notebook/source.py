"""Turn the source of a cell's function into notebook code."""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

IMPORTS = "import miii\nfrom miii import analysis, plots"


@dataclass(frozen=True)
class Source:
    """The parts of a cell's code.

    Args:
        helpers: name and definition of each shared function that the body needs, callees first.
        given: assignments of the arguments.
        body: the function's body; its last statement is the returned value.
        several: whether the annotated return type is a tuple.
    """

    helpers: tuple[tuple[str, str], ...]
    given: str
    body: str
    several: bool


def source(make: Callable[..., Any], arguments: Mapping[str, Any]) -> str:
    """Return a self-contained cell: imports, shared functions, arguments, body."""
    cell = parts(make, arguments)
    return "\n\n".join(part for part in (IMPORTS, *dict(cell.helpers).values(), cell.given, cell.body) if part)


def parts(make: Callable[..., Any], arguments: Mapping[str, Any]) -> Source:
    """Return the parts of a cell's code.

    The function may use its own names, those of ``IMPORTS`` and shared functions (wrapped with ``functools.wraps``),
    which appear without their decorator.
    """
    lines, function = _parsed(make)
    last = function.body[-1].lineno - 1
    lines[last] = lines[last].replace("return ", "", 1)
    body = textwrap.dedent("\n".join(lines[function.body[0].lineno - 1 :]))
    several = function.returns is not None and ast.unparse(function.returns).startswith("tuple")
    return Source(tuple(dict(_helpers(make)).items()), assigned(arguments), body, several)


def assigned(values: Mapping[str, Any]) -> str:
    """Return one assignment per line."""
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
