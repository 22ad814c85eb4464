"""The fast path is exact: in float64 its loss and every gradient equal those of the plain forward."""

import itertools
import random

import pytest
import torch
import torch.nn.functional as F

from miii.model import fast
from miii.model.config import ModelConfig
from miii.model.tap import capture
from miii.model.transformer import Transformer
from miii.tasks import ModularAddition

D_VOCAB, D_OUT = 8, 7  # more answers than d_model; fewer are computed in another order
AXES = {
    "n_layers": (1, 2, 3),
    "act": ("relu", "gelu", "sigmoid", "square"),
    "biases": ("none", "mlp", "all"),
    "causal": (True, False),
    "positions": ("learned", "none"),
    "n_ctx": (3, 5),
    "last_varies": (False, True),
    "d_out": (4, 7),
}
#: Some of the 1,152 networks and inputs; every pair of values occurs.
CASES = [
    dict(zip(AXES, values, strict=True))
    for values in random.Random(0).sample(list(itertools.product(*AXES.values())), 40)
]


def network(n_ctx, d_out=D_OUT, **config):
    config = ModelConfig(d_model=6, n_heads=2, d_mlp=9, **config)
    model = Transformer(config, D_VOCAB, d_out, n_ctx, seed=0).double()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.split(".")[-1].startswith("b_"):  # zero at the start, which would hide a missing one
                weight.copy_(torch.randn(weight.shape, generator=generator, dtype=torch.float64) * 0.1)
    return model


def examples(n_ctx, last_varies, batch=40, d_out=D_OUT):
    generator = torch.Generator().manual_seed(2)
    tokens = torch.randint(D_VOCAB, (batch, n_ctx), generator=generator)
    if not last_varies:
        tokens[:, -1] = D_VOCAB - 1
    return tokens, torch.randint(d_out, (batch,), generator=generator)


def test_tokens_of_several_parts_are_sums_of_rows():
    model = network(5, n_layers=2)
    tokens = torch.randint(D_VOCAB, (12, 5, 3), generator=torch.Generator().manual_seed(4))
    tokens[0] = 0  # adds nothing
    rows = model.W_E[tokens] * (tokens > 0)[..., None]
    assert torch.allclose(model.look_up(tokens), rows.sum(2))
    assert not model.look_up(tokens)[0].any()
    chosen = torch.tensor([3, 0, 7])
    plain, quick = model(tokens[chosen])[:, -1], fast.answer_logits(model, fast.plan(tokens).rows(chosen))
    assert torch.allclose(plain, quick, rtol=0, atol=1e-12)
    expected, found = gradients(model, plain.square().sum()), gradients(model, quick.square().sum())
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=0, atol=1e-10), name


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: weight.grad for name, weight in model.named_parameters()}


def assert_exact(found, expected, name):
    error = (found - expected).abs().max().item()
    assert error <= 1e-10 * (1 + expected.abs().max().item()), f"{name} is off by {error}"


def test_the_cases_have_every_pair_of_values():
    pairs = [set(itertools.product(AXES[a], AXES[b])) for a, b in itertools.combinations(AXES, 2)]
    found = [{(case[a], case[b]) for case in CASES} for a, b in itertools.combinations(AXES, 2)]
    assert found == pairs


def test_logits_neurons_and_gradients_equal_those_of_the_plain_forward():
    for case in CASES:
        shape = dict(case)
        n_ctx, last_varies, d_out = (shape.pop(name) for name in ("n_ctx", "last_varies", "d_out"))
        model = network(n_ctx, d_out, **shape)
        tokens, labels = examples(n_ctx, last_varies, d_out=d_out)
        plan, site = fast.plan(tokens), f"{shape['n_layers'] - 1}.mlp_pre"
        plain, quick = model(tokens)[:, -1], fast.answer_logits(model, plan)
        assert_exact(quick, plain, case)
        expected = gradients(model, F.cross_entropy(plain, labels))
        for name, grad in gradients(model, F.cross_entropy(quick, labels)).items():
            assert_exact(grad, expected[name], (name, case))

        neurons, expected_neurons = fast.answer_neurons(model, plan), capture(model, tokens, {site})[site][:, -1]
        assert_exact(neurons, expected_neurons, (site, case))
        expected = gradients(model, expected_neurons.square().sum())
        for name, grad in gradients(model, neurons.square().sum()).items():
            if expected[name] is None:  # what comes after the neurons
                assert grad is None
            else:
                assert_exact(grad, expected[name], (name, case))


