"""The integers of a task, counted and laid out before anything is drawn: millions of them in NumPy."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from miii import numbers
from miii.errors import InputError
from miii.tasks.primes import PARTS, Primes, parts

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 50  #: integers in a bin, or its share of primes says nothing


@dataclass(frozen=True)
class Members:
    """The integers of a task, ascending.

    Attributes:
        spf: the smallest prime factor; n itself for a prime.
        part: which of ``PARTS`` each is in.
    """

    n: Int[np.ndarray, " integers"]
    spf: Int[np.ndarray, " integers"]
    part: Int[np.ndarray, " integers"]

    @cached_property
    def prime(self) -> Bool[np.ndarray, " integers"]:
        """Whether each is prime."""
        return self.n == self.spf

    def counts(self) -> Int[np.ndarray, "parts 2"]:
        """How many composites and primes each part has."""
        codes = self.part.astype(np.int64) * 2 + self.prime
        return np.bincount(codes, minlength=2 * len(PARTS)).reshape(-1, 2)


def members(task: Primes) -> Members:
    """The integers of a task and its split, as ``task.build()`` has them, without their tokens."""
    return Members(*parts(task))


def table(task: Primes, most: int | None = None) -> "pd.DataFrame":
    """The data set to take away: n, prime, spf, split, and a column for each digit, ``digit_0`` for the units.

    Args:
        most: only the first so many integers; all unless given.

    Source: own design; ``digit_i`` is the coefficient of base^i.
    """
    import pandas as pd

    values = members(task)
    n = values.n[:most]
    columns = {
        "n": n,
        "prime": values.prime[:most].astype(np.int8),
        "spf": values.spf[:most].astype(np.int32),
        "split": pd.Categorical.from_codes(pd.Index(values.part[:most]), dtype=pd.CategoricalDtype(list(PARTS))),
    }
    digits = numbers.digits(n, task.base, task.width).astype(np.int16)
    columns |= {f"digit_{task.width - 1 - i}": digits[:, i] for i in range(task.width)}
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class Density:
    """Primes in each bin of a range, from ``first`` to ``last``, both of them in the bin.

    Attributes:
        expected: how many there would be if n were prime with the chance 1 / ln n.

    Source: Gauss's conjecture of 1792, the prime number theorem of 1896.
    """

    first: Int[np.ndarray, " bins"]
    last: Int[np.ndarray, " bins"]
    primes: Int[np.ndarray, " bins"]
    expected: Float[np.ndarray, " bins"]

    @property
    def integers(self) -> Int[np.ndarray, " bins"]:
        """How many integers each bin has."""
        return self.last - self.first + 1


def density(low: int, high: int, bins: int = 100) -> Density:
    """Count the primes of a range in bins of one width, fewer where a bin would have less than ``FEWEST`` integers.

    Raises:
        InputError: the range is empty, or goes beyond 2 .. ``numbers.LARGEST``.

    Source: the sieve of Eratosthenes; the integral of 1 / ln t is li, from SciPy's exponential integral.
    """
    from scipy.special import expi

    _in_order(low, high, 2)
    bins = min(bins, max(1, (high - low + 1) // FEWEST))
    edges = np.linspace(low, high + 1, bins + 1).astype(np.int64)
    primes = np.zeros(bins, dtype=np.int64)
    for found in numbers.primes_between(low, high):
        primes += np.bincount(np.searchsorted(edges, found, side="right") - 1, minlength=bins)
    li = expi(np.log(edges - 0.5))
    return Density(edges[:-1], edges[1:] - 1, primes, np.diff(li))


@dataclass(frozen=True)
class Classes:
    """How many integers, and how many primes, are 0, 1, ... modulo a number."""

    integers: Int[np.ndarray, " classes"]
    primes: Int[np.ndarray, " classes"]

    @property
    def modulus(self) -> int:
        """How many classes there are."""
        return len(self.integers)


def classes(low: int, high: int, modulus: int) -> Classes:
    """Count the integers and the primes of a range by their residue.

    Raises:
        InputError: the range is empty, or goes beyond 2 .. ``numbers.LARGEST``, or ``modulus`` is below 2.

    Source: own design; Dirichlet 1837 on how the primes are spread.
    """
    _in_order(low, high, 2)
    _modulus(modulus)
    residues = np.arange(modulus)
    integers = (high - residues) // modulus - (low - 1 - residues) // modulus
    primes = np.zeros(modulus, dtype=np.int64)
    for found in numbers.primes_between(low, high):
        primes += np.bincount(found % modulus, minlength=modulus)
    return Classes(integers, primes)


def last_digits(values: Members, base: int) -> Classes:
    """Count the integers and the primes of a task by their last digit.

    Raises:
        InputError: ``base`` is below 2.
    """
    _modulus(base)
    digit = values.n % base
    return Classes(np.bincount(digit, minlength=base), np.bincount(digit[values.prime], minlength=base))


@dataclass(frozen=True)
class Polar:
    """Integers at the radius n and the angle n, in radians.

    Attributes:
        q: what those marked as multiples are multiples of.
        left_out: how many integers of the range were not taken because there are too many.
    """

    n: Int[np.ndarray, " integers"]
    prime: Bool[np.ndarray, " integers"]
    multiple: Bool[np.ndarray, " integers"]
    q: int
    left_out: int


def polar(low: int, high: int, q: int, others: bool = True, most: int = 4000) -> Polar:
    """The first ``most`` integers of a range for a plot in polar coordinates: primes, multiples of q, and the others.

    Args:
        others: whether integers that are neither are taken; without them more of the primes have room.

    Raises:
        InputError: an empty or too wide range, or ``q`` below 2.

    Source: Sanderson 2019, "Why do prime numbers make these spirals?".
    """
    _in_order(low, high, 0)
    _modulus(q)
    n = np.arange(low, high + 1)
    prime, multiple = numbers.is_prime(n), n % q == 0
    kept = np.flatnonzero(prime | multiple | others)
    first = kept[:most]
    return Polar(n[first], prime[first], multiple[first], q, len(kept) - len(first))


@dataclass(frozen=True)
class Spiral:
    """The integers in a square spiral, the first row the uppermost, and which are prime. Source: see ``ulam``."""

    n: Int[np.ndarray, "side side"]
    prime: Bool[np.ndarray, "side side"]


def ulam(side: int, start: int = 1) -> Spiral:
    """The integers from ``start`` on in a square spiral: to the right from the middle, then up, left and down.

    Args:
        side: an odd number.

    Raises:
        InputError: an even side, or integers beyond 0 .. ``numbers.LARGEST``.

    Source: Stein, Ulam and Wells 1964, "A visual display of some properties of the distribution of primes".
    """
    if side % 2 == 0 or side < 1:
        raise InputError(f"side must be an odd number of at least 1 (got {side}).")
    if not 0 <= start <= numbers.LARGEST - side**2:
        raise InputError(f"start must be from 0 to {numbers.LARGEST - side**2:,} for side {side} (got {start}).")
    x = np.arange(side) - side // 2
    y = -x[:, None]
    ring = np.maximum(np.abs(x), np.abs(y))
    sides = [y == -ring, x == -ring, y == ring]
    steps = np.select(sides, [7 * ring + x, 5 * ring - y, 3 * ring - x], ring + y)
    n = start + (2 * ring - 1) ** 2 - 1 + steps
    return Spiral(n, numbers.is_prime(n.ravel()).reshape(n.shape))


@dataclass(frozen=True)
class Rows:
    """The split as a picture that is read like a page: row by row, ascending.

    Attributes:
        each: how many integers a cell stands for.
        counts: how many of them are in each of ``PARTS``; none in the cells after the last integer.
        first, last: the integers of each row.
    """

    each: int
    counts: Int[np.ndarray, "rows columns parts"]
    first: Int[np.ndarray, " rows"]
    last: Int[np.ndarray, " rows"]


def rows(values: Members, columns: int = 320) -> Rows:
    """Lay the split out in a square of at most ``columns`` cells a row."""
    total = len(values.n)
    each = -(-total // columns**2)
    columns = math.isqrt(-(-total // each) - 1) + 1
    begins = np.arange(0, total, each * columns)
    codes = np.arange(total) // each * len(PARTS) + values.part
    counts = np.bincount(codes, minlength=len(begins) * columns * len(PARTS))
    ends = np.minimum(begins + each * columns, total) - 1
    return Rows(each, counts.reshape(len(begins), columns, len(PARTS)), values.n[begins], values.n[ends])


def _in_order(low: int, high: int, least: int) -> None:
    if not least <= low <= high <= numbers.LARGEST:
        raise InputError(
            f"low and high must be such that {least} <= low <= high <= {numbers.LARGEST} (got {low} and {high})."
        )


def _modulus(modulus: int) -> None:
    if modulus < 2:
        raise InputError(f"modulus must be at least 2 (got {modulus}).")
