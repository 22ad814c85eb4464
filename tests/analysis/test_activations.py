"""Chunks cover all examples once, whatever their size."""

import pytest
import torch

import miii
from miii.analysis import activations
from miii.model.tap import capture

TOKENS = miii.ModularAddition(p=7).build().tokens


@pytest.fixture
def model():
    config = miii.ModelConfig(n_layers=2, d_model=8, n_heads=2, d_mlp=12)
    return miii.Transformer(config, 8, 7, 3, seed=0).requires_grad_(False)


def test_a_chunk_is_as_large_as_its_widest_activation_allows(model, monkeypatch):
    assert activations.chunk_size(model, 3) == 2**21 // (3 * 12)
    assert activations.chunk_size(model, 30) == 2**21 // (30 * 2 * 30)  # attention scores
    monkeypatch.setattr(activations, "NUMBERS", 5 * 3 * 12 + 1)
    assert list(activations.chunks(model, TOKENS[:12])) == [slice(0, 5), slice(5, 10), slice(10, 12)]
    assert list(activations.chunks(model, TOKENS[:0])) == [slice(0, 0)]
    monkeypatch.setattr(activations, "NUMBERS", 1)
    assert activations.chunk_size(model, 3) == 1


def test_collected_activations_are_the_captured_ones(model, monkeypatch):
    for numbers in [2**21, 5 * 3 * 12]:
        monkeypatch.setattr(activations, "NUMBERS", numbers)
        names = {"0.z", "1.pattern", "1.scores", "logits"}
        acts = capture(model, TOKENS)
        whole, last = (activations.collect(model, TOKENS, names, last=last) for last in (False, True))
        assert whole.keys() == last.keys() == names
        for name in names:
            torch.testing.assert_close(whole[name], acts[name])
            attention = name.endswith(("pattern", "scores"))
            torch.testing.assert_close(last[name], acts[name][:, :, -1] if attention else acts[name][:, -1])


def test_missing_activations_are_an_error(model, one_sentence):
    with one_sentence("pos_embed", "batch axis"):
        activations.collect(model, TOKENS, {"pos_embed"})
    with one_sentence("2.z"):
        activations.collect(model, TOKENS, {"2.z"})
