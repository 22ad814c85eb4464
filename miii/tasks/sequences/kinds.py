"""The kinds of a sequence. Several may hold; most are decided from the terms alone."""

import math
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int

#: Every kind, and when it holds. Periodic to recurrence are decided by ``decide``; the last three follow from the rule.
KINDS: dict[str, str] = {
    "polynomial": "the differences of order 1 to 5 vanish: degree 0 to 4",
    "exponential": "a b^n + c with b at least 2 or at most -2: differences with a constant ratio",
    "periodic": "repeats with a period, shown at least twice",
    "finite": "ends in at least four zeros, after other terms, and is not periodic",
    "modulo": "a polynomial of degree up to 2, or a geometric sequence, modulo some m above all terms",
    "increasing": "never decreases, and is not constant",
    "unique": "no term occurs twice",
    "recurrence": "a linear recurrence of order 1 to 4, constant coefficients, that is not periodic",
    "trigonometric": "a sine, rounded",
    "prime": "made from the primes: sums, multiples, products, gaps, classes",
    "bounded": "between two bounds for all n",
}
DECIDED = tuple(KINDS)[:8]  #: kinds that follow from the terms
DEGREE, ORDER, ZEROS = (
    4,
    4,
    4,
)  #: largest degree of a polynomial, largest order of a recurrence, fewest zeros at the end
SHORTEST = 12  #: terms for which every kind can be decided
Q = 2147483629  #: a prime below 2^31, to test identities of integers


def decide(sequences: Sequence[Sequence[int]]) -> dict[str, Bool[np.ndarray, " sequences"]]:
    """Return which of ``DECIDED`` hold for each sequence.

    Identities between terms are tested modulo the prime ``Q``. Fewer than 12 terms may fit a polynomial or a recurrence
    by chance; a kind holds only if at least 4 equations test it.
    """
    longest = max(map(len, sequences))
    length = np.array([len(terms) for terms in sequences])
    x = np.zeros((len(sequences), longest), dtype=np.int64)
    for row, terms in zip(x, sequences, strict=True):
        row[: len(terms)] = [term % Q for term in terms]
    period = _period(x, length)
    zeros = np.array([_zeros(terms) for terms in sequences])
    rises = np.array([all(a <= b for a, b in pairwise(t)) and t[0] < t[-1] for t in sequences])
    small = np.array([min(terms) >= 0 and max(terms) < 2**31 for terms in sequences])
    polynomial = np.zeros(len(x), dtype=bool)
    differences = x
    for degree in range(DEGREE + 1):
        differences = np.diff(differences, axis=1) % Q
        tested = length - degree - 1
        inside = np.arange(differences.shape[1]) < tested[:, None]
        polynomial |= ((differences == 0) | ~inside).all(1) & (tested >= ZEROS)
    finite = (zeros >= ZEROS) & (zeros < length) & (period == 0)
    return {
        "polynomial": polynomial,
        "exponential": _exponential(x, length, sequences),
        "periodic": period > 0,
        "finite": finite,
        "modulo": np.array([ok and _modulo(terms) for ok, terms in zip(small, sequences, strict=True)], dtype=bool),
        "increasing": rises,
        "unique": np.array([len(set(terms)) == len(terms) for terms in sequences]),
        "recurrence": _recurrence(x, length) & ~finite & (period == 0),
    }


def period_of(terms: Sequence[int]) -> int:
    """Return the smallest period that is shown twice, or 0."""
    return int(_period(np.array([[term % Q for term in terms]]), np.array([len(terms)]))[0])


def _period(x: Int[np.ndarray, "sequences terms"], length: Int[np.ndarray, " sequences"]) -> np.ndarray:
    found = np.zeros(len(x), dtype=np.int64)
    for period in range(x.shape[1] // 2, 0, -1):
        same = x[:, period:] == x[:, :-period]
        inside = np.arange(same.shape[1]) < (length - period)[:, None]
        holds = (same | ~inside).all(1) & (length >= max(2 * period, ZEROS))
        found[holds] = period
    return found


def _zeros(terms: Sequence[int]) -> int:
    """Return the number of zeros at the end."""
    return next((i for i, term in enumerate(reversed(terms)) if term), len(terms))


def _exponential(x: np.ndarray, length: np.ndarray, sequences: Sequence[Sequence[int]]) -> np.ndarray:
    d = np.diff(x, axis=1) % Q
    inside = np.arange(1, d.shape[1]) < (length - 1)[:, None]
    geometric = ((d[:, 1:] * d[:, :1] % Q == d[:, :-1] * d[:, 1:2] % Q) | ~inside).all(1) & (length >= ZEROS + 3)
    grows = [len(t) > 2 and t[1] != t[0] and abs(t[2] - t[1]) >= 2 * abs(t[1] - t[0]) for t in sequences]
    return geometric & np.array(grows)


def _modulo(terms: Sequence[int]) -> bool:
    """Return whether nonnegative terms are a polynomial or geometric sequence modulo some m above all terms."""
    largest = max(terms)
    differences = list(terms)
    for _ in range(3):
        differences = [b - a for a, b in pairwise(differences)]
        if len(differences) < ZEROS:
            return False
        m = math.gcd(*differences)
        if m == 0:
            return False  # a polynomial without a modulus
        if m > largest:
            return True
    return math.gcd(*(b * b - a * c for a, b, c in zip(terms, terms[1:], terms[2:], strict=False))) > largest


def _recurrence(x: np.ndarray, length: np.ndarray) -> np.ndarray:
    """Return whether the last column of each sequence's Hankel matrix of width 5 is in the span of the others."""
    rows = x.shape[1] - ORDER
    if rows < ZEROS:
        return np.zeros(len(x), dtype=bool)
    hankel = np.lib.stride_tricks.sliding_window_view(x, ORDER + 1, axis=1).copy()  # [sequences, rows, 5]
    hankel[np.arange(rows) >= (length - ORDER)[:, None]] = 0
    every, used = np.arange(len(x)), np.zeros((len(x), rows), dtype=bool)
    for column in range(ORDER):
        candidates = (hankel[:, :, column] != 0) & ~used
        has, pivot = candidates.any(1), candidates.argmax(1)
        row = hankel[every, pivot] * _inverse(hankel[every, pivot, column])[:, None] % Q
        factor = np.where(has[:, None], hankel[:, :, column], 0)
        factor[every, pivot] = 0
        hankel = (hankel - factor[:, :, None] * row[:, None] % Q) % Q
        used[every[has], pivot[has]] = True
    left = np.where(used, 0, hankel[:, :, ORDER])
    return (left == 0).all(1) & (length >= SHORTEST)


def _inverse(a: np.ndarray) -> np.ndarray:
    """Return the inverses modulo Q, by Fermat's little theorem; 0 for 0."""
    found, power, exponent = np.ones_like(a), a % Q, Q - 2
    while exponent:
        if exponent & 1:
            found = found * power % Q
        power, exponent = power * power % Q, exponent >> 1
    return np.where(a == 0, 0, found)
