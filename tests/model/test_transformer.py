"""The network against loops written out, and against weights set by hand."""

import math

import pytest
import torch

import miii
from miii.model.config import ModelConfig
from miii.model.tap import capture
from miii.model.transformer import Transformer


def randomized(config, d_vocab=10, d_vocab_out=9, n_ctx=4, seed=0):
    """A float64 network with nonzero biases."""
    model = Transformer(config, d_vocab, d_vocab_out, n_ctx, seed=seed).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-1].startswith("b_"):
                weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.1)
    return model.requires_grad_(False)


def tokens(batch=5, pos=4, d_vocab=10, seed=3):
    return torch.randint(d_vocab, (batch, pos), generator=torch.Generator().manual_seed(seed))


def by_hand(model, example):
    """One example's logits [pos, d_vocab_out], every equation of the paper written out position by position."""
    weights, zero = model.state_dict(), torch.zeros(())
    x = [weights["W_E"][token] + weights["W_pos"][i] for i, token in enumerate(example.tolist())]
    for layer in range(model.config.n_layers):
        start = f"blocks.{layer}."
        block = {n.removeprefix(start): w for n, w in weights.items() if n.startswith(start)}
        x = [mlp_by_hand(model.config, block, attention_by_hand(model.config, block, x, i)) for i in range(len(x))]
    return torch.stack([row @ weights["W_U"] + weights.get("b_U", zero) for row in x])


def attention_by_hand(config, w, x, query):
    mid, zero = x[query] + w.get("b_O", torch.zeros(())), torch.zeros(config.n_heads)
    for h in range(config.n_heads):
        keys = range(query + 1) if config.causal else range(len(x))
        q = x[query] @ w["W_Q"][h] + w.get("b_Q", zero)[h]
        k = [x[key] @ w["W_K"][h] + w.get("b_K", zero)[h] for key in keys]
        v = [x[key] @ w["W_V"][h] + w.get("b_V", zero)[h] for key in keys]
        weight = [math.exp(q @ each / math.sqrt(config.d_head)) for each in k]
        z = sum(a * each for a, each in zip(weight, v, strict=True)) / sum(weight)
        mid = mid + z @ w["W_O"][h]
    return mid


def mlp_by_hand(config, w, mid):
    pre, zero = mid @ w["W_in"] + w.get("b_in", torch.zeros(())), torch.zeros(())
    match config.act:
        case "relu":
            post = pre.clamp(min=0)
        case "gelu":
            post = pre * 0.5 * (1 + torch.erf(pre / math.sqrt(2)))
        case "square":
            post = pre * pre
        case "sigmoid":
            post = 1 / (1 + torch.exp(-pre))
    return mid + post @ w["W_out"] + w.get("b_out", zero)


def test_the_forward_pass_is_the_equations():
    for n_layers, act, biases, causal, positions in (
        (1, "relu", "none", True, "learned"),
        (1, "gelu", "all", False, "none"),
        (2, "square", "mlp", True, "none"),
        (2, "gelu", "none", False, "learned"),
        (3, "relu", "all", True, "learned"),
        (1, "sigmoid", "mlp", False, "learned"),
    ):
        config = ModelConfig(
            n_layers=n_layers, d_model=6, n_heads=3, d_mlp=7, act=act, biases=biases, causal=causal, positions=positions
        )
        model, batch = randomized(config), tokens(batch=2)
        torch.testing.assert_close(
            model(batch), torch.stack([by_hand(model, e) for e in batch]), rtol=1e-11, atol=1e-11
        )


def test_the_mask_alone_hides_later_tokens():
    causal, full = (
        randomized(ModelConfig(n_layers=2, d_model=6, n_heads=2, d_mlp=7, causal=causal)) for causal in (True, False)
    )
    batch = tokens()
    for changed in range(1, 4):
        other = batch.clone()
        other[:, changed] = (other[:, changed] + 1) % 10
        assert torch.equal(causal(batch)[:, :changed], causal(other)[:, :changed])
        assert not torch.allclose(causal(batch)[:, changed:], causal(other)[:, changed:])
        assert (full(batch)[:, :changed] - full(other)[:, :changed]).abs().amax((1, 2)).min() > 1e-6
    torch.testing.assert_close(causal(batch[:, :2]), causal(batch)[:, :2])  # the first positions


def test_without_positions_their_vectors_are_zero_and_are_not_trained():
    model = randomized(ModelConfig(d_model=6, n_heads=3, d_mlp=7, positions="none"))
    assert torch.equal(model.state_dict()["W_pos"], torch.zeros(4, 6, dtype=torch.float64))  # files look alike
    assert "W_pos" not in dict(model.named_parameters())
    assert capture(model, tokens())["pos_embed"].count_nonzero() == 0


def test_without_positions_and_mask_the_order_of_the_tokens_does_not_matter():
    blind, seeing = (
        randomized(ModelConfig(d_model=6, n_heads=3, d_mlp=7, causal=False, positions=positions))
        for positions in ("none", "learned")
    )
    batch = tokens()
    moved = batch[:, [1, 2, 0, 3]]
    torch.testing.assert_close(blind(batch)[:, -1], blind(moved)[:, -1], rtol=1e-12, atol=1e-12)
    assert not torch.allclose(seeing(batch)[:, -1], seeing(moved)[:, -1])


