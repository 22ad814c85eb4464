"""The integers of a task, counted and laid out for charts; fast for millions of integers."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from miii import numbers
from miii.errors import InputError
from miii.tasks.integers import PARTS, parts
from miii.tasks.primes import Primes

if TYPE_CHECKING:
    import pandas as pd

FEWEST = 50  #: least integers per bin, for a meaningful share of primes


@dataclass(frozen=True)
class Members:
    """The integers of a task, ascending.

    Attributes:
        spf: the smallest prime factor; n itself for a prime.
        part: each integer's index in ``PARTS``.
    """

    n: Int[np.ndarray, " integers"]
    spf: Int[np.ndarray, " integers"]
    part: Int[np.ndarray, " integers"]

    @cached_property
    def prime(self) -> Bool[np.ndarray, " integers"]:
        """Whether each integer is prime."""
        return self.n == self.spf

    def counts(self) -> Int[np.ndarray, "parts 2"]:
        """Return the number of composites and primes of each part."""
        codes = self.part.astype(np.int64) * 2 + self.prime
        return np.bincount(codes, minlength=2 * len(PARTS)).reshape(-1, 2)


def members(task: Primes) -> Members:
    """Return the integers of a task and their split, as in ``task.build()``, without their tokens."""
    return Members(*parts(task))


def table(task: Primes, limit: int | None = None) -> "pd.DataFrame":
    """Return the data set: n, prime, spf, split, and ``digit_i``, the coefficient of base^i.

    Args:
        limit: keep only the first ``limit`` integers; if None, all.
    """
    import pandas as pd

    values = members(task)
    n = values.n[:limit]
    columns = {
        "n": n,
        "prime": values.prime[:limit].astype(np.int8),
        "spf": values.spf[:limit].astype(np.int32),
        "split": pd.Categorical.from_codes(pd.Index(values.part[:limit]), dtype=pd.CategoricalDtype(list(PARTS))),
    }
    digits = numbers.digits(n, task.base, task.width).astype(np.int16)
    columns |= {f"digit_{task.width - 1 - i}": digits[:, i] for i in range(task.width)}
    return pd.DataFrame(columns)


@dataclass(frozen=True)
class Density:
    """Primes in each bin of a range, from ``first`` to ``last`` inclusive.

    Attributes:
        expected: number of primes if n were prime with probability 1 / ln n.

    Source: Gauss's conjecture of 1792, the prime number theorem of 1896.
    """

    first: Int[np.ndarray, " bins"]
    last: Int[np.ndarray, " bins"]
    primes: Int[np.ndarray, " bins"]
    expected: Float[np.ndarray, " bins"]

    @property
    def integers(self) -> Int[np.ndarray, " bins"]:
        """The number of integers in each bin."""
        return self.last - self.first + 1


def density(low: int, high: int, bins: int = 100) -> Density:
    """Count the primes of a range in bins of equal width; use fewer bins to keep at least ``FEWEST`` integers in each.

    Raises:
        InputError: the range is empty, or goes beyond 2 .. ``numbers.LARGEST``.

    Source: the integral of 1 / ln t is li, from SciPy's exponential integral.
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
    """The number of integers and of primes in each residue class."""

    integers: Int[np.ndarray, " classes"]
    primes: Int[np.ndarray, " classes"]

    @property
    def modulus(self) -> int:
        """The number of classes."""
        return len(self.integers)


def classes(low: int, high: int, modulus: int) -> Classes:
    """Count the integers and the primes of a range by residue.

    Raises:
        InputError: the range is empty, or goes beyond 2 .. ``numbers.LARGEST``, or ``modulus`` is below 2.
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
    """Count the integers and the primes of a task by last digit.

    Raises:
        InputError: ``base`` is below 2.
    """
    _modulus(base)
    digit = values.n % base
    return Classes(np.bincount(digit, minlength=base), np.bincount(digit[values.prime], minlength=base))


@dataclass(frozen=True)
class Polar:
    """Integers at radius n and angle n, in radians.

    Attributes:
        q: the divisor of the marked multiples.
        left_out: number of integers of the range left out by the limit.
    """

    n: Int[np.ndarray, " integers"]
    prime: Bool[np.ndarray, " integers"]
    multiple: Bool[np.ndarray, " integers"]
    q: int
    left_out: int


def polar(low: int, high: int, q: int, others: bool = True, limit: int = 4000) -> Polar:
    """Return the first ``limit`` integers of a range for a polar plot: primes, multiples of q, and others.

    Args:
        others: keep integers that are neither; without them, more primes fit.

    Raises:
        InputError: the range is empty or too wide, or ``q`` is below 2.

    Source: Sanderson 2019, "Why do prime numbers make these spirals?".
    """
    _in_order(low, high, 0)
    _modulus(q)
    n = np.arange(low, high + 1)
    prime, multiple = numbers.is_prime(n), n % q == 0
    kept = np.flatnonzero(prime | multiple | others)
    first = kept[:limit]
    return Polar(n[first], prime[first], multiple[first], q, len(kept) - len(first))


@dataclass(frozen=True)
class Spiral:
    """Integers in a square spiral, top row first, and which are prime."""

    n: Int[np.ndarray, "side side"]
    prime: Bool[np.ndarray, "side side"]


def ulam(side: int, start: int = 1) -> Spiral:
    """Return the integers from ``start`` on in a square spiral: right from the center, then up, left and down.

    Args:
        side: an odd number.

    Raises:
        InputError: ``side`` is even, or integers are beyond 0 .. ``numbers.LARGEST``.

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
    """The split as rows of cells, in reading order.

    Attributes:
        each: number of integers per cell.
        counts: number of integers of each of ``PARTS`` per cell; 0 after the last integer.
        first, last: integers of each row.
    """

    each: int
    counts: Int[np.ndarray, "rows columns parts"]
    first: Int[np.ndarray, " rows"]
    last: Int[np.ndarray, " rows"]


def rows(values: Members, columns: int = 320) -> Rows:
    """Lay out the split in a square with at most ``columns`` cells per row."""
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
