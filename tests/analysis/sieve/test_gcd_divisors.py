"""Lists of divisors, read off networks that follow a known rule, and off others that must fail."""

import sys

import numpy as np
import pandas as pd
import pytest
import torch

from miii import GCD, ModelConfig, Primes, Transformer
from miii.analysis import sieve
from miii.errors import InputError
from miii.tasks.gcd import largest_divisor

CONFIG = GCD(largest=30, tests=20, pairs=200, high=9_999)
TASK = CONFIG.build()
UNUSED = Transformer.of(ModelConfig(d_model=2, n_heads=1, d_mlp=2), TASK)


def network(rule):
    """Return a stand-in for ``last_logits``: a network whose answer is a function of the two integers."""
    powers = 10 ** np.arange(CONFIG.width - 1, -1, -1)

    def logits(model, tokens):
        a, b = (tokens[:, i * CONFIG.width : (i + 1) * CONFIG.width].numpy() @ powers for i in range(2))
        return torch.from_numpy(np.eye(CONFIG.largest)[rule(a, b) - 1])

    return logits


def found(monkeypatch, rule):
    monkeypatch.setattr(sys.modules["miii.analysis.sieve.divisors"], "last_logits", network(rule))
    return sieve.divisors(UNUSED, TASK, CONFIG)


RULES = {
    "base": lambda a, b: largest_divisor((1, 2, 5, 10), np.gcd(a, b)),
    "three": lambda a, b: largest_divisor((1, 2, 3, 4, 5, 6, 10), np.gcd(a, b)),
    "exact": lambda a, b: np.where(np.gcd(a, b) == 0, 30, np.gcd(a, b)).clip(max=30),
    "leading": lambda a, b: a // 1000 + 1,
}


def test_a_list_is_read_off_its_answers(monkeypatch):
    base = found(monkeypatch, RULES["base"])
    assert base.learned == (1, 2, 5, 10)
    assert base.theory == (1, 2, 4, 5, 8, 10, 16, 20, 25)
    assert (base.missing, base.extra) == ((4, 8, 16, 20, 25), ())
    assert (base.follows, base.follows_new, base.agreeing) == (1, 1, 30)
    assert base.follows_random < 0.7
    assert base.predicted == sieve.Theory(1, True, True)
    assert base.answers[19] == (20, 20, 10, 1.0, 10)
    three = found(monkeypatch, RULES["three"])
    assert three.extra == (3, 6)
    assert not three.predicted.equal
    assert not three.predicted.between
    exact = found(monkeypatch, RULES["exact"])
    assert exact.learned == tuple(range(1, 31))
    assert exact.accuracy == exact.natural == 1
    assert np.isnan(exact.follows_new)  # no gcd is left
    leading = found(monkeypatch, RULES["leading"])
    assert leading.learned == ()
    assert leading.follows_new < 0.2


def test_swapped_digits_show_which_decide(monkeypatch):
    base = found(monkeypatch, RULES["base"]).swap
    assert (base.digits, base.last, base.leading, base.kept_last, base.kept_leading) == (1, 1, 0, 0, 1)
    assert base.follows == 1
    leading = found(monkeypatch, RULES["leading"]).swap
    assert (leading.last, leading.leading, leading.kept_last) == (0, 1, 1)
    exact = found(monkeypatch, RULES["exact"]).swap  # all digits decide
    assert exact.digits == 3  # 8 divides 1000, and 16 more than there are digits to swap
    assert exact.last < 0.9
    assert found(monkeypatch, lambda a, b: np.ones_like(a)).swap is None


def test_comparison_with_theory():
    cases = {
        (10, (1, 2, 5, 10)): (1, True, True),
        (10, (1, 2, 4, 5, 10, 20, 25, 50, 100)): (2, True, True),
        (10, (1, 2, 4, 5, 10, 20)): (1, False, True),
        (10, (1, 2, 5, 8, 10)): (1, False, False),
        (10, (1, 2, 3, 5, 10)): (1, False, False),
        (2, (1, 2, 4, 8, 16, 32, 64)): (6, True, True),
        (7, (1,)): (0, True, True),
        (7, ()): (0, False, False),
    }
    for (base, learned), expected in cases.items():
        assert sieve.compare_with_theory(learned, base, 100) == expected, (base, learned)
    assert [sieve.last_digits(k, GCD()) for k in ((), (1,), (1, 2, 5), (1, 4), (1, 3), (1, 2, 8))] == [1, 1, 1, 2, 1, 3]


def test_lists_over_training_come_from_metrics():
    rows = [{"step": 0, "accuracy_1": 0.2, "accuracy_2": 0.0}, {"step": 5, "accuracy_1": 0.95, "accuracy_2": 1.0}]
    assert sieve.learned_over_training(pd.DataFrame(rows)) == {0: (), 5: (1, 2)}


def test_other_tasks_are_refused():
    with pytest.raises(InputError, match=r"task must be gcd .*primes-10"):
        sieve.check_gcd(Primes())
