"""Optimizers against their formulas, written out."""

import math
from typing import get_args

import pytest
import torch

from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.training.config import RunConfig
from miii.training.optim import (
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    AdamW,
    Muon,
    OrthogonalGradient,
    SlowGradient,
    lr_factor,
)
from miii.training.stepper import Stepper, across

CONFIG = ModelConfig(d_model=8, n_heads=2, d_mlp=16, biases="all")


def model(seed=0):
    return Transformer(CONFIG, d_vocab=6, d_vocab_out=5, n_ctx=3, seed=seed)


def set_grads(net, seed=1):
    """Random gradients, returned by name as they were set."""
    generator = torch.Generator().manual_seed(seed)
    grads = {name: torch.randn(weight.shape, generator=generator) for name, weight in net.named_parameters()}
    for name, weight in net.named_parameters():
        weight.grad = grads[name].clone()
    return grads


def weights(net):
    return {name: weight.detach().clone() for name, weight in net.named_parameters()}


def test_schedules_are_their_formulas_after_a_linear_warm_up():
    progress = [(step - 1) / 50 for step in range(1, 51)]
    formulas = {
        "constant": lambda t: 1.0,
        "linear": lambda t: 1 - t,
        "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
        "half": lambda t: 1.0 if t <= 0.5 else 2 * (1 - t),
        "trapezoid": lambda t: 1.0 if t <= 0.8 else 5 * (1 - t),
    }
    assert formulas.keys() == SCHEDULES.keys() == set(get_args(RunConfig.model_fields["schedule"].annotation))
    for name, formula in formulas.items():
        plain = [lr_factor(step, 50, 0, name) for step in range(1, 51)]
        assert plain == pytest.approx([formula(t) for t in progress])
        ramp = [min(1.0, step / 10) for step in range(1, 51)]
        warmed = [lr_factor(step, 50, 10, name) for step in range(1, 51)]
        assert warmed == pytest.approx([r * f for r, f in zip(ramp, plain, strict=True)])
    assert max(lr_factor(step, 10, 40, "constant") for step in range(1, 11)) == 0.25
    assert {name: config().name for name, config in OPTIMIZERS.items()} == {name: name for name in OPTIMIZERS}


def test_adamw_takes_its_first_step_as_in_the_paper():
    net = model()
    before, grads = weights(net), set_grads(net)
    Stepper(net, AdamW(lr=0.1, weight_decay=0.5)).step(0.3)
    for name, after in weights(net).items():
        # after one step both averages, corrected for their bias, are the gradient and its square
        expected = before[name] * (1 - 0.03 * 0.5) - 0.03 * grads[name] / (grads[name].abs() + 1e-8)
        torch.testing.assert_close(after, expected)


def test_adamw_takes_two_steps_as_in_the_paper():
    net, beta1, beta2 = model(), 0.6, 0.7
    stepper = Stepper(net, AdamW(lr=0.1, weight_decay=0.0, beta1=beta1, beta2=beta2))
    grads = []
    for seed in (1, 2):
        between = weights(net)
        grads.append(set_grads(net, seed))
        stepper.step(1.0)
    for name, after in weights(net).items():
        one, two = (g[name] for g in grads)
        mean = (beta1 * (1 - beta1) * one + (1 - beta1) * two) / (1 - beta1**2)
        square = (beta2 * (1 - beta2) * one**2 + (1 - beta2) * two**2) / (1 - beta2**2)
        torch.testing.assert_close(after, between[name] - 0.1 * mean / (square.sqrt() + 1e-8))


def test_sgd_remembers_its_velocity():
    net = model()
    before = weights(net)
    stepper = Stepper(net, SGD(lr=0.1, weight_decay=0.0, momentum=0.5))
    one = set_grads(net, 1)
    stepper.step(1.0)
    two = set_grads(net, 2)
    stepper.step(1.0)
    for name, after in weights(net).items():
        velocity = 0.5 * one[name] + two[name]
        torch.testing.assert_close(after, before[name] - 0.1 * one[name] - 0.1 * velocity)


def test_weight_decay_alone_shrinks_by_lr_times_decay():
    for config in [AdamW(), SGD(), Muon()]:
        config = type(config)(**config.model_dump() | {"weight_decay": 0.5})
        net = model()
        before = weights(net)
        for weight in net.parameters():
            weight.grad = torch.zeros_like(weight)
        Stepper(net, config).step(1.0)
        for name, after in weights(net).items():
            hidden = "blocks." in name and ".W_" in name
            lr = config.adamw_lr if isinstance(config, Muon) and not hidden else config.lr
            torch.testing.assert_close(after, before[name] * (1 - lr * 0.5))


def test_a_factor_of_zero_changes_nothing_and_gradients_are_dropped():
    for kind in OPTIMIZERS.values():
        net = model()
        before = weights(net)
        set_grads(net)
        Stepper(net, kind()).step(0.0)
        assert all(torch.equal(after, before[name]) for name, after in weights(net).items())
        assert all(weight.grad is None for weight in net.parameters())


def test_slow_gradients_are_added_as_in_the_paper():
    net, alpha, amount = model(), 0.8, 3.0
    before = weights(net)
    stepper = Stepper(net, SlowGradient(slow_lambda=amount, slow_alpha=alpha))
    twin = model()
    by_hand = Stepper(twin, AdamW())
    one = set_grads(net, 1)
    stepper.step(1.0)
    two = set_grads(net, 2)
    stepper.step(1.0)
    first = one  # the average starts at the first gradient
    second = {name: alpha * first[name] + (1 - alpha) * two[name] for name in before}
    for grads, slow in ((one, first), (two, second)):
        for name, weight in twin.named_parameters():
            weight.grad = grads[name] + amount * slow[name]
        by_hand.step(1.0)
    for name, after in weights(net).items():
        torch.testing.assert_close(after, weights(twin)[name])


