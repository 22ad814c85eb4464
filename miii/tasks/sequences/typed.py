"""Read a typed or pasted sequence, and write terms shortly."""

import math
import re
from collections.abc import Sequence
from numbers import Integral
from typing import NamedTuple

from miii.errors import InputError, quoted
from miii.tasks.sequences.kinds import SHORTEST, decide
from miii.tasks.sequences.named import named

FEWEST, MOST = 5, 50  #: terms of a typed sequence; more are cut off
DIGITS = 10_000  #: most digits of a term
CHUNK = 4000  #: digits converted at a time; Python refuses more than 4,300
SHOWN = 15  #: digits of a term that are written out
MINUS = "-−–"  #: a minus as typed, as printed, and as some editors replace it
NUMBERED = 3  #: fewest lines "n a(n)" that are read as such
GROUPED = re.compile(r"(?<![\d,])[1-9]\d{0,2}(,\d{3})*,0\d\d(?!\d)")  #: an integer such as 1,000


class Typed(NamedTuple):
    """A typed sequence: up to 50 terms, as integers and as text, and how many were typed."""

    terms: tuple[int, ...]
    text: str
    given: int


def parse(text: str) -> Typed:
    """Return the integers of a text, separated by commas, semicolons or spaces; an ellipsis at the end is ignored.

    Lines that begin with # are ignored. Of numbered lines "n a(n)", as in the b-files of the OEIS, the second column is
    read. Of more than 50 terms, the first 50 are read.

    Raises:
        InputError: a term is no integer, or has thousands separators or more than 10,000 digits, or there are fewer
            than 5 terms.
    """
    lines = [line for line in text.strip().splitlines() if line.strip() and not line.lstrip().startswith("#")]
    text = "\n".join(_second_column(lines) or lines)
    grouped = GROUPED.search(text)
    if grouped:
        raise InputError(f"terms must be written without thousands separators (got {quoted(grouped[0])}).")
    words = [word for word in re.split(r"[\s,;]+", text.strip().strip("[](){}").rstrip(".…")) if word]
    if len(words) < FEWEST:
        raise InputError(f"terms must be at least {FEWEST} integers, separated by commas or spaces (got {len(words)}).")
    return Typed(tuple(map(_integer, words[:MOST])), ", ".join(words[:MOST]), len(words))


def _second_column(lines: Sequence[str]) -> list[str] | None:
    """Return the second of two columns if the first one counts the lines up by 1; None for other lines."""
    rows = [line.split() for line in lines]
    if len(rows) < NUMBERED or any(len(row) != 2 or not re.fullmatch(r"-?[0-9]{1,9}", row[0]) for row in rows):
        return None
    if any(int(n) != int(rows[0][0]) + i for i, (n, _) in enumerate(rows)):
        return None
    return [term for _, term in rows]


def _integer(word: str) -> int:
    digits = word.lstrip(f"+{MINUS}")
    if not digits.isascii() or not digits.isdecimal() or len(word) - len(digits) > 1:
        raise InputError(f"terms must be integers such as 3 or -12 (got {quoted(word)}).")
    if len(digits) > DIGITS:
        raise InputError(f"terms must have at most {DIGITS:,} digits (got one of {len(digits):,}).")
    value = 0
    for begin in range(0, len(digits), CHUNK):
        part = digits[begin : begin + CHUNK]
        value = value * 10 ** len(part) + int(part)
    return -value if word[0] in MINUS else value


def check_terms(terms: Sequence[object], fewest: int = 1) -> None:
    """Check terms given to the library.

    Raises:
        InputError: there are too few, or one is no integer.
    """
    if len(terms) < fewest:
        raise InputError(
            f"terms must be at least {fewest} {'integer' if fewest == 1 else 'integers'} (got {len(terms)})."
        )
    for term in terms:
        if isinstance(term, bool) or not isinstance(term, Integral):
            raise InputError(f"terms must be integers such as 3 or -12 (got {quoted(str(term))}).")


def spelled(term: int) -> str:
    """Return a term as text; of more than 15 digits, its first four digits and its magnitude."""
    if abs(term) < 10**SHOWN:
        return str(term).replace("-", "−")
    exponent = int(math.log10(abs(term)))
    exponent -= abs(term) < 10**exponent  # the logarithm is rounded
    return f"{'−' if term < 0 else ''}{abs(term) // 10 ** (exponent - 3) / 1000:.3f}e{exponent}"


def known_kinds(terms: Sequence[int]) -> frozenset[str]:
    """Return the kinds that are known to hold: all of a named sequence, else those that the terms decide.

    Fewer than 12 terms decide nothing.
    """
    for each in named().values():
        if len(terms) >= SHORTEST and tuple(terms) == each.terms[: len(terms)]:
            return each.kinds
    if len(terms) < SHORTEST:
        return frozenset()
    return frozenset(kind for kind, holds in decide([terms]).items() if holds[0])
