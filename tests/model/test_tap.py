"""Reading and replacing activations by name."""

import copy

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap

from miii.model.config import ModelConfig
from miii.model.tap import OUTSIDE, SITES, capture, identity, intervene, sites, zero_head
from miii.model.transformer import Transformer

# All sizes differ, so that no two axes can be confused.
SIZE = {"batch": 5, "pos": 3, "query": 3, "key": 3, "d_model": 14, "head": 2, "d_head": 7, "d_mlp": 11}
SIZE |= {"d_vocab_out": 9}
LAYERS = 2
CONFIG = ModelConfig(n_layers=LAYERS, d_model=14, n_heads=2, d_mlp=11, biases="all")


def names(config):
    """The activations of a network: the sites of its kind, in every block or once."""
    found = [name for name in sites(config) if name in OUTSIDE]
    return found + [f"{layer}.{name}" for layer in range(LAYERS) for name in sites(config) if name not in OUTSIDE]


NAMES = names(CONFIG)


def site(name):
    return name.split(".")[-1]


@pytest.fixture
def model():
    return Transformer(CONFIG, d_vocab=10, d_vocab_out=9, n_ctx=3, seed=0).double().requires_grad_(False)


@pytest.fixture
def clean():
    return torch.randint(10, (5, 3), generator=torch.Generator().manual_seed(1))


@pytest.fixture
def other():
    return torch.randint(10, (5, 3), generator=torch.Generator().manual_seed(2))


def test_every_site_is_met_once_with_the_axes_of_the_table(model, clean):
    met = []
    model(clean, tap=lambda name, value: (met.append(name), value)[1])
    assert sorted(met) == sorted(NAMES)
    assert {name: tuple(value.shape) for name, value in capture(model, clean).items()} == {
        name: tuple(SIZE[axis] for axis in SITES[site(name)]) for name in NAMES
    }


def test_capturing_does_not_change_the_logits(model, clean):
    assert torch.equal(capture(model, clean)["logits"], model(clean))
    assert torch.equal(model(clean, tap=identity), model(clean))


def test_capture_keeps_the_named_activations_only(model, clean):
    assert set(capture(model, clean, {"1.z", "embed"})) == {"1.z", "embed"}
    assert capture(model, clean, []) == {}


def test_the_sites_fit_together(model, clean):
    a = capture(model, clean)
    assert torch.equal(a["0.resid_pre"], a["embed"] + a["pos_embed"])
    for layer in range(LAYERS):
        assert torch.equal(a[f"{layer}.resid_mid"], a[f"{layer}.resid_pre"] + a[f"{layer}.attn_out"])
        assert torch.equal(a[f"{layer}.resid_post"], a[f"{layer}.resid_mid"] + a[f"{layer}.mlp_out"])
        assert torch.equal(a[f"{layer}.mlp_post"], a[f"{layer}.mlp_pre"].relu())
        assert torch.equal(a[f"{layer}.pattern"], a[f"{layer}.scores"].softmax(-1))
        torch.testing.assert_close(
            a[f"{layer}.z"], (a[f"{layer}.pattern"] @ a[f"{layer}.v"].transpose(1, 2)).transpose(1, 2)
        )
    assert torch.equal(a["1.resid_pre"], a["0.resid_post"])


def test_patching_everything_gives_the_other_run(model, clean, other):
    assert torch.equal(intervene(model, clean, capture(model, clean)), model(clean))
    changes = capture(model, other)
    del changes["logits"]  # which alone would settle it
    assert not torch.equal(model(clean), model(other))
    assert torch.equal(intervene(model, clean, changes), model(other))
    for cut in ("embed", "0.resid_pre", "0.resid_mid", "0.resid_post", "1.resid_mid", "1.resid_post"):
        assert torch.equal(intervene(model, clean, capture(model, other, {cut})), model(other)), cut


def test_each_site_matters(model, clean):
    for name in NAMES:
        assert not torch.allclose(intervene(model, clean, {name: lambda value: 0.5 * value}), model(clean)), name


