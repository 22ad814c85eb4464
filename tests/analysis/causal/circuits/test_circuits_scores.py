"""The four methods, each against the definition of what it computes."""

import math

import pytest
import torch

import miii
from miii.analysis.causal import circuits

CHEAP = ("acdc", "eap", "eap-ig")


def patched(drawn, edge, share: float = 1.0) -> float:
    """The metric if one edge carries a share of the corrupted writing; by replacing one activation of the model."""
    i = drawn.graph.edges.index(edge)
    _, position, writer = drawn.graph.index[i].tolist()
    change = share * (drawn.corrupt.writes - drawn.clean.writes)[position, writer]
    model, layer, head = drawn.model, edge.target.layer, edge.target.head
    if edge.kind == "logits":
        name, there, change = "logits", (slice(None), position), change @ model.W_U
    elif edge.kind == "mlp":
        name, there, change = f"{layer}.mlp_pre", (slice(None), position), change @ model.blocks[layer].W_in
    else:
        W = getattr(model.blocks[layer], f"W_{edge.kind.upper()}")[head]
        name, there, change = f"{layer}.{edge.kind}", (slice(None), position, head), change @ W

    def replace(value):
        value = value.clone()
        value[there] += change
        return value

    logits = miii.intervene(model, drawn.tokens, {name: replace})[:, -1]
    rows = torch.arange(len(logits))
    return (logits[rows, drawn.labels] - logits[rows, drawn.corrupted_labels]).mean().item()


# ---- exact ----


def test_exact_scores_match_one_intervention_an_edge(drawn):
    scores = circuits.exact(drawn)
    whole = patched(drawn, drawn.graph.edges[0], 0.0)
    expected = [whole - patched(drawn, edge) for edge in drawn.graph.edges]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-9)
    assert scores.min() < -1e-3 < 1e-3 < scores.max()


def test_methods_find_the_live_edges_of_a_network_with_a_dead_head(dead_head, task, live):
    for method in CHEAP:
        for weight in ["W_O", "W_V"]:
            truth, found = (circuits.find(dead_head(weight), task, which) for which in ("exact", method))
            assert {edge.name for edge in truth.edges[: len(live)]} == live
            result = circuits.agreement(found, truth)
            assert result.positives == len(live)
            assert result.auroc == 1
            assert truth.faithfulness.f[len(live)] == pytest.approx(1, abs=1e-12)
            assert max(map(abs, truth.faithfulness.f[: len(live)])) < 0.95


# ---- gradients ----


def test_eap_is_a_derivative(network, task):
    drawn = circuits.draw_experiment(network(n_layers=2, biases="all"), task, examples=11)
    scores, step = circuits.eap(drawn), 1e-4
    for i, edge in enumerate(drawn.graph.edges):
        slope = (patched(drawn, edge, -step) - patched(drawn, edge, step)) / (2 * step)
        assert scores[i].item() == pytest.approx(slope, rel=1e-5, abs=1e-7), edge.name


def test_one_step_of_eap_ig_is_eap(drawn):
    assert torch.equal(circuits.eap_ig(drawn, steps=1), circuits.eap(drawn))
    assert not torch.allclose(circuits.eap_ig(drawn), circuits.eap(drawn))


def test_integrated_gradients_are_complete(network, task):
    """Completeness: Sundararajan et al. 2017 (arXiv 1703.01365), proposition 1."""
    drawn = circuits.draw_experiment(network(), task, examples=11)
    embed = torch.tensor([edge.source.kind == "embed" for edge in drawn.graph.edges])
    whole = torch.ones_like(embed)
    difference = drawn.metric(circuits.run(drawn, whole)) - drawn.metric(circuits.run(drawn, ~whole))
    errors = [abs(circuits.eap_ig(drawn, steps=n)[embed].sum().item() - difference) for n in (5, 100)]
    assert errors[1] < 0.05 * abs(difference)
    assert errors[1] < errors[0] / 10  # the error of a sum of n terms falls like 1 / n


# ---- ACDC ----


def slow_acdc(drawn, slow, tau: float) -> set[str]:
    """Algorithm 1 word by word: readers from the output to the input, for each its writers."""
    logs = torch.log_softmax(drawn.model(drawn.tokens)[:, -1], -1)

    def divergence(mask: set[str]) -> float:
        other = torch.log_softmax(slow(drawn, mask).logits(), -1)
        return torch.nn.functional.kl_div(other, logs, log_target=True, reduction="batchmean").item()

    kept = {edge.name for edge in drawn.graph.edges}
    readers = list(dict.fromkeys(edge.reader for edge in reversed(drawn.graph.edges)))
    for reader in readers:
        for edge in reversed([edge for edge in drawn.graph.edges if edge.reader == reader]):
            without = kept - {edge.name}
            if divergence(without) - divergence(kept) < tau:
                kept = without
    return kept


def test_acdc_matches_a_literal_implementation(network, task, slow):
    for tau in [0.003, 0.03, 0.3]:
        drawn = circuits.draw_experiment(network(biases="all"), task, examples=5)
        kept = circuits.acdc(drawn, tau)
        expected = slow_acdc(drawn, slow, tau)
        assert {edge.name for edge, k in zip(drawn.graph.edges, kept.tolist(), strict=True) if k} == expected
        assert len(expected) < len(kept)


def test_acdc_scores_are_the_largest_threshold_survived(network, task):
    drawn = circuits.draw_experiment(network(), task, examples=5)
    taus = (0.001, 0.00001, 0.0001)  # in any order
    scores = circuits.acdc_scores(drawn, taus=taus)
    kept = {tau: circuits.acdc(drawn, tau) for tau in taus}
    expected = [max((tau for tau in taus if kept[tau][i]), default=0.0) for i in range(len(scores))]
    assert scores.tolist() == expected
    assert set(expected) == {0.0, *taus}


def test_acdc_threshold_must_be_positive(network, task, one_sentence):
    for tau in [0.0, -1.0, math.nan]:
        with one_sentence("tau", "above 0", str(tau)):
            circuits.acdc(circuits.draw_experiment(network(), task, examples=2), tau)


# ---- all methods ----


# not ACDC: it asks the edges in turn, and what becomes of one depends on those before it


def test_progress_reaches_the_end(network, task):
    for method in circuits.METHODS:
        told = []
        drawn = circuits.draw_experiment(network(), task, examples=3)
        circuits.METHODS[method](drawn, lambda *done, told=told: told.append(done))
        n = told[-1][1]
        assert told == [(done, n) for done in range(1, n + 1)]


@pytest.mark.slow
@pytest.mark.slow
def test_methods_agree_on_the_shipped_network():
    """The requirements on the shipped run: all edges in under 20 s on one thread, AUROC of EAP-IG at least 0.95."""
    run = miii.runs.open("add-113")
    model, task = run.model(), run.task()
    truth, found = (circuits.find(model, task, method, examples=256) for method in ("exact", "eap-ig"))
    result = circuits.agreement(found, truth)
    assert (result.edges, result.inactive) == (39, 14)
    assert result.auroc >= 0.95
    assert result.auroc_active >= 0.95
    assert result.spearman >= 0.95
    assert truth.faithfulness.cmd < 0.35
