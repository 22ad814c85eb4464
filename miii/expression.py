"""Parse and tabulate user-typed formulas in a and b modulo p, without evaluating code."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Bool, Int

from miii import grammar
from miii.errors import InputError
from miii.grammar import CASES, COMPARE, EXAMPLE, LARGEST_P, LENGTH, MASKED, Choice, Node, Tree
from miii.numbers import centered

if TYPE_CHECKING:
    import sympy
    from sympy.printing.latex import LatexPrinter

__all__ = ["CASES", "EXAMPLE", "LARGEST_P", "LENGTH", "MASKED", "MISSING", "Expression", "in_words", "parse"]

MISSING: Final = -1  #: the value of a pair that ``where`` leaves out
LARGEST: Final = 2**62  #: bound on the whole numbers of a condition


@dataclass(frozen=True)
class Expression:
    """A formula in a, b and p, made by ``parse``; only its trees are evaluated.

    Arithmetic is modulo p: p itself is 0, ``% p`` changes nothing, and ``/`` multiplies by the inverse. 0**0 is 1.
    ``where`` is the condition on the pairs that the formula is for, or None.
    """

    text: str
    tree: Tree
    where: Node | None = None

    def kept(self, p: int) -> Bool[np.ndarray, "p p"]:
        """Return the pairs that ``where`` keeps: all without it. Divisions are not looked at.

        Raises:
            InputError: p is not in 2 .. 1024, no pair is kept, or the condition has numbers of 2^62 or more.
        """
        if not 2 <= p <= LARGEST_P:
            raise InputError(f"p must be at least 2 and at most {LARGEST_P} (got {p}).")
        if self.where is None:
            return np.ones((p, p), dtype=bool)
        kept = np.broadcast_to(_holds(self.where, p), (p, p))
        if not kept.any():
            raise InputError(f"expression must keep a pair modulo {p}, as {MASKED} does (got {self.text!r}).")
        return kept

    def table(self, p: int) -> Int[np.ndarray, "p p"]:
        """Return the value at every pair, in 0 .. p - 1, or ``MISSING`` if left out; rows are a, columns are b.

        Raises:
            InputError: as ``kept``; a divisor has no inverse modulo p at some pair, or all values are equal.
        """
        kept = self.kept(p)
        values = np.where(kept, _values(self.tree, p, p, kept), MISSING)
        first = values[kept][0]
        if (values[kept] == first).all():
            raise InputError(
                f"expression must depend on a or b modulo {p}, as a + b does (got {self.text!r}, which is "
                f"{first} for every pair)."
            )
        return values

    def linear(self, p: int) -> tuple[int, int, int] | None:
        """Return (alpha, beta, gamma) if the formula is the modular sum alpha a + beta b + gamma, else None.

        Formulas are compared by value at the pairs that are kept: a**59 modulo 59 is a, by Fermat. alpha and beta are
        centered at 0; gamma is in 0 .. p - 1. None if no two kept pairs differ by 1 in a alone, or in b alone.

        Raises:
            InputError: see ``table``.
        """
        values = self.table(p)
        kept, slopes = values != MISSING, []
        for axis in (0, 1):
            pairs = np.argwhere(kept & np.roll(kept, -1, axis))
            if not len(pairs):
                return None
            a, b = pairs[0]
            slopes.append(int(np.roll(values, -1, axis)[a, b] - values[a, b]))
        alpha, beta = slopes
        gamma = int(values[a, b] - alpha * a - beta * b) % p
        n = np.arange(p)
        if not ((values == (alpha * n[:, None] + beta * n + gamma) % p) | ~kept).all():
            return None
        return centered(alpha, p), centered(beta, p), gamma

    def words(self, p: int) -> str:
        """Return the typed formula with its modulus, such as "a / b mod 97, where b != 0"."""
        formula, _, condition = (part.strip(" ") for part in self.text.partition("where"))
        formula = f"({formula})" if isinstance(self.tree, Choice) else formula
        return f"{formula} mod {p}" + (f", where {condition}" if condition else "")

    def sympy(self) -> "sympy.Basic":
        """Return the unevaluated formula in the integer symbols a, b and p, without ``% p`` and ``where``."""
        return _sympy(self.tree)

    def latex(self) -> str:
        r"""Return the typed formula as LaTeX, with one ``\bmod p`` at the end, and its condition."""
        import sympy

        formula = self.sympy()
        inner = _latex(formula)
        text = rf"\left({inner}\right) \bmod p" if isinstance(formula, sympy.Add) else rf"{inner} \bmod p"
        return text if self.where is None else rf"{text} \quad \text{{where}}\ {_latex(_sympy(self.where, True))}"


def parse(text: str) -> Expression:
    """Parse a formula in a, b, p, integers, + - * / ** % and parentheses, such as ``(a*b + 3*a) % p``.

    ``where CONDITION`` at the end leaves out the other pairs, and ``X if CONDITION else Y`` chooses. A condition
    compares whole numbers by == != < <= > >=, joined by and, or and not: there, a and b are 0 .. p - 1, p is the
    modulus, and the right operand of ``%`` is p or an integer. In a formula, the right operand of ``%`` is p. An
    exponent is an integer, or p minus an integer.

    Uses Python's parser and evaluates nothing. Other names and characters are rejected before parsing, other
    operations after it. SymPy's ``sympify`` and ``parse_expr`` evaluate Python, so they are not used.

    Raises:
        InputError: the formula is invalid, too long or nested too deeply, or a number is too large.
    """
    return Expression(text, *grammar.parse(text))


def in_words(alpha: int, beta: int, gamma: int = 0) -> str:
    """Return a modular sum as text: (1, -1) as "a - b", (-2, 3) as "-2a + 3b", (0, 1, 5) as "b + 5"."""
    signed = [(m, ("" if abs(m) == 1 else str(abs(m))) + name) for m, name in ((alpha, "a"), (beta, "b")) if m]
    signed += [(gamma, str(abs(gamma)))] if gamma or not signed else []
    first = ("-" if signed[0][0] < 0 else "") + signed[0][1]
    return first + "".join(f" {'-' if m < 0 else '+'} {word}" for m, word in signed[1:])


def _values(tree: Tree, p: int, modulus: int | None, where: Bool[np.ndarray, "_ _"]) -> Int[np.ndarray, "_ _"]:
    """Return the values with rows a and columns b; an axis has size 1 if its operand is absent.

    Args:
        modulus: reduces every value; p in a formula. None computes with whole numbers, in a condition.
        where: the pairs whose value is needed; division is checked at these.
    """
    if isinstance(tree, int | str):
        n = np.arange(p)
        found = (
            {"a": n[:, None], "b": n[None, :], "p": np.array([[p]])}[tree]
            if isinstance(tree, str)
            else np.array([[tree]])
        )
        return found if modulus is None else found % modulus
    if isinstance(tree, Choice):
        holds = _holds(tree.condition, p)
        yes, no = (_values(part, p, modulus, where & at) for part, at in ((tree.yes, holds), (tree.no, ~holds)))
        return np.where(holds, yes, no)
    if tree.operator == "%":
        own = p if tree.right == "p" else tree.right
        assert isinstance(own, int)
        found = _values(tree.left, p, own, where)
        return found if modulus is None else found % modulus
    left = _values(tree.left, p, modulus, where)
    if tree.operator == "**":
        return _power(left, _exponent(tree.right, p), modulus)
    right = _values(tree.right, p, modulus, where)
    if tree.operator == "/":
        assert modulus is not None
        _check_divisor(right, p, where)
        right = np.array([pow(n, -1, p) if math.gcd(n, p) == 1 else 0 for n in range(p)])[right]
    if modulus is None:
        _check_size(_largest(left) * _largest(right) if tree.operator == "*" else _largest(left) + _largest(right))
    match tree.operator:
        case "+":
            found = left + right
        case "-":
            found = left - right
        case _:
            found = left * right
    return found if modulus is None else found % modulus


def _power(base: Int[np.ndarray, "_ _"], exponent: int, modulus: int | None) -> Int[np.ndarray, "_ _"]:
    if modulus is not None:
        return np.array([pow(n, exponent, modulus) for n in range(modulus)])[base]
    _check_size(_largest(base) ** exponent)
    return base**exponent


def _exponent(tree: Tree, p: int) -> int:
    if isinstance(tree, int):
        return tree
    assert isinstance(tree, Node)
    assert isinstance(tree.right, int)
    if tree.right > p:
        raise InputError(f"expression must have exponents of at least 0 (got p - {tree.right} at p = {p}).")
    return p - tree.right


def _holds(condition: Tree, p: int) -> Bool[np.ndarray, "_ _"]:
    """Return where a condition holds, in the shape of ``_values``."""
    assert isinstance(condition, Node)
    if condition.operator in ("and", "or"):
        left, right = _holds(condition.left, p), _holds(condition.right, p)
        return left & right if condition.operator == "and" else left | right
    everywhere = np.ones((1, 1), dtype=bool)
    left, right = (_values(side, p, None, everywhere) for side in (condition.left, condition.right))
    return COMPARE[condition.operator](left, right)


def _largest(values: Int[np.ndarray, "_ _"]) -> int:
    return int(np.abs(values).max())


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise InputError(
            "expression must have whole numbers below 2**62 in a condition, which % p ensures, as in a**9 % p == 1 "
            f"(got one of {math.log10(size):.0f} digits)."
        )


def _check_divisor(divisor: Int[np.ndarray, "_ _"], p: int, where: Bool[np.ndarray, "_ _"]) -> None:
    none = np.broadcast_to((np.gcd(divisor, p) != 1) & where, (p, p))
    if none.any():
        a, b = (int(at) for at in np.argwhere(none)[0])
        units = [n for n in range(2, p) if math.gcd(n, p) == 1]
        prime = len(units) == p - 2
        way = (
            f"which a condition ensures, as in {MASKED}" if prime else f"such as {(units or [1])[0]}, or have a prime p"
        )
        raise InputError(
            f"expression must divide by what has an inverse modulo {p} at every pair, {way} "
            f"(got the divisor {np.broadcast_to(divisor, (p, p))[a, b]} at a = {a}, b = {b})."
        )


def _sympy(tree: Tree, condition: bool = False) -> "sympy.Basic":
    """Return the tree unevaluated; ``% p`` stays in a condition alone."""
    import sympy  # takes half a second to import

    if isinstance(tree, int):
        return sympy.Integer(tree)
    if isinstance(tree, str):
        return sympy.Symbol(tree, integer=True)
    if isinstance(tree, Choice):
        cases = (_sympy(tree.yes), _sympy(tree.condition, True)), (_sympy(tree.no), sympy.true)
        return sympy.Piecewise(*cases, evaluate=False)
    left, word = _sympy(tree.left, condition), tree.operator
    if word == "%" and not condition:
        return left
    right = _sympy(tree.right, condition)
    match word:
        case "and" | "or":
            return (sympy.And if word == "and" else sympy.Or)(left, right)
        case "+" | "-":
            added = right if word == "+" else sympy.Mul(-1, right, evaluate=False)
            return sympy.Add(*(left.args if left.is_Add else (left,)), added, evaluate=False)
        case "/":
            return sympy.Mul(left, sympy.Pow(right, -1, evaluate=False), evaluate=False)
        case "**":
            return sympy.Pow(left, right, evaluate=False)
        case "%":
            return sympy.Mod(left, right, evaluate=False)
        case "*":
            return sympy.Mul(left, right, evaluate=False)
    return sympy.Rel(left, right, word, evaluate=False)


def _latex(formula: "sympy.Basic") -> str:
    from sympy.printing.latex import LatexPrinter

    printer = type("Printer", (LatexPrinter,), {"_print_Piecewise": _print_cases})
    return str(printer({"order": "none"}).doprint(formula))


def _print_cases(printer: "LatexPrinter", cases: "sympy.Piecewise", exp: str | None = None) -> str:
    """Return cases in parentheses; SymPy's printer fails at a power of them."""
    from sympy.printing.latex import LatexPrinter

    text = rf"\left({LatexPrinter._print_Piecewise(printer, cases)}\right)"
    return text if exp is None else f"{text}^{{{exp}}}"
