"""Direct contributions against what the logits lose without a part."""

import pytest
import torch

import miii
from miii.analysis.causal import attention, direct
from miii.model.tap import capture, intervene

P = 5
TASK = miii.ModularAddition(p=P).build()
CORRECT = (torch.arange(P * P), TASK.labels)


def centered(logits: torch.Tensor) -> torch.Tensor:
    return logits - logits.mean(-1, keepdim=True)


def without(model: miii.Transformer, name: str, change) -> torch.Tensor:
    """The centered logits with one activation changed and all heads and MLPs frozen."""
    acts = capture(model, TASK.tokens)
    frozen = {n: value for n, value in acts.items() if n.endswith((".z", ".mlp_out"))}
    return centered(intervene(model, TASK.tokens, frozen | {name: change(acts[name])})[:, -1])


def test_contributions_are_what_the_logits_lose(random_model):
    for n_layers in [1, 2]:
        model = random_model(n_layers)
        logits = centered(model(TASK.tokens)[:, -1])
        found = direct.contributions(model, TASK.tokens, TASK.labels)
        by_name = dict(zip(found.names, found.values, strict=True))
        for layer in range(n_layers):
            for head in range(2):
                lost = logits - without(model, f"{layer}.z", miii.zero_head(head))
                torch.testing.assert_close(direct.head_logits(model, TASK.tokens, layer)[head], lost)
                torch.testing.assert_close(by_name[f"head {layer}.{head}"], lost[CORRECT])
            lost = logits - without(model, f"{layer}.mlp_out", torch.zeros_like)
            torch.testing.assert_close(by_name[f"MLP {layer}"], lost[CORRECT])
        lost = (
            logits - without(model, "embed", torch.zeros_like) + logits - without(model, "pos_embed", torch.zeros_like)
        )
        torch.testing.assert_close(by_name["embedding"], lost[CORRECT])
        torch.testing.assert_close(found.values.sum(0), logits[CORRECT])
        assert len(by_name) == 3 * n_layers + 2


def test_sums_of_contributions(random_model, monkeypatch):
    model = random_model(2)
    found = direct.contributions(model, TASK.tokens, TASK.labels)
    assert found.total() == pytest.approx(centered(model(TASK.tokens)[:, -1])[CORRECT].mean().item())
    assert found.of("head") == pytest.approx(found.mean()[[1, 2, 4, 5]].sum().item())
    assert found.of("MLP") == pytest.approx(found.mean()[[3, 6]].sum().item())
    assert sum(found.of(kind) for kind in ("embedding", "head", "MLP", "biases")) == pytest.approx(found.total())
    monkeypatch.setattr("miii.analysis.activations.NUMBERS", 7 * 3 * 12)
    torch.testing.assert_close(direct.contributions(model, TASK.tokens, TASK.labels).values, found.values)


def test_biases_contribute_nothing_if_there_are_none(random_model):
    for biases in ("none", "mlp"):
        found = direct.contributions(random_model(biases=biases), TASK.tokens, TASK.labels)
        assert found.names[-1] == "biases"
        assert found.of("biases") == 0


def test_the_planted_network_answers_through_its_neurons(adder):
    task = miii.ModularAddition(p=11).build()
    model = adder(11, (2, 3), n_heads=2)
    found = direct.contributions(model, task.tokens, task.labels)
    assert found.of("head") == 0
    assert found.of("MLP") == pytest.approx(found.total(), rel=1e-5)
    assert found.total() > 1
    for matrix in (direct.head_logits(model, task.tokens), attention.ov(model), attention.qk(model)):
        assert matrix.count_nonzero() == 0


def test_a_missing_layer_is_an_error(random_model, one_sentence):
    for layer in (-1, 2):
        with one_sentence("layer", "0 .. 1", str(layer)):
            direct.head_logits(random_model(2), TASK.tokens, layer)
