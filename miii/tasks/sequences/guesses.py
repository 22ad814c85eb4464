"""Guess the next term of sequences at a place, modulo some m or by size, with simple linear rules.

A rule is x[n] = c[1] x[n - 1] + c[2] x[n - 2] + .. : a repetition, a vanishing difference, or coefficients fitted to
the terms. Its guess is the next term that it predicts; its tests count how many of the latest terms in a row it
predicts, beyond those that it was fitted to.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int

PERIOD, DIFFERENCES, ORDER = 12, (2, 3, 4), 4  #: longest repetition, orders of vanishing differences, of fitted rules
RULES: tuple[str, ...] = (
    *(f"repeats after {p}" for p in range(1, PERIOD + 1)),
    *(f"difference {d} is 0" for d in DIFFERENCES),
    *(f"fitted, order {r}" for r in range(1, ORDER + 1)),
)
TESTS = 15  #: most tests that are counted
BITS = 64  #: classes of size on either side of 0; the last holds all larger numbers
SIZES = 2 * BITS + 1
NONE = -1  #: no guess: too few terms


def size_of(x: int) -> int:
    """Return the class of a term's size: its bits, with its sign, from 0 to 128; 64 is the term 0."""
    bits = min(abs(x).bit_length(), BITS)
    return BITS + (bits if x > 0 else -bits)


def window(size: int) -> tuple[int, int]:
    """Return the smallest and the largest term of a class of size; the outermost classes are cut at 128 bits."""
    bits = abs(size - BITS)
    low, high = (1 << bits >> 1), (1 << (2 * BITS if bits == BITS else bits)) - 1
    return (low, high) if size > BITS else (-high, -low) if size < BITS else (0, 0)


def modulo(
    sequences: Sequence[Sequence[int]], moduli: Sequence[int]
) -> tuple[Int[np.ndarray, "sequences rules"], Int[np.ndarray, "sequences rules"]]:
    """Return each rule's guess of the next term modulo m, and its tests; m may differ between sequences."""
    m = np.array(moduli)[:, None]
    longest = max(map(len, sequences))
    back, length = np.zeros((len(m), longest), dtype=np.int64), np.array([len(terms) for terms in sequences])
    for row, terms, q in zip(back, sequences, moduli, strict=True):
        row[: len(terms)] = [term % q for term in reversed(terms)]
    guesses, tests = [], []
    for lags, fitted in _rules(lambda order: _solve(back, length, m, order)):
        said = _apply(back, lags) % m
        guess, run = said[:, 0], _run(said[:, 1:] == back[:, : said.shape[1] - 1], length, lags.shape[-1])
        guesses.append(np.where(length >= lags.shape[-1] + fitted, guess, NONE))
        tests.append(np.clip(run - fitted, 0, TESTS))
    return np.stack(guesses, axis=1), np.stack(tests, axis=1)


def size(
    sequences: Sequence[Sequence[int]],
) -> tuple[Int[np.ndarray, "sequences rules"], Int[np.ndarray, "sequences rules"]]:
    """Return each rule's guess of the next term's class of size, and its tests, computed with real numbers."""
    longest = max(map(len, sequences))
    back, length = np.zeros((len(sequences), longest)), np.array([len(terms) for terms in sequences])
    true = np.full(back.shape, BITS)
    for row, classes, terms in zip(back, true, sequences, strict=True):
        row[: len(terms)] = [_real(term) for term in reversed(terms)]
        classes[: len(terms)] = [size_of(term) for term in reversed(terms)]
    guesses, tests = [], []
    for lags, fitted in _rules(lambda order: _fit(back, length, order)):
        said = _classes(_apply(back, lags))
        run = _run(said[:, 1:] == true[:, : said.shape[1] - 1], length, lags.shape[-1])
        guesses.append(np.where(length >= lags.shape[-1] + fitted, said[:, 0], NONE))
        tests.append(np.clip(run - fitted, 0, TESTS))
    return np.stack(guesses, axis=1), np.stack(tests, axis=1)