def test_orthogonal_gradients_keep_their_length():
    net = model()
    grads = set_grads(net, 1)
    for name, weight in weights(net).items():
        if not weight.any():  # a bias of zeros has no direction, and keeps its gradient
            torch.testing.assert_close(across(grads[name], weight), grads[name])
            continue
        found = across(grads[name], weight)
        assert (found * weight).sum().abs() < 1e-5 * weight.norm() * found.norm()
        torch.testing.assert_close(found.norm(), grads[name].norm())
        difference = grads[name] / grads[name].norm() - found / found.norm()
        assert difference.norm() > 0


def test_a_gradient_along_the_weight_becomes_zero():
    grad, weight = torch.tensor([-0.719]), torch.tensor([-0.403])
    assert across(grad, weight).tolist() == [0.0]


def test_orthogonal_gradient_is_adamw_on_the_orthogonal_part():
    net, twin = model(), model()
    stepper, by_hand = Stepper(net, OrthogonalGradient(lr=0.01)), Stepper(twin, AdamW(lr=0.01, weight_decay=0.0))
    for seed in (1, 2):
        grads = set_grads(net, seed)
        for name, weight in twin.named_parameters():
            weight.grad = across(grads[name], weight.detach())
        stepper.step(1.0)
        by_hand.step(1.0)
    for name, after in weights(net).items():
        torch.testing.assert_close(after, weights(twin)[name])


def test_muon_moves_each_matrix_by_a_nearly_orthogonal_one():
    """The heads of a block lie side by side: [d_model, head * d_head], and W_O [head * d_head, d_model]."""
    net = model()
    before = weights(net)
    set_grads(net)
    Stepper(net, Muon(lr=0.1, weight_decay=0.0)).step(1.0)
    for name in ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out"):
        moved = net.blocks[0].get_parameter(name).detach() - before[f"blocks.0.{name}"]
        if name == "W_O":
            moved = moved.reshape(8, 8)
        elif moved.ndim == 3:
            moved = moved.permute(1, 0, 2).reshape(8, 8)
        size = 0.1 * max(1, moved.shape[1] / moved.shape[0]) ** 0.5
        values = torch.linalg.svdvals(moved) / size
        # five Newton-Schulz steps bring the singular values near 1; those of the gradient span two decades
        assert 0.4 < values.min() <= values.max() < 1.5, name


def test_muon_leaves_other_weights_to_adamw():
    muon, adamw = model(), model()
    for net in (muon, adamw):
        set_grads(net)
    Stepper(muon, Muon(weight_decay=0.1, adamw_lr=0.01, beta1=0.8, beta2=0.9)).step(1.0)
    Stepper(adamw, AdamW(weight_decay=0.1, lr=0.01, beta1=0.8, beta2=0.9)).step(1.0)
    expected = weights(adamw)
    for name, after in weights(muon).items():
        hidden = "blocks." in name and ".W_" in name
        assert torch.equal(after, expected[name]) != hidden, name


def test_muon_can_take_the_embedding():
    plain, whole = model(), model()
    before = weights(plain)
    for net, embedding in ((plain, False), (whole, True)):
        set_grads(net)
        Stepper(net, Muon(lr=0.1, weight_decay=0.0, embedding=embedding)).step(1.0)
    changed = {name for name, after in weights(whole).items() if not torch.equal(after, weights(plain)[name])}
    assert changed == {"W_E"}
    moved = whole.W_E.detach() - before["W_E"]
    values = torch.linalg.svdvals(moved) / (0.1 * max(1, moved.shape[0] / moved.shape[1]) ** 0.5)
    assert 0.4 < values.min() <= values.max() < 1.5


def test_adamw_within_muon_has_its_own_weight_decay():
    net = model()
    before = weights(net)
    for weight in net.parameters():
        weight.grad = torch.zeros_like(weight)
    Stepper(net, Muon(lr=0.1, weight_decay=0.5, adamw_lr=0.01, adamw_weight_decay=3.0)).step(1.0)
    for name, after in weights(net).items():
        hidden = "blocks." in name and ".W_" in name
        torch.testing.assert_close(after, before[name] * (1 - (0.1 * 0.5 if hidden else 0.01 * 3.0)))


def test_frozen_weights_do_not_change():
    for config in [kind() for kind in OPTIMIZERS.values()]:
        net, whole = model(), model()
        frozen = {"W_E", "blocks.0.W_in", "blocks.0.W_Q"}
        for name in frozen:
            net.get_parameter(name).requires_grad_(False)
        before = weights(net)
        for each in (net, whole):
            stepper = Stepper(each, config)
            set_grads(each)
            stepper.step(1.0)
        expected = weights(whole)
        for name, after in weights(net).items():
            assert torch.equal(after, before[name] if name in frozen else expected[name]), name


def test_a_state_loaded_into_a_new_stepper_takes_the_same_next_step(same):
    for config in [*(kind() for kind in OPTIMIZERS.values()), SGD(momentum=0.0)]:
        net, twin = model(seed=0), model(seed=1)
        stepper = Stepper(net, config)
        for seed in (1, 2):
            set_grads(net, seed)
            stepper.step(1.0)
        twin.load_state_dict(net.state_dict())
        state = {name: value.clone() for name, value in stepper.state().items()}
        other = Stepper(twin, config)
        other.load_state(state)
        assert same(other.state(), state)
        for each, updated in ((stepper, net), (other, twin)):
            set_grads(updated, 3)
            each.step(0.5)
        assert same(weights(net), weights(twin))
        assert same(stepper.state(), other.state())
        assert all(value.isfinite().all() for value in stepper.state().values())
