"""Rules without a kind of their own: bounded words, growing sequences, and sequences without repeats."""

import math
from collections.abc import Iterable, Mapping
from random import Random

#: Families of ``bounded``: numbers by operation.
BOUNDED: Mapping[str, Iterable[int]] = {
    "digits": range(2, 12),
    "valuation": range(2, 8),
    "squares": range(10),
}
#: Families of ``increasing``.
INCREASING: Mapping[str, Iterable[int]] = {
    "power": [k for k in range(4, 25) if k % 8],
    "beatty": [k for k in range(2, 15) if math.isqrt(k) ** 2 != k],
    "sums": (2, 3, 4, 5, 8, 10, 20, 50, 100),
    "factorial": range(4),
    "tower": range(3),
    "slow": range(2, 6),
    "logarithm": range(2, 8),
}
#: Families of ``unique``.
UNIQUE: Mapping[str, Iterable[int]] = {
    "xor": range(1, 16),
    "alternating": range(1, 9),
    "blocks": range(2, 8),
}


def bounded(rng: Random, form: str, k: int, length: int) -> list[int]:
    """Draw a + b w[n] for a bounded word w that is not periodic.

    Words: digit sums in base k modulo 2 or 3, how often k divides n (up to 3), squares.
    """
    start, a, b = rng.randrange(1, 40), rng.choice((0, 0, rng.randint(-9, 9))), rng.choice((1, 1, rng.randint(1, 9)))
    n = range(start, start + length)
    match form:
        case "digits":
            m = rng.choice((2, 3))
            word = [digit_sum(i, k) % m for i in n]
        case "valuation":
            word = [min(valuation(i, k), 3) for i in n]
        case _:
            word = [int(math.isqrt(i + k) ** 2 == i + k) for i in n]
    return [a + b * value for value in word]


def increasing(rng: Random, form: str, k: int, length: int) -> list[int]:
    """Draw a sequence that does not decrease: powers, Beatty sequences, sums, factorials, n^n, logarithms."""
    a, start = rng.randint(1, 9), rng.randrange(1, 6)
    n = range(start, start + length)
    match form:
        case "power":
            return [math.floor(a * i ** (k / 8)) for i in n]
        case "beatty":
            return [math.isqrt(k * (a * i) ** 2) for i in n]
        case "factorial":
            return [a * math.factorial(i + k) // math.factorial(k) for i in n]
        case "tower":
            return [a * (i + k) ** i for i in n]
        case "slow":
            return [i // k + a for i in n]
        case "logarithm":
            return [math.floor(a * math.log(i) * k) for i in n]
    terms = [rng.randint(-k, k)]
    while len(terms) < length:
        terms.append(terms[-1] + rng.randint(int(k < 5), k))
    return terms


def unique(rng: Random, form: str, k: int, length: int) -> list[int]:
    """Draw a sequence without repeats that goes up and down: n xor k, alternating signs, reversed blocks."""
    a, start = rng.randint(1, 5), rng.randrange(20)
    n = range(start, start + length)
    match form:
        case "xor":
            return [a * (i ^ k) for i in n]
        case "alternating":
            return [(-1) ** i * (i * a + k if k < 5 else (i + 1) ** 2 + k * a) for i in n]
    return [a * (i - 2 * (i % k) + k - 1) for i in n]


def digit_sum(n: int, base: int) -> int:
    """Return the sum of a number's digits."""
    total = 0
    while n:
        n, digit = divmod(n, base)
        total += digit
    return total


def valuation(n: int, q: int) -> int:
    """Return how often q divides n, for n from 1."""
    found = 0
    while n % q == 0:
        n, found = n // q, found + 1
    return found
