"""Partners and pairs; patches and paths against runs that are patched by hand."""

import math

import pytest
import torch

import miii
from miii.analysis.causal import counterfactuals, patching
from miii.analysis.causal.patching import Node
from miii.model.tap import OUTSIDE, SITES, capture, intervene, sites

TASK = miii.ModularAddition(p=5).build()
PAIRS = counterfactuals.draw_pairs(TASK.labels, 12)
TOKENS = {"clean": TASK.tokens[PAIRS.clean], "corrupt": TASK.tokens[PAIRS.corrupt]}
BASES = {"corrupt": "clean", "clean": "corrupt"}


@pytest.fixture(scope="module")
def model(random_model):
    return random_model(2)


@pytest.fixture(scope="module")
def acts(model):
    return {name: capture(model, tokens) for name, tokens in TOKENS.items()}


@pytest.fixture(scope="module")
def metric(model):
    return patching.run_clean_and_corrupt(model, TASK, PAIRS).metric


# ---- partners ----


def test_partners_are_uniform_among_examples_with_another_label():
    labels, rows = torch.tensor([2, 0, 0, 1, 2, 2]), torch.tensor([5, 1, 3])
    generator = torch.Generator().manual_seed(0)
    drawn = torch.stack([counterfactuals.draw_counterfactuals(labels, rows, generator) for _ in range(2000)])
    for i, row in enumerate(rows):
        others = labels != labels[row]
        share = torch.bincount(drawn[:, i], minlength=6) / 2000
        torch.testing.assert_close(share, others / others.sum(), atol=0.05, rtol=0)


def test_couples_by_seed_and_size(one_sentence):
    pairs, again, other = (counterfactuals.draw_pairs(TASK.labels, 12, seed=seed) for seed in (0, 0, 1))
    assert len(set(pairs.clean.tolist())) == 12
    assert (TASK.labels[pairs.clean] != TASK.labels[pairs.corrupt]).all()
    assert torch.equal(pairs.clean, again.clean)
    assert torch.equal(pairs.corrupt, again.corrupt)
    assert not torch.equal(pairs.clean, other.clean)
    assert sorted(counterfactuals.draw_pairs(TASK.labels).clean.tolist()) == list(range(25))
    assert len(counterfactuals.draw_pairs(torch.arange(300)).clean) == 256
    with one_sentence("n", "at least 1", "0"):
        counterfactuals.draw_pairs(TASK.labels, 0)
    with one_sentence("task", "different answers"):
        counterfactuals.draw_pairs(torch.full((5,), 3))


# ---- metric and sweep ----


def test_the_metric_is_zero_corrupted_and_one_clean(model, metric):
    clean, corrupt = (model(TOKENS[name]) for name in ("clean", "corrupt"))
    assert (metric(clean), metric(corrupt)) == (1, 0)
    assert metric((clean + corrupt) / 2) == pytest.approx(0.5)
    pick = (range(12), -1, TASK.labels[PAIRS.clean]), (range(12), -1, TASK.labels[PAIRS.corrupt])
    assert metric.clean == pytest.approx((clean[pick[0]] - clean[pick[1]]).mean().item())
    assert metric.corrupt == pytest.approx((corrupt[pick[0]] - corrupt[pick[1]]).mean().item())


def test_every_patch_matches_a_run_patched_by_hand(model, acts, metric):
    found = patching.sweep(model, TASK, PAIRS)
    assert (found.clean, found.corrupt) == (metric.clean, metric.corrupt)
    expected = set()
    for site in sites(model.config):
        axes, layers = SITES[site], [None] if site in OUTSIDE else [0, 1]
        heads = [None, 0, 1] if "head" in axes else [None]
        if "batch" in axes:
            expected |= {(site, layer, pos, head) for layer in layers for pos in range(3) for head in heads}
    assert {(patch.site, patch.layer, patch.pos, patch.head) for patch in found.patches} == expected
    for patch in found.patches:
        name = patch.site if patch.layer is None else f"{patch.layer}.{patch.site}"
        patched, clean = acts["corrupt"][name].clone(), acts["clean"][name]
        wanted = {"query": patch.pos, "pos": patch.pos, "head": patch.head}
        where = tuple(wanted.get(axis) if wanted.get(axis) is not None else slice(None) for axis in SITES[patch.site])
        patched[where] = clean[where]
        value = metric(intervene(model, TOKENS["corrupt"], {name: patched}))
        assert patch.value == pytest.approx(value, abs=1e-12), patch


