"""Pairs of integers and their gcd, against plain Python."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from miii import GCD, numbers
from miii.errors import InputError
from miii.tasks import Task
from miii.tasks.gcd import largest_divisor, learned_divisors

SMALL = {"largest": 12, "tests": 20, "pairs": 3_000, "high": 2_000}


def logits_for(task: Task, rows: np.ndarray, answers: np.ndarray) -> np.ndarray:
    return np.eye(task.d_vocab_out)[answers - 1]


def test_pairs_are_digits_and_answers_are_gcds():
    for base, operands, outcomes in ((2, "uniform", "natural"), (10, "log", "natural"), (210, "uniform", "log")):
        config = GCD(base=base, operands=operands, outcomes=outcomes, **SMALL)
        task, width = config.build(), config.width
        a, b = task.facts["a"].tolist(), task.facts["b"].tolist()
        tokens = task.tokens.tolist()
        for row in range(0, len(a), 397):
            digits = [tokens[row][:width], tokens[row][width:-1]]
            assert [sum(d * base**i for i, d in enumerate(reversed(each))) for each in digits] == [a[row], b[row]]
        assert {row[-1] for row in tokens} == {base}
        assert task.token_names[base] == "="
        assert (task.labels + 1).tolist() == [math.gcd(*pair) for pair in zip(a, b, strict=True)]
        assert 1 <= min(a + b) <= max(a + b) <= config.high
        sizes = config.sizes
        assert (sizes.examples, sizes.n_ctx, sizes.d_vocab) == (len(a), task.n_ctx, task.d_vocab)
        assert config.n_train == int(task.train_mask.sum()) == 3_000


def test_the_test_has_every_gcd_and_no_training_pair():
    for operands in ("uniform", "log"):
        task = GCD(operands=operands, **SMALL).build()
        pairs = [tuple(sorted(pair)) for pair in zip(task.facts["a"].tolist(), task.facts["b"].tolist(), strict=True)]
        train = {pair for pair, trains in zip(pairs, task.train_mask.tolist(), strict=True) if trains}
        test = [pair for pair, trains in zip(pairs, task.train_mask.tolist(), strict=True) if not trains]
        assert Counter(math.gcd(*pair) for pair in test) == dict.fromkeys(range(1, 13), 20)
        assert len(set(test)) == len(test)
        assert not train & set(test)


def test_distributions():
    shares = {}
    for operands, outcomes in itertools.product(("uniform", "log"), ("natural", "log")):
        task = GCD(operands=operands, outcomes=outcomes, largest=20, tests=20, pairs=8_000).build()
        train = task.train_mask
        one = (task.labels[train] == 0).double().mean().item()
        shares[operands, outcomes] = one
        below = (task.facts["a"][train] < 1_000).double().mean().item()
        if outcomes == "natural":
            assert below == pytest.approx(0.5 if operands == "log" else 0.001, abs=0.02)
    of_natural = 1 / sum(1 / k**2 for k in range(1, 21))  # Cesaro: gcd k has probability 6 / (pi k)^2
    assert shares["uniform", "natural"] == pytest.approx(of_natural, abs=0.01)
    for operands in ("uniform", "log"):  # drawn in proportion to 1 / k
        assert shares[operands, "log"] == pytest.approx(1 / sum(1 / k for k in range(1, 21)), abs=0.015)


def test_learned_divisors_and_their_rule():
    assert learned_divisors([1.0, 0.95, 0.949, math.nan, 1.0]) == (1, 2, 5)
    gcd = np.arange(1, 41)
    for divisors in ((1, 2, 5, 10), (1,), (2, 3), (1, 4, 6, 9)):
        expected = [max((d for d in divisors if k % d == 0), default=0) for k in gcd.tolist()]
        assert largest_divisor(divisors, gcd).tolist() == expected
    assert numbers.smooth(10, 30) == (1, 2, 4, 5, 8, 10, 16, 20, 25)
    assert numbers.smooth(7, 100) == (1, 7, 49)
    assert GCD(base=210, largest=12, high=2_000).theory == (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12)


def test_scores_of_a_network_that_follows_a_list():
    task = GCD(**SMALL).build()
    rows = (~task.train_mask).nonzero()[:, 0].numpy()
    gcd = task.facts["gcd"].numpy()[rows]
    known = (1, 2, 5, 10)
    found = GCD.scores(task, logits_for(task, rows, largest_divisor(known, gcd)), rows)
    assert {k for k in range(1, 13) if found[f"accuracy_{k}"] == 1} == set(known)
    assert (found["learned"], found["follows"], found["follows_new"]) == (4, 1, 1)
    assert found["base"] == 4 / 6  # of 1, 2, 4, 5, 8, 10
    assert found["follows_random"] < 0.6
    assert found["natural"] == pytest.approx(np.isin(task.facts["gcd"].numpy()[task.train_mask.numpy()], known).mean())
    shuffled = np.random.default_rng(0).permutation(gcd)
    found = GCD.scores(task, logits_for(task, rows, shuffled), rows)  # right by chance alone: no rule holds
    assert found["learned"] == 0
    assert found["follows_new"] < 0.1
    assert not GCD(**SMALL).learned(found)


def test_learned_needs_the_easy_divisors():
    config, row = GCD(base=6, largest=40, high=4_000), {f"accuracy_{k}": 0.0 for k in range(1, 41)}
    assert not config.learned(row)
    assert not config.learned(row | {f"accuracy_{k}": 1.0 for k in (1, 2, 3)})
    assert config.learned(row | {f"accuracy_{k}": 1.0 for k in (1, 2, 3, 4)})


def test_refused():
    cases = [
        ({"base": 1}, ["base", "2", "got 1"]),
        ({"high": 5_000}, ["high must be at least 10,000", "5,000"]),
        ({"pairs": 1_900_000, "base": 2}, ["pairs must be at most", "1,900,000"]),
        ({"tests": 10}, ["tests", "20"]),
        ({"operands": "even"}, ["operands", "'uniform'", "'log'"]),
    ]
    for values, parts in cases:
        with pytest.raises(InputError) as error:
            GCD(**values)
        assert all(part in str(error.value) for part in parts), str(error.value)
    with pytest.raises(InputError, match="a and b"):
        GCD().encode(np.array([[0, 5]]))
