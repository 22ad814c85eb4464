"""Circuits as results: their ranking, how faithful they are, and how they compare."""

import json
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from miii.analysis.causal import circuits
from miii.analysis.causal.circuits import Circuit, Faithfulness


def found(network, task, method: str = "exact", **options) -> Circuit:
    return circuits.find(network(**options), task, method, examples=9)


# ---- ranking ----


def test_ranking_by_absolute_score_and_then_from_the_logits():
    assert circuits.ranking(torch.tensor([0.0, 1.0, -3.0, -1.0, 0.0])).tolist() == [2, 3, 1, 4, 0]


def test_a_circuit_has_every_edge_once_with_its_score(network, task):
    for method in circuits.METHODS:
        drawn = circuits.draw_experiment(network(), task, examples=9)
        scores = dict(zip(drawn.graph.edges, circuits.METHODS[method](drawn, None).tolist(), strict=True))
        result = found(network, task, method)
        assert dict(zip(result.edges, result.scores, strict=True)) == scores
        assert len(result.edges) == len(drawn.graph.edges)
        sizes = [abs(score) for score in result.scores]
        assert sizes == sorted(sizes, reverse=True)
        assert dict(zip(result.edges, result.inactive, strict=True)) == {
            edge: edge.source.name == "embed@2" for edge in result.edges
        }
        assert (result.method, result.examples, result.seed) == (method, 9, 0)
        assert result.unit == ("nats" if method == "acdc" else "logits")


def test_unknown_method_is_an_error(network, task, one_sentence):
    with one_sentence("method", "exact, acdc, eap, eap-ig", "'magic'"):
        circuits.find(network(), task, "magic")


# ---- faithfulness ----


def test_f_is_the_normalized_metric_of_the_first_edges(drawn):
    order = circuits.ranking(circuits.exact(drawn))
    result = circuits.measure_faithfulness(drawn, order)
    for n, f in list(zip(result.n_edges, result.f, strict=True))[::7]:
        kept = torch.zeros(len(order), dtype=torch.bool)
        kept[order[:n]] = True
        m = drawn.metric(circuits.run(drawn, kept))
        assert f == pytest.approx((m - result.m_empty) / (result.m_full - result.m_empty), abs=1e-9)


def test_areas_by_hand(network, task):
    drawn = circuits.draw_experiment(network(), task, examples=9)
    result = circuits.measure_faithfulness(drawn, circuits.ranking(circuits.exact(drawn)))
    n = len(drawn.graph.edges)
    assert result.n_edges == tuple(range(n + 1))
    share = [max(k / n, 0.001) for k in range(n + 1)]
    widths = [b - a for a, b in pairwise(share)]
    for area, values in ((result.cpr, result.f), (result.cmd, [abs(1 - f) for f in result.f])):
        parts = [w * (a + b) / 2 for w, (a, b) in zip(widths, pairwise(values), strict=True)]
        assert area == pytest.approx(sum(parts), abs=1e-12)


def test_large_graphs_are_measured_at_a_hundred_sizes(network, task):
    drawn = circuits.draw_experiment(network(n_layers=4, n_heads=1), task, examples=3)
    n = len(drawn.graph.edges)
    assert n > 150
    result = circuits.measure_faithfulness(drawn, torch.arange(n))
    assert result.n_edges[:3] == (0, 1, 2)
    assert result.n_edges[-1] == n
    assert list(result.n_edges) == sorted(set(result.n_edges))
    assert 40 < len(result.n_edges) <= 101
    assert (result.f[0], result.f[-1]) == (0, 1)


def test_no_f_if_nothing_depends_on_the_operands(network, task):
    for method in circuits.METHODS:
        for weight in ["W_U", "W_V"]:
            model = network(biases="all")
            with torch.no_grad():
                (model.W_U if weight == "W_U" else model.blocks[0].W_V).zero_()
            result = circuits.find(model, task, method, examples=9)
            f = result.faithfulness
            assert (f.f, f.cpr, f.cmd, f.smallest(0.95)) == (None, None, None, None)
            assert f.m_full == pytest.approx(f.m_empty, abs=1e-12)
            plain = json.loads(json.dumps(result.to_json()))
            assert (plain["cpr"], plain["cmd"], plain["faithfulness"]) == (None, None, [])
            assert circuits.agreement(result, result).auroc is None


