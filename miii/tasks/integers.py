"""The integers of a config for primes, ascending, and their split into training, validation and test."""

import functools
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Int

from miii import numbers
from miii.errors import InputError, quoted

if TYPE_CHECKING:
    from miii.tasks.primes import Primes

CHUNK = 100_000  #: examples tokenized at a time, to bound the memory of intermediate arrays
VALIDATION_SHARE = 0.1  #: share of the training split held out to decide when to stop

PARTS = ("train", "validation", "test")  #: the parts of a split; validation examples are never trained on
TRAIN, VALIDATION, TEST = range(3)


def residue_counts(n: Int[np.ndarray, " integers"], config: "Primes", q: int) -> Int[np.ndarray, "integers q"]:
    """Count the digits of each integer by residue modulo q of their contribution, digit * base^place.

    A sum of one vector per residue depends on these counts alone, and n mod q is their weighted sum.
    """
    weight = np.array([pow(config.base, place, q) for place in range(config.width - 1, -1, -1)])
    found = np.zeros((len(n), q), dtype=np.int8)
    for begin in range(0, len(n), CHUNK):
        digits = numbers.digits(n[begin : begin + CHUNK], config.base, config.width)
        found[begin : begin + CHUNK] = count_residues(digits % q * weight, q)
    return found


def count_residues(parts: Int[np.ndarray, "rows place"], q: int) -> Int[np.ndarray, "rows q"]:
    """Count the entries of each row by their residue modulo q."""
    return (parts[:, :, None] % q == np.arange(q)).sum(1)


def withheld(n: Int[np.ndarray, " integers"], config: "Primes") -> Bool[np.ndarray, " integers"]:
    """Return which integers have counts that training withholds."""
    found = np.zeros(len(n), dtype=bool)
    for counts in map(counts_of, config.withheld):
        found |= (residue_counts(n, config, len(counts)) == counts).all(1)
    return found


def counts_of(text: str) -> tuple[int, ...]:
    """Parse counts such as ``1-2-2``.

    Raises:
        InputError: an entry is not a number.
    """
    entries = text.split("-")
    if not all(entry.isdecimal() and entry.isascii() and len(entry) < 4 for entry in entries):
        raise InputError(f"withheld must hold counts such as 1-2-2 (got {quoted(text)}).")
    return tuple(map(int, entries))


def parts(config: "Primes") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the integers, ascending, their smallest prime factors, and the part (see ``PARTS``) of each.

    The arrays are shared and read-only.

    Raises:
        InputError: a split has no prime.
    """
    fields = ("low", "high", "base", "candidates", "sample", "split", "train_fraction", "withheld", "seed")
    return _parts(type(config)(**{name: getattr(config, name) for name in fields}))  # tokens do not affect the split


@functools.lru_cache(maxsize=2)
def _parts(config: "Primes") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng([config.seed, 0])
    first, last = rank_of(config, config.low), rank_of(config, config.high + 1)
    if config.sample is not None and config.sample < last - first:
        rank = first + numbers.sample(generator, last - first, config.sample)
    else:
        rank = np.arange(first, last)
    n = rank
    if config.candidates == "coprime":
        coprime = _coprime(config.base)
        n = rank // len(coprime) * config.base + coprime[rank % len(coprime)]
    wanted = int(config.train_fraction * len(n))
    part = np.full(len(n), TEST, dtype=np.int8)
    match config.split:
        case "random":
            part[generator.permutation(len(n))[:wanted]] = TRAIN
        case "range":
            part[:wanted] = TRAIN
        case "residue":
            part[np.isin(n % 97, generator.permutation(97)[: round(config.train_fraction * 97)])] = TRAIN
    part[withheld(n, config)] = TEST
    side = np.flatnonzero(part == TRAIN)
    part[np.random.default_rng([config.seed, 1]).permutation(side)[: validation_size(len(side))]] = VALIDATION
    spf = numbers.smallest_prime_factor(n)
    prime = n == spf
    for name, of_side in (("training", part < TEST), ("test", part == TEST)):
        if not (prime & of_side).any():
            raise InputError(
                f"split must leave at least one prime on each side (got {config.split!r} with train_fraction "
                f"{config.train_fraction}, which leaves none for {name})."
            )
    for array in (n, spf, part):
        array.flags.writeable = False
    return n, spf, part


def validation_size(side: int) -> int:
    """Return the size of a training split's validation part; leave at least one integer to train on."""
    return max(0, min(max(1, int(VALIDATION_SHARE * side)), 20_000, side - 1))


def rank_of(config: "Primes", n: int) -> int:
    """Count the candidates below n."""
    if config.candidates == "all":
        return n
    coprime = _coprime(config.base)
    return n // config.base * len(coprime) + int(np.searchsorted(coprime, n % config.base))


@functools.lru_cache(maxsize=8)
def _coprime(base: int) -> np.ndarray:
    return np.flatnonzero(np.gcd(np.arange(base), base) == 1)
