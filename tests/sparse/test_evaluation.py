"""Recalls, trial division's and a network's, and the threshold, which comes from the training integers."""

import json

import numpy as np
import pytest
import sympy

import miii
from miii.analysis import sieve
from miii.sparse import evaluation
from miii.sparse.evaluation import Recall, Scores


def test_recalls_of_trial_division():
    for primes in [(2,), (2, 3, 5), (2, 3, 5, 7, 11, 13)]:
        low, high = 2, 600
        said = {n for n in range(low, high) if all(n % q for q in primes)}
        prime = {n for n in range(low, high) if sympy.isprime(n)}
        composite = set(range(low, high)) - prime
        found = evaluation.sieve_recall(low, high, primes)
        assert found == Recall(len(said & prime) / len(prime), len(composite - said) / len(composite))
        assert len(prime - said) == len(primes)  # those it divides by


def test_trial_division_on_the_paper_s_range():
    for primes, composites in [((2, 3, 5), 0.78782), ((2, 3, 5, 7), 0.82874)]:
        found = evaluation.sieve_recall(1_000_000, 3_000_000, primes)
        assert found.primes == 1
        assert found.composites == pytest.approx(composites, abs=5e-6)


def test_range_without_primes_or_composites_is_an_error(one_sentence):
    for low, high in [(114, 126), (13, 14)]:
        with one_sentence("range must hold primes and composites"):
            evaluation.sieve_recall(low, high, (2,))


def heaps(n: int = 10_000) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of a sieve: 4,000 composites near -5; 1,000 primes and the other composites near 1, mixed."""
    generator = np.random.default_rng(0)
    prime = np.arange(n) < 1000
    score = np.where(np.arange(n) < 6000, 1.0, -5.0) + 0.1 * generator.standard_normal(n)
    return score, prime


def test_threshold_is_the_middle_of_the_gap():
    score, prime = heaps()
    assert evaluation.threshold(score, prime) == pytest.approx(-2, abs=0.2)


def test_threshold_keeps_99_percent_of_the_primes():
    """A tenth of the primes look like composites: the best sum of recalls would give them up."""
    generator = np.random.default_rng(1)
    prime = np.arange(4000) < 1000
    score = np.where((np.arange(4000) >= 100) & prime, 3.0, 0.0) + 0.1 * generator.standard_normal(4000)
    at = evaluation.threshold(score, prime)
    assert (score >= at)[prime].mean() >= 0.99
    assert at < 0


def scores(score: np.ndarray, n: np.ndarray, n_train: int) -> Scores:
    return evaluation.evaluate(score[:n_train], score[n_train:], n)


def trial(n: np.ndarray, *primes: int) -> np.ndarray:
    return np.all([(n % q != 0) | (n == q) for q in primes], axis=0).astype(float)


def test_depth_of_trial_division():
    for primes, depth in [((2, 3, 5), 5), ((2, 3, 5, 7, 11, 13), 13)]:
        n = np.arange(2, 12_000)
        found = scores(trial(n, *primes), n, 4_000)
        exact = evaluation.sieve_recall(4_002, 12_000, primes)
        assert found.sieve_depth == depth
        assert found.test == exact
        assert found.train.primes == 1
        assert (found.n_train, found.n_test) == (4_000, 7_998)


def test_threshold_ignores_held_out_integers():
    n = np.arange(2, 6_000)
    score = trial(n, 2, 3, 5) + 0.01 * np.random.default_rng(0).standard_normal(len(n))
    other = score.copy()
    other[3_000:] = -other[3_000:]
    first, second = scores(score, n, 3_000), scores(other, n, 3_000)
    assert first.threshold == second.threshold
    assert first.train == second.train
    assert first.test != second.test


def test_scores_round_trip():
    n = np.arange(2, 5_000)
    found = scores(trial(n, 2, 3), n, 3_000)
    assert Scores.from_json(json.loads(json.dumps(found.to_json()))) == found


def untrained(task: miii.Task) -> miii.Transformer:
    config = miii.ModelConfig(d_model=8, n_heads=1, d_mlp=8)
    return miii.Transformer(config, task.d_vocab, task.d_vocab_out, task.n_ctx)


@pytest.fixture
def digits() -> miii.Primes:
    return miii.Primes(low=2, high=2_999, split="range", train_fraction=0.5)


def test_scores_of_a_digit_transformer(digits, monkeypatch):
    task = digits.build()
    monkeypatch.setattr(sieve, "evidence", lambda model, tokens: trial(task.facts["n"].numpy(), 2, 3, 5))
    found = evaluation.of_digits(untrained(task), task, digits)
    assert found.n_train == int(task.train_mask.sum()) == 1499
    assert found.test == evaluation.sieve_recall(1_501, 3_000, (2, 3, 5))


def test_other_split_is_an_error(one_sentence, digits):
    random = digits.model_copy(update={"split": "random"})
    task = random.build()
    with one_sentence("split must be range", "random"):
        evaluation.of_digits(untrained(task), task, random)
