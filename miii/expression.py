"""Parse and tabulate user-typed formulas in a and b modulo p, without evaluating code."""

import ast
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Int

from miii.errors import InputError
from miii.numbers import centered

if TYPE_CHECKING:
    import sympy

EXAMPLE: Final = "(a*b + 3*a) % p"
LENGTH: Final = 200  #: maximum characters; also bounds the number of nodes
DEPTH: Final = 40  #: maximum nesting of operations
NUMBER: Final = 10**6  #: the largest literal
POWER: Final = 1000  #: the largest exponent; nested exponents multiply
LARGEST_P: Final = 1024  #: the table has p^2 cells; products stay far below 2^63

WORD = re.compile(r"\w+|.", re.DOTALL)
SYMBOLS: Final = frozenset("abp+-*/%() ")
OPERATORS: Final[dict[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.Mod: "%",
    ast.Pow: "**",
}


@dataclass(frozen=True)
class Node:
    """A binary operation; each operand is a number, a name or another operation."""

    operator: str
    left: "Tree"
    right: "Tree"


Tree = Node | int | str


@dataclass(frozen=True)
class Expression:
    """A formula in a, b and p, made by ``parse``; only ``tree`` is evaluated.

    Arithmetic is modulo p: p itself is 0, ``% p`` changes nothing, and ``/`` multiplies by the inverse. 0**0 is 1.
    """

    text: str
    tree: Tree

    def table(self, p: int) -> Int[np.ndarray, "p p"]:
        """Return the value at every pair, in 0 .. p - 1; rows are a, columns are b.

        Raises:
            InputError: p is not in 2 .. 1024, a divisor has no inverse modulo p at some pair, or all values are equal.
        """
        if not 2 <= p <= LARGEST_P:
            raise InputError(f"p must be at least 2 and at most {LARGEST_P} (got {p}).")
        values = np.broadcast_to(_values(self.tree, p), (p, p))
        if (values == values[0, 0]).all():
            raise InputError(
                f"expression must depend on a or b modulo {p}, as a + b does (got {self.text!r}, which is "
                f"{values[0, 0]} for every pair)."
            )
        return values

    def linear(self, p: int) -> tuple[int, int, int] | None:
        """Return (alpha, beta, gamma) if the formula is the modular sum alpha a + beta b + gamma, else None.

        Formulas are compared by value: a**59 modulo 59 is a, by Fermat. alpha and beta are centered at 0; gamma is in
        0 .. p - 1.

        Raises:
            InputError: see ``table``.
        """
        values = self.table(p)
        gamma = int(values[0, 0])
        alpha, beta = int(values[1, 0]) - gamma, int(values[0, 1]) - gamma
        n = np.arange(p)
        if not np.array_equal(values, (alpha * n[:, None] + beta * n + gamma) % p):
            return None
        return centered(alpha, p), centered(beta, p), gamma

    def sympy(self) -> "sympy.Expr":
        """Return the unevaluated formula in the integer symbols a, b and p, without ``% p``."""
        return _sympy(self.tree)

    def latex(self) -> str:
        r"""Return the typed formula as LaTeX, with one ``\bmod p`` at the end."""
        import sympy

        formula = self.sympy()
        inner = sympy.latex(formula, order="none")
        return rf"\left({inner}\right) \bmod p" if isinstance(formula, sympy.Add) else rf"{inner} \bmod p"


def parse(text: str) -> Expression:
    """Parse a formula in a, b, p, integers, + - * / ** % and parentheses, such as ``(a*b + 3*a) % p``.

    Uses Python's parser and evaluates nothing. Other names and characters are rejected before parsing, other
    operations after it. The right operand is p for ``%`` and an integer for ``**``. SymPy's ``sympify`` and
    ``parse_expr`` evaluate Python, so they are not used.

    Raises:
        InputError: the formula is invalid, too long or nested too deeply, or a number is too large.
    """
    if len(text) > LENGTH:
        raise InputError(f"expression must have at most {LENGTH} characters (got {len(text)}).")
    for word in WORD.findall(text):
        if word not in SYMBOLS and not (word.isascii() and word.isdigit()):
            raise _not_made_of(word)
    formula = text.strip(" ")
    try:
        body = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f"expression must be a formula such as {EXAMPLE} (got {text!r}).") from None
    return Expression(text, _tree(body, formula, 0, 1))


def in_words(alpha: int, beta: int, gamma: int = 0) -> str:
    """Return a modular sum as text: (1, -1) as "a - b", (-2, 3) as "-2a + 3b", (0, 1, 5) as "b + 5"."""
    signed = [(m, ("" if abs(m) == 1 else str(abs(m))) + name) for m, name in ((alpha, "a"), (beta, "b")) if m]
    signed += [(gamma, str(abs(gamma)))] if gamma or not signed else []
    first = ("-" if signed[0][0] < 0 else "") + signed[0][1]
    return first + "".join(f" {'-' if m < 0 else '+'} {word}" for m, word in signed[1:])


