"""Every progress measure against its definition, written out again, and against planted truths."""

import math

import numpy as np
import pytest
import torch

import miii
from miii.analysis.modular import grid, progress
from miii.analysis.oracles import planted

P = 11
TASK = miii.ModularAddition(p=P, train_fraction=0.4).build()
UNKNOWN = miii.ModularAddition(p=P, train_fraction=None).build()


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def random_network(p=P, **config):
    config = miii.ModelConfig(d_model=16, n_heads=2, d_mlp=40, **config)
    return miii.Transformer(config, p + 1, p, 3, seed=3).double().requires_grad_(False)


# ---- restricted and excluded loss ----


def by_hand(logits, labels, rows, frequencies, multipliers):
    """Restricted and excluded loss by unit vectors over all pairs, one projection at a time."""
    p = logits.shape[1]
    a, b = np.divmod(np.arange(p * p), p)
    parts = []
    for k in frequencies:
        angle = 2 * np.pi * k * (multipliers[0] * a + multipliers[1] * b) / p
        for vector in (np.cos(angle), np.sin(angle)):
            if np.linalg.norm(vector) > 1e-6:  # at the Nyquist frequency there is no sine
                unit = vector / np.linalg.norm(vector)
                parts.append(np.outer(unit, unit @ logits))
    together = sum(parts, np.zeros_like(logits))

    def loss(values, some):
        log_softmax = values - np.log(np.exp(values).sum(1, keepdims=True))
        return -log_softmax[np.arange(p * p), labels][some].mean()

    everywhere = np.ones(p * p, dtype=bool)
    return loss(together + logits.mean(0), everywhere), loss(logits - together, rows), loss(logits, everywhere)


def test_restricted_and_excluded_loss_by_projections_on_all_pairs():
    for p, frequencies in [(11, (2,)), (11, (1, 3, 5)), (12, (1, 6)), (12, (2, 4, 3)), (12, ())]:
        for multipliers in [(1, 1), (1, -1), (2, 3)]:
            task = miii.ModularAddition(p=p, train_fraction=0.4).build()
            logits, labels, rows = 2 * random(p * p, p) + random(p), task.labels.numpy(), task.train_mask.numpy()
            found = progress.losses(logits, task.labels, task.train_mask, frequencies, multipliers)
            restricted, excluded, full = by_hand(logits.numpy(), labels, rows, frequencies, multipliers)
            assert found.restricted == pytest.approx(restricted)
            assert found.excluded == pytest.approx(excluded)
            assert found.full == pytest.approx(full)
            assert list(found.excluded_alone) == sorted(frequencies)
            for k, value in found.excluded_alone.items():
                assert value == pytest.approx(by_hand(logits.numpy(), labels, rows, (k,), multipliers)[1])


def test_a_planted_network_is_its_key_frequencies_and_nothing_else(waves):
    for p, keys in [(11, (2, 4)), (12, (1, 6)), (59, (3, 7, 20))]:
        for multipliers in [(1, 1), (1, -1)]:
            task = miii.ModularAddition(p=p, operation="add" if multipliers == (1, 1) else "sub").build()
            logits = grid.logits(planted.from_formula(waves(p, keys, multipliers)), task)
            found = progress.losses(logits, task.labels, task.train_mask, keys, multipliers)
            assert found.restricted == pytest.approx(found.full, rel=1e-6)
            assert found.full < 0.1
            assert found.excluded == pytest.approx(math.log(p), rel=1e-9)
            assert all(found.full < value < math.log(p) + 1 for value in found.excluded_alone.values())


def test_where_the_split_is_unknown_the_excluded_loss_is_over_all_pairs():
    logits = random(P * P, P)
    some, every = (progress.losses(logits, t.labels, t.train_mask, (2,)) for t in (TASK, UNKNOWN))
    expected = by_hand(logits.numpy(), TASK.labels.numpy(), np.ones(P * P, dtype=bool), (2,), (1, 1))[1]
    assert every.excluded == pytest.approx(expected)
    assert some.excluded != pytest.approx(every.excluded, rel=1e-3)
    assert (some.restricted, some.full) == (every.restricted, every.full)


def test_losses_of_float32_logits_are_taken_in_float64():
    logits = torch.nn.functional.one_hot(TASK.labels, P).float() * 25
    assert 0 < progress.losses(logits, TASK.labels, TASK.train_mask, (2,)).full < 1e-9


def test_invalid_frequency_is_an_error(one_sentence):
    for wrong in [0, 6, -1]:
        with one_sentence("frequencies must be in 1 .. 5", f"(got {wrong})"):
            progress.losses(random(P * P, P), TASK.labels, TASK.train_mask, (2, wrong))


# ---- gradient symmetricity ----


