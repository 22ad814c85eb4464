"""A network over all pairs: the same values as from plain forward passes."""

from dataclasses import replace

import torch

import miii
from miii.analysis.modular import grid
from miii.model.tap import capture

P = 47  # p^2 pairs are more than one chunk
TASK = miii.ModularAddition(p=P).build()


# ---- tasks ----


def test_modulus_of_a_task_with_all_pairs():
    for p in [11, 12, 113]:
        for operation in ["add", "mul", "relabeled"]:
            assert grid.modulus(miii.ModularAddition(p=p, operation=operation).build()) == p


def test_small_modulus_is_an_error(one_sentence):
    for p in [2, 7, 10]:
        with one_sentence("p must be at least 11", f"(got {p})"):
            grid.modulus(miii.ModularAddition(p=p).build())


def test_task_without_all_pairs_is_an_error(one_sentence):
    some = replace(TASK, tokens=TASK.tokens[:-1], labels=TASK.labels[:-1], train_mask=TASK.train_mask[:-1])
    with one_sentence("task must have all p^2 pairs", "2208"):
        grid.modulus(some)


def test_task_with_longer_examples_is_an_error(one_sentence):
    with one_sentence("task must have all p^2 pairs"):
        grid.modulus(replace(TASK, tokens=TASK.tokens[:, [0, 1, 1, 2]]))


# ---- values ----


def test_logits_are_centered(random_model):
    for n_layers in [1, 2]:
        for act in ["relu", "square"]:
            model = random_model(n_layers, P, act=act)
            plain = model(TASK.tokens)[:, -1]
            found = grid.logits(model, TASK)
            torch.testing.assert_close(found, plain - plain.mean(1, keepdim=True))
            assert found.mean(1).abs().max() < 1e-9
            assert plain.mean(1).abs().max() > 0.1


def test_infinite_values_are_an_error(one_sentence, random_model):
    for value in [torch.nan, torch.inf]:
        model = random_model(p=P)
        model.W_U[3, 5] = value
        with one_sentence("model must give finite logits"):
            grid.logits(model, TASK)


def test_activations_at_the_last_position(random_model):
    for name in ["embed", "0.q", "0.z", "0.mlp_post", "1.resid_post", "logits"]:
        model = random_model(2, P)
        found = grid.activations(model, TASK, name)
        assert torch.equal(found, capture(model, TASK.tokens, {name})[name][:, -1])


def test_neuron_inputs_are_mlp_pre(random_model):
    for n_layers in [1, 2]:
        model, site = random_model(n_layers, P), f"{n_layers - 1}.mlp_pre"
        torch.testing.assert_close(grid.neuron_inputs(model, TASK), grid.activations(model, TASK, site))


def test_combined_residues():
    for p in [11, 12]:
        for multipliers in [(1, 1), (1, -1), (3, -4), (0, 1)]:
            expected = [(multipliers[0] * a + multipliers[1] * b) % p for a in range(p) for b in range(p)]
            assert grid.combined(p, multipliers).tolist() == expected
            assert grid.combined(p).tolist() == miii.ModularAddition(p=p).build().labels.tolist()
