"""Declared weights: first values, names, weight decay and Muon's matrices."""

import math

import torch

from miii.model.config import ModelConfig
from miii.model.transformer import Transformer
from miii.model.weights import declared
from miii.model.wiring import BLOCKS, MIXERS, pairs

N = 5


def network(seed=None, **changes):
    return Transformer(ModelConfig(d_model=6, n_heads=2, d_mlp=9, biases="all", **changes), 8, 7, N, seed=seed)


def of_kind(model, kind):
    return {name.removeprefix("blocks.0.") for name, weight in declared(model).items() if weight.kind == kind}


def test_every_weight_is_declared_in_its_shape():
    for block, mixers in pairs().items():
        for mixer in (mixer for mixer, why in mixers.items() if why is None):
            model = network(block=block, mixer=mixer, n_layers=2)
            shapes = {name: tuple(weight.shape) for name, weight in model.named_parameters()}
            assert {name: weight.shape for name, weight in declared(model).items()} == shapes
    assert len(BLOCKS) * len(MIXERS) == sum(map(len, pairs().values()))


def test_the_initial_scale_multiplies_maps_alone():
    one, two = (Transformer(ModelConfig(block="pre-norm", init_scale=scale), 7, 7, 3, seed=0) for scale in (1.0, 2.5))
    for (name, weight), (_, scaled) in zip(one.named_parameters(), two.named_parameters(), strict=True):
        assert torch.equal(scaled, weight * (2.5 if declared(one)[name].kind == "map" else 1.0)), name


def test_glorot_has_one_variance_for_all_heads_of_a_map():
    model = Transformer(ModelConfig(d_model=64, n_heads=4, d_mlp=256, init="glorot"), 60, 500, 9, seed=0)
    sizes = {"W_E": (60, 64), "W_U": (64, 500), "W_pos": (9, 64), "W_in": (64, 256), "W_out": (256, 64)}
    sizes |= {f"W_{which}": (64, 64) for which in "QKVO"}
    for name, weight in model.named_parameters():
        if (size := sizes.get(name.removeprefix("blocks.0."))) is not None:
            assert abs(weight.std().item() / math.sqrt(2 / sum(size)) - 1) < 0.1, name
        else:
            assert not weight.any(), name


def test_gains_and_norms_are_spared_by_weight_decay_and_nothing_else_is():
    norms = {f"{name}.w" for name in ("ln1", "ln2")}
    assert of_kind(network(), "gain") == set()
    assert of_kind(network(block="vaswani", mixer="recurrence"), "gain") == (
        norms | {f"{name}.b" for name in ("ln1", "ln2")} | {"decay"}
    )
    expected = norms | {"ln_final.w", "alpha", "beta", "gamma", "mlp_gain"}
    assert of_kind(network(block="sas"), "gain") == expected
    assert of_kind(network(block="sas-p"), "gain") == expected - {"ln2.w"} | {"mixer_gain"}
    assert of_kind(network(block="value-skipinit"), "gain") == norms | {"ln_final.w", "alpha", "beta"}


def test_muon_takes_the_matrices_of_attention_and_neurons_and_maybe_the_embedding():
    layouts = {name.split(".")[-1]: weight.muon for name, weight in declared(network()).items() if weight.muon}
    columns = dict.fromkeys(("W_Q", "W_K", "W_V"), "columns")
    assert layouts == columns | {"W_O": "rows", "W_in": "matrix", "W_out": "matrix", "W_E": "embedding"}
    for mixer in ("convolution", "gru", "recurrence"):
        taken = {name.split(".")[-1] for name, weight in declared(network(mixer=mixer)).items() if weight.muon}
        assert taken == {"W_V", "W_O", "W_in", "W_out", "W_E"}


def test_weights_are_drawn_in_the_order_of_their_names():
    """Shipped runs are retrained to the same bits only if the order of the draws stays."""
    generator, model = torch.Generator().manual_seed(3), network(3, n_layers=2)
    drawn = [weight for weight in model.state_dict().values() if weight.abs().max() > 0]
    scale = {"W_U": 8}
    for name, weight in model.named_parameters():
        if declared(model)[name].kind == "map":
            expected = torch.randn(weight.shape, generator=generator) / scale.get(name, 6) ** 0.5
            torch.testing.assert_close(weight, expected)
    names = [name.split(".")[-1] for name in declared(model)]
    assert names[:4] == ["W_E", "W_pos", "W_U", "b_U"]
    assert names[4:16] == ["W_Q", "W_K", "W_V", "W_O", "W_in", "W_out", "b_Q", "b_K", "b_V", "b_O", "b_in", "b_out"]
    assert len(drawn) == 3 + 2 * 6


def test_first_values_of_special_weights():
    gru = network(0, mixer="gru").blocks[0].gru
    assert gru.bias_ih_l0.count_nonzero() == gru.bias_hh_l0.count_nonzero() == 0
    assert 0.2 < gru.weight_ih_l0.std() < 0.6  # 1 / sqrt(6) = 0.41
    decay = network(0, mixer="recurrence").blocks[0].decay
    torch.testing.assert_close(decay.flatten(), torch.linspace(-1, 5, 6))
    kernel = Transformer(ModelConfig(d_model=128, mixer="convolution"), 8, 7, 50, seed=0).blocks[0].W_conv
    assert 0.9 / 50**0.5 < kernel.std() < 1.1 / 50**0.5
    skip = network(0, block="value-skipinit").blocks[0]
    assert (skip.alpha.tolist(), skip.beta.tolist()) == ([1, 1], [0, 0])
    assert skip.W_Q.count_nonzero() > 0
    shaped = network(0, block="sas-p").blocks[0]
    assert shaped.alpha.tolist() == shaped.beta.tolist() == shaped.gamma.tolist() == [1, 1]
    assert (shaped.mlp_gain.item(), shaped.mixer_gain.item()) == (torch.tensor(0.1).item(), 1)
    assert shaped.W_Q.count_nonzero() == 0
    out = Transformer(ModelConfig(d_mlp=2048, block="no-shortcut"), 8, 7, N, seed=0).blocks[0].W_out
    assert 0.9 / 2048**0.5 < out.std() < 1.1 / 2048**0.5