def symmetricity_by_hand(model, p):
    """Over all triples (a, b, c), with a gradient of its own for each, of the embeddings as inputs."""
    cosines = []
    block, n = model.blocks[0], p
    tokens = miii.ModularAddition(p=n).build().tokens
    for example in tokens:
        leaf = model.W_E[example].clone().requires_grad_()
        with torch.enable_grad():
            logits = (block(leaf[None] + model.W_pos) @ model.W_U)[0, -1]
            for c in range(n):
                (gradient,) = torch.autograd.grad(logits[c], leaf, retain_graph=True)
                cosines.append(torch.cosine_similarity(gradient[0], gradient[1], dim=0).item())
    return np.array(cosines)


def test_gradient_symmetricity_matches_single_gradients():
    model = random_network(act="gelu")
    model.W_U += random(16, 1)  # what all answers share counts too, though softmax does not see it
    every = symmetricity_by_hand(model, P)
    error = every.std() / math.sqrt(4000)
    found, its_error = progress.gradient_symmetricity(model, TASK, n=4000)
    assert its_error == pytest.approx(error, rel=0.1)
    assert found == pytest.approx(every.mean(), abs=4 * error)
    assert abs(every.mean()) > 8 * error
    assert progress.gradient_symmetricity(model, TASK, n=20) != progress.gradient_symmetricity(model, TASK, 20, seed=1)


def test_symmetric_operands_have_equal_gradients(adder, waves):
    assert progress.gradient_symmetricity(adder(P, (1, 3)), TASK).value == pytest.approx(1)
    other = planted.from_formula(waves(P, (1, 3), (1, -1)), act="relu")
    assert progress.gradient_symmetricity(other, TASK).value < 0.5


def test_zero_gradients_are_left_out():
    model = random_network()
    model.blocks[0].W_V.zero_()  # "=" hears nothing of a and b
    assert progress.gradient_symmetricity(model, TASK) == (0, 0)


def test_gradients_leave_weights_alone():
    model = random_network()
    progress.gradient_symmetricity(model, TASK)
    assert not any(weight.requires_grad or weight.grad is not None for weight in model.parameters())


# ---- distance irrelevance ----


def with_right_logits(values, labels):
    """Logits that are random but at the right answer."""
    logits = random(len(labels), P)
    return logits.scatter(1, labels[:, None], values.double().reshape(-1, 1))


A, B = torch.arange(P)[:, None], torch.arange(P)


def test_distance_irrelevance_is_a_ratio_of_standard_deviations():
    values = random(P)[(A - B) % P] + 0.5 * random(P, P, seed=1)
    spread = [np.std([values[(b + d) % P, b].item() for b in range(P)]) for d in range(P)]
    found = progress.distance_irrelevance(with_right_logits(values, TASK.labels), TASK.labels)
    assert found == pytest.approx(np.mean(spread) / np.std(values.numpy()))
    assert 0.1 < found < 0.9


def test_constant_correct_logit_is_fully_irrelevant(waves):
    for dtype in [torch.float64, torch.float32]:
        model = planted.from_formula(waves(P, (1, 3)), dtype=dtype)
        assert progress.distance_irrelevance(grid.raw_logits(model, TASK), TASK.labels) == 1
        assert progress.distance_irrelevance(torch.zeros(P * P, P), TASK.labels) == 1


# ---- circularity, Gini, effective rank ----


def circles(p, radii, d=16):
    """Circles of these radii by frequency, in planes of their own."""
    directions = iter(torch.linalg.qr(random(d, 2 * len(radii))).Q.T)
    n, W = torch.arange(p).double(), torch.zeros(p, d).double()
    for k, radius in radii.items():
        angle = 2 * math.pi * k * n / p
        W += radius * (torch.outer(angle.cos(), next(directions)) + torch.outer(angle.sin(), next(directions)))
    return W


def test_pure_circles_are_circular():
    for radii in [{3: 1.0}, {2: 2.0, 5: 1.0}, {1: 3.0, 2: 2.0, 4: 1.0}]:
        for p in [11, 12]:
            shift = random(16)  # the mean over the tokens is no circle, and does not count
            assert progress.circularity(circles(p, radii) + shift) == pytest.approx(1)
            assert progress.circularity((circles(p, radii) + shift).float()) == pytest.approx(1)


def test_circularity_matches_numpy():
    W = random(23, 6)
    values = W.numpy() - W.numpy().mean(0)
    components = np.linalg.svd(values)[0][:, :4]
    power = np.abs(np.fft.rfft(components, axis=0)[1:]) ** 2
    expected = (power.max(0) / power.sum(0)).mean()
    assert progress.circularity(W) == pytest.approx(expected)
    assert expected < 0.6