def _rules(fit):  # type: ignore[no-untyped-def]
    """Yield the coefficients of each rule, [1 or sequences, lags], and how many were fitted."""
    for p in range(1, PERIOD + 1):
        yield np.eye(p, dtype=np.int64)[-1:], 0
    for d in DIFFERENCES:
        yield np.array([[-((-1) ** k) * math.comb(d, k) for k in range(1, d + 1)]]), 0
    for order in range(1, ORDER + 1):
        yield fit(order), order


def _apply(back: np.ndarray, lags: np.ndarray) -> np.ndarray:
    """Return what a rule says of the next term, the last one, the one before .. as far as it reaches."""
    order = lags.shape[-1]
    if order > back.shape[1]:
        return np.zeros((len(back), 1), dtype=back.dtype)
    seen = np.lib.stride_tricks.sliding_window_view(back, order, axis=1)
    return (seen * lags[:, None]).sum(-1)


def _run(right: np.ndarray, length: np.ndarray, order: int) -> np.ndarray:
    """Return how many of the latest terms in a row are predicted."""
    inside = np.arange(right.shape[1]) < (length - order)[:, None]
    return np.logical_and.accumulate(right & inside, axis=1).sum(1)


def _solve(back: np.ndarray, length: np.ndarray, m: np.ndarray, order: int) -> np.ndarray:
    """Return coefficients that fit the terms modulo m, by elimination; pivots are units modulo m."""
    rows = back.shape[1] - order
    every = np.arange(len(back))
    if rows < 1:
        return np.zeros((len(back), order), dtype=np.int64)
    seen = np.lib.stride_tricks.sliding_window_view(back, order + 1, axis=1)[:, :rows]
    a = np.concatenate([seen[..., 1:], seen[..., :1]], axis=-1)  # earlier terms, then the term itself
    a = a * (np.arange(rows) < (length - order)[:, None])[..., None]
    used, found = np.zeros((len(a), rows), dtype=bool), np.zeros((len(a), order), dtype=np.int64)
    pivots = np.zeros((len(a), order), dtype=np.int64)
    has = np.zeros((len(a), order), dtype=bool)
    for column in range(order):
        usable = (np.gcd(a[:, :, column], m) == 1) & ~used
        has[:, column], pivots[:, column] = usable.any(1), usable.argmax(1)
        pivot = pivots[:, column]
        row = a[every, pivot] * _inverse(a[every, pivot, column], m[:, 0])[:, None] % m
        factor = np.where(has[:, [column]], a[:, :, column], 0)
        factor[every, pivot] = 0
        a = (a - factor[:, :, None] * row[:, None]) % m[..., None]
        yes = has[:, column]
        a[every[yes], pivot[yes]] = row[yes]
        used[every[yes], pivot[yes]] = True
    for column in range(order):
        found[:, column] = np.where(has[:, column], a[every, pivots[:, column], order], 0)
    return found


def _inverse(a: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Return inverses modulo m, by trial; 0 where there is none."""
    b = np.arange(int(m.max()))
    right = (a[:, None] * b % m[:, None] == 1 % m[:, None]) & (b < m[:, None])
    return np.where(right.any(1), right.argmax(1), 0)


def _fit(back: np.ndarray, length: np.ndarray, order: int) -> np.ndarray:
    """Return real coefficients that fit the terms, by least squares."""
    rows = back.shape[1] - order
    if rows < 1:
        return np.zeros((len(back), order))
    seen = np.lib.stride_tricks.sliding_window_view(back, order + 1, axis=1)[:, :rows]
    seen = seen / np.maximum(np.abs(back).max(1), 1)[:, None, None]
    seen = seen * (np.arange(rows) < (length - order)[:, None])[..., None]
    return (np.linalg.pinv(seen[..., 1:], rcond=1e-9) @ seen[..., :1])[..., 0]


def _real(x: int) -> float:
    """Return a term as a real number, cut at 2^200."""
    return float(max(-(1 << 200), min(1 << 200, x)))


def _classes(x: Float[np.ndarray, "sequences terms"]) -> Int[np.ndarray, "sequences terms"]:
    """Return the classes of size of real numbers, rounded."""
    bits = np.minimum(np.frexp(np.abs(np.rint(x)))[1], BITS)
    return BITS + np.where(x < 0, -bits, bits)
