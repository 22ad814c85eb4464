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


class Typed(NamedTuple):
    """A typed sequence: up to 50 terms, as integers and as text, and how many were typed."""

    terms: tuple[int, ...]
    text: str
    given: int


def parse(text: str) -> Typed:
    """Return the integers of a text, separated by commas, semicolons or spaces; an ellipsis at the end is ignored.

    Of more than 50 terms, the first 50 are read.

    Raises:
        InputError: a term is no integer, or has more than 10,000 digits, or there are fewer than 5 terms.
    """
    words = [word for word in re.split(r"[\s,;]+", text.strip().strip("[](){}").rstrip(".…")) if word]
    if len(words) < FEWEST:
        raise InputError(f"terms must be at least {FEWEST} integers, separated by commas or spaces (got {len(words)}).")
    return Typed(tuple(map(_integer, words[:MOST])), ", ".join(words[:MOST]), len(words))


def _integer(word: str) -> int:
    digits = word.lstrip("+-−")
    if not digits.isascii() or not digits.isdecimal() or len(word) - len(digits) > 1:
        raise InputError(f"terms must be integers such as 3 or -12 (got {quoted(word)}).")
    if len(digits) > DIGITS:
        raise InputError(f"terms must have at most {DIGITS:,} digits (got one of {len(digits):,}).")
    value = 0
    for begin in range(0, len(digits), CHUNK):
        part = digits[begin : begin + CHUNK]
        value = value * 10 ** len(part) + int(part)
    return -value if word[0] in "-−" else value


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
