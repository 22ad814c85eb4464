"""Examples and their corruptions, and the run of which some edges are corrupted."""

import pytest
import torch

import miii
from miii.analysis.causal import circuits


def names(drawn, kept) -> set[str]:
    return {edge.name for edge, k in zip(drawn.graph.edges, kept.tolist(), strict=True) if k}


# ---- examples ----


def test_examples_and_corruptions_come_from_the_task(network, task):
    drawn = circuits.draw_experiment(network(), task, examples=40, seed=3)
    rows = {tuple(tokens): label for tokens, label in zip(task.tokens.tolist(), task.labels.tolist(), strict=True)}
    for tokens, labels in ((drawn.tokens, drawn.labels), (drawn.corrupted, drawn.corrupted_labels)):
        assert [rows[tuple(row)] for row in tokens.tolist()] == labels.tolist()
    assert (drawn.labels != drawn.corrupted_labels).all()
    assert len({tuple(row) for row in drawn.tokens.tolist()}) == 40
    assert len(set(drawn.corrupted_labels.tolist())) == 7  # all other answers occur


def test_finding_a_circuit_does_not_change_the_model(small_run):
    model = small_run.model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    circuits.find(model, small_run.task(), "eap-ig", examples=8)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert {value.dtype for value in model.parameters()} == {torch.float32}
    assert all(value.requires_grad == model.W_E.requires_grad for value in model.parameters())


def test_invalid_input_is_an_error(network, task, one_sentence):
    with one_sentence("examples", "at least 1", "0"):
        circuits.draw_experiment(network(), task, examples=0)
    same = miii.Task(
        task.tokens, torch.zeros_like(task.labels), task.train_mask, task.d_vocab, task.d_vocab_out, task.token_names
    )
    with one_sentence("different answers"):
        circuits.draw_experiment(network(), same)
    with one_sentence("8 tokens", "7 answers", "3 positions", "12, 11 and 3"):
        circuits.draw_experiment(network(), miii.ModularAddition(p=11).build())


def test_only_edges_from_the_equals_sign_are_silent(drawn):
    inactive = {edge for edge, quiet in zip(drawn.graph.edges, drawn.inactive.tolist(), strict=True) if quiet}
    # the embedding of "=" is the same in every example; both-ways attention alone lets nothing else stay the same
    assert {edge for edge in drawn.graph.edges if edge.source.name == "embed@2"} == inactive


# ---- runs ----


def test_all_edges_give_the_clean_run_and_none_the_corrupted_run(drawn):
    whole = torch.ones(len(drawn.graph.edges), dtype=torch.bool)
    for start in (None, 0):
        clean, corrupt = (drawn.logits(circuits.run(drawn, kept, start)) for kept in (whole, ~whole))
        torch.testing.assert_close(clean, drawn.model(drawn.tokens)[:, -1], rtol=0, atol=1e-10)
        torch.testing.assert_close(corrupt, drawn.model(drawn.corrupted)[:, -1], rtol=0, atol=1e-10)
    assert not torch.allclose(clean, corrupt)


def test_partial_runs_match_the_definition(drawn, slow):
    for share in [0.15, 0.5, 0.9]:
        kept = torch.rand(len(drawn.graph.edges), generator=torch.Generator().manual_seed(4)) < share
        expected = slow(drawn, names(drawn, kept)).logits()
        torch.testing.assert_close(drawn.logits(circuits.run(drawn, kept)), expected, rtol=0, atol=1e-10)


def test_dead_ends_and_silent_edges_have_no_effect(drawn):
    generator = torch.Generator().manual_seed(5)
    choices = (torch.rand(len(drawn.graph.edges), generator=generator) < 0.4 for _ in range(50))
    kept = next(kept for kept in choices if 0 < drawn.graph.live(kept).sum() < kept.sum())
    live = drawn.graph.live(kept)
    runs = [circuits.run(drawn, edges) for edges in (kept, live, kept | drawn.inactive)]
    torch.testing.assert_close(runs[1], runs[0])
    torch.testing.assert_close(runs[2], runs[0])


def test_the_metric_is_the_difference_of_two_logits(drawn):
    whole = torch.ones(len(drawn.graph.edges), dtype=torch.bool)
    logits = drawn.model(drawn.tokens)[:, -1]
    rows = torch.arange(len(logits))
    expected = (logits[rows, drawn.labels] - logits[rows, drawn.corrupted_labels]).mean()
    assert drawn.metric(circuits.run(drawn, whole)) == pytest.approx(expected.item(), abs=1e-10)


def test_writes_sum_to_the_residual_stream(drawn):
    trace, bias = drawn.clean, sum(b.b_O for b in drawn.model.blocks if b.b_O is not None)
    torch.testing.assert_close(trace.writes.sum(1) + bias, trace.resid[-1], rtol=0, atol=1e-10)
