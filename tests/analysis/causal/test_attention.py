"""Attention on heads with known targets; QK and OV against forward passes."""

import pytest
import torch

import miii
from miii.analysis.causal import attention, direct
from miii.model.tap import capture

P = 5
TASK = miii.ModularAddition(p=P).build()


@pytest.fixture
def pointing():
    """In layer 1, head 0 attends to a, head 1 to b, head 2 uniformly, from every position."""
    config = miii.ModelConfig(n_layers=2, d_model=12, n_heads=3, d_mlp=4, biases="none")
    model = miii.Transformer(config, d_vocab=8, d_vocab_out=7, n_ctx=3)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_pos[:, :4] = torch.eye(3, 4)
        model.W_pos[:, 3] = 1  # the same query everywhere
        for head, position in ((0, 0), (1, 1)):
            model.blocks[1].W_Q[head, 3, 0] = 100
            model.blocks[1].W_K[head, position, 0] = 100
    return model


@pytest.fixture
def tokens():
    return miii.ModularAddition(p=7).build().tokens


def test_attention_of_pointing_heads(pointing, tokens):
    expected = torch.tensor([[1, 0, 0], [0, 1, 0], [1 / 3, 1 / 3, 1 / 3]])
    torch.testing.assert_close(attention.pattern(pointing, tokens[5], layer=1)[:, -1], expected)
    torch.testing.assert_close(attention.pattern(pointing, tokens[5])[:, -1], torch.full((3, 3), 1 / 3))
    found = attention.over_inputs(pointing, tokens, layer=1)
    torch.testing.assert_close(found.weight, expected[:, :, None].expand(3, 3, 49))
    torch.testing.assert_close(found.mean(), expected)
    assert found.layer == 1


def test_attention_matches_captured_activations():
    """Also for different last tokens, and for examples shorter than the context, which take no shortcut."""
    for causal in [True, False]:
        config = miii.ModelConfig(n_layers=2, d_model=8, n_heads=2, d_mlp=4, biases="all", causal=causal)
        model = miii.Transformer(config, 8, 7, 4, seed=0).double()
        for name, weight in model.named_parameters():
            weight.data += 0.3 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name))).double()
        for length in (4, 3):
            tokens = torch.randint(0, 8, (20, length), generator=torch.Generator().manual_seed(1))
            acts = capture(model, tokens)
            for layer in range(2):
                expected = acts[f"{layer}.pattern"][:, :, -1].permute(1, 2, 0)
                weight = attention.over_inputs(model, tokens, layer).weight
                torch.testing.assert_close(weight, expected)
                z, resid = attention.at_end(model, tokens, layer)
                torch.testing.assert_close(z, acts[f"{layer}.z"][:, -1])
                torch.testing.assert_close(resid, acts[f"{layer}.resid_pre"][:, -1])
                pattern = attention.pattern(model, tokens[9], layer)
                torch.testing.assert_close(pattern, acts[f"{layer}.pattern"][9])
                assert not any(value.requires_grad for value in (weight, z, resid, pattern))
        assert expected.std(-1).max() > 0.01


def test_a_missing_layer_is_an_error(pointing, tokens, random_model, one_sentence):
    calls = [lambda layer: attention.pattern(pointing, tokens[0], layer)]
    calls += [lambda layer, f=f: f(pointing, tokens, layer) for f in (attention.over_inputs, attention.at_end)]
    calls += [lambda layer, f=f: f(random_model(2), layer) for f in (attention.qk, attention.ov)]
    for layer in (-1, 2):
        for call in calls:
            with one_sentence("layer", "0 .. 1", str(layer)):
                call(layer)
    for pos in (-1, 3):
        with one_sentence("pos", "0 .. 2", str(pos)):
            attention.ov(random_model(2), pos=pos)


# ---- QK and OV ----


def test_softmax_of_qk_is_the_pattern(random_model):
    model = random_model()
    for query in range(P + 1):
        tokens = TASK.tokens.clone()
        tokens[:, -1] = query
        scores = attention.qk(model, queries=torch.tensor([query]))[:, 0]
        own = torch.stack([scores[:, pos, tokens[:, pos]] for pos in range(3)], dim=-1)  # head example pos
        expected = capture(model, tokens, {"0.pattern"})["0.pattern"][:, :, -1].transpose(0, 1)
        torch.testing.assert_close(own.softmax(-1), expected)
    assert expected.std(1).max() > 0.05


