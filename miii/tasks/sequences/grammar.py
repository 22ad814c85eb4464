"""Rules that generate integer sequences, in families: all rules of a family are in training, or all are held out.

Terms are exact Python integers.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from miii import numbers
from miii.tasks.sequences import aperiodic

PRIMES = numbers.primes_below(20_000)
LENGTH = 60  #: more terms than any sequence has


class Family(NamedTuple):
    """A family of rules: an operation, and the numbers that all its rules share."""

    form: str
    shared: tuple[int, ...]


class Rule(NamedTuple):
    """A drawn rule: its first terms, and whether it bounds its terms for all n."""

    terms: list[int]
    bounded: bool = False


@dataclass(frozen=True)
class Form:
    """The families of a kind of rule.

    Attributes:
        about: what distinguishes families, in words.
        draw: returns a rule, given a random generator, the family and the number of terms.
        least: number of terms that a rule needs at least, for families whose first shared number counts terms.
    """

    about: str
    families: tuple[Family, ...]
    draw: Callable[[Random, Family, int], Rule]
    least: Callable[[int], int] = lambda first: 0


def scale(rng: Random, largest: int) -> int:
    """Draw an integer from 1 to ``largest``, roughly uniform in its logarithm."""
    return min(largest, int(math.exp(rng.random() * math.log(largest + 1))))


def _polynomial(rng: Random, family: Family, length: int) -> Rule:
    """sum c_k binomial(n, k), so that triangular numbers occur too."""
    degree, last = family.shared
    size = scale(rng, 100)
    c = [*(rng.randint(-size, size) for _ in range(degree)), last]
    return Rule([sum(a * math.comb(n, k) for k, a in enumerate(c)) for n in range(length)])


def _exponential(rng: Random, family: Family, length: int) -> Rule:
    (base,), a = family.shared, rng.choice((1, 1, -1)) * scale(rng, 12)
    c = rng.randint(-50, 50) if rng.random() < 0.5 else 0
    return Rule([a * base**n + c for n in range(length)])


def _trigonometric(rng: Random, family: Family, length: int) -> Rule:
    period, phase, amplitude = (family.shared[0] + rng.random()) / 4, 2 * math.pi * rng.random(), 9 + scale(rng, 1000)
    c = rng.randint(-amplitude, amplitude) if rng.random() < 0.3 else 0
    wave = (amplitude * math.sin(2 * math.pi * n / period + phase) for n in range(length))
    return Rule([round(value) + c for value in wave], bounded=True)


def _periodic(rng: Random, family: Family, length: int) -> Rule:
    period, distinct = family.shared
    size = distinct + scale(rng, 1000)
    values = rng.sample(range(rng.choice((0, 1, -size)), size + 1), distinct)
    block = values + rng.choices(values, k=period - distinct)
    rng.shuffle(block)
    return Rule([block[n % period] for n in range(length)], bounded=True)


def _finite(rng: Random, family: Family, length: int) -> Rule:
    (support,), size = family.shared, scale(rng, 1000)
    low = rng.choice((-size, 0))
    terms = [rng.randint(low, size) for _ in range(support - 1)] + [rng.choice((1, -1)) * scale(rng, size)]
    return Rule(terms + [0] * (length - support), bounded=True)


def _modulo(rng: Random, family: Family, length: int) -> Rule:
    form, (m, a) = family
    b, c = rng.randrange(m), rng.randrange(m)
    match form:
        case "linear":
            return Rule([(a * n + b) % m for n in range(length)], bounded=True)
        case "quadratic":
            return Rule([(a * n * n + b * n + c) % m for n in range(length)], bounded=True)
    return Rule([(b or 1) * a**n % m for n in range(length)], bounded=True)


def _prime(rng: Random, family: Family, length: int) -> Rule:
    form, (k, *rest) = family
    if form == "run":
        return Rule(list(PRIMES[k - 1 + rng.randrange(k) :][:length]))
    if form == "gaps":
        p = PRIMES[20 * rest[0] + rng.randrange(20) :]
        return Rule([p[i + k] - p[i] for i in range(length)])
    start = scale(rng, 500) - 1
    p = PRIMES[start : start + 9 * LENGTH]
    match form:
        case "times":
            return Rule([q * k for q in p[:length]])
        case "class":
            return Rule([q for q in p if q % k == rest[0]][:length])
        case "every":
            return Rule(list(p[::k][:length]))
    raise AssertionError(form)


def _recurrence(rng: Random, family: Family, length: int) -> Rule:
    size = scale(rng, 12)
    low = rng.choice((-size, 0, 0))
    terms = [rng.randint(low, size) for _ in family.shared]
    if not any(terms):
        terms[-1] = 1
    while len(terms) < length:
        terms.append(sum(c * terms[-1 - i] for i, c in enumerate(family.shared)))
    return Rule(terms)


def _noise(rng: Random, family: Family, length: int) -> Rule:
    form, (size,) = family
    if form == "uniform":
        return Rule([rng.randint(-size, 2 * size) for _ in range(length)], bounded=True)
    terms = [rng.randint(-50, 50)]
    while len(terms) < length:
        terms.append(terms[-1] + rng.randint(-size, size))
    return Rule(terms)


def _bounded(rng: Random, family: Family, length: int) -> Rule:
    return Rule(aperiodic.bounded(rng, family.form, family.shared[0], length), bounded=True)


def _increasing(rng: Random, family: Family, length: int) -> Rule:
    return Rule(aperiodic.increasing(rng, family.form, family.shared[0], length))


def _unique(rng: Random, family: Family, length: int) -> Rule:
    return Rule(aperiodic.unique(rng, family.form, family.shared[0], length))


def _families(**shared: object) -> tuple[Family, ...]:
    """Return families by form: each a list of numbers, or of tuples of numbers."""
    found = []
    for form, values in shared.items():
        for value in values:  # type: ignore[attr-defined]
            found.append(Family(form, value if isinstance(value, tuple) else (value,)))
    return tuple(found)


def _grows(*coefficients: int) -> bool:
    """Return whether a recurrence grows by more than 20% a term, from 0, .., 0, 1."""
    terms = [0] * (len(coefficients) - 1) + [1]
    while len(terms) < LENGTH:
        terms.append(sum(c * terms[-1 - i] for i, c in enumerate(coefficients)))
    return max(map(abs, terms[-3:])) > 1.2**LENGTH


_COEFFICIENTS = [
    *((a, b) for a in range(-3, 5) for b in range(-3, 4) if b),
    *((a, b, c) for a in (-1, 0, 1, 2) for b in (-1, 0, 1, 2) for c in (-1, 1, 2)),
]
_PRIMES = {
    "run": (*range(1, 20), *range(20, 400, 20)),
    "times": range(2, 31),
    "class": [(m, r) for m in (3, 4, 5, 6, 8) for r in range(1, m) if math.gcd(m, r) == 1],
    "every": range(2, 9),
    "gaps": [(k, start) for k in (1, 2, 3, 4) for start in range(6)],
}
_MODULO = {
    "linear": [(m, a) for m in range(3, 25) for a in range(1, m)],
    "quadratic": [(m, a) for m in range(5, 13) for a in range(1, m)],
    "geometric": [(m, a) for m in range(5, 14) for a in range(2, m - 1)],
}

#: How sequences are generated. The keys are kinds of ``kinds.KINDS``, and "noise", which has no kind of its own.
FORMS: dict[str, Form] = {
    "polynomial": Form(
        "degree and last difference",
        _families(binomial=[(d, sign * c) for d in (1, 2, 3) for c in range(1, 41) for sign in (1, -1)]),
        _polynomial,
    ),
    "exponential": Form("base", _families(power=(*range(2, 17), -2, -3, -4, -5)), _exponential),
    "trigonometric": Form("period, in quarters", _families(sine=range(16, 68)), _trigonometric),
    "periodic": Form(
        "period and number of different values",
        _families(block=[(p, d) for p in range(1, 13) for d in range(1, p + 1) if d > 1 or p == 1]),
        _periodic,
        lambda period: 2 * period,
    ),
    "finite": Form("terms before the zeros", _families(support=range(1, 13)), _finite, lambda support: support + 4),
    "modulo": Form("operation, modulus and factor", _families(**_MODULO), _modulo),
    "prime": Form("operation on primes and its number", _families(**_PRIMES), _prime),
    "bounded": Form("operation and its number", _families(**aperiodic.BOUNDED), _bounded),
    "increasing": Form("operation and its number", _families(**aperiodic.INCREASING), _increasing),
    "unique": Form("operation and its number", _families(**aperiodic.UNIQUE), _unique),
    "recurrence": Form(
        "coefficients", _families(linear=[each for each in _COEFFICIENTS if _grows(*each)]), _recurrence
    ),
    "noise": Form("largest step or value", _families(walk=range(1, 25), uniform=(*range(1, 25), 50, 99, 500)), _noise),
}


def held_out(kind: str, share: float, seed: int) -> frozenset[Family]:
    """Return the families of a kind that are held out: those with the smallest hashes, at least one."""
    ranked = sorted(
        FORMS[kind].families, key=lambda family: hashlib.sha256(f"{seed} {kind} {family}".encode()).digest()
    )
    return frozenset(ranked[: max(1, round(share * len(ranked)))])
