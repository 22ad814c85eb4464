"""Integers in NumPy: digits, smallest prime factors, and the draft paper's table."""

import math
from collections.abc import Iterator

import numpy as np
from jaxtyping import Int

LARGEST = 10**8  #: the largest supported integer; sieving it takes 1 to 2 s
BLOCK = 1 << 20  #: integers sieved at a time; they fit a core's cache


def primes_below(limit: int) -> tuple[int, ...]:
    """Return the primes q < ``limit``, ascending. Importing SymPy's sieve would take 0.5 s and 34 MB."""
    return tuple(int(q) for block in primes_between(2, limit - 1) for q in block) if limit > 2 else ()


def primes_between(low: int, high: int) -> Iterator[Int[np.ndarray, " primes"]]:
    """Yield the primes from ``low`` (2 or more) to ``high``, ascending, in blocks.

    Source: the segmented sieve of Eratosthenes.
    """
    sieving = primes_below(math.isqrt(high) + 1)
    for begin in range(low, high + 1, BLOCK):
        prime = np.ones(min(BLOCK, high + 1 - begin), dtype=bool)
        for q in sieving:
            prime[max(q * q, -(-begin // q) * q) - begin :: q] = False
        yield begin + np.flatnonzero(prime)


def smallest_prime_factor(n: Int[np.ndarray, " integers"]) -> Int[np.ndarray, " integers"]:
    """Return the smallest prime factor of each integer; 0 for 0 and 1.

    Time grows with the range of the integers, memory with their count. Ascending input is not copied.

    Source: the segmented sieve of Eratosthenes.
    """
    if (np.diff(n) < 0).any():
        order = np.argsort(n, kind="stable")
        found = np.empty_like(n)
        found[order] = smallest_prime_factor(n[order])
        return found
    found = np.zeros(len(n), dtype=np.int64)
    if not len(n):
        return found
    low, high = int(n[0]), int(n[-1])
    primes = primes_below(math.isqrt(high) + 1)
    for begin in range(low, high + 1, BLOCK):
        first, last = np.searchsorted(n, [begin, min(begin + BLOCK, high + 1)])
        if first == last:
            continue
        block = np.zeros(min(BLOCK, high + 1 - begin), dtype=np.int32)
        for q in reversed(primes):  # descending, so the smallest factor is written last
            block[max(q * q, -(-begin // q) * q) - begin :: q] = q
        mine = n[first:last]
        factor = block[mine - begin]
        found[first:last] = np.where(factor == 0, np.where(mine > 1, mine, 0), factor)
    return found


def sample(generator: np.random.Generator, n: int, size: int) -> Int[np.ndarray, " size"]:
    """Draw a uniformly random subset of ``size`` integers from 0 .. n - 1, ascending.

    Memory grows with ``size``, not with ``n`` as in ``Generator.choice``.

    Raises:
        ValueError: ``size`` is larger than ``n``.
    """
    if size > n:
        raise ValueError(f"size must be at most {n} (got {size}).")
    if 2 * size > n:  # draw the integers to omit instead
        kept = np.ones(n, dtype=bool)
        kept[sample(generator, n, n - size)] = False
        return np.flatnonzero(kept)
    drawn = np.empty(0, dtype=np.int64)
    while len(drawn) < size:  # keep the first of equal draws, so the order stays random
        drawn = np.concatenate([drawn, generator.integers(n, size=size - len(drawn))])
        _, first = np.unique(drawn, return_index=True)
        drawn = drawn[np.sort(first)]
    return np.sort(drawn)


def is_prime(n: Int[np.ndarray, " integers"]) -> np.ndarray:
    """Return whether each integer is prime."""
    return (n > 1) & (smallest_prime_factor(n) == n)


def factors(n: int) -> dict[int, int]:
    """Return the prime factors of ``n`` (0 or more) and their exponents, ascending; 0 and 1 have none."""
    found: dict[int, int] = {}
    for q in primes_below(math.isqrt(n) + 1):
        while n and n % q == 0:
            found[q] = found.get(q, 0) + 1
            n //= q
    return found | {n: 1} if n > 1 else found


def smooth(base: int, largest: int) -> tuple[int, ...]:
    """Return the products of the prime factors of ``base``, 1 included, up to ``largest``, ascending."""
    found = {1}
    for q in factors(base):
        found |= {n * q**i for n in found for i in range(largest.bit_length()) if n * q**i <= largest}
    return tuple(sorted(found))


def digits(n: Int[np.ndarray, " integers"], base: int, width: int) -> Int[np.ndarray, "integers width"]:
    """Return the last ``width`` digits of each integer, most significant first."""
    powers = base ** np.arange(width - 1, -1, -1, dtype=np.int64)
    return n[:, None] // powers % base


def width(n: int, base: int) -> int:
    """Return the number of digits of ``n`` in ``base``; 1 for 0."""
    found = 1
    while n >= base:
        n //= base
        found += 1
    return found


def centered(k: int, p: int) -> int:
    """Return the residue of k modulo p in -(p // 2) .. p // 2; for even p, +p / 2."""
    k %= p
    return k - p if 2 * k > p else k


def table(low: int = 10_000, high: int = 99_999) -> Int[np.ndarray, "rows 8"]:
    """Return Table 1 of the draft paper, with one row per ten integers.

    Columns 0 to 3 are the integers ending in 1, 3, 7 and 9; columns 4 to 7 are 1 where that integer is prime.
    """
    tens = np.arange(-(-low // 10) * 10, high - 8, 10)
    n = tens[:, None] + np.array([1, 3, 7, 9])
    return np.hstack([n, is_prime(n.ravel()).reshape(n.shape).astype(np.int64)])


SUPERSCRIPT = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def place_names(base: int, places: int) -> list[str]:
    """Return the place values, most significant first: 10², 10¹, 10⁰."""
    return [f"{base}{str(i).translate(SUPERSCRIPT)}" for i in range(places - 1, -1, -1)]