def test_weights_have_transformer_lens_names_and_layouts():
    config = ModelConfig(d_model=6, n_heads=3, d_mlp=7, biases="all")
    shapes = {n: tuple(w.shape) for n, w in Transformer(config, 10, 9, 4).state_dict().items()}
    heads = {f"blocks.0.{n}": (3, 6, 2) for n in ("W_Q", "W_K", "W_V")} | {"blocks.0.W_O": (3, 2, 6)}
    biases = {f"blocks.0.{n}": (3, 2) for n in ("b_Q", "b_K", "b_V")} | {"blocks.0.b_O": (6,)}
    mlp = {"W_in": (6, 7), "W_out": (7, 6), "b_in": (7,), "b_out": (6,)}
    outside = {"W_E": (10, 6), "W_pos": (4, 6), "W_U": (6, 9), "b_U": (9,)}
    assert shapes == heads | biases | {f"blocks.0.{n}": shape for n, shape in mlp.items()} | outside


def test_biases_are_where_the_config_puts_them():
    some = {"b_in", "b_out"}
    for biases, names in {"none": set(), "mlp": some, "all": some | {"b_Q", "b_K", "b_V", "b_O", "b_U"}}.items():
        model = Transformer(ModelConfig(d_model=6, n_heads=3, d_mlp=7, biases=biases), 10, 9, 4)
        assert {n.split(".")[-1] for n in model.state_dict() if n.split(".")[-1].startswith("b_")} == names


def test_initial_weights_have_the_spread_of_nanda_et_al():
    model = Transformer(ModelConfig(biases="all"), d_vocab=114, d_vocab_out=113, n_ctx=3, seed=0)
    for name, weight in model.named_parameters():
        if name.split(".")[-1].startswith("b_"):
            assert weight.count_nonzero() == 0
        else:
            std = 1 / math.sqrt(114 if name == "W_U" else 128)
            spread = 5 * std / math.sqrt(2 * weight.numel())  # five standard errors
            assert weight.std().item() == pytest.approx(std, abs=spread), name
            assert weight.mean().abs().item() < 5 * std / math.sqrt(weight.numel()), name


def test_the_seed_alone_decides_the_initial_weights(same):
    for mixer in ("attention", "gru"):
        config = ModelConfig(d_model=6, n_heads=3, d_mlp=7, mixer=mixer)
        torch.manual_seed(1)
        first = Transformer(config, 10, 9, 4, seed=5).state_dict()
        torch.manual_seed(2)
        untouched = torch.rand(3)
        torch.manual_seed(2)
        again, other = (Transformer(config, 10, 9, 4, seed=seed).state_dict() for seed in (5, 6))
        assert torch.equal(torch.rand(3), untouched)
        assert same(first, again)
        assert not same(first, other)


def test_weights_set_by_hand_add_exactly(adder):
    for p, frequencies, n_heads in ((7, (1,), 1), (31, (3, 8, 14), 2), (113, (14, 35, 41, 42, 52), 1)):
        model, task = adder(p, frequencies, n_heads), miii.ModularAddition(p=p).build()
        assert torch.equal(miii.answer(model, task.tokens), task.labels)
        with torch.no_grad():
            logits = model.double()(task.tokens)[:, -1]
        a, b = task.tokens[:, :1].double(), task.tokens[:, 1:2].double()
        expected = torch.zeros(p * p, p, dtype=torch.float64)
        for k in frequencies:
            w = 2 * math.pi * k / p
            expected += 2 * (1 + (w * (a - b)).cos()) * (w * (a + b - torch.arange(p))).cos()
        torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-5)


def test_weights_set_by_hand_attend_evenly(adder):
    pattern = capture(adder(7, (1,), 2), miii.ModularAddition(p=7).build().tokens)["0.pattern"]
    torch.testing.assert_close(pattern[:, :, -1], torch.full((49, 2, 3), 1 / 3))


def test_a_network_of_a_task_has_its_sizes_and_its_frames():
    task = miii.Frames(low=100, high=399, frames=3, largest_step=3).build()
    config = miii.ModelConfig(d_model=8, n_heads=2, d_mlp=6, positions="frames")
    model = miii.Transformer.of(config, task, seed=3)
    assert model.W_E.shape == (task.d_vocab, 8)
    assert model.W_U.shape == (8, task.d_vocab_out)
    assert (model.W_step.shape, model.W_slot.shape) == ((3, 8), (5, 8))
    places = model.places()
    assert len(places) == task.n_ctx == 14
    for i in range(14):
        assert torch.equal(places[i], model.W_step[i // 5] + model.W_slot[i % 5])
    same = miii.Transformer(config, task.d_vocab, task.d_vocab_out, task.n_ctx, 3, 5)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), same.parameters(), strict=True))


def test_frames_need_a_task_that_has_them(one_sentence):
    with one_sentence("positions", "learned or none"):
        miii.Transformer(ModelConfig(positions="frames"), 8, 7, 7)
