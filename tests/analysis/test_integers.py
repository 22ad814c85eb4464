"""Integers counted and laid out: against slow and plain ways of counting, and against the task that trains."""

import math

import numpy as np
import pytest
import sympy

import miii
from miii import numbers
from miii.analysis import integers
from miii.tasks.integers import PARTS

TASKS = [
    miii.Primes(low=2, high=999),
    miii.Primes(low=1000, high=1999, split="range", seed=3),
    miii.Primes(low=1000, high=1999, split="residue", train_fraction=0.3),
    miii.Primes(low=10_000, high=99_999, sample=500, candidates="coprime", base=6),
]


def test_members_match_the_task():
    for task in TASKS:
        values, built = integers.members(task), task.build()
        assert values.n.tolist() == built.facts["n"].tolist()
        assert values.spf.tolist() == built.facts["spf"].tolist()
        assert values.prime.tolist() == (built.labels == 1).tolist()
        assert (values.part == 0).tolist() == built.step_mask.tolist()
        assert (values.part == 1).tolist() == built.val_mask.tolist()
        assert (values.part == 2).tolist() == (~built.train_mask).tolist()


def test_counts_of_composites_and_primes_by_part():
    values = integers.members(TASKS[0])
    expected = [[sum((values.part == i) & (values.prime == prime)) for prime in (False, True)] for i in range(3)]
    assert values.counts().tolist() == expected
    assert values.counts()[:, 1].sum() == sympy.primepi(999)


def test_rows_of_the_table():
    for task in TASKS:
        table = integers.table(task)
        digits = [f"digit_{i}" for i in reversed(range(task.width))]
        assert table.columns.tolist() == ["n", "prime", "spf", "split", *digits]
        assert len(table) == task.n_examples
        for row in table.sample(30, random_state=0).itertuples():
            assert row.prime == sympy.isprime(row.n)
            assert row.spf == min(sympy.factorint(row.n))
            digits = [getattr(row, f"digit_{i}") for i in range(task.width)]
            assert sum(digit * task.base**i for i, digit in enumerate(digits)) == row.n
            assert all(0 <= digit < task.base for digit in digits)
        part = integers.members(task).part
        assert table["split"].tolist() == [PARTS[i] for i in part]
        assert integers.table(task, 7).equals(table[:7])


def test_density_counts_primes():
    for low, high, bins in [(2, 11, 3), (2, 5000, 20), (900_000, 2_500_000, 7)]:
        values = integers.density(low, high, bins)
        assert values.first[0] == low
        assert values.last[-1] == high
        assert (values.first[1:] == values.last[:-1] + 1).all()
        assert values.integers.sum() == high - low + 1
        for first, last, primes in zip(values.first, values.last, values.primes, strict=True):
            assert primes == sympy.primepi(int(last)) - sympy.primepi(int(first) - 1)


def test_bins_have_enough_integers():
    assert len(integers.density(2, 5000, 1000).primes) == 4999 // integers.FEWEST
    assert len(integers.density(2, 11).primes) == 1


def test_expected_density():
    values = integers.density(10_000, 99_999)
    for first, last, expected in zip(values.first, values.last, values.expected, strict=True):
        assert expected == pytest.approx(sum(1 / math.log(n) for n in range(first, last + 1)), rel=1e-6)
    assert values.primes.sum() == pytest.approx(values.expected.sum(), rel=0.01)


def test_classes_count_integers_and_primes():
    for low, high, modulus in [(2, 100, 10), (1000, 1_200_001, 7), (5, 5, 3)]:
        values = integers.classes(low, high, modulus)
        n = np.arange(low, high + 1)
        assert values.modulus == modulus
        assert values.integers.tolist() == [(n % modulus == r).sum() for r in range(modulus)]
        assert values.primes.tolist() == [numbers.is_prime(n)[n % modulus == r].sum() for r in range(modulus)]


def test_last_digits():
    task = TASKS[-1]
    members, values = integers.members(task), integers.last_digits(integers.members(task), task.base)
    assert values.integers[[0, 2, 3, 4]].sum() == 0  # not coprime to 6
    assert values.integers.sum() == len(members.n)
    assert values.primes.sum() == members.prime.sum()


def test_polar_is_limited():
    values = integers.polar(1, 100, 7, limit=60)
    assert values.n.tolist() == list(range(1, 61))
    assert values.left_out == 40
    assert values.n[values.prime].tolist() == list(sympy.primerange(61))
    assert values.n[values.multiple].tolist() == list(range(7, 61, 7))


def test_ulam_spiral():
    assert integers.ulam(5).n.tolist() == [
        [17, 16, 15, 14, 13],
        [18, 5, 4, 3, 12],
        [19, 6, 1, 2, 11],
        [20, 7, 8, 9, 10],
        [21, 22, 23, 24, 25],
    ]


def test_spiral_steps_are_adjacent():
    for side, start in [(1, 0), (3, 41), (101, 1)]:
        values = integers.ulam(side, start)
        at = np.argwhere(np.ones_like(values.n))[values.n.ravel().argsort()]
        assert sorted(values.n.ravel()) == list(range(start, start + side**2))
        assert (np.abs(np.diff(at, axis=0)).sum(1) == 1).all()
        assert at[0].tolist() == [side // 2, side // 2]
        assert values.prime.tolist() == numbers.is_prime(values.n.ravel()).reshape(side, side).tolist()


def test_rows_of_the_split():
    for columns in [1000, 40, 7, 1]:
        members = integers.members(TASKS[0])
        values = integers.rows(members, columns)
        height, width, _ = values.counts.shape
        assert width <= columns
        assert height <= width
        cells = [members.part[i : i + values.each] for i in range(0, len(members.n), values.each)]
        expected = [np.bincount(cell, minlength=3).tolist() for cell in cells]
        shown = values.counts.reshape(-1, 3).tolist()
        assert shown[: len(expected)] == expected
        assert not np.any(shown[len(expected) :])
        assert values.first.tolist() == members.n[:: values.each * width].tolist()
        assert values.last.tolist() == [*(values.first[1:] - 1), 999]


def test_invalid_input_is_an_error(one_sentence):
    for ask, words in [
        (lambda: integers.density(5, 4), ["low", "high", "5", "4"]),
        (lambda: integers.density(1, 10), ["low", "2 <=", "1"]),
        (lambda: integers.classes(2, 10**8 + 1, 3), ["high", "100000000"]),
        (lambda: integers.classes(2, 10, 1), ["modulus", "at least 2", "1"]),
        (lambda: integers.last_digits(integers.members(TASKS[0]), 0), ["modulus", "0"]),
        (lambda: integers.polar(-1, 10, 3), ["low", "-1"]),
        (lambda: integers.polar(1, 10, 1), ["modulus", "1"]),
        (lambda: integers.ulam(4), ["side", "odd", "4"]),
        (lambda: integers.ulam(3, -1), ["start", "-1"]),
        (lambda: integers.ulam(801, 10**8), ["start", "100000000"]),
    ]:
        with one_sentence(*words):
            ask()
