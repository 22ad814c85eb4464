"""What lets signals survive depth: the kernels, their attention matrices, and the leaky ReLU's slope."""

import math

import pytest
import torch

from miii.model import signal


@pytest.mark.parametrize("n_layers", [1, 2, 6, 12])
@pytest.mark.parametrize("n", [1, 3, 8])
def test_the_product_of_the_first_attention_matrices_has_the_kernel(n_layers, n):
    product = torch.eye(n, dtype=torch.float64)
    for layer in range(n_layers):
        product = signal.target(layer, n_layers, n) @ product
        found = product @ product.T
        torch.testing.assert_close(found, signal.kernel(layer + 1, n_layers, n), rtol=0, atol=1e-6)


@pytest.mark.parametrize("n_layers", [1, 12])
def test_attention_matrices_see_nothing_that_comes_later_and_are_not_negative(n_layers):
    for layer in range(n_layers):
        matrix = signal.target(layer, n_layers, 6)
        assert matrix.triu(1).abs().max() == 0
        assert matrix.min() >= 0
        torch.testing.assert_close(signal.target(layer, n_layers, 4), matrix[:4, :4])


def test_the_last_kernel_hardly_forgets():
    torch.testing.assert_close(signal.kernel(12, 12, 3)[0, 1].item(), math.exp(-signal.GAMMA_LAST))


@pytest.mark.parametrize("n_layers", [1, 2, 6, 12])
def test_the_slope_keeps_variance_and_the_correlation_that_is_asked(n_layers):
    slope = signal.tailored_slope(n_layers)
    assert 0 <= slope < 1
    x = torch.randn(400_000, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    c = 0.0
    for _ in range(n_layers):
        pair = torch.stack([x[:, 0], c * x[:, 0] + math.sqrt(1 - c * c) * x[:, 1]])
        out = signal.tailored(pair, slope)
        assert out.square().mean().item() == pytest.approx(1, abs=0.02)
        c = min(1.0, (out[0] * out[1]).mean().item() / out.square().mean().item())
    if n_layers == 12:
        assert c == pytest.approx(signal.RETAINED, abs=0.03)
    else:  # a few ReLUs cannot make them that alike
        assert slope == pytest.approx(0, abs=1e-6)
        assert c < signal.RETAINED


def test_deeper_networks_have_slopes_nearer_to_the_identity():
    slopes = [signal.tailored_slope(n) for n in (12, 16, 24)]
    assert 0 < slopes[0] < slopes[1] < slopes[2]
