"""Shifts act as rotations where a + b is held on circles, and nowhere else."""

import math

import pytest
import torch

import miii
from miii.analysis import equivariance, planted

P = 13


def test_a_known_rotation_is_found():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 6, generator=generator)
    R = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    torch.testing.assert_close(equivariance.best_rotation(x, x @ R), R, atol=1e-5, rtol=1e-5)


def test_a_sum_on_circles_rotates_and_its_operands_in_one_plane_do_not(waves):
    """In cos a + cos b in one plane, half of the variance turns with a and half stays."""
    task = miii.ModularAddition(p=P).build()
    model = planted.from_formula(waves(P, (2, 5)), act="square")
    found = {each.site: each for each in equivariance.measure(model, task, (1, 4))}
    for site in ("mlp_out", "logits"):
        assert found[site].r2 == pytest.approx(1, abs=1e-4)
        assert found[site].control < 0.5
    angle = torch.arange(P) * 2 * math.pi / P
    wave = torch.stack([angle.cos(), angle.sin()], 1)
    held = (wave[:, None] + wave).flatten(0, 1)
    moved = torch.arange(P * P).view(P, P).roll(-1, 0).flatten()
    every = torch.arange(P * P)
    found = equivariance.rotation_r2(held, moved, every, every)  # the best rotation turns by half of the shift's angle
    assert found == pytest.approx(2 * math.cos(math.pi / P) - 1, abs=1e-4)


def test_a_random_network_is_not_equivariant_and_steps_are_kept_apart(waves):
    task = miii.ModularAddition(p=P).build()
    config = miii.ModelConfig(d_model=32, n_heads=2, d_mlp=32)
    random = miii.Transformer.of(config, task, seed=0).requires_grad_(False)
    trained = planted.from_formula(waves(P, (2, 5)), act="square")
    frame = equivariance.over_training([(0, random), (9, trained)], task, ("mlp_out", "logits"))
    assert frame["step"].tolist() == [0, 0, 9, 9]
    assert (frame[frame["step"] == 0]["r2"] < 0.3).all()
    assert (frame[frame["step"] == 9]["r2"] > 0.99).all()
