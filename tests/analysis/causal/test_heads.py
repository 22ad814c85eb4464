"""Circuits and direct contributions add up to what the network does."""

import pytest
import torch

import miii
from miii.analysis.causal import attention, direct
from miii.model.tap import capture

P = 5
TASK = miii.ModularAddition(p=P).build()


def network(n_layers: int = 1, biases: str = "all") -> miii.Transformer:
    """Random weights and biases in float64, large enough that heads differ."""
    config = miii.ModelConfig(n_layers=n_layers, d_model=8, n_heads=2, d_mlp=12, biases=biases)
    model = miii.Transformer(config, P + 1, P, 3, seed=n_layers).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight += torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 5
    return model


# ---- QK ----


def test_qk_of_an_example_s_tokens_is_its_pattern():
    model = network()
    for query in range(P + 1):  # any token may ask at the last position
        tokens = TASK.tokens.clone()
        tokens[:, -1] = query
        scores = attention.qk(model, queries=torch.tensor([query]))[:, 0]
        own = torch.stack([scores[:, pos, tokens[:, pos]] for pos in range(3)], dim=-1)  # head example pos
        expected = capture(model, tokens, {"0.pattern"})["0.pattern"][:, :, -1].transpose(0, 1)
        torch.testing.assert_close(own.softmax(-1), expected)
    assert expected.std(1).max() > 0.05


def test_qk_of_all_queries_holds_that_of_each():
    model = network(2)
    whole = attention.qk(model, layer=1)
    assert whole.shape == (2, P + 1, 3, P + 1)
    torch.testing.assert_close(whole[:, [P, 2]], attention.qk(model, 1, torch.tensor([P, 2])))
    assert not torch.allclose(whole, attention.qk(model, layer=0))


def test_a_position_shifts_a_row_of_qk():
    scores = attention.qk(network())
    shift = scores[:, :, 1] - scores[:, :, 0]
    torch.testing.assert_close(shift, shift[..., :1].expand_as(shift))


# ---- OV ----


@pytest.mark.parametrize("biases", ["all", "none"])
def test_ov_weighted_by_attention_is_what_a_head_writes(biases):
    model = network(biases=biases)
    pattern = attention.over_inputs(model, TASK.tokens).weight
    expected = sum(pattern[:, pos, :, None] * attention.ov(model, pos=pos)[:, TASK.tokens[:, pos]] for pos in range(3))
    torch.testing.assert_close(direct.head_logits(model, TASK.tokens), expected)


def test_ov_without_a_position_is_the_token_s_own_part():
    model = network(2)
    alone = attention.ov(model, layer=1)
    for pos in range(3):
        placed = attention.ov(model, layer=1, pos=pos)
        constant = placed - alone  # of the position and the bias
        torch.testing.assert_close(constant, constant[:, :1].expand_as(constant))
        assert constant.abs().max() > 0.01
    torch.testing.assert_close(alone.mean(-1), torch.zeros(2, P + 1).double(), atol=1e-12, rtol=0)


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_or_position_that_is_not_there_is_refused(layer, one_sentence):
    model = network(2)
    for call in (attention.qk, attention.ov):
        with one_sentence("layer", "0 .. 1", str(layer)):
            call(model, layer)
    with one_sentence("pos", "0 .. 2", "3"):
        attention.ov(model, pos=3)
