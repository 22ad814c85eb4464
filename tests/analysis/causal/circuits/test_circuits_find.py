"""Circuits as results: their ranking, how faithful they are, and how they compare."""

import json
import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from miii.analysis.causal import circuits
from miii.analysis.causal.circuits import Circuit


def found(network, task, method: str = "exact", **options) -> Circuit:
    return circuits.find(network(**options), task, method, examples=9)


def lone(model, task):
    """An experiment, and the mask of its first edge alone."""
    drawn = circuits.draw_experiment(model, task, examples=9)
    return drawn, torch.arange(len(drawn.graph.edges)) == 0


# ---- ranking ----


def test_ranking_by_absolute_score_and_then_from_the_logits():
    scores = torch.tensor([0.0, 1.0, -3.0, -1.0, 0.0])
    assert circuits.ranking(scores).tolist() == [2, 3, 1, 4, 0]
    assert circuits.ranking(scores, signed=True).tolist() == [1, 4, 0, 3, 2]  # those against the answer last


def test_a_circuit_has_every_edge_once_with_its_score(network, task):
    for method in circuits.METHODS:
        drawn, fresh = circuits.draw_experiments(network(), task, examples=9)
        scores = dict(zip(drawn.graph.edges, circuits.METHODS[method](drawn, None).tolist(), strict=True))
        result = found(network, task, method)
        by_index = torch.tensor([scores[edge] for edge in drawn.graph.edges], dtype=torch.float64)
        assert result.faithfulness == circuits.measure_faithfulness(fresh, by_index)
        assert result.enough == circuits.smallest_faithful(drawn, by_index, 0.95)
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


def test_edges_are_scored_on_other_examples_than_they_are_ranked_on(network, task):
    for examples, sizes in [(9, (9, 9)), (1_000, (25, 24))]:
        both = circuits.draw_experiments(network(), task, examples)
        assert tuple(len(each.labels) for each in both) == sizes
        ranked, fresh = ({*map(tuple, torch.cat([each.tokens, each.corrupted]).tolist())} for each in both)
        assert not ranked & fresh
        assert all((each.labels != each.corrupted_labels).all() for each in both)
        again, other = (circuits.draw_experiments(network(), task, examples, seed)[0] for seed in (0, 1))
        assert torch.equal(again.tokens, both[0].tokens)
        assert not torch.equal(other.tokens, both[0].tokens)


def test_the_cut_is_the_first_faithful_size(drawn):
    scores, wanted = circuits.exact(drawn), 0.9
    size = circuits.smallest_faithful(drawn, scores, wanted)
    kept = torch.zeros(len(scores), dtype=torch.bool)
    kept[circuits.ranking(scores)[:size]] = True
    assert circuits.faithfulness_of(drawn, kept) >= wanted
    curve = circuits.measure_faithfulness(drawn, scores)
    assert all(f < wanted for n, f in zip(curve.n_edges, curve.f, strict=True) if n < size)


def test_f_is_the_normalized_metric_of_the_first_edges(drawn):
    scores = circuits.exact(drawn)
    result = circuits.measure_faithfulness(drawn, scores)
    for order, curve in (((-scores.abs()).argsort(), result.f), ((-scores).argsort(), result.f_signed)):
        live = int((scores != 0).sum())  # edges that score 0 come in another order
        for n, f in [each for each in zip(result.n_edges, curve, strict=True) if each[0] <= live][::7]:
            if curve is result.f_signed and n > (scores > 0).sum():
                continue
            kept = torch.zeros(len(order), dtype=torch.bool)
            kept[order[:n]] = True
            m = drawn.metric(circuits.run(drawn, kept))
            assert f == pytest.approx((m - result.m_empty) / (result.m_full - result.m_empty), abs=1e-9)
    assert result.f != result.f_signed
    # as long as only edges for the answer are added, signed edges recover more: CPR's best case, and CMD's worst
    assert max(result.f_signed) >= max(result.f)


def test_areas_by_hand(network, task):
    drawn = circuits.draw_experiment(network(), task, examples=9)
    result = circuits.measure_faithfulness(drawn, circuits.exact(drawn))
    n = len(drawn.graph.edges)
    assert result.n_edges == tuple(range(n + 1))
    share = [max(k / n, 0.001) for k in range(n + 1)]
    widths = [b - a for a, b in pairwise(share)]
    for area, values in ((result.cpr, result.f_signed), (result.cmd, [abs(1 - f) for f in result.f])):
        parts = [w * (a + b) / 2 for w, (a, b) in zip(widths, pairwise(values), strict=True)]
        assert area == pytest.approx(sum(parts), abs=1e-12)


def test_large_graphs_are_measured_at_a_hundred_sizes(network, task):
    drawn = circuits.draw_experiment(network(n_layers=4, n_heads=1), task, examples=3)
    n = len(drawn.graph.edges)
    assert n > 150
    result = circuits.measure_faithfulness(drawn, torch.arange(n, dtype=torch.float64))
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
            assert (f.f, f.f_signed, f.cpr, f.cmd, result.enough) == (None,) * 5
            assert math.isnan(circuits.faithfulness_of(*lone(model, task)))
            assert f.m_full == pytest.approx(f.m_empty, abs=1e-12)
            plain = json.loads(json.dumps(result.to_json()))
            assert (plain["cpr"], plain["cmd"], plain["faithfulness"]) == (None, None, [])
            assert circuits.agreement(result, result).auroc is None


# ---- comparison ----


def graded(circuit: Circuit, scores: list[float], enough: int) -> Circuit:
    """A circuit with invented scores for its first edges, and an invented number of true ones."""
    values = tuple(scores + [0.0] * (len(circuit.edges) - len(scores)))
    return replace(circuit, scores=values, enough=enough)


def test_true_edges_are_the_smallest_faithful_set(network, task):
    base = found(network, task)
    truth = graded(base, [4.0, 3.0, 2.0, 1.0], 2)
    guess = graded(base, [1.0, 5.0, -3.0, 2.0], 1)
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
    truth = replace(found(network, task), enough=5)
    # the least important of the true edges comes last but for the silent ones
    scores = [0.0 if quiet else 1.0 for quiet in truth.inactive]
    scores[truth.enough - 1] = 0.5
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
    all_true = graded(truth, [1.0], len(truth.edges))
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
        assert [point["f_signed"] for point in plain["faithfulness"]] == list(result.faithfulness.f_signed)
        assert plain["enough"] == result.enough
        assert plain["faithfulness"][-1]["f"] == 1
        assert (plain["cpr"], plain["cmd"]) == (result.faithfulness.cpr, result.faithfulness.cmd)
        assert json.loads(json.dumps(circuits.agreement(result, result).to_json()))["edges"] == len(names)


def test_progress_counts_scoring_and_measurement(network, task):
    told = []
    circuits.find(network(), task, "eap-ig", examples=3, progress=lambda *done: told.append(done))
    sizes = len(circuits.draw_experiment(network(), task, examples=1).graph.edges) + 1
    assert told == [(k, 5) for k in range(1, 6)] + [(k, 2 * sizes) for k in range(1, 2 * sizes + 1)]
