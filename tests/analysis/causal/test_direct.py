"""What each part writes to the logits is what they lose without it."""

import pytest
import torch

import miii
from miii.analysis.causal import attention, direct
from miii.model.tap import capture, intervene

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


def centred(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(-1, keepdim=True)


def without(model: miii.Transformer, name: str, change) -> torch.Tensor:
    """The centred logits once one activation is changed, and heads and MLPs do not answer to it."""
    acts = capture(model, TASK.tokens)
    frozen = {n: value for n, value in acts.items() if n.endswith((".z", ".mlp_out"))}
    return centred(intervene(model, TASK.tokens, frozen | {name: change(acts[name])})[:, -1])


@pytest.mark.parametrize("n_layers", [1, 2])
def test_contributions_are_what_the_logits_lose_when_all_else_is_frozen(n_layers):
    model = network(n_layers)
    logits = centred(model(TASK.tokens)[:, -1])
    right = (torch.arange(P * P), TASK.labels)
    found = direct.contributions(model, TASK.tokens, TASK.labels)
    by_name = dict(zip(found.names, found.values, strict=True))
    for layer in range(n_layers):
        for head in range(2):
            lost = logits - without(model, f"{layer}.z", miii.zero_head(head))
            torch.testing.assert_close(direct.head_logits(model, TASK.tokens, layer)[head], lost)
            torch.testing.assert_close(by_name[f"head {layer}.{head}"], lost[right])
        lost = logits - without(model, f"{layer}.mlp_out", torch.zeros_like)
        torch.testing.assert_close(by_name[f"MLP {layer}"], lost[right])
    lost = logits - without(model, "embed", torch.zeros_like) + logits - without(model, "pos_embed", torch.zeros_like)
    torch.testing.assert_close(by_name["embedding"], lost[right])
    torch.testing.assert_close(found.values.sum(0), logits[right])
    assert len(by_name) == 3 * n_layers + 2


def test_sums_of_contributions():
    model = network(2)
    found = direct.contributions(model, TASK.tokens, TASK.labels)
    right = (torch.arange(P * P), TASK.labels)
    assert found.total() == pytest.approx(centred(model(TASK.tokens)[:, -1])[right].mean().item())
    assert found.of("head") == pytest.approx(found.mean()[[1, 2, 4, 5]].sum().item())
    assert found.of("MLP") == pytest.approx(found.mean()[[3, 6]].sum().item())
    kinds = ("embedding", "head", "MLP", "biases")
    assert sum(found.of(kind) for kind in kinds) == pytest.approx(found.total())


@pytest.mark.parametrize("biases", ["none", "mlp"])
def test_without_biases_their_part_is_zero(biases):
    found = direct.contributions(network(biases=biases), TASK.tokens, TASK.labels)
    assert found.of("biases") == 0
    assert found.names[-1] == "biases"


def test_the_planted_network_answers_through_its_neurons_alone(adder):
    task = miii.ModularAddition(p=11).build()
    model = adder(11, (2, 3), n_heads=2)
    found = direct.contributions(model, task.tokens, task.labels)
    assert found.of("head") == 0
    assert found.of("MLP") == pytest.approx(found.total(), rel=1e-5)
    assert found.total() > 1
    assert direct.head_logits(model, task.tokens).count_nonzero() == 0
    assert attention.ov(model).count_nonzero() == 0
    assert attention.qk(model).count_nonzero() == 0


def test_chunks_make_no_difference(monkeypatch):
    model = network(2)
    whole = direct.contributions(model, TASK.tokens, TASK.labels).values, direct.head_logits(model, TASK.tokens, 1)
    monkeypatch.setattr("miii.analysis.activations.NUMBERS", 7 * 3 * 64)
    torch.testing.assert_close(direct.contributions(model, TASK.tokens, TASK.labels).values, whole[0])
    torch.testing.assert_close(direct.head_logits(model, TASK.tokens, 1), whole[1])


@pytest.mark.parametrize("layer", [-1, 2])
def test_a_layer_that_is_not_there_is_refused(layer, one_sentence):
    with one_sentence("layer", "0 .. 1", str(layer)):
        direct.head_logits(network(2), TASK.tokens, layer)