# ---- comparison ----


def graded(circuit: Circuit, scores: list[float], f: tuple[float, ...]) -> Circuit:
    """A circuit with invented scores for its first edges, and an invented curve."""
    n = len(circuit.edges)
    values = tuple(scores + [0.0] * (n - len(scores)))
    curve = (*f, *[1.0] * (n + 1 - len(f)))
    return replace(circuit, scores=values, faithfulness=Faithfulness(1.0, 0.0, tuple(range(n + 1)), curve, 0.5, 0.5))


def test_true_edges_are_the_smallest_faithful_set(network, task):
    base = found(network, task)
    truth = graded(base, [4.0, 3.0, 2.0, 1.0], (0.0, 0.2, 0.95, 0.9, 1.0))
    guess = graded(base, [1.0, 5.0, -3.0, 2.0], (0.0, 1.0))
    result = circuits.agreement(guess, truth)
    assert result.positives == 2
    # of the true edges one outranks all, the other (of size 1) all but those of size 3 and 2
    negatives = len(base.edges) - 2
    assert result.auroc == pytest.approx((negatives + negatives - 2) / (2 * negatives))


def test_agreement_ignores_signs(network, task):
    truth = found(network, task)
    minus = replace(truth, scores=tuple(-score for score in truth.scores))
    assert circuits.agreement(minus, truth).spearman == pytest.approx(1)
    upside_down = replace(truth, scores=tuple(1 / (1e-3 + abs(score)) for score in truth.scores))
    assert circuits.agreement(upside_down, truth).spearman == pytest.approx(-1)
    assert circuits.agreement(upside_down, truth).auroc == 0


def test_agreement_without_silent_edges(network, task):
    truth = found(network, task)
    # the least important of the true edges comes last but for the silent ones
    scores = [0.0 if quiet else 1.0 for quiet in truth.inactive]
    scores[truth.faithfulness.smallest(0.95) - 1] = 0.5
    result = circuits.agreement(replace(truth, scores=tuple(scores)), truth)
    assert result.inactive == sum(truth.inactive) > 0
    assert result.spearman_active < result.spearman
    assert result.auroc_active < result.auroc


def test_undefined_agreement_is_none(network, task):
    truth = found(network, task)
    flat = replace(truth, scores=(1.0,) * len(truth.scores))
    assert circuits.agreement(flat, truth).spearman is None
    assert circuits.agreement(truth, flat).spearman is None
    assert circuits.agreement(flat, truth).auroc == 0.5
    all_true = graded(truth, [1.0], (*[0.0] * len(truth.edges), 1.0))
    assert circuits.agreement(truth, all_true).auroc is None


def test_circuits_of_different_draws_are_an_error(network, task, one_sentence):
    truth = found(network, task)
    with one_sentence("circuits", "seed"):
        circuits.agreement(circuits.find(network(), task, examples=9, seed=1), truth)


# ---- plain values ----


def test_circuit_to_json(network, task):
    for method in circuits.METHODS:
        result = found(network, task, method)
        plain = result.to_json()
        assert json.loads(json.dumps(plain, allow_nan=False)) == plain
        assert plain["method"] == method
        assert "another answer" in plain["corruption"]
        assert "logit" in plain["metric"]
        assert plain["edges"][0].keys() == {"source", "target", "score"}
        names = [f"{edge['source']} -> {edge['target']}" for edge in plain["edges"]]
        assert names == [edge.name for edge in result.edges]
        assert [point["edges"] for point in plain["faithfulness"]] == list(range(len(names) + 1))
        assert plain["faithfulness"][-1]["f"] == 1
        assert (plain["cpr"], plain["cmd"]) == (result.faithfulness.cpr, result.faithfulness.cmd)
        assert json.loads(json.dumps(circuits.agreement(result, result).to_json()))["edges"] == len(names)


def test_progress_counts_scoring_and_measurement(network, task):
    told = []
    circuits.find(network(), task, "eap-ig", examples=3, progress=lambda *done: told.append(done))
    sizes = len(circuits.draw_experiment(network(), task, examples=1).graph.edges) + 1
    assert told == [(k, 5) for k in range(1, 6)] + [(k, sizes) for k in range(1, sizes + 1)]