def test_equal_runs_give_nan(random_model):
    model = random_model()
    for weight in model.parameters():
        weight.zero_()
    assert all(math.isnan(patch.value) for patch in patching.sweep(model, TASK, PAIRS).patches)


def test_in_the_planted_network_values_carry_everything(adder):
    task, model = miii.ModularAddition(p=11).build(), adder(11, (2, 3), n_heads=2)
    values = {(patch.site, patch.pos, patch.head): patch.value for patch in patching.sweep(model, task).patches}
    for site in ("q", "k", "scores", "pattern"):
        assert all(values[site, pos, None] == pytest.approx(0, abs=1e-5) for pos in range(3))
    for site in ("z", "attn_out", "mlp_pre", "mlp_post", "mlp_out", "resid_post", "logits"):
        assert values[site, 2, None] == pytest.approx(1, abs=1e-5)
        assert values[site, 0, None] == values[site, 1, None] == pytest.approx(0, abs=1e-5)
    for pos in (0, 1):
        assert values["embed", pos, None] == pytest.approx(values["v", pos, None])
        assert 0.2 < values["v", pos, None] < 0.8
    assert values["z", 2, 0] == pytest.approx(values["z", 2, 1])
    for sender, receiver, value in (
        (Node("z", 0), Node("mlp_pre", 0), 1),
        (Node("mlp_out", 0), Node("logits"), 1),
        (Node("embed"), Node("v", 0), 1),
        (Node("z", 0), Node("logits"), 0),
        (Node("embed"), Node("mlp_pre", 0), 0),
    ):
        assert patching.path(model, task, sender, [receiver]) == pytest.approx(value, abs=1e-5)


# ---- paths ----

SENDERS = [Node("z", 0, 1, 1), Node("z", 0, 0), Node("z", 0), Node("mlp_out", 0, pos=2), Node("embed", pos=0)]


@pytest.fixture(scope="module")
def sent(model, acts):
    """What a sender's change adds to the residual stream, at all positions."""

    def change(sender: Node, base: str) -> torch.Tensor:
        change = acts[BASES[base]][sender.name] - acts[base][sender.name]
        if sender.site == "z":
            heads = range(2) if sender.head is None else [sender.head]
            change = sum(change[:, :, head] @ model.blocks[sender.layer].W_O[head] for head in heads)
        at = torch.zeros(3, 1).double()
        at[slice(None) if sender.pos is None else sender.pos] = 1
        return change * at

    return change


def test_receivers_read_what_was_sent_through_their_weights(model, acts, metric, sent):
    for base in BASES:
        block = model.blocks[1]
        for sender in SENDERS:
            change = sent(sender, base)
            for site in "qkv":
                read, W = acts[base][f"1.{site}"].clone(), getattr(block, f"W_{site.upper()}")
                read[:, :, 0] += change @ W[0]
                read[:, 1, 1] += (change @ W[1])[:, 1]
                receivers = [Node(site, 1, 0), Node(site, 1, 1, pos=1)]
                found = patching.path(model, TASK, sender, receivers, pairs=PAIRS, base=base)
                assert found == pytest.approx(metric(intervene(model, TOKENS[base], {f"1.{site}": read})), abs=1e-12)
                reaches = site != "q" or sender.pos in (2, None)  # other queries do not reach the answer
                assert (abs(found - metric(acts[base]["logits"])) > 1e-6) == reaches
        for sender in [*SENDERS, Node("z", 1, 1, 2)]:
            expected = intervene(
                model, TOKENS[base], {"1.mlp_pre": acts[base]["1.mlp_pre"] + sent(sender, base) @ block.W_in}
            )
            found = patching.path(model, TASK, sender, [Node("mlp_pre", 1)], pairs=PAIRS, base=base)
            assert found == pytest.approx(metric(expected), abs=1e-12)
        for sender in (Node("z", 1, 0, 2), Node("mlp_out", 1, pos=2), Node("z", 0, 1), Node("embed")):
            expected = acts[base]["logits"] + sent(sender, base) @ model.W_U
            found = patching.path(model, TASK, sender, [Node("logits")], pairs=PAIRS, base=base)
            assert found == pytest.approx(metric(expected), abs=1e-12)