def test_qk_by_query_layer_and_position(random_model):
    model = random_model(2)
    scores = attention.qk(model, layer=1)
    assert scores.shape == (2, P + 1, 3, P + 1)
    torch.testing.assert_close(scores[:, [P, 2]], attention.qk(model, 1, torch.tensor([P, 2])))
    assert not torch.allclose(scores, attention.qk(model, layer=0))
    shift = scores[:, :, 1] - scores[:, :, 0]  # a position shifts a row
    torch.testing.assert_close(shift, shift[..., :1].expand_as(shift))


def test_ov_weighted_by_attention_is_what_a_head_writes(random_model):
    for biases in ("all", "none"):
        model = random_model(biases=biases)
        pattern = attention.over_inputs(model, TASK.tokens).weight
        terms = [pattern[:, pos, :, None] * attention.ov(model, pos=pos)[:, TASK.tokens[:, pos]] for pos in range(3)]
        torch.testing.assert_close(direct.head_logits(model, TASK.tokens), sum(terms))


def test_ov_without_position(random_model):
    model = random_model(2)
    token_only = attention.ov(model, layer=1)
    for pos in range(3):
        constant = attention.ov(model, layer=1, pos=pos) - token_only  # the position's and the bias's part
        torch.testing.assert_close(constant, constant[:, :1].expand_as(constant))
        assert constant.abs().max() > 0.01
    torch.testing.assert_close(token_only.mean(-1), torch.zeros(2, P + 1).double(), atol=1e-12, rtol=0)


# ---- spectrum over the operands ----


def over_pairs(*weights):
    return attention.OverInputs(0, torch.stack([weight.flatten() for weight in weights])[:, None].float())


def test_rhythm_of_known_waves():
    n = torch.arange(11) * 2 * torch.pi / 11
    a, b = n[:, None].expand(11, 11), n.expand(11, 11)
    of_a, of_b, both = 0.5 + 0.3 * (3 * a).cos(), 0.2 * (5 * b).sin(), 0.1 * (2 * a).sin() * (4 * b).cos()
    found = attention.periodicity(over_pairs(of_a, of_b, both, of_a + of_b, torch.full((11, 11), 1 / 3)))
    expected = torch.zeros(5, 1, 6, 6, dtype=torch.float64)
    expected[0, 0, 3, 0] = expected[1, 0, 0, 5] = expected[2, 0, 2, 4] = 1
    expected[3, 0, 3, 0], expected[3, 0, 0, 5] = 9 / 13, 4 / 13  # the variances are 0.3^2 / 2 and 0.2^2 / 2
    close = {"atol": 1e-6, "rtol": 0}
    torch.testing.assert_close(found.power, expected, **close)  # constant attention has no power
    deviation = torch.tensor([0.3 / 2**0.5, 0.2 / 2**0.5, 0.05, 0.13**0.5 / 2**0.5, 0]).double()
    torch.testing.assert_close(found.deviation[:, 0], deviation, **close)
    torch.testing.assert_close(found.of_a()[:, 0], torch.tensor([1, 0, 0, 9 / 13, 0]).double(), **close)
    torch.testing.assert_close(found.of_b()[:, 0], torch.tensor([0, 1, 0, 4 / 13, 0]).double(), **close)
    assert found.single()[0, 0].argmax() == 3 - 1
    assert found.single()[2].sum() == pytest.approx(0, abs=1e-6)  # a product of two frequencies is not single
    diagonal = attention.periodicity(over_pairs((2 * a).cos() * (2 * b).cos()))
    assert diagonal.single()[0, 0, 1] == pytest.approx(1)


def test_rhythm_of_a_run(small_run, tokens, one_sentence):
    over = attention.over_inputs(small_run.model(), tokens)
    found = attention.periodicity(over)
    torch.testing.assert_close(found.deviation.float(), over.weight.std(-1, correction=0), rtol=1e-4, atol=1e-7)
    assert ((found.power.sum((-2, -1)) - 1).abs() < 1e-9).all()
    with one_sentence("over", "48"):
        attention.periodicity(attention.over_inputs(small_run.model(), tokens[:48]))
