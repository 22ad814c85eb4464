"""Which divisor is suspected: of networks that add modulo a known prime, that one and no other."""

import numpy as np
import pytest

import miii
from miii import numbers
from miii.analysis import sieve
from miii.analysis.sieve import factors

MODULI = (3, 7, 11)


@pytest.fixture(scope="module")
def sides(integers, built, residue_adder):
    model = residue_adder(integers, 3)
    return model, *(sieve.sum_of_split(model, built, integers, side) for side in (True, False))


@pytest.fixture(scope="module")
def by_three(sides):
    return sieve.fit_divisor_test(*sides, 3, MODULI)


def test_modulo_3_adder_suspects_3_of_its_multiples(sides, by_three, integers):
    model = sides[0]
    assert by_three.seen
    assert by_three.auc == 1
    assert by_three.multiples == pytest.approx(2, abs=1e-3)  # from 1 to -1
    assert by_three.others == pytest.approx(0, abs=1e-3)
    for n in (1001, 1002, 1003, 2022, 4000, 7777, 9999, 3, 4):  # also even ones, and ones that the task lacks
        fall = by_three.fall(model, sieve.sum_of(model, integers, n))
        assert fall == pytest.approx(2 if n % 3 == 0 else 0, abs=1e-3)
        assert by_three.predicts_multiple(fall) == (n % 3 == 0)


def test_unseen_divisor_is_never_suspected(sides, integers):
    model = sides[0]
    by_seven = sieve.fit_divisor_test(*sides, 7, MODULI)
    assert not by_seven.seen
    assert by_seven.auc < sieve.LEAST
    assert not any(
        by_seven.predicts_multiple(by_seven.fall(model, sieve.sum_of(model, integers, n))) for n in (1001, 1002)
    )


def test_too_few_integers_give_none(sides):
    model, train, test = sides
    assert sieve.fit_divisor_test(model, train, test.rows(np.arange(30)), 3, MODULI) is None


def test_path_ends_at_the_sum(sides, by_three, integers):
    model, _, held_out = sides
    n = int(held_out.n[5])
    one = sieve.sum_of(model, integers, n)
    path = by_three.path(one)
    assert path.shape == (5, 2)
    assert path[-1] == pytest.approx(by_three.sample[5], abs=1e-4)
    assert by_three.residues[5] == n % 3
    steps = np.diff(path, axis=0)
    assert np.linalg.norm(steps, axis=1) == pytest.approx(
        [abs(float(part.norm())) for part in one.added[0]], abs=1e-4
    )  # all of what these digits add lies in the plane


def test_path_modulo_2_is_on_a_line(residue_adder):
    config = miii.Primes(low=100, high=999, base=3, tokens="place")
    task = config.build()
    model = residue_adder(config, 2)
    train, test = (sieve.sum_of_split(model, task, config, side) for side in (True, False))
    found = sieve.fit_divisor_test(model, train, test, 2, (2,))
    assert found.seen
    assert not found.sample[:, 1].any()
    assert not found.path(sieve.sum_of(model, config, 500))[:, 1].any()


def test_integer_with_too_many_digits_is_an_error(sides, integers, one_sentence):
    with one_sentence("n", "0 to 9999", "10000"):
        sieve.sum_of(sides[0], integers, 10_000)


# ---- beside others ----


def test_evidence_by_smallest_factor(sides, built, integers):
    model = sides[0]
    found = sieve.evidence_by_factor(model, built, integers)
    rows = ~built.train_mask
    n, spf = built.facts["n"][rows].numpy(), built.facts["spf"][rows].numpy()
    evidence = sieve.evidence(model, built.tokens[rows])
    table = found.table.set_index("kind")
    assert table.index[0] == "primes"
    assert table["integers"].sum() == len(n)
    assert table.loc["smallest factor 3", "integers"] == (spf == 3).sum()
    assert table.loc["primes", "median"] == pytest.approx(np.median(evidence[n == spf]))
    assert table.loc["smallest factor 3", "high"] == pytest.approx(-1, abs=1e-3)
    assert found.separates(3)
    assert not found.separates(2)
    assert not found.separates(7)
    assert not found.separates(23)  # which has no row
    assert found.threshold == pytest.approx(1, abs=1e-3)
    prime = numbers.is_prime(found.wrong)
    assert set(found.wrong) == set(n[(evidence >= found.threshold) != (n == spf)])
    assert not (found.wrong[~prime] % 3 == 0).any()  # those it finds


def test_threshold_with_the_best_f1():
    score = np.array([0.0, 1.0, 2.0, 3.0])
    assert factors.best_threshold(score, np.array([False, False, True, True])) == 2
    assert factors.best_threshold(score, np.array([False, True, False, True])) == 1