def test_receivers_of_two_layers_read_the_sender_only(model, acts, metric, sent):
    """The first receiver's output does not change what the second one reads."""
    sender = Node("embed", pos=0)
    change = sent(sender, "corrupt")
    read = {
        "0.v": acts["corrupt"]["0.v"] + torch.einsum("bpm,hmd->bphd", change, model.blocks[0].W_V),
        "1.mlp_pre": acts["corrupt"]["1.mlp_pre"] + change @ model.blocks[1].W_in,
    }
    found = patching.path(model, TASK, sender, [Node("v", 0), Node("mlp_pre", 1)], pairs=PAIRS)
    assert found == pytest.approx(metric(intervene(model, TOKENS["corrupt"], read)), abs=1e-12)


def test_recomputed_mlps_are_part_of_the_path(model, acts, metric):
    z = acts["corrupt"]["0.z"].clone()
    z[:, :, 1] = acts["clean"]["0.z"][:, :, 1]
    expected = metric(intervene(model, TOKENS["corrupt"], {"0.z": z, "1.z": acts["corrupt"]["1.z"]}))
    sender, receivers = Node("z", 0, 1), [Node("logits")]
    found = patching.path(model, TASK, sender, receivers, pairs=PAIRS, mlps="recomputed")
    assert found == pytest.approx(expected, abs=1e-12)
    assert found != pytest.approx(patching.path(model, TASK, sender, receivers, pairs=PAIRS))


def test_the_sweep_covers_all_senders_before_the_receivers(model, metric):
    for receivers, senders in (
        ([Node("logits")], {"embed", "0.z", "0.mlp_out", "1.z", "1.mlp_out"}),
        ([Node("mlp_pre", 1)], {"embed", "0.z", "0.mlp_out", "1.z"}),
        ([Node("q", 1)], {"embed", "0.z", "0.mlp_out"}),
        ([Node("mlp_pre", 0)], {"embed", "0.z"}),
        ([Node("k", 0)], {"embed"}),
        ([Node("v", 1), Node("mlp_pre", 1)], {"embed", "0.z", "0.mlp_out", "1.z"}),
    ):
        found = patching.sweep_paths(model, TASK, receivers, pairs=PAIRS)
        names = {patch.site if patch.layer is None else f"{patch.layer}.{patch.site}" for patch in found.patches}
        assert names == senders
        assert len(found.patches) == 3 * sum(2 if name.endswith("z") else 1 for name in senders)
        assert (found.clean, found.corrupt) == (metric.clean, metric.corrupt)
        for patch in found.patches[::3]:
            sender = Node(patch.site, patch.layer, patch.head, patch.pos)
            assert patch.value == patching.path(model, TASK, sender, receivers, pairs=PAIRS)
    for sender in (Node("z", 1), Node("mlp_out", 1), Node("mlp_out", 0)):  # a later sender has no effect
        for base, value in (("corrupt", 0), ("clean", 1)):
            assert patching.path(model, TASK, sender, [Node("mlp_pre", 0)], pairs=PAIRS, base=base) == value


def test_missing_nodes_are_errors(model, one_sentence):
    for sender, receivers, words in (
        (Node("v", 0), [Node("logits")], ("sender", "embed, z, mlp_out", "v")),
        (Node("embed"), [Node("z", 0)], ("receivers", "q, k, v, mlp_pre, logits", "z")),
        (Node("z", 2), [Node("logits")], ("sender", "layer", "0 .. 1", "2")),
        (Node("z", -1), [Node("logits")], ("sender", "layer", "0 .. 1", "-1")),
        (Node("z"), [Node("logits")], ("sender", "layer", "0 .. 1", "None")),
        (Node("embed", 0), [Node("logits")], ("sender", "no layer", "0")),
        (Node("z", 0, 2), [Node("logits")], ("sender", "head", "0 .. 1", "2")),
        (Node("z", 0, -1), [Node("logits")], ("sender", "head", "0 .. 1", "-1")),
        (Node("embed"), [Node("mlp_pre", 0, 1)], ("receivers", "head", "none at mlp_pre", "1")),
        (Node("z", 0, 0, 3), [Node("logits")], ("sender", "pos", "0 .. 2", "3")),
        (Node("z", 0, 0, -1), [Node("logits")], ("sender", "pos", "0 .. 2", "-1")),
        (Node("embed"), [], ("receivers", "0")),
        (Node("embed"), [Node("logits"), Node("q", 1)], ("receivers", "logits alone", "2")),
    ):
        with one_sentence(*words):
            patching.path(model, TASK, sender, receivers, pairs=PAIRS)
