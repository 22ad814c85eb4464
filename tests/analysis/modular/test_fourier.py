"""Fourier analysis over Z_p against numpy's FFT, Parseval, and cosines planted by hand."""

import math

import numpy as np
import pytest
import torch

import miii
from miii.analysis.modular import fourier, relabelling
from miii.analysis.oracles import planted as planted_network

MODULI = [2, 3, 4, 7, 12, 113]


def random(p, d, seed=0):
    return torch.randn(p, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthonormal(d, n, seed=0):
    """n orthonormal directions of d dimensions, as rows."""
    return torch.linalg.qr(random(d, n, seed)).Q.T


def planted(p, waves, d=16):
    """A matrix [p, d] of waves (frequency, length of the cosine, of the sine), each in a direction of its own."""
    directions = iter(orthonormal(d, 2 * len(waves)))
    n = torch.arange(p, dtype=torch.float64)
    W = torch.zeros(p, d, dtype=torch.float64)
    for k, cos, sin in waves:
        angle = 2 * math.pi * k * n / p
        W += torch.outer(cos * angle.cos(), next(directions)) + torch.outer(sin * angle.sin(), next(directions))
    return W


def test_basis_is_orthonormal():
    for p in MODULI:
        basis = fourier.basis(p)
        assert basis.shape == (p, p)
        assert basis.dtype == torch.float64
        torch.testing.assert_close(basis @ basis.T, torch.eye(p, dtype=torch.float64), rtol=0, atol=1e-12)


def test_basis_frequencies_match_numpy():
    for p in MODULI:
        frequencies = fourier.frequency_of(p)
        assert len(frequencies) == p
        for row, k in zip(fourier.basis(p).numpy(), frequencies, strict=True):
            share = np.abs(np.fft.fft(row)) ** 2 / p
            assert share[k] + (share[-k] if (2 * k) % p else 0) == pytest.approx(1.0)


def test_modulus_below_two_is_an_error(one_sentence):
    for p in [1, 0, -3]:
        with one_sentence("p must be at least 2", str(p)):
            fourier.basis(p)


def test_spectrum_matches_numpy():
    for p in MODULI:
        W = random(p, 9)
        power = np.square(np.abs(np.fft.rfft(W.numpy(), axis=0))).sum(1)[1:]
        if p % 2 == 0:
            power[-1] /= 2  # rfft counts every other frequency once where the basis has two rows
        torch.testing.assert_close(fourier.spectrum(W).power, torch.from_numpy(power / power.sum()))


def test_planted_waves_are_found():
    p = 113
    s = fourier.spectrum(planted(p, [(14, 2.0, 3.0), (35, 1.0, 0.0), (52, 0.0, 0.5)]) + 4.0)
    half = math.sqrt(p / 2)  # the length of a cosine over Z_p
    for k, cos, sin in [(14, 2.0, 3.0), (35, 1.0, 0.0), (52, 0.0, 0.5), (1, 0.0, 0.0)]:
        assert s.cos_norm[k - 1].item() == pytest.approx(cos * half, abs=1e-9)
        assert s.sin_norm[k - 1].item() == pytest.approx(sin * half, abs=1e-9)
    assert s.constant_norm == pytest.approx(4.0 * math.sqrt(p * 16))
    assert s.power[[13, 34, 51]].tolist() == pytest.approx([13 / 14.25, 1 / 14.25, 0.25 / 14.25])


def test_nyquist_frequency_only_for_even_p():
    for p in [12, 113]:
        n = torch.arange(p, dtype=torch.float64)
        s = fourier.spectrum((-1.0) ** n[:, None])
        assert (s.power[-1].item() == pytest.approx(1.0)) == (p % 2 == 0)
        if p % 2 == 0:
            assert s.sin_norm[-1] == 0
            assert s.cos_norm[-1].item() == pytest.approx(math.sqrt(p))


def test_zeros_have_no_spectrum():
    s = fourier.spectrum(torch.zeros(7, 3))
    assert s.power.tolist() == [0.0] * 3
    assert fourier.circle(torch.zeros(7, 3), 1).variance == 0.0


def test_neuron_logit_map(small_config):
    config = small_config(model={"n_layers": 2})
    model = miii.Transformer(config.model, 8, 7, 3, seed=0)
    expected = model.get_parameter("blocks.1.W_out") @ model.W_U
    torch.testing.assert_close(fourier.neuron_logit(model), expected)
    assert expected.shape == (16, 7)


def test_power_over_training():
    matrices = [random(23, 5, seed) for seed in range(3)]
    rows = fourier.power_over_training(iter(matrices))
    assert rows.shape == (3, 11)
    for row, W in zip(rows, matrices, strict=True):
        assert torch.equal(row, fourier.spectrum(W).power)


def test_exact_circles():
    for k in [1, 5, 56]:
        p = 113
        circle = fourier.circle(planted(p, [(k, 1.5, 1.5)]) + 7.0, k)
        x, y = circle.xy.T
        assert circle.frequency == k
        torch.testing.assert_close(circle.xy.norm(dim=1), torch.full((p,), 1.5, dtype=torch.float64))
        step = 2 * math.pi * k / p
        turned = torch.stack([x * math.cos(step) - y * math.sin(step), x * math.sin(step) + y * math.cos(step)], dim=1)
        torch.testing.assert_close(circle.xy.roll(-1, 0), turned)  # the next token lies one step further round
        torch.testing.assert_close(circle.xy[0], torch.tensor([1.5, 0.0], dtype=torch.float64), rtol=0, atol=1e-9)
        assert circle.variance == pytest.approx(1.0)


def test_planes_share_the_variance():
    W = planted(113, [(3, 2.0, 2.0), (9, 1.0, 1.0)])
    assert [fourier.circle(W, k).variance for k in (3, 9)] == pytest.approx([0.8, 0.2])


def test_held_out_angles():
    """Angles of planted circles are k n mod p; random vectors of more dimensions than tokens have no angles to find."""
    for p, k in [(113, 5), (24, 7), (23, 11)]:
        found = fourier.angles(planted(p, [(k, 2.0, 0.5), (1 if k > 1 else 2, 0.3, 0.3)]), k)
        assert found.turn.tolist() == [k * n % p for n in range(p)]
        assert found.r2 > 0.95
    assert fourier.angles(planted(113, [(5, 2.0, 0.5)]), 5).r2 == pytest.approx(1.0)
    controls = [fourier.angles(random(113, 128, seed), 5).r2 for seed in range(5)]
    assert max(controls) < 0.5
    assert abs(fourier.angles(planted(113, [(3, 2.0, 2.0)]) + 1e-3 * random(113, 16), 5).r2) < 0.5


def test_absent_frequency_has_no_plane():
    """Its directions are rounding errors: a plane along them would hold whatever else lies there."""
    circle = fourier.circle(planted(113, [(3, 2.0, 2.0), (9, 1.0, 1.0)]), 10)
    assert circle.variance == pytest.approx(0.0, abs=1e-9)
    assert circle.xy.abs().max() < 1e-9


def test_nyquist_frequency_is_a_line():
    for p in [2, 12]:
        n = torch.arange(p, dtype=torch.float64)
        W = torch.outer(3 * (-1.0) ** n, orthonormal(4, 1)[0])
        circle = fourier.circle(W, p // 2)
        torch.testing.assert_close(circle.xy, torch.stack([3 * (-1.0) ** n, torch.zeros_like(n)], dim=1))
        assert circle.variance == pytest.approx(1.0)


def test_invalid_frequency_is_an_error(one_sentence):
    for p, frequency in [(7, 0), (7, 4), (7, -1), (12, 7), (2, 2)]:
        with one_sentence("frequency", f"1 .. {p // 2}", str(frequency)):
            fourier.circle(random(p, 3), frequency)


def test_singular_values_match_numpy():
    W = random(23, 5)
    expected = np.linalg.svd((W - W.mean(0)).numpy(), compute_uv=False)
    torch.testing.assert_close(fourier.singular_values(W + 9.0), torch.from_numpy(expected))


def test_operand_embedding_has_no_equals_sign(small_run):
    model = small_run.model()
    assert model.W_E.shape == (8, 8)
    assert torch.equal(fourier.operand_embedding(model), model.W_E[:7])
    assert torch.equal(fourier.operand_embedding(model, 5), model.W_E[:5])
    assert torch.equal(fourier.embedding_spectrum(model).power, fourier.spectrum(model.W_E[:7]).power)


def test_invalid_p_is_an_error(small_run, one_sentence):
    for p in [9, 1, 0, -1]:
        with one_sentence("p must be", "8", str(p)):
            fourier.operand_embedding(small_run.model(), p)


def test_spectra_of_a_product_are_over_logarithms(waves, renamed):
    p, keys = 23, (2, 5, 9)
    plain = planted_network.from_formula(waves(p - 1, keys))
    task = miii.ModularAddition(p=p, operation="mul").build()
    log = relabelling.candidates(task)[0][0]
    model = renamed(plain, [-1, *(log.answers.argsort()[: p - 1].tolist())])
    for found, W in [
        (fourier.embedding_spectrum(model, task), plain.W_E[: p - 1]),
        (fourier.neuron_logit_spectrum(model, task), fourier.neuron_logit(plain).T),
    ]:
        assert (found.p, found.key_frequencies) == (p - 1, keys)
        torch.testing.assert_close(found.power, fourier.spectrum(W).power)
