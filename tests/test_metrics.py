"""Numbers from logits and labels."""

import math
from typing import get_args

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from miii import metrics


def test_losses_that_vanish_in_float32_are_resolved():
    for gap in [16.5, 18.0, 25.0, 30.0]:
        logits, label = torch.tensor([[gap, 0.0]]), torch.tensor([0])
        exact = math.log1p(math.exp(-gap))
        assert exact < 1e-7
        assert metrics.cross_entropy(logits, label).item() == pytest.approx(exact, rel=1e-2)
        if gap >= 18:  # the reason why float64 is needed: the same in float32 is nothing
            assert F.cross_entropy(logits, label).item() == 0.0


def test_cross_entropy_is_one_float64_number_an_example():
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    expected = [math.log(sum(map(math.exp, row))) - row[c] for row, c in zip(logits.tolist(), labels, strict=True)]
    loss = metrics.cross_entropy(logits, labels)
    assert loss.dtype == torch.float64
    assert loss.tolist() == pytest.approx(expected, rel=1e-12)


def test_uniform_logits_cost_log_of_the_number_of_answers():
    assert metrics.cross_entropy(torch.zeros(1, 113), torch.tensor([7])).item() == pytest.approx(math.log(113))


def test_correct_compares_the_largest_logit_with_the_label():
    logits = torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, -1.0, 5.0]])
    assert metrics.correct(logits, torch.tensor([1, 1, 2])).tolist() == [True, False, True]


def test_nan_logits_are_never_correct():
    assert metrics.correct(torch.full((3, 4), torch.nan), torch.tensor([1, 2, 3])).tolist() == [False] * 3


def test_auc_is_the_share_of_ordered_pairs():
    generator = np.random.default_rng(0)
    score, positive = generator.integers(0, 6, 80) / 5, generator.random(80) < 0.3  # with ties
    pairs = [(a > b) + (a == b) / 2 for a in score[positive] for b in score[~positive]]
    assert metrics.auc(score, positive) == pytest.approx(sum(pairs) / len(pairs))
    assert metrics.auc(-score, positive) == pytest.approx(1 - sum(pairs) / len(pairs))


def test_auc_is_nan_without_both_kinds_or_finite_scores():
    for score, positive in [
        ([1.0, 2.0], [True, True]),
        ([1.0, 2.0], [False, False]),
        ([], []),
        ([1.0, math.nan], [True, False]),
        ([1.0, math.inf], [True, False]),
    ]:
        assert math.isnan(metrics.auc(np.array(score), np.array(positive, dtype=bool)))


def test_stablemax_is_its_definition():
    logits = torch.tensor([[3.0, -2.0, 0.0], [-4.0, 1.0, 0.5]], dtype=torch.float64)
    sizes = [[4.0, 1 / 3, 1.0], [1 / 5, 2.0, 1.5]]
    expected = [-math.log(1 / 3 / sum(sizes[0])), -math.log(2 / sum(sizes[1]))]
    torch.testing.assert_close(
        metrics.stablemax(logits, torch.tensor([1, 1])), torch.tensor(expected, dtype=torch.float64)
    )


def test_stablemax_is_float64_in_training():
    """As in the authors' code: float32 absorbs the wrong answers beside 1e8 and returns a loss of 0."""
    logits = torch.tensor([[1e8, -1e8, -1e8]])
    loss = metrics.LOSSES["stablemax"](logits, torch.tensor([0]))
    assert loss.dtype is torch.float64
    assert loss.item() == pytest.approx(2e-16, rel=0.2)


def test_stablemax_has_finite_gradients_where_softmax_saturates():
    logits = torch.tensor([[1e6, -1e6, 0.0]], requires_grad=True)
    metrics.stablemax(logits, torch.tensor([1])).sum().backward()
    assert logits.grad.isfinite().all()
    assert logits.grad.abs().min() > 0


def test_squared_is_the_distance_from_the_label():
    logits, labels = torch.randn(5, 4, dtype=torch.float64), torch.tensor([0, 3, 1, 1, 2])
    expected = (logits - torch.nn.functional.one_hot(labels, 4)).square().sum(1)
    torch.testing.assert_close(metrics.squared(logits, labels), expected)
    assert metrics.squared(torch.eye(4), torch.arange(4)).tolist() == [0, 0, 0, 0]


def test_the_losses_have_the_names_of_the_option():
    assert list(metrics.LOSSES) == list(get_args(metrics.LossName))
    logits, labels = torch.randn(5, 4), torch.tensor([0, 3, 1, 1, 2])
    torch.testing.assert_close(
        metrics.LOSSES["cross-entropy"](logits, labels).double(),
        metrics.cross_entropy(logits, labels),
        rtol=1e-5,
        atol=1e-6,
    )