def test_a_change_gets_the_value_met_after_earlier_changes(model, clean, other):
    seen = []
    intervene(model, clean, {"1.mlp_post": lambda value: (seen.append(value), value)[1]})
    assert torch.equal(seen[0], capture(model, clean)["1.mlp_post"])
    changes = {"0.resid_pre": capture(model, other)["0.resid_pre"], "1.z": lambda z: (seen.append(z), z)[1]}
    intervene(model, clean, changes)
    assert torch.equal(seen[1], capture(model, other)["1.z"])


def test_an_unknown_name_is_refused_with_the_known_ones(model, clean, one_sentence):
    for name in ("pattern", "2.pattern", ""):
        with one_sentence(name, "0.pattern", "logits"):
            capture(model, clean, {name})
        with one_sentence(name, "0.pattern", "logits"):
            intervene(model, clean, {name: zero_head(0)})


def test_a_replacement_of_another_shape_is_refused(model, clean, one_sentence):
    for change in (torch.zeros(5, 3, 2, 6), torch.zeros(1), lambda z: z[:, :, :1], lambda z: z[None]):
        with one_sentence("0.z", "(5, 3, 2, 7)"):
            intervene(model, clean, {"0.z": change})


def test_zero_head_is_the_model_without_that_head_s_output_weights(model, clean, one_sentence):
    z = capture(model, clean)["0.z"]
    for head in (0, 1):
        changed = zero_head(head)(z)
        assert changed[:, :, head].count_nonzero() == 0
        assert torch.equal(changed[:, :, 1 - head], z[:, :, 1 - head])
        ablated, without = intervene(model, clean, {"0.z": zero_head(head)}), copy.deepcopy(model)
        without.blocks[0].W_O[head] = 0
        torch.testing.assert_close(ablated, without(clean))
    for head in (-1, 2):
        with one_sentence("head must be in 0 .. 1", str(head)):
            zero_head(head)(z)


def test_activations_that_are_not_finite_are_refused(model, clean, one_sentence):
    model.W_E[3] = torch.inf
    clean[0, 0] = 3
    with one_sentence("finite 0.mlp_pre"):
        capture(model, clean, {"0.mlp_pre"})


def test_gradients_with_respect_to_an_activation_are_finite_differences(model, clean):
    generator = torch.Generator().manual_seed(3)
    for name in ("embed", "0.q", "0.scores", "0.pattern", "0.z", "1.mlp_pre", "1.resid_mid"):

        def loss(value, name=name):
            return intervene(model, clean, {name: value})[:, -1].logsumexp(-1).sum()

        value = capture(model, clean)[name].requires_grad_()
        (grad,) = torch.autograd.grad(loss(value), value)
        value = value.detach()
        # a random direction tests every entry at once; entries behind the causal mask have no gradient
        direction = torch.randn(value.shape, generator=generator, dtype=torch.float64).masked_fill(value.isinf(), 0)
        slope = (loss(value + 1e-6 * direction) - loss(value - 1e-6 * direction)) / 2e-6
        assert slope.item() == pytest.approx((grad * direction).sum().item(), rel=1e-5, abs=1e-8), name
        assert grad.abs().max() > 1e-3


def test_capture_and_interventions_work_under_vmap(clean):
    config = ModelConfig(n_layers=LAYERS, d_model=14, n_heads=2, d_mlp=11)
    models = [Transformer(config, d_vocab=10, d_vocab_out=9, n_ctx=3, seed=seed).double() for seed in range(3)]
    stacked, _ = stack_module_state(models)
    silence = zero_head(1)

    def activations(weights):
        kept = {}
        functional_call(models[0], weights, (clean,), {"tap": lambda name, value: kept.setdefault(name, value)})
        return kept

    def ablated(weights):
        tap = lambda name, value: silence(value) if name == "0.z" else value  # noqa: E731
        return functional_call(models[0], weights, (clean,), {"tap": tap})

    together = vmap(activations)(stacked)
    for i, model in enumerate(models):
        for name, alone in capture(model, clean).items():
            torch.testing.assert_close(together[name][i], alone, msg=lambda text, name=name: f"{name}: {text}")
    expected = torch.stack([intervene(model, clean, {"0.z": silence}) for model in models])
    torch.testing.assert_close(vmap(ablated)(stacked), expected)