def test_constant_embedding_is_not_circular():
    assert progress.circularity(torch.zeros(11, 4)) == 0
    assert progress.circularity(torch.ones(11, 1) * random(4)) == 0


def test_gini_is_half_the_relative_mean_difference():
    for seed in range(3):
        norms = random(17, seed=seed).abs()
        differences = (norms[:, None] - norms).abs().mean()
        assert progress.gini(norms) == pytest.approx((differences / (2 * norms.mean())).item())


def test_gini_extremes():
    assert progress.gini(torch.full((9,), 3.0)) == pytest.approx(0)
    assert progress.gini(torch.tensor([0.0, 0.0, 5.0, 0.0])) == pytest.approx(3 / 4)
    assert progress.gini(torch.zeros(5)) == 0


def test_component_norms_of_circles():
    for p in [11, 12]:
        W = circles(p, {2: 3.0, 4: 1.0}) + 7
        norms = progress.component_norms(W)
        assert norms.shape == (p - 1,)
        expected = torch.zeros(p - 1).double()
        expected[2:4], expected[6:8] = 3 * math.sqrt(p / 2), math.sqrt(p / 2)
        torch.testing.assert_close(norms, expected)


def test_effective_rank_matches_numpy():
    W = random(9, 4)
    values = np.linalg.svd(W.numpy() - W.numpy().mean(0), compute_uv=False)
    shares = values / values.sum()
    assert progress.effective_rank(W) == pytest.approx(math.exp(-(shares * np.log(shares)).sum()))
    assert progress.effective_rank(torch.zeros(9, 4)) == 1


def test_squared_weights_include_all_parameters():
    model = random_network(biases="all")
    model.b_U += 2
    flat = torch.nn.utils.parameters_to_vector(model.parameters())
    assert progress.squared_weights(model) == pytest.approx((flat @ flat).item())


# ---- active frequencies ----


def test_rounding_is_not_active():
    power = torch.full((2, 15), 1 / 15).double()
    power[1, 4] *= 1 + 1e-15
    assert power[1, 4] > power[1, 3]
    for over_time in (False, True):
        assert not progress.active_frequencies(power, over_time).any()


def test_active_frequencies_by_both_rules():
    power = torch.full((20, 10), 0.01)
    power[18, 0] = 0.25  # beyond its own snapshot's mean .034 + 2 deviations of .072
    assert progress.active_frequencies(power).nonzero().tolist() == [[18, 0]]
    # over time: smoothed over its neighbors; three of the 20 shares of this frequency are .29, all others below .055
    assert progress.active_frequencies(power, over_time=True).nonzero().tolist() == [[17, 0], [18, 0], [19, 0]]
    # a frequency that is always strong is active in every snapshot by the text, and never by the code
    power = torch.full((20, 10), 0.01)
    power[:, 3] = 1.0
    assert progress.active_frequencies(power).sum(0).tolist() == [0, 0, 0, 20, 0, 0, 0, 0, 0, 0]
    assert not progress.active_frequencies(power, over_time=True).any()


def test_active_frequencies_of_the_preprints_code():
    """Its lines, in NumPy: smooth each frequency, divide by its sum over time, compare with mean + deviation."""
    power = torch.rand(30, 7, generator=torch.Generator().manual_seed(0)).double() ** 4
    windows = [power[max(0, i - 1) : i + 2].numpy() for i in range(30)]
    series = np.stack([window.mean(0) for window in windows])
    assert np.allclose(series[1:-1, 2], np.convolve(power[:, 2], np.ones(3) / 3, mode="valid"))
    series /= series.sum(0)
    expected = series > series.mean() + series.std()
    assert expected.any()
    assert (progress.active_frequencies(power, over_time=True).numpy() == expected).all()


def test_noise_has_the_active_frequencies_of_chance():
    noise = torch.randn(4_000, 56, generator=torch.Generator().manual_seed(0))
    counts = (noise > noise.mean(1, keepdim=True) + 2 * noise.std(1, correction=0, keepdim=True)).sum(1).double()
    assert progress.active_by_chance(1, 56) == pytest.approx(counts.mean().item(), abs=0.07)
    assert progress.active_by_chance(50, 56) == pytest.approx(1.244, abs=1e-3)  # the text's rule ignores the others
    few = torch.randn(4_000, 3, 5, generator=torch.Generator().manual_seed(1)).flatten(1)
    each = (few > few.mean(1, keepdim=True) + few.std(1, correction=0, keepdim=True)).sum(1).double() / 3
    assert progress.active_by_chance(3, 5, over_time=True) == pytest.approx(each.mean().item(), abs=0.02)
    assert progress.active_by_chance(53, 56, over_time=True) == pytest.approx(8.887, abs=1e-3)
    assert progress.active_by_chance(1, 56, over_time=True) == progress.active_by_chance(9, 2) == 0