def test_dropout_multiplies_the_last_block_s_neurons_at_the_last_position():
    for n_layers, d_out in itertools.product((1, 2), (4, 7)):
        model = network(3, d_out, n_layers=n_layers, biases="all")
        tokens, _ = examples(3, False, d_out=d_out)
        kept = torch.rand(len(tokens), 9, generator=torch.Generator().manual_seed(3), dtype=torch.float64)

        def tap(name, value, n_layers=n_layers, kept=kept):
            if name != f"{n_layers - 1}.mlp_post":
                return value
            return torch.cat([value[:, :-1], value[:, -1:] * kept[:, None]], 1)

        found = fast.answer_logits(model, fast.plan(tokens), {f"{n_layers - 1}.mlp_post": kept})
        assert_exact(found, model(tokens, tap)[:, -1], (n_layers, d_out))


def test_dropout_of_the_residual_stream_multiplies_it_after_every_mixer_and_mlp():
    """Masks for each example, and one for all."""
    for block, n_layers, rows in itertools.product(("plain", "pre-norm", "sas-p"), (1, 2), (40, 1)):
        model = network(3, 4, n_layers=n_layers, block=block)
        tokens, _ = examples(3, False, d_out=4)
        halves = ("resid_post",) if block == "sas-p" else ("resid_mid", "resid_post")
        generator = torch.Generator().manual_seed(3)
        masks = {
            f"{layer}.{half}": torch.rand(rows, model.config.d_model, generator=generator, dtype=torch.float64)
            for layer in range(n_layers)
            for half in halves
        }

        def tap(name, value, masks=masks):
            return value * masks[name][:, None] if name in masks else value

        found = fast.answer_logits(model, fast.plan(tokens), masks)
        assert_exact(found, model(tokens, tap)[:, -1], (block, n_layers, rows))


def test_other_weights_are_noticed():
    """The comparisons above can fail."""
    model = network(3, biases="all")
    tokens, _ = examples(3, False)
    logits = fast.answer_logits(model, fast.plan(tokens))
    with torch.no_grad():
        model.blocks[0].b_K += 0.1  # softmax cancels what all keys share
    assert_exact(fast.answer_logits(model, fast.plan(tokens)), logits, "b_K")
    with torch.no_grad():
        model.blocks[0].b_V += 1e-8
    with pytest.raises(AssertionError, match="off by"):
        assert_exact(model(tokens)[:, -1], logits, "b_V")


def test_a_plan_has_each_token_once_a_position_and_returns_the_tokens():
    tokens, _ = examples(5, True)
    plan = fast.plan(tokens)
    assert torch.equal(plan.token[plan.index], tokens)
    assert torch.equal(plan.position[plan.index], torch.arange(5).expand_as(tokens))
    assert torch.equal(plan.token[plan.readers][plan.reader], tokens[:, -1])
    plan = fast.plan(ModularAddition(p=7).build().tokens)
    assert (len(plan.token), len(plan.readers)) == (2 * 7 + 1, 1)


def test_rows_of_a_plan_give_the_rows_of_its_logits():
    tokens, _ = examples(3, True)
    for n_layers, rows in itertools.product((1, 2), ([0], [3, 1, 3], list(range(39, -1, -1)))):
        model, rows = network(3, n_layers=n_layers), torch.tensor(rows)
        assert_exact(fast.answer_logits(model, fast.plan(tokens).rows(rows)), model(tokens[rows])[:, -1], n_layers)
    one = network(1)
    tokens, _ = examples(1, True)
    assert_exact(fast.answer_logits(one, fast.plan(tokens)), one(tokens)[:, -1], "one position")
