"""Named sequences that nobody drew from the grammar, defined by SymPy and plain arithmetic."""

import functools
import math
from collections.abc import Callable, Iterator
from itertools import accumulate, count, cycle, islice, pairwise
from typing import NamedTuple

import numpy as np

from miii import numbers
from miii.tasks.sequences.aperiodic import digit_sum, valuation
from miii.tasks.sequences.kinds import KINDS, decide

TERMS = 50  #: terms of a named sequence


class Named(NamedTuple):
    """A named sequence: its first 50 terms, and the kinds that hold, decided from these or given."""

    terms: tuple[int, ...]
    kinds: frozenset[str]


@functools.cache
def named() -> dict[str, Named]:
    """Return the named sequences by name. Takes half a second at first, mostly to import SymPy."""
    terms = {name: tuple(islice(make(), TERMS)) for name, (make, _) in _definitions().items()}
    given = {name: {kind for kind in ("trigonometric", "prime", "bounded") if kind[0] in flags}
             for name, (_, flags) in _definitions().items()}  # fmt: skip
    decided = decide(list(terms.values()))
    found = {}
    for i, name in enumerate(terms):
        kinds = {kind for kind, holds in decided.items() if holds[i]} | given[name]
        bounded = {"periodic", "finite", "modulo"} & kinds
        found[name] = Named(terms[name], frozenset(kinds | ({"bounded"} if bounded else set())))
    return found


def labels(names: list[str]) -> np.ndarray:
    """Return which of ``KINDS`` hold for named sequences: [names, kinds]."""
    return np.array([[kind in named()[name].kinds for kind in KINDS] for name in names])


