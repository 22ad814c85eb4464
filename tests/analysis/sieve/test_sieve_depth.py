"""Depth of sieve: scorers whose depth is known, and the bootstrap's interval."""

import json
import math

import numpy as np
import pytest
import sympy
from sklearn.metrics import roc_auc_score

import miii
from miii.analysis import sieve
from miii.analysis.sieve import factors, residues


@pytest.fixture
def scorer(monkeypatch, integers, built, untrained):
    """Judges a network whose evidence is the given function of n."""
    powers = 10 ** np.arange(3, -1, -1)

    def judge(score) -> sieve.Depth:
        def evidence(model, tokens):
            n = (tokens[:, :4].numpy() % 10) @ powers
            return score(n).astype(float)

        monkeypatch.setattr(factors, "evidence", evidence)
        return sieve.depth(untrained, built, integers)

    return judge


def divides_none(n, primes):
    return np.all([(n % q != 0) | (n == q) for q in primes], axis=0)


def test_depth_of_trial_division(scorer):
    for q, primes in [(3, (2, 5, 3)), (7, (2, 5, 3, 7)), (13, (2, 3, 5, 7, 11, 13))]:
        found = scorer(lambda n, primes=primes: divides_none(n, primes))
        assert found.sieve_depth == q
        assert found.roc_auc == pytest.approx(found.oracles_and_base[q])
        assert {f.q: f.auc for f in found.factors} == {f.q: 1.0 if f.q <= q else 0.5 for f in found.factors}
        assert found.recall_primes == 1
        assert found.threshold == 1


def test_trial_division_without_the_base(scorer):
    found = scorer(lambda n: divides_none(n, (2, 3)))  # 5 is above 3, but the last digit gives it away
    assert found.roc_auc == pytest.approx(found.oracles[3])
    assert found.oracles[3] < found.oracles_and_base[3]
    assert found.sieve_depth == 3


def test_missed_factor_ends_the_depth(scorer):
    found = scorer(lambda n: divides_none(n, (2, 5, 3, 11, 13)))
    assert found.sieve_depth == 3
    assert [f.q for f in found.factors if f.low >= sieve.LEAST] == [3, 11, 13]
    assert sieve.moduli_to_test(miii.Primes(), found) == ((3, 7, 11, 13), (3, 11, 13))


def test_perfect_scorer_sees_all_factors(scorer, built):
    prime = set(built.facts["n"][built.labels == 1].tolist())
    found = scorer(lambda n: np.array([x in prime for x in n.tolist()]))
    assert found.sieve_depth == found.factors[-1].q
    assert (found.roc_auc, found.average_precision, found.f1, found.recall_composites) == (1, 1, 1, 1)
    assert found.primes + found.composites == int((~built.train_mask).sum())


def test_constant_scorer_has_depth_1(scorer):
    found = scorer(lambda n: np.zeros(len(n)))
    assert found.sieve_depth == 1
    assert found.roc_auc == 0.5
    assert all((f.low, f.auc, f.high) == (0.5, 0.5, 0.5) for f in found.factors)


def test_depth_to_json(scorer):
    found = scorer(lambda n: divides_none(n, (2, 5, 3)))
    values = found.to_json()
    report = {"step": 5} | json.loads(json.dumps(values))
    assert sieve.reported_depth(report, 5) == found
    assert sieve.reported_depth(None, 5) is sieve.reported_depth(report, 4) is None
    for name in ("threshold", "auc_high_by_factor"):  # of an earlier version
        assert sieve.reported_depth({key: value for key, value in report.items() if key != name}, 5) is None
    for change in ({"sieve_depth": "many"}, {"auc_by_factor": {"0": 1.0}}, {"oracle_auc": [1]}):  # forged
        assert sieve.reported_depth(report | change, 5) is None, change
    assert values["auc_by_factor"]["3"] == 1
    assert values["auc_by_factor"].keys() == values["oracle_auc"].keys() == values["auc_low_by_factor"].keys()
    assert {"sieve_depth", "roc_auc", "average_precision", "recall_primes", "recall_composites"} <= values.keys()


# ---- the interval ----


def test_bootstrap_interval_covers_the_true_auc():
    generator, shift = np.random.default_rng(1), 1.0
    true = 0.5 * (1 + math.erf(shift / 2))  # of two normal scores a shift apart
    inside = 0
    for draw in range(40):
        low, high = factors.bootstrap(generator.normal(shift, 1, 60), generator.normal(0, 1, 80), draw)
        assert 0.02 < high - low < 0.3
        inside += low <= true <= high
    assert 33 <= inside <= 40  # 95% of 40 are 38


def test_bootstrap_interval_without_overlap_is_a_point():
    ones, zeros = np.ones(30), np.zeros(40)
    assert factors.bootstrap(ones, zeros) == (1, 1)
    assert factors.bootstrap(zeros, ones) == (0, 0)
    assert factors.bootstrap(ones, np.ones(40)) == (0.5, 0.5)  # ties count half


# ---- integers ----


