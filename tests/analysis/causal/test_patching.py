"""Patches against runs patched by hand, and couples that are what they say."""

import math

import pytest
import torch

import miii
from miii.analysis.causal import patching
from miii.model.tap import OUTSIDE, SITES, capture, intervene, sites

TASK = miii.ModularAddition(p=5).build()
COUPLES = partners.draw_couples(TASK.labels, 12)


def network(n_layers: int) -> miii.Transformer:
    """Random weights and biases in float64, large enough that every part matters."""
    config = miii.ModelConfig(n_layers=n_layers, d_model=8, n_heads=2, d_mlp=12, biases="all")
    model = miii.Transformer(config, 6, 5, 3, seed=n_layers).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight += torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 5
    return model


# ---- the corruption ----


@pytest.mark.parametrize("operation", ["add", "mul", "quadratic", "shuffled"])
def test_a_partner_has_another_answer(operation):
    labels = miii.ModularAddition(p=7, operation=operation).build().labels
    for seed in range(20):
        assert (labels[patching.partners(labels, seed)] != labels).all()


def test_partners_are_drawn_evenly_from_all_others():
    labels = torch.tensor([2, 0, 0, 1, 2, 2])
    drawn = torch.stack([patching.partners(labels, seed) for seed in range(2000)])
    for i, label in enumerate(labels):
        share = torch.bincount(drawn[:, i], minlength=6) / 2000
        others = labels != label
        torch.testing.assert_close(share, others / others.sum(), atol=0.05, rtol=0)


def test_couples_are_drawn_by_their_seed():
    couples = partners.draw_couples(TASK.labels, 12)
    assert len(set(couples.clean.tolist())) == 12
    assert (TASK.labels[couples.clean] != TASK.labels[couples.corrupt]).all()
    again, other = partners.draw_couples(TASK.labels, 12, seed=0), partners.draw_couples(TASK.labels, 12, seed=1)
    assert torch.equal(couples.clean, again.clean)
    assert torch.equal(couples.corrupt, again.corrupt)
    assert not torch.equal(couples.clean, other.clean)


def test_a_small_task_gives_all_its_examples():
    couples = partners.draw_couples(TASK.labels)
    assert sorted(couples.clean.tolist()) == list(range(25))


def test_bad_input_is_a_sentence(one_sentence):
    with one_sentence("n", "at least 1", "0"):
        partners.draw_couples(TASK.labels, 0)
    with one_sentence("labels", "two different", "3"):
        partners.draw_couples(torch.full((5,), 3))


# ---- the metric ----


def test_the_metric_is_zero_corrupted_and_one_clean():
    model = network(2)
    runs = patching.both_runs(model, TASK, COUPLES)
    clean, corrupt = (model(TASK.tokens[rows]) for rows in (COUPLES.clean, COUPLES.corrupt))
    assert runs.metric(clean) == 1
    assert runs.metric(corrupt) == 0
    assert runs.metric((clean + corrupt) / 2) == pytest.approx(0.5)
    pick = (range(12), -1, TASK.labels[COUPLES.clean]), (range(12), -1, TASK.labels[COUPLES.corrupt])
    assert runs.metric.clean == pytest.approx((clean[pick[0]] - clean[pick[1]]).mean().item())
    assert runs.metric.corrupt == pytest.approx((corrupt[pick[0]] - corrupt[pick[1]]).mean().item())


def test_where_both_runs_are_alike_there_is_no_number():
    model = network(1)
    for weight in model.parameters():
        weight.zero_()
    assert all(math.isnan(patch.value) for patch in patching.sweep(model, TASK, COUPLES).patches)


# ---- the sweep ----


@pytest.mark.parametrize("n_layers", [1, 2])
def test_every_patch_is_the_run_patched_by_hand(n_layers):
    model = network(n_layers)
    runs = patching.both_runs(model, TASK, COUPLES)
    clean, tokens = capture(model, TASK.tokens[COUPLES.clean]), TASK.tokens[COUPLES.corrupt]
    corrupt = capture(model, tokens)
    found = patching.sweep(model, TASK, COUPLES)
    for patch in found.patches:
        name = patch.site if patch.layer is None else f"{patch.layer}.{patch.site}"
        mask = torch.zeros_like(corrupt[name], dtype=torch.bool)
        for axis, wanted in (("query", patch.pos), ("pos", patch.pos), ("head", patch.head)):
            if axis in SITES[patch.site] and wanted is not None:
                here = torch.zeros(mask.shape[SITES[patch.site].index(axis)], dtype=torch.bool)
                here[wanted] = True
                shape = [-1 if other == axis else 1 for other in SITES[patch.site]]
                mask = (mask if axis == "head" and patch.head is not None else ~mask) & here.view(shape)
        patched = torch.where(mask, clean[name], corrupt[name])
        assert patch.value == pytest.approx(runs.metric(intervene(model, tokens, {name: patched})), abs=1e-12)
    assert (found.clean, found.corrupt) == (runs.metric.clean, runs.metric.corrupt)


def test_the_sweep_covers_every_site_position_and_head():
    found = {(p.site, p.layer, p.pos, p.head) for p in patching.sweep(network(2), TASK, COUPLES).patches}
    expected = set()
    for site in sites(network(2).config):
        axes, layers = SITES[site], [None] if site in OUTSIDE else [0, 1]
        heads = [None, 0, 1] if "head" in axes else [None]
        if "batch" in axes:
            expected |= {(site, layer, pos, head) for layer in layers for pos in range(3) for head in heads}
    assert found == expected


def test_in_the_planted_network_values_carry_all_and_queries_nothing(adder):
    task = miii.ModularAddition(p=11).build()
    values = {
        (patch.site, patch.pos, patch.head): patch.value
        for patch in patching.sweep(adder(11, (2, 3), n_heads=2), task).patches
    }
    for site in ("q", "k", "scores", "pattern"):
        assert all(values[site, pos, None] == pytest.approx(0, abs=1e-5) for pos in range(3))
    for site in ("z", "attn_out", "mlp_pre", "mlp_post", "mlp_out", "resid_post", "logits"):
        assert values[site, 2, None] == pytest.approx(1, abs=1e-5)
        assert values[site, 0, None] == values[site, 1, None] == pytest.approx(0, abs=1e-5)
    for pos in (0, 1):
        assert values["embed", pos, None] == pytest.approx(values["v", pos, None])
        assert 0.2 < values["v", pos, None] < 0.8
    assert values["z", 2, 0] == pytest.approx(values["z", 2, 1])  # the heads share the work evenly
