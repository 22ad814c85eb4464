"""Integers against SymPy, and against loops in plain Python."""

import tracemalloc

import numpy as np
import pytest
import sympy

from miii import numbers

#: The draft paper's Table 1, as it is printed.
PRINTED = """
10001 10003 10007 10009 0 0 1 1
10011 10013 10017 10019 0 0 0 0
99981 99983 99987 99989 0 0 0 1
99991 99993 99997 99999 1 0 0 0
"""


def smallest(n: int) -> int:
    """The smallest prime factor by SymPy, with the two integers that have none."""
    return min(sympy.factorint(n)) if n > 1 else 0


def found(*n: int) -> list[int]:
    return numbers.smallest_prime_factor(np.array(n)).tolist()


def test_factors_are_sympy_s():
    for n in (*range(200), 10_007, 30_031, 2**20, 99_999_989, 10**8):
        assert numbers.factors(n) == {int(q): k for q, k in sympy.factorint(n).items() if n}
        assert (numbers.factors(n) == {n: 1}) == sympy.isprime(n)


def test_primes_below_a_limit_are_sympy_s():
    for limit in (-1, 0, 1, 2, 3, 4, 100, 7920):
        assert numbers.primes_below(limit) == tuple(n for n in range(max(0, limit)) if sympy.isprime(n))


def test_smallest_prime_factors_of_a_range_are_sympy_s(monkeypatch):
    for low in (0, 1, 2, 3, 4, 113, 9_990, 10**6, 10**8 - 300):
        n = range(low, low + 300)
        assert found(*n) == [smallest(m) for m in n]
    for block in (1, 2, 7, 30, 64, 1000):  # the borders of blocks do not show
        monkeypatch.setattr(numbers, "BLOCK", block)
        for low in (0, 2, 8, 120, 9_409 - 65):
            n = range(low, low + 200)
            assert found(*n) == [smallest(m) for m in n]
    monkeypatch.setattr(numbers, "BLOCK", 10)  # some blocks hold none of them
    assert found(5, 9, 10, 3_001, 3_007) == [5, 3, 2, 3001, 31]


def test_the_largest_integers_are_sieved_too():
    n = np.array([numbers.LARGEST - 11, numbers.LARGEST - 1, numbers.LARGEST])
    assert numbers.smallest_prime_factor(n).tolist() == [smallest(int(m)) for m in n]
    assert numbers.is_prime(n).tolist() == [True, False, False]  # 99,999,989 is the last prime below 10^8


def test_integers_may_come_in_any_order_and_repeat():
    n = [49, 2, 97, 0, 49, 1, 9409, 35, 2]
    assert found(*n) == [7, 2, 97, 0, 7, 0, 97, 5, 2]
    assert numbers.smallest_prime_factor(np.array([], dtype=np.int64)).tolist() == []


def test_is_prime_is_sympy_s():
    n = np.arange(5_000)
    assert numbers.is_prime(n).tolist() == [bool(sympy.isprime(int(m))) for m in n]


def test_digits_add_up_to_the_integer():
    for base in (2, 3, 10, 317, 1000):
        n = np.array([0, 1, base - 1, base, base + 1, 12_345, 99_999, numbers.LARGEST])
        width = numbers.width(numbers.LARGEST, base)
        digits = numbers.digits(n, base, width)
        assert digits.shape == (len(n), width)
        assert 0 <= digits.min() <= digits.max() < base
        assert (digits * base ** np.arange(width)[::-1]).sum(1).tolist() == n.tolist()
    assert numbers.digits(np.array([10_007, 42]), 10, 5).tolist() == [[1, 0, 0, 0, 7], [0, 0, 0, 4, 2]]
    assert numbers.digits(np.array([10_007]), 10, 3).tolist() == [[0, 0, 7]]  # the last three


def test_width_counts_the_digits():
    widths = {(0, 10): 1, (9, 10): 1, (10, 10): 2, (99_999, 10): 5, (100_000, 10): 6, (7, 2): 3, (8, 2): 4}
    for (n, base), width in (widths | {(10**6, 1000): 3}).items():
        assert numbers.width(n, base) == width


def test_centered_residues_and_names_of_places():
    assert [numbers.centered(k, 7) for k in (0, 3, 4, 6, 7, -1, 10)] == [0, 3, -3, -1, 0, -1, 3]
    assert [numbers.centered(k, 8) for k in (3, 4, 5)] == [3, 4, -3]
    assert numbers.place_names(10, 3) == ["10²", "10¹", "10⁰"]


def test_table_1_is_as_printed():
    rows = [[int(cell) for cell in line.split()] for line in PRINTED.strip().splitlines()]
    table = numbers.table()
    assert table[:2].tolist() == rows[:2]
    assert table[-2:].tolist() == rows[2:]
    assert table.shape == (9_000, 8)


def test_every_row_of_the_table_is_sympy_s():
    for row in numbers.table()[::37].tolist():
        assert row[:4] == [row[0] // 10 * 10 + last for last in (1, 3, 7, 9)]
        assert row[4:] == [int(sympy.isprime(n)) for n in row[:4]]


def test_the_table_of_a_range_has_the_rows_within_it():
    rows = {(0, 99): range(0, 100, 10), (95, 125): [100, 110], (100, 109): [100], (100, 108): [], (101, 109): []}
    for (low, high), tens in rows.items():
        assert numbers.table(low, high)[:, 0].tolist() == [ten + 1 for ten in tens]


def test_a_sample_is_uniform_and_lists_only_itself():
    generator = np.random.default_rng(0)
    for most, size in ((7, 3), (7, 5), (10, 10), (9, 0)):
        drawn = np.array([numbers.sample(generator, most, size) for _ in range(3000)])
        assert (np.diff(drawn, axis=1) > 0).all()
        counts = np.bincount(drawn.ravel(), minlength=most) / 3000
        assert counts == pytest.approx(size / most, abs=5 * 0.5 / 3000**0.5)
    tracemalloc.start()
    drawn = numbers.sample(generator, 10**8, 10_000)
    assert tracemalloc.get_traced_memory()[1] < 2e6
    tracemalloc.stop()
    assert len(set(drawn.tolist())) == 10_000
    with pytest.raises(ValueError, match="at most 3"):
        numbers.sample(generator, 3, 4)
