"""Where heads look, on networks told where to look."""

import pytest
import torch

import miii
from miii.analysis import attention
from miii.model.tap import capture


@pytest.fixture
def pointing():
    """Head 0 looks at a, head 1 at b, head 2 evenly: from every position that may see them."""
    config = miii.ModelConfig(n_layers=2, d_model=12, n_heads=3, d_mlp=4, biases="none")
    model = miii.Transformer(config, d_vocab=8, d_vocab_out=7, n_ctx=3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_pos[:, :4] = torch.eye(3, 4)
        model.W_pos[:, 3] = 1  # every query asks the same
        for head, position in ((0, 0), (1, 1)):
            model.blocks[1].W_Q[head, 3, 0] = 100
            model.blocks[1].W_K[head, position, 0] = 100
    return model


@pytest.fixture
def tokens():
    return miii.ModularAddition(p=7).build().tokens


def test_each_head_looks_where_it_was_told(pointing, tokens):
    expected = torch.tensor([[1, 0, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(attention.pattern(pointing, tokens[5], layer=1)[:, -1], expected)
    found = attention.over_inputs(pointing, tokens, layer=1)
    torch.testing.assert_close(found.weight, expected[:, :, None].expand(3, 3, 49))
    torch.testing.assert_close(found.mean(), expected)
    assert found.layer == 1


def test_the_first_layer_is_another(pointing, tokens):
    torch.testing.assert_close(attention.pattern(pointing, tokens[5])[:, -1], torch.full((3, 3), 1 / 3))


def test_over_inputs_is_the_last_row_of_every_input_s_pattern(small_run, tokens):
    model = small_run.model()
    found = attention.over_inputs(model, tokens)
    assert found.weight.shape == (2, 3, 49)
    for i in (0, 13, 48):
        torch.testing.assert_close(found.weight[:, :, i], attention.pattern(model, tokens[i])[:, -1])
    assert found.weight.std(-1).max() > 1e-3  # inputs differ, so the order of the examples was tested


def test_patterns_are_those_of_the_run_and_sum_to_one(small_run, tokens):
    model = small_run.model()
    pattern = attention.pattern(model, tokens[9])
    assert torch.equal(pattern, capture(model, tokens[9:10])["0.pattern"][0])
    torch.testing.assert_close(pattern.sum(-1), torch.ones(2, 3))
    assert pattern.triu(1).count_nonzero() == 0  # causal
    torch.testing.assert_close(attention.over_inputs(model, tokens).weight.sum(1), torch.ones(2, 49))


def test_chunks_make_no_difference(small_run, tokens, monkeypatch):
    model = small_run.model()
    whole = attention.over_inputs(model, tokens).weight
    monkeypatch.setattr(attention, "CHUNK", 5)
    torch.testing.assert_close(attention.over_inputs(model, tokens).weight, whole)


def test_no_gradients_are_kept(tokens):
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=4), 8, 7, 3, seed=0)
    assert not attention.pattern(model, tokens[0]).requires_grad
    assert not attention.over_inputs(model, tokens).weight.requires_grad


@pytest.mark.parametrize("layer", [2, -1])
def test_a_layer_that_is_not_there_is_refused(pointing, tokens, layer, one_sentence):
    with one_sentence("layer", "0 .. 1", str(layer)):
        attention.pattern(pointing, tokens[0], layer)
    with one_sentence("layer", "0 .. 1", str(layer)):
        attention.over_inputs(pointing, tokens, layer)
