"""Fourier analysis over pairs against numpy's FFT, Parseval, and products of waves planted by hand."""

import math

import numpy as np
import pytest
import torch

import miii
from miii.analysis.modular import fourier, fourier2d
from miii.analysis.oracles import planted

MODULI = [11, 12]


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def wave(p, k, m, phase_a=0.0, phase_b=0.0):
    """cos(w_k a + phase_a) cos(w_m b + phase_b) over all pairs."""
    n = torch.arange(p).double()
    along_a, along_b = (torch.cos(2 * math.pi * f * n / p + x) for f, x in ((k, phase_a), (m, phase_b)))
    return torch.outer(along_a, along_b).flatten()


# ---- transform ----


def test_power_by_frequencies_is_numpy_s():
    for p in MODULI:
        values = random(p, p, 3)
        found = fourier2d.block_power(fourier2d.transform(values))
        expected = np.zeros((p // 2 + 1, p // 2 + 1, 3))
        squares = np.abs(np.fft.fft2(values.numpy(), axes=(0, 1))) ** 2 / p**2
        for i in range(p):
            for j in range(p):
                expected[min(i, p - i), min(j, p - j)] += squares[i, j]
        np.testing.assert_allclose(found.numpy(), expected)


def test_rows_and_columns_are_those_of_the_basis():
    for p in MODULI:
        basis, coefficients = fourier.basis(p), fourier2d.transform(random(p, p))
        torch.testing.assert_close(basis.T @ coefficients @ basis, random(p, p))
        for i, j in ((0, 0), (1, 4), (6, 3)):
            one = fourier2d.transform(torch.outer(basis[i], basis[j]))
            expected = torch.zeros(p, p, dtype=torch.float64)
            expected[i, j] = 1
            torch.testing.assert_close(one, expected)


# ---- spectrum ----


def test_a_product_of_two_waves_is_at_their_frequencies():
    for p, k, m in [(11, 2, 5), (11, 3, 3), (12, 6, 1), (12, 6, 6), (12, 0, 4)]:
        power = fourier2d.spectrum(wave(p, k, m) + 7).power
        assert power.shape == (p // 2 + 1, p // 2 + 1)
        assert power[k, m] == pytest.approx(1.0, abs=1e-12)


def test_shares_are_those_of_the_variance_and_the_mean_is_left_out():
    for p in MODULI:
        values = random(p * p, 2, 3) + 5
        found = fourier2d.spectrum(values)
        assert found.p == p
        assert found.power[0, 0] == 0
        assert found.power.sum() == pytest.approx(1.0)
        parts = 3 * wave(p, 1, 2, 0.5, 0.1) + 4 * wave(p, 3, 4, -0.4, 0.8)  # variances 9 / 4 and 16 / 4
        power = fourier2d.spectrum(parts).power
        assert power[1, 2].item() == pytest.approx(9 / 25)
        assert power[3, 4].item() == pytest.approx(16 / 25)


def test_single_counts_what_is_in_a_in_b_and_in_products():
    p = 11
    values = wave(p, 2, 0) + 2 * wave(p, 0, 2, 0.4, 1.0) / math.cos(0.4) + wave(p, 2, 2) + wave(p, 2, 4)
    single = fourier2d.spectrum(values).single()
    assert single.shape == (5,)
    assert single[1].item() == pytest.approx((1 / 2 + 4 / 2 + 1 / 4) / (1 / 2 + 4 / 2 + 1 / 4 + 1 / 4))
    assert single.sum().item() == pytest.approx(single[1].item())  # the product of 2 and 4 is in neither alone


def test_a_site_that_varies_by_rounding_alone_has_no_spectrum():
    for values in [torch.zeros(121, 3), torch.full((121, 3), 0.1), 0.1 + 1e-9 * random(121, 3)]:
        assert torch.equal(fourier2d.spectrum(values).power, torch.zeros(6, 6, dtype=torch.float64))


def test_a_small_variance_is_not_taken_for_rounding():
    assert fourier2d.spectrum((1 + 1e-4 * wave(11, 2, 2)).float()).power[2, 2] > 0.99


# ---- sites of a network ----


@pytest.fixture(scope="module")
def model(waves):
    return planted.from_formula(waves(11, (2, 4), amplitudes=(3.0, 4.0)))


TASK = miii.ModularAddition(p=11).build()


def test_the_logits_of_a_planted_network_have_its_amplitudes_squared(model):
    power = fourier2d.site_spectrum(model, TASK, "logits").power
    assert power[2, 2].item() == pytest.approx(9 / 25)
    assert power[4, 4].item() == pytest.approx(16 / 25)


def test_squares_of_waves_have_twice_the_frequency_in_one_operand(model):
    """(cos x + cos y)^2 has variance 1/8 in cos 2x, as much in cos 2y, and 1 in 2 cos x cos y."""
    power = fourier2d.site_spectrum(model, TASK, "0.mlp_post").power
    for k, double in ((2, 4), (4, 3)):  # 8 is 3 modulo 11
        assert power[k, k].item() == pytest.approx(0.5 * 0.8)
        assert power[double, 0].item() == pytest.approx(0.5 * 0.1)
        assert power[0, double].item() == pytest.approx(0.5 * 0.1)


def test_a_site_that_is_the_same_for_every_pair_has_no_spectrum(model):
    assert fourier2d.site_spectrum(model, TASK, "0.resid_pre").power.sum() == 0


def test_a_site_that_no_example_has_is_refused(one_sentence, model):
    for name in ["0.mlp", "2.z", "pos_embed"]:
        with one_sentence(name):
            fourier2d.site_spectrum(model, TASK, name)