def _not_made_of(found: str) -> InputError:
    return InputError(
        "expression must be made of a, b, p, whole numbers, + - * / ** % and parentheses, with a * between factors "
        f"(got {found!r})."
    )


def _tree(node: ast.expr, text: str, depth: int, power: int) -> Tree:
    """Convert an ``ast`` node; ``power`` is the product of the enclosing exponents."""
    if depth > DEPTH:
        raise InputError(f"expression must have at most {DEPTH} operations inside one another (got {text!r}).")
    match node:
        case ast.Name(id="a" | "b" | "p" as name):
            return name
        case ast.Constant(value=int() as value) if type(value) is int:
            if value > NUMBER:
                raise InputError(f"expression must have numbers of at most {NUMBER} (got {value}).")
            return value
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _tree(operand, text, depth + 1, power)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _tree(operand, text, depth + 1, power)
            return -inner if isinstance(inner, int) else Node("*", -1, inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            exponent = right.value if isinstance(right, ast.Constant) else None
            if type(exponent) is not int or exponent * power > POWER:
                raise InputError(
                    f"expression must have whole numbers from 0 to {POWER} as exponents, those of a power of a power "
                    f"multiplied (got {ast.get_source_segment(text, node)!r})."
                )
            return Node("**", _tree(left, text, depth + 1, max(1, exponent * power)), exponent)
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            if not (isinstance(right, ast.Name) and right.id == "p"):
                raise InputError(f"expression must have p alone behind % (got {ast.get_source_segment(text, node)!r}).")
            return Node("%", _tree(left, text, depth + 1, power), "p")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            parts = (_tree(part, text, depth + 1, power) for part in (left, right))
            return Node(OPERATORS[type(op)], *parts)
    raise _not_made_of(ast.get_source_segment(text, node) or text)


def _values(tree: Tree, p: int) -> Int[np.ndarray, "rows columns"]:
    """Return the values modulo p, with rows a and columns b; an axis has size 1 if its operand is absent."""
    if isinstance(tree, int):
        return np.array([[tree % p]])
    if isinstance(tree, str):
        n = np.arange(p)
        return {"a": n[:, None], "b": n[None, :], "p": np.array([[0]])}[tree]
    left = _values(tree.left, p)
    if tree.operator == "%":
        return left
    if tree.operator == "**":
        exponent = tree.right
        assert isinstance(exponent, int)
        return _looked_up(lambda n: pow(n, exponent, p), p)[left]
    right = _values(tree.right, p)
    if tree.operator == "/":
        _check_divisor(right, p)
        right = _looked_up(lambda n: pow(n, -1, p) if math.gcd(n, p) == 1 else 0, p)[right]
    match tree.operator:
        case "+":
            return (left + right) % p
        case "-":
            return (left - right) % p
    return left * right % p


def _looked_up(function: Callable[[int], int], p: int) -> Int[np.ndarray, " p"]:
    """Return a function's values at 0 .. p - 1."""
    return np.array([function(n) for n in range(p)])


def _check_divisor(divisor: Int[np.ndarray, "rows columns"], p: int) -> None:
    none = np.gcd(divisor, p) != 1
    if none.any():
        a, b = (int(at) for at in np.argwhere(np.broadcast_to(none, (p, p)))[0])
        works = next((n for n in range(2, p) if math.gcd(n, p) == 1), 1)
        raise InputError(
            f"expression must divide by what has an inverse modulo {p} at every pair, such as {works} "
            f"(got the divisor {np.broadcast_to(divisor, (p, p))[a, b]} at a = {a}, b = {b})."
        )


def _sympy(tree: Tree) -> "sympy.Expr":
    import sympy  # takes half a second to import

    if isinstance(tree, int):
        return sympy.Integer(tree)
    if isinstance(tree, str):
        return sympy.Symbol(tree, integer=True)
    left = _sympy(tree.left)
    if tree.operator == "%":
        return left
    right = _sympy(tree.right)
    match tree.operator:
        case "+" | "-":
            added = right if tree.operator == "+" else sympy.Mul(-1, right, evaluate=False)
            return sympy.Add(*(left.args if left.is_Add else (left,)), added, evaluate=False)
        case "/":
            return sympy.Mul(left, sympy.Pow(right, -1, evaluate=False), evaluate=False)
        case "**":
            return sympy.Pow(left, right, evaluate=False)
    return sympy.Mul(left, right, evaluate=False)