def test_side_without_validation_part(built):
    rows = factors.draw_rows(built, True, 10**6)
    assert set(rows.tolist()) == set((built.train_mask & ~built.val_mask).nonzero()[:, 0].tolist())
    few = factors.draw_rows(built, False, 100)
    assert len(few) == 100
    assert not built.train_mask[few].any()
    assert few.tolist() == sorted(set(few.tolist()))


def test_other_tasks_are_an_error(one_sentence):
    assert sieve.check(miii.MIU()) == miii.MIU()
    with one_sentence("primes or miu", "add"):
        sieve.check(miii.ModularAddition(p=5))


def test_sieved_primes_do_not_divide_the_base():
    assert sieve.sieved(miii.Primes(), 14) == (3, 7, 11, 13)
    assert sieve.sieved(miii.Primes(base=30), 14) == (7, 11, 13)


# ---- probes ----


def test_waves_are_characters():
    got = residues.waves(np.array([0, 1, 5]), [(3, 1), (5, 2)])
    third, fifth = 2 * np.pi / 3, 4 * np.pi / 5
    assert got == pytest.approx(
        np.array(
            [
                [1, 0, 1, 0],
                [np.cos(third), np.sin(third), np.cos(fifth), np.sin(fifth)],
                [np.cos(2 * third), np.sin(2 * third), 1, 0],
            ]
        )
    )


def test_probes_find_the_residue_after_the_sum(integers, built, residue_adder, untrained):
    found = sieve.probe(residue_adder(integers, 3), built, (3, 7))
    table = found.table.set_index(["q", "k", "site", "pos"])["r2"].sort_index()
    assert len(table) == (1 + 3) * 5 * 5  # harmonics, sites, positions
    assert table[3, 1, "0.mlp_post", 4] > 0.8  # kinks at every integer draw any function of the sum, if unpenalized
    assert table[3, 1, "0.resid_pre"].max() < 0.1  # a digit alone does not tell
    assert table[3, 1, "0.mlp_post"][:3].max() < 0.1  # before the last digit is seen
    assert found.best(3) == table[3].max()
    assert found.best(7) < 0.1
    assert sieve.probe(untrained, built, (3,)).best(3) < 0.2


# ---- what it is read beside ----


def test_table_of_counts_and_last_digits_by_hand():
    config = miii.Primes(low=100, high=4_999, seed=1)
    task, cells = config.build(), {}

    def cell(n):
        digits = [int(digit) for digit in f"{n:04}"]
        return tuple(sum(digit % 3 == r for digit in digits) for r in range(3)), digits[-1]

    for n, prime in zip(task.facts["n"][task.step_mask].tolist(), task.labels[task.step_mask].tolist(), strict=True):
        cells.setdefault(cell(n), []).append(prime)
    test = ~task.train_mask
    every = task.labels[task.step_mask].double().mean().item()
    score = [np.mean(cells.get(cell(n), [every])) for n in task.facts["n"][test].tolist()]
    found = sieve.count_table(task, config)
    assert (found.q, found.cells) == (3, len(cells))
    assert found.roc_auc == pytest.approx(roc_auc_score(task.labels[test].numpy(), score))


def test_shuffled_labels_leave_the_table_nothing():
    config = miii.Primes(low=1000, high=9999, shuffled=True)
    assert abs(sieve.count_table(config.build(), config).roc_auc - 0.5) < 0.06
    base = miii.Primes(low=2, high=30, base=210)
    assert sieve.count_table(base.build(), base).q == 11


def test_auc_by_length_tells_lengths_apart(monkeypatch, untrained):
    """Evidence that is right about integers of four digits alone."""
    config = miii.Primes(low=100, high=9_999)
    task = config.build()
    n_of = {tuple(row): n for row, n in zip(task.tokens.tolist(), task.facts["n"].tolist(), strict=True)}

    def score(model, tokens):
        n = [n_of[tuple(row)] for row in tokens.tolist()]
        return np.array([float(sympy.isprime(each)) if each > 999 else each % 7.0 for each in n])

    monkeypatch.setattr("miii.analysis.sieve.baseline.evidence", score)
    found = sieve.auc_by_length(untrained, task, config)
    assert list(found) == [3, 4]
    assert list(found[4])[:3] == [3, 7, 11]
    assert set(found[4].values()) == {1.0}
    assert 0.3 < found[3][3] < 0.7
    assert list(found[3]) == [3]  # fewer than 20 with a larger smallest factor


def test_baselines_are_read_back_from_a_report():
    report = {
        "step": 5,
        "count_table": {"q": 3, "cells": 150, "roc_auc": 0.9},
        "auc_by_length": {"2": {}, "5": {"3": 0.99, "7": None}},
    }
    table, lengths = sieve.reported_baselines(report, 5)
    assert table == sieve.Table(3, 150, 0.9)
    assert (lengths[2], lengths[5][3], math.isnan(lengths[5][7])) == ({}, 0.99, True)
    assert sieve.reported_baselines(report | {"count_table": None}, 5)[0] is None
    assert sieve.reported_baselines(None, 5) is sieve.reported_baselines(report, 4) is None
    for change in ({"count_table": {"q": 3}}, {"auc_by_length": [1]}, {"auc_by_length": {"x": {}}}):  # forged
        assert sieve.reported_baselines(report | change, 5) is None, change