def _definitions() -> dict[str, tuple[Callable[[], Iterator[int]], str]]:
    """Return how each sequence is made, and its kinds that terms do not decide: p prime, t trigonometric, b bounded."""
    import sympy

    p = numbers.primes_below(1000)

    def of(f: Callable[[int], object], start: int = 0) -> Callable[[], Iterator[int]]:
        return lambda: (int(f(n)) for n in count(start))  # type: ignore[call-overload]

    def where(f: Callable[[int], object], start: int = 1) -> Callable[[], Iterator[int]]:
        return lambda: (n for n in count(start) if f(n))

    def linear(first: tuple[int, ...], coefficients: tuple[int, ...]) -> Callable[[], Iterator[int]]:
        return lambda: _linear(first, coefficients)

    return {
        "natural numbers": (of(lambda n: n + 1), ""),
        "odd numbers": (of(lambda n: 2 * n + 1), ""),
        "squares": (of(lambda n: n * n), ""),
        "cubes": (of(lambda n: n**3), ""),
        "fourth powers": (of(lambda n: n**4), ""),
        "triangular numbers": (of(lambda n: n * (n + 1) // 2), ""),
        "pentagonal numbers": (of(lambda n: n * (3 * n - 1) // 2), ""),
        "hexagonal numbers": (of(lambda n: n * (2 * n - 1)), ""),
        "oblong numbers": (of(lambda n: n * (n + 1)), ""),
        "tetrahedral numbers": (of(lambda n: math.comb(n + 2, 3)), ""),
        "square pyramidal numbers": (of(lambda n: n * (n + 1) * (2 * n + 1) // 6), ""),
        "lazy caterer": (of(lambda n: n * (n + 1) // 2 + 1), ""),
        "cake numbers": (of(lambda n: (n**3 + 5 * n + 6) // 6), ""),
        "powers of 2": (of(lambda n: 2**n), ""),
        "powers of 3": (of(lambda n: 3**n), ""),
        "powers of −2": (of(lambda n: (-2) ** n), ""),
        "Mersenne numbers": (of(lambda n: 2**n - 1), ""),
        "repunits": (of(lambda n: (10**n - 1) // 9, 1), ""),
        "Fibonacci numbers": (linear((0, 1), (1, 1)), ""),
        "Lucas numbers": (linear((2, 1), (1, 1)), ""),
        "Pell numbers": (linear((0, 1), (2, 1)), ""),
        "Jacobsthal numbers": (linear((0, 1), (1, 2)), ""),
        "tribonacci numbers": (linear((0, 0, 1), (1, 1, 1)), ""),
        "Padovan sequence": (linear((1, 1, 1), (0, 1, 1)), ""),
        "Perrin sequence": (linear((3, 0, 2), (0, 1, 1)), ""),
        "Narayana's cows": (linear((1, 1, 1), (1, 0, 1)), ""),
        "n 2^n": (of(lambda n: n * 2**n), ""),
        "alternating signs": (of(lambda n: (-1) ** n), ""),
        "period 3: 0, 1, 2": (of(lambda n: n % 3), ""),
        "last digits of squares": (of(lambda n: n * n % 10), ""),
        "days of the months": (
            lambda: cycle((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)),
            "",
        ),
        "powers of 2 mod 7": (of(lambda n: 2**n % 7), ""),
        "squares mod 7": (of(lambda n: n * n % 7), ""),
        "Fibonacci mod 4": (lambda: (x % 4 for x in _linear((0, 1), (1, 1))), ""),
        "squares mod 16": (of(lambda n: n * n % 16), ""),
        "round(10 sin n)": (of(lambda n: round(10 * math.sin(n))), "tb"),
        "round(100 cos n)": (of(lambda n: round(100 * math.cos(n))), "tb"),
        "primes": (lambda: iter(p), "p"),
        "odd primes": (lambda: iter(p[1:]), "p"),
        "prime gaps": (lambda: (b - a for a, b in pairwise(p)), "p"),
        "primes ≡ 1 mod 4": (lambda: (q for q in p if q % 4 == 1), "p"),
        "squares of primes": (lambda: (q * q for q in p), "p"),
        "primes + 1": (lambda: (q + 1 for q in p), "p"),
        "sums of the first primes": (lambda: accumulate(p), "p"),
        "unit impulse": (of(lambda n: n == 0), ""),
        "binomials of 8": (of(lambda n: math.comb(8, n)), ""),
        "powers of 2 below 100": (of(lambda n: 2**n if n < 7 else 0), ""),
        "Thue–Morse sequence": (of(lambda n: digit_sum(n, 2) % 2), "b"),
        "Fibonacci word": (of(lambda n: math.floor((n + 2) / _PHI) - math.floor((n + 1) / _PHI), 1), "b"),
        "characteristic of squares": (of(lambda n: math.isqrt(n) ** 2 == n), "b"),
        "Möbius function": (of(lambda n: sympy.mobius(n), 1), "b"),
        "digits of π": (of(lambda n: str(sympy.N(sympy.pi, TERMS + 5)).replace(".", "")[n]), "b"),
        "factorials": (of(math.factorial), ""),
        "Catalan numbers": (of(sympy.catalan), ""),
        "Bell numbers": (of(sympy.bell), ""),
        "Motzkin numbers": (of(sympy.motzkin), ""),
        "partitions": (of(sympy.partition), ""),
        "central binomials": (of(lambda n: math.comb(2 * n, n)), ""),
        "derangements": (of(sympy.subfactorial), ""),
        "n^n": (of(lambda n: n**n, 1), ""),
        "lower Wythoff sequence": (of(lambda n: math.floor(n * _PHI), 1), ""),
        "square roots, rounded down": (of(math.isqrt), ""),
        "Golomb's sequence": (_golomb, ""),
        "numbers without a square factor": (where(lambda n: sympy.mobius(n) != 0), ""),
        "binary digit sums": (of(lambda n: digit_sum(n, 2)), ""),
        "ruler sequence": (of(lambda n: valuation(n, 2), 1), ""),
        "totients": (of(sympy.totient, 1), ""),
        "divisor counts": (of(sympy.divisor_count, 1), ""),
        "divisor sums": (of(sympy.divisor_sigma, 1), ""),
        "Collatz lengths": (of(_collatz, 1), ""),
        "n xor 1": (of(lambda n: n ^ 1), ""),
        "Gray code": (of(lambda n: n ^ n >> 1), ""),
        "(−1)^n n": (of(lambda n: (-1) ** n * n), ""),
        "Recamán's sequence": (_recaman, ""),
        "Josephus problem": (of(lambda n: 2 * (n - 2 ** (n.bit_length() - 1)) + 1, 1), ""),
    }


_PHI = (1 + math.sqrt(5)) / 2


def _linear(first: tuple[int, ...], coefficients: tuple[int, ...]) -> Iterator[int]:
    """Yield a linear recurrence; the first coefficient multiplies the latest term."""
    terms = list(first)
    while True:
        yield terms[0]
        terms = [*terms[1:], sum(c * x for c, x in zip(coefficients, reversed(terms), strict=True))]


def _golomb() -> Iterator[int]:
    terms = [0, 1]
    yield 1
    for n in count(2):
        terms.append(1 + terms[n - terms[terms[n - 1]]])
        yield terms[n]


def _recaman() -> Iterator[int]:
    term, seen = 0, set[int]()
    for n in count(1):
        seen.add(term)
        yield term
        term = term - n if term > n and term - n not in seen else term + n


def _collatz(n: int) -> int:
    steps = 0
    while n > 1:
        n, steps = (3 * n + 1 if n % 2 else n // 2), steps + 1
    return steps
