"""The networks that came with miii are worth what their folders say, computed anew from their weights."""

import numpy as np
import pytest
import torch

import miii
from miii import numbers, runs, sparse
from miii.analysis import sieve
from miii.sparse.evaluation import Scores

HOME = runs.homes()[1] / "sparse"
MANY = 100_000  #: of the two million held-out integers, the first; all of them take a minute, and are marked slow


@pytest.fixture(scope="module")
def grid() -> sparse.files.Grid:
    return sparse.files.open(HOME / "grid")


@pytest.fixture(scope="module")
def digits() -> runs.Run:
    return runs.open(HOME / "primes-210")


def reported(run: runs.Run) -> Scores:
    return sparse.files.report(run.folder)


def sieved(low: int, high: int, *primes: int) -> np.ndarray:
    """What trial division says is prime."""
    n = np.arange(low, high)
    return np.all([n % q != 0 for q in primes], axis=0)


def test_ranges_of_shipped_networks(grid, digits):
    config, task = grid.config, digits.config.task
    assert (config.side, config.low, config.n_train, config.n_test) == (150, 2, 1_000_000, 2_000_000)
    assert (task.low, task.high, task.split, task.base) == (2, config.end - 1, "range", 210)
    assert int(task.train_fraction * (config.end - config.low)) == config.n_train
    assert not task.residues  # labels alone
    for found in (grid.scores, reported(digits)):
        assert (found.n_train, found.n_test) == (config.n_train, config.n_test)


def test_shipped_recalls(grid, digits):
    found, other = grid.scores, reported(digits)
    assert found.test.primes >= 0.99
    assert found.test.composites >= 0.787
    assert found.sieve_depth == 5
    assert other.test.primes >= 0.99
    assert other.test.composites >= 0.828
    assert other.sieve_depth == 7


def test_grid_network_is_trial_division_by_2_3_5(grid):
    low, high = grid.config.middle, grid.config.middle + MANY
    score = sparse.network.evidence(grid.network(), low, high).numpy()
    assert np.array_equal(score >= grid.scores.threshold, sieved(low, high, 2, 3, 5))
    assert sparse.evaluation.sieve_recall(low, grid.config.end, (2, 3, 5)) == grid.scores.test


def test_digit_network_is_trial_division_by_2_3_5_7(digits, grid):
    low, high = grid.config.middle, grid.config.middle + MANY
    tokens = torch.from_numpy(digits.config.task.encode(np.arange(low, high)))
    model = miii.Transformer(digits.config.model, 211, 2, 4)
    model.load_state_dict(digits.weights())
    found = sieve.evidence(model.requires_grad_(False), tokens) >= reported(digits).threshold
    assert np.array_equal(found, sieved(low, high, 2, 3, 5, 7))
    assert sparse.evaluation.sieve_recall(low, grid.config.end, (2, 3, 5, 7)) == reported(digits).test


def test_threshold_comes_from_training_integers(grid):
    """Of a tenth of them, every tenth sequence; the whole range is below."""
    low, part = grid.config.low, 10_000
    score = sparse.network.evidence(grid.network(), low, low + part * 10).numpy()
    at = sparse.evaluation.threshold(score, numbers.is_prime(np.arange(low, low + part * 10)))
    assert at == pytest.approx(grid.scores.threshold, abs=1)


@pytest.mark.slow
def test_shipped_reports_match_the_weights(grid, digits):
    for found, kept in (
        (sparse.files.score(grid.network()), grid.scores),
        (sparse.evaluation.of_digits(digits.model(), digits.task(), digits.config.task), reported(digits)),
    ):
        assert found.threshold == pytest.approx(kept.threshold, abs=1e-3)
        for side in ("train", "test"):
            for name in ("primes", "composites"):
                assert getattr(getattr(found, side), name) == pytest.approx(
                    getattr(getattr(kept, side), name), abs=1e-5
                )
        assert found.sieve_depth == kept.sieve_depth
        assert [f.auc for f in found.factors] == pytest.approx([f.auc for f in kept.factors], abs=1e-4)
