"""The shortest linear recurrence of a sequence, and its next term: a baseline without a network."""

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from miii.tasks.sequences.typed import check_terms


class Recurrence(NamedTuple):
    """x[n] = c[0] x[n - 1] + c[1] x[n - 2] + ..

    Attributes:
        coefficients: c.
        following: the next term.
        tested: number of terms that the recurrence predicts beyond those that determine it.
    """

    coefficients: tuple[Fraction, ...]
    following: Fraction
    tested: int


def shortest(terms: Sequence[int]) -> Recurrence:
    """Return the shortest linear recurrence with constant rational coefficients that holds for the terms, exactly.

    2 r terms determine a recurrence of order r; ``tested`` counts the others, and is negative if there are fewer.

    Raises:
        InputError: there are no terms, or one is no integer.

    Source: Berlekamp 1968; Massey 1969, "Shift-register synthesis and BCH decoding", algorithm in section III.
    """
    check_terms(terms)
    now, before = [Fraction(1)], [Fraction(1)]
    order, since, last = 0, 1, Fraction(1)
    for n, term in enumerate(terms):
        off = term + sum((now[i] * terms[n - i] for i in range(1, min(order, len(now) - 1) + 1)), Fraction(0))
        if off == 0:
            since += 1
            continue
        kept = now
        factor = off / last
        now = now + [Fraction(0)] * max(0, since + len(before) - len(now))
        for i, value in enumerate(before):
            now[since + i] -= factor * value
        if 2 * order <= n:
            order, before, last, since = n + 1 - order, kept, off, 1
        else:
            since += 1
    c = tuple(-now[i] if i < len(now) else Fraction(0) for i in range(1, order + 1))
    following = sum((a * terms[len(terms) - 1 - i] for i, a in enumerate(c)), Fraction(0))
    return Recurrence(c, following, len(terms) - 2 * order)
