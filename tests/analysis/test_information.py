"""Bits: textbook values, exact values of digits, and what stands where in a network whose sum is known."""

import math

import numpy as np
import pytest
import sympy

import miii
from miii.analysis import information
from miii.errors import InputError


def test_textbook_values():
    cases = (
        ([0, 1, 2, 3], [0, 1, 2, 3], 2.0),
        ([0, 0, 1, 1], [0, 1, 0, 1], 0.0),
        ([0] * 8, [0, 1] * 4, 0.0),
        ([0] * 4 + [1] * 4, [0, 0, 0, 1, 1, 1, 1, 0], 1 + 0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)),
    )
    for x, y, bits in cases:
        assert information.mutual_information(np.array(x), np.array(y)) == pytest.approx(bits, abs=1e-12)
    x, y = np.array([0, 0, 1, 1]), np.array([0, 1, 0, 1])
    assert information.mutual_information(information.joint(x, y), x ^ y) == 1.0  # both know what neither does alone


def test_the_bias_is_that_of_independent_samples():
    generator = np.random.default_rng(0)
    draws = [(generator.integers(0, 5, 500), generator.integers(0, 4, 500)) for _ in range(200)]
    found = np.mean([information.mutual_information(x, y) for x, y in draws])
    assert found == pytest.approx(information.bias(*draws[0]), rel=0.1)
    assert information.bias(*draws[0]) == pytest.approx(4 * 3 / (2 * 500 * math.log(2)))


def test_digits_say_nothing_of_a_residue_until_all_are_known():
    table = information.exact(miii.Primes(low=1000, high=9999)).set_index(["about", "given"])["bits"]
    residue = table["n mod 3"]
    assert residue["all digits"] == pytest.approx(math.log2(3))
    assert residue["all digits but the 10³"] == pytest.approx(0, abs=1e-9)  # 1 to 9: each residue equally often
    three, four = 3 / 10, 4 / 10  # 0 to 9 has one multiple of 3 more
    left = -2 * three * math.log2(three) - four * math.log2(four)
    assert residue["all digits but the 10⁰"] == pytest.approx(math.log2(3) - left)
    assert residue["the digit of the 10¹"] == pytest.approx(0, abs=1e-9)
    n = list(range(1000, 10000))
    prime = [sympy.isprime(each) for each in n]
    share, by_digit = sum(prime) / len(n), [sum(prime[d::10]) / (len(n) / 10) for d in range(10)]

    def h(p: float) -> float:
        return 0.0 if p in (0, 1) else -p * math.log2(p) - (1 - p) * math.log2(1 - p)

    assert table["prime", "the last digit"] == pytest.approx(h(share) - sum(map(h, by_digit)) / 10)
    for changes in ({"sample": 100}, {"candidates": "coprime"}):
        with pytest.raises(InputError, match="all integers of its range"):
            information.exact(miii.Primes(low=1000, high=9999, **changes))


def test_a_sum_of_residues_is_read_by_totals_and_not_linearly(residue_adder):
    config = miii.Primes(low=1000, high=9999, tokens="place")
    task = config.build()
    found = information.by_site(residue_adder(config, 3), task, config)
    whole = found.entropy["n mod 3"]
    assert found.at("0.resid_mid", "totals") == pytest.approx(whole)
    assert found.at("0.resid_mid", "residue") < 0.5 * whole
    by_label = -math.log2(2 / 3) * 2 / 3 - math.log2(1 / 3) / 3  # its answer tells multiples of 3 from others
    assert found.at("0.mlp_out", "residue") == pytest.approx(by_label, abs=0.02)
    assert (found.table["shuffled"] < found.table["bias"] + 0.02).all()
    small = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=32)
    untrained = miii.Transformer(small, task.d_vocab, task.d_vocab_out, task.n_ctx, seed=0).requires_grad_(False)
    assert information.by_site(untrained, task, config).at("0.resid_mid", "totals") < 0.5 * whole
