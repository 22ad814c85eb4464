"""Where heads look, on networks told where to look."""

import pytest
import torch

import miii
from miii.analysis.causal import attention
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


def test_chunks_make_no_difference(tokens, monkeypatch):
    model = miii.Transformer(miii.ModelConfig(n_layers=2, d_model=8, n_heads=2, d_mlp=4, biases="none"), 8, 7, 3, 0)
    whole = attention.over_inputs(model, tokens, 1).weight
    monkeypatch.setattr("miii.analysis.activations.NUMBERS", 5 * 3 * 64)
    torch.testing.assert_close(attention.over_inputs(model, tokens, 1).weight, whole)


@pytest.mark.parametrize("n_layers", [1, 2])
@pytest.mark.parametrize("causal", [True, False])
def test_the_short_way_in_the_first_layer_leads_to_the_same(n_layers, causal):
    """Also where examples differ in their last token, and where they are shorter than the context."""
    config = miii.ModelConfig(n_layers=n_layers, d_model=8, n_heads=2, d_mlp=4, biases="all", causal=causal)
    model = miii.Transformer(config, 8, 7, 4, seed=0).double().requires_grad_(False)
    for name, weight in model.named_parameters():
        weight += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))).double()
    for length in (4, 3):
        tokens = torch.randint(0, 8, (20, length), generator=torch.Generator().manual_seed(1))
        for layer in range(n_layers):
            acts = capture(model, tokens)
            expected = acts[f"{layer}.pattern"][:, :, -1].permute(1, 2, 0)
            torch.testing.assert_close(attention.over_inputs(model, tokens, layer).weight, expected)
            z, resid = attention.at_end(model, tokens, layer)
            torch.testing.assert_close(z, acts[f"{layer}.z"][:, -1])
            torch.testing.assert_close(resid, acts[f"{layer}.resid_pre"][:, -1])
    assert expected.std(-1).max() > 0.01


def test_no_gradients_are_kept(tokens):
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=4), 8, 7, 3, seed=0)
    assert not attention.pattern(model, tokens[0]).requires_grad
    assert not attention.over_inputs(model, tokens).weight.requires_grad
    assert not any(value.requires_grad for value in attention.at_end(model, tokens))


@pytest.mark.parametrize("layer", [2, -1])
def test_a_layer_that_is_not_there_is_refused(pointing, tokens, layer, one_sentence):
    with one_sentence("layer", "0 .. 1", str(layer)):
        attention.pattern(pointing, tokens[0], layer)
    for call in (attention.over_inputs, attention.at_end):
        with one_sentence("layer", "0 .. 1", str(layer)):
            call(pointing, tokens, layer)


# ---- in which rhythm ----


def over_pairs(*weights):
    return attention.OverInputs(0, torch.stack([weight.flatten() for weight in weights])[:, None].float())


def test_a_rhythm_is_found_where_it_was_put():
    n = torch.arange(11) * 2 * torch.pi / 11
    a, b = n[:, None].expand(11, 11), n.expand(11, 11)
    of_a, of_b, both = 0.5 + 0.3 * (3 * a).cos(), 0.2 * (5 * b).sin(), 0.1 * (2 * a).sin() * (4 * b).cos()
    found = attention.rhythm(over_pairs(of_a, of_b, both, of_a + of_b, torch.full((11, 11), 1 / 3)))
    assert found.power.shape == (5, 1, 6, 6)
    expected = torch.zeros(5, 1, 6, 6, dtype=torch.float64)
    expected[0, 0, 3, 0] = expected[1, 0, 0, 5] = expected[2, 0, 2, 4] = 1
    expected[3, 0, 3, 0], expected[3, 0, 0, 5] = 9 / 13, 4 / 13  # the variances are 0.3^2 / 2 and 0.2^2 / 2
    torch.testing.assert_close(found.power, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(
        found.deviation[:, 0], torch.tensor([0.3 / 2**0.5, 0.2 / 2**0.5, 0.05, 0.13**0.5 / 2**0.5, 0]).double(),
        atol=1e-6, rtol=0,
    )  # fmt: skip
    torch.testing.assert_close(found.of_a()[:, 0], torch.tensor([1, 0, 0, 9 / 13, 0]).double(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found.of_b()[:, 0], torch.tensor([0, 1, 0, 4 / 13, 0]).double(), atol=1e-6, rtol=0)
    assert found.single()[0, 0].argmax() == 3 - 1
    assert found.single()[2].sum() == pytest.approx(0, abs=1e-6)  # two frequencies are not a single one
    assert found.power[4].count_nonzero() == 0  # what does not vary has no rhythm, not even that of its rounding


def test_the_deviation_is_that_of_the_weights(small_run, tokens):
    over = attention.over_inputs(small_run.model(), tokens)
    found = attention.rhythm(over)
    torch.testing.assert_close(found.deviation.float(), over.weight.std(-1, correction=0), rtol=1e-4, atol=1e-7)
    assert ((found.power.sum((-2, -1)) - 1).abs() < 1e-9).all()


def test_the_rhythm_of_some_of_the_pairs_is_refused(small_run, tokens, one_sentence):
    with one_sentence("over", "48"):
        attention.rhythm(attention.over_inputs(small_run.model(), tokens[:48]))
