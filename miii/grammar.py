"""Turn the text of a formula into a tree, by Python's parser alone: nothing is evaluated."""

import ast
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from miii.errors import InputError

EXAMPLE: Final = "(a*b + 3*a) % p"
MASKED: Final = "a / b where b != 0"
CASES: Final = "a / b if b % 2 else a - b"
LENGTH: Final = 200  #: maximum characters; also bounds the number of nodes
DEPTH: Final = 40  #: maximum nesting of operations
NUMBER: Final = 10**6  #: the largest literal
POWER: Final = 1000  #: the largest exponent; nested exponents multiply
LARGEST_P: Final = 1024  #: the table has p^2 cells; products stay far below 2^63

WORD = re.compile(r"\w+|.", re.DOTALL)
WHERE = re.compile(r"\bwhere\b")
SYMBOLS: Final = frozenset("abp+-*/%() =!<>") | {"if", "else", "where", "and", "or", "not"}
OPERATORS: Final[dict[type[ast.operator], str]] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.GtE: ">=",
    ast.Gt: ">",
    ast.LtE: "<=",
}
COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
}
NEGATED: Final = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">", "and": "or", "or": "and"}


@dataclass(frozen=True)
class Node:
    """A binary operation; each operand is a number, a name or another operation.

    Conditions are comparisons, and ``and`` and ``or`` of conditions.
    """

    operator: str
    left: "Tree"
    right: "Tree"


@dataclass(frozen=True)
class Choice:
    """The value ``yes`` where a condition holds, and ``no`` elsewhere."""

    condition: Node
    yes: "Tree"
    no: "Tree"


Tree = Node | Choice | int | str


def parse(text: str) -> tuple[Tree, Node | None]:
    """Return the tree of a formula, and of the condition after ``where`` if there is one.

    Raises:
        InputError: see ``miii.expression.parse``.
    """
    if len(text) > LENGTH:
        raise InputError(f"expression must have at most {LENGTH} characters (got {len(text)}).")
    for word in WORD.findall(text):
        if word not in SYMBOLS and not (word.isascii() and word.isdigit()):
            raise _not_made_of(word)
    formula, *conditions = (part.strip(" ") for part in WHERE.split(text))
    if len(conditions) > 1:
        raise InputError(f"expression must have where at most once, at the end, as in {MASKED} (got {text!r}).")
    tree = _tree(_body(formula, text), formula, 0, 1)
    return tree, _condition(_body(conditions[0], text), conditions[0], 0) if conditions else None


def _body(part: str, text: str) -> ast.expr:
    try:
        return ast.parse(part, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(
            f"expression must be a formula such as {EXAMPLE}, {MASKED} or {CASES} (got {text!r})."
        ) from None


def _not_made_of(found: str) -> InputError:
    return InputError(
        "expression must be made of a, b, p, whole numbers, + - * / ** %, parentheses, and conditions after if or "
        f"where, with a * between factors (got {found!r})."
    )


def _check_depth(depth: int, text: str) -> None:
    if depth > DEPTH:
        raise InputError(f"expression must have at most {DEPTH} operations inside one another (got {text!r}).")


def _tree(node: ast.expr, text: str, depth: int, power: int, integers: bool = False) -> Tree:
    """Convert an ``ast`` node.

    Args:
        power: the product of the enclosing exponents.
        integers: whether the node is part of a condition, which has whole numbers instead of those modulo p.
    """
    _check_depth(depth, text)

    part = partial(_tree, text=text, depth=depth + 1, integers=integers)
    shown = ast.get_source_segment(text, node) or text
    match node:
        case ast.Name(id="a" | "b" | "p" as name):
            return name
        case ast.Constant(value=int() as value) if type(value) is int:
            if value > NUMBER:
                raise InputError(f"expression must have numbers of at most {NUMBER} (got {value}).")
            return value
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return part(operand, power=power)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = part(operand, power=power)
            return -inner if isinstance(inner, int) else Node("*", -1, inner)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            exponent = _exponent(right, power, shown)
            return Node(
                "**", part(left, power=max(1, exponent * power if isinstance(exponent, int) else power)), exponent
            )
        case ast.BinOp(left=left, op=ast.Mod(), right=right):
            return Node("%", part(left, power=power), _modulus(right, shown, integers))
        case ast.BinOp(op=ast.Div()) if integers:
            raise InputError(f"expression must have no / in a condition, which compares whole numbers (got {shown!r}).")
        case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATORS:
            return Node(OPERATORS[type(op)], part(left, power=power), part(right, power=power))
        case ast.IfExp(test=test, body=yes, orelse=no) if not integers:
            return Choice(_condition(test, text, depth + 1), part(yes, power=power), part(no, power=power))
        case ast.Compare() | ast.BoolOp() | ast.UnaryOp(op=ast.Not()):
            raise InputError(f"expression must have conditions only after if or where, as in {CASES} (got {shown!r}).")
    raise _not_made_of(shown)


def _exponent(node: ast.expr, power: int, shown: str) -> int | Node:
    """Return a whole number, or p minus one."""
    match node:
        case ast.Constant(value=int() as n) if type(n) is int and n * power <= POWER:
            return n
        case ast.BinOp(left=ast.Name(id="p"), op=ast.Sub(), right=ast.Constant(value=int() as n)) if type(n) is int:
            return Node("-", "p", n)
    raise InputError(
        f"expression must have whole numbers from 0 to {POWER} as exponents, those of a power of a power multiplied, "
        f"or p minus a whole number, as in b**(p - 2) (got {shown!r})."
    )


def _modulus(node: ast.expr, shown: str, integers: bool) -> int | str:
    match node:
        case ast.Name(id="p"):
            return "p"
        case ast.Constant(value=int() as n) if integers and type(n) is int and 1 <= n <= LARGEST_P:
            return n
    valid = f"p or a whole number from 1 to {LARGEST_P} behind % in a condition" if integers else "p alone behind %"
    raise InputError(f"expression must have {valid} (got {shown!r}).")


def _condition(node: ast.expr, text: str, depth: int) -> Node:
    """Convert a condition; a number means that it is not 0, and ``not`` is carried inwards."""
    _check_depth(depth, text)
    match node:
        case ast.BoolOp(op=op, values=values):
            parts = [_condition(value, text, depth + 1) for value in values]
            return _joined("and" if isinstance(op, ast.And) else "or", parts)
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return _negated(_condition(operand, text, depth + 1))
        case ast.Compare(left=left, ops=ops, comparators=others) if all(type(op) in COMPARISONS for op in ops):
            sides = [_tree(side, text, depth + 1, 1, integers=True) for side in (left, *others)]
            triples = zip(ops, sides, sides[1:], strict=False)
            return _joined("and", [Node(COMPARISONS[type(op)], first, second) for op, first, second in triples])
    return Node("!=", _tree(node, text, depth, 1, integers=True), 0)


def _joined(word: str, parts: list[Node]) -> Node:
    whole = parts[0]
    for further in parts[1:]:
        whole = Node(word, whole, further)
    return whole


def _negated(condition: Node) -> Node:
    word, left, right = condition.operator, condition.left, condition.right
    if word in ("and", "or"):
        assert isinstance(left, Node)
        assert isinstance(right, Node)
        return Node(NEGATED[word], _negated(left), _negated(right))
    return Node(NEGATED[word], left, right)
