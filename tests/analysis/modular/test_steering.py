"""Turning the planes of planted frequencies moves the answer, and no other planes do."""

import math

import numpy as np
import pytest
import torch

import miii
from miii.analysis.modular import steering
from miii.analysis.oracles import planted

P, KEYS = 23, (2, 5, 9)
TASK = miii.ModularAddition(p=P).build()
SUB = miii.ModularAddition(p=P, operation="sub").build()


def random_network(p=P, n_layers=1, d_model=16):
    config = miii.ModelConfig(n_layers=n_layers, d_model=d_model, n_heads=2, d_mlp=40, biases="all")
    return miii.Transformer(config, p + 1, p, 3, seed=3).double().requires_grad_(False)


def by_hand(model, p, frequencies, multipliers, s):
    """The logits after one shift, by ``intervene`` and a linear map at ``mlp_out`` made by least squares."""
    alpha, beta = multipliers
    tokens = miii.ModularAddition(p=p).build().tokens
    site = f"{model.config.n_layers - 1}.mlp_out"
    out = miii.capture(model, tokens, {site})[site][:, -1].numpy()
    mean = out.mean(0)
    a, b = tokens[:, 0].numpy(), tokens[:, 1].numpy()
    change = np.zeros((out.shape[1], out.shape[1]))
    for k in frequencies:
        angle = 2 * np.pi * k * (alpha * a + beta * b) / p
        circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
        turned = np.array([[math.cos(x := 2 * math.pi * k * s / p), math.sin(x)], [-math.sin(x), math.cos(x)]])
        if 2 * k == p:
            circle, turned = circle[:, :1], turned[:1, :1]
        write = np.linalg.lstsq(circle, out - mean, rcond=None)[0]  # [2, d_model]
        read = np.linalg.lstsq(out - mean, circle, rcond=3e-5)[0]  # [d_model, 2]
        change += read @ (turned - np.eye(len(turned))) @ write
    return miii.intervene(model, tokens, {site: lambda x: x + (x - torch.from_numpy(mean)) @ torch.from_numpy(change)})


# ---- planted networks ----


def test_a_planted_network_follows_every_turn_and_ignores_the_control_s(waves):
    for multipliers in [(1, 1), (1, -1), (1, 3)]:
        for act in ["square", "relu"]:
            model = planted.from_formula(waves(P, KEYS, multipliers), act=act)
            found = steering.steer(model, TASK, KEYS, multipliers)
            assert found.frequencies == KEYS
            assert found.accuracy.tolist() == [1.0] * (P - 1)
            assert (found.mean, found.minimum) == (1.0, 1.0)
            assert len(found.control_frequencies) == 3
            assert not set(found.control_frequencies) & set(KEYS)
            assert found.control_accuracy.tolist() == [1.0] * (P - 1)


def test_even_and_composite_moduli_can_be_steered(waves):
    for operation in ["add", "sub"]:
        for p, keys in [(12, (1, 5)), (12, (1, 6)), (12, (2, 3, 5)), (59, (3, 7, 20))]:
            task = miii.ModularAddition(p=p, operation=operation)
            model = planted.from_formula(waves(p, keys, task.multipliers)).float()
            found = steering.steer(model, task.build(), keys, task.multipliers)
            assert (found.mean, found.minimum) == (1.0, 1.0)
            assert found.control_accuracy.min() == 1


def test_weights_that_require_gradients_can_be_steered_too(waves):
    model = planted.from_formula(waves(P, KEYS)).requires_grad_(True)
    found = steering.steer(model, TASK, KEYS)
    assert found.minimum == 1
    assert not found.accuracy.requires_grad


# ---- controls ----


def test_without_frequencies_nothing_can_be_turned(waves):
    model = planted.from_formula(waves(P, KEYS))
    found = steering.steer(model, TASK, ())
    assert found.frequencies == found.control_frequencies == ()
    assert (found.mean, found.minimum) == (0.0, 0.0)
    assert found.control_accuracy.tolist() == [1.0] * (P - 1)


def test_where_the_control_needs_more_than_is_left_it_takes_all(waves):
    model = planted.from_formula(waves(11, (1, 2, 3)))
    task = miii.ModularAddition(p=11).build()
    assert steering.steer(model, task, (1, 2, 3)).control_frequencies == (4, 5)
    every = steering.steer(model, task, (1, 2, 3, 4, 5))
    assert every.control_frequencies == ()
    assert every.control_accuracy.tolist() == [1.0] * 10
    assert every.minimum == 1


def test_the_seed_draws_the_control(waves):
    model = planted.from_formula(waves(P, KEYS))
    drawn = {steering.steer(model, TASK, KEYS, seed=seed).control_frequencies for seed in range(4)}
    assert len(drawn) > 1


def test_a_network_that_prefers_no_answer_gives_none():
    model = random_network()
    for weight in model.parameters():
        weight.zero_()
    found = steering.steer(model, TASK, KEYS)
    assert found.accuracy.max() == found.control_accuracy.max() == 0


# ---- against a map made by hand ----


def test_one_turn_is_one_linear_map_at_mlp_out(waves, noisy):
    for multipliers in [(1, 1), (1, -1)]:
        for s in [1, 7, 22]:
            model = noisy(planted.from_formula(waves(P, KEYS, multipliers), act="relu"), 4, seed=s)
            task = TASK if multipliers == (1, 1) else SUB
            found = steering.steer(model, task, KEYS, multipliers)
            moved = by_hand(model, P, KEYS, multipliers, s)[:, -1].argmax(1)
            expected = (moved == (task.labels + s) % P).double().mean().item()
            assert 0.1 < expected < 0.999
            assert found.accuracy[s - 1].item() == pytest.approx(expected, abs=1.1 / P**2)
            still = by_hand(model, P, found.control_frequencies, multipliers, s)[:, -1].argmax(1)
            assert found.control_accuracy[s - 1].item() == pytest.approx(
                (still == task.labels).double().mean().item(), abs=1.1 / P**2
            )


def test_waves_whose_strength_varies_with_the_distance_are_turned_in_part(adder):
    """Those of ``adder`` are r = 2 (1 + cos w (a - b)) strong: mean(r)^2 / mean(r^2) is 4 / 6."""
    model, task = adder(23, (3,)).double(), miii.ModularAddition(p=23).build()
    found = steering.steer(model, task, (3,))
    assert found.accuracy[0] < 0.2
    for s in (1, 7, 11):
        angle = torch.tensor(2 * math.pi * 3 * s / 23).double()
        part = torch.atan2(2 / 3 * angle.sin(), 1 / 3 + 2 / 3 * angle.cos())  # of a third left and two thirds turned
        circle = 2 * math.pi * 3 * torch.arange(23).double() / 23
        nearest = torch.cos(circle - part).argmax()
        assert found.accuracy[s - 1] == float(nearest == s)


# ---- bad input ----


def test_a_frequency_that_is_none_is_refused(one_sentence, waves):
    for wrong in [0, 12, -2]:
        with one_sentence("frequencies must be in 1 .. 11", f"(got {wrong})"):
            steering.steer(planted.from_formula(waves(P, KEYS)), TASK, (2, wrong))
