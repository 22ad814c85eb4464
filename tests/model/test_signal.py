"""What lets signals survive depth: the kernels, their attention matrices, and the leaky ReLU's slope."""

import itertools
import math

import pytest
import torch

from miii.model import signal


def test_the_product_of_the_first_attention_matrices_has_the_kernel():
    for n_layers, n in itertools.product((1, 2, 12), (1, 8)):
        product = torch.eye(n, dtype=torch.float64)
        for layer in range(n_layers):
            product = signal.target(layer, n_layers, n) @ product
            expected = signal.kernel(layer + 1, n_layers, n)
            torch.testing.assert_close(product @ product.T, expected, rtol=0, atol=1e-6)


def test_attention_matrices_are_causal_and_not_negative():
    for n_layers in (1, 12):
        for layer in range(n_layers):
            matrix = signal.target(layer, n_layers, 6)
            assert matrix.triu(1).abs().max() == 0
            assert matrix.min() >= 0
            torch.testing.assert_close(signal.target(layer, n_layers, 4), matrix[:4, :4])


def test_the_last_kernel_hardly_forgets():
    torch.testing.assert_close(signal.kernel(12, 12, 3)[0, 1].item(), math.exp(-signal.GAMMA_LAST))


def test_the_slope_keeps_variance_and_correlation():
    x = torch.randn(400_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for n_layers in (1, 2, 6, 12):
        slope, c = signal.tailored_slope(n_layers), 0.0
        assert 0 <= slope < 1
        for _ in range(n_layers):
            pair = torch.stack([x[:, 0], c * x[:, 0] + math.sqrt(1 - c * c) * x[:, 1]])
            out = signal.tailored(pair, slope)
            assert out.square().mean().item() == pytest.approx(1, abs=0.02)
            c = min(1.0, (out[0] * out[1]).mean().item() / out.square().mean().item())
        if n_layers == 12:
            assert c == pytest.approx(signal.RETAINED, abs=0.03)
        else:  # so few ReLUs stay below that correlation
            assert slope == pytest.approx(0, abs=1e-6)
            assert c < signal.RETAINED


def test_deeper_networks_have_slopes_nearer_to_the_identity():
    slopes = [signal.tailored_slope(n) for n in (12, 16, 24)]
    assert 0 < slopes[0] < slopes[1] < slopes[2]
