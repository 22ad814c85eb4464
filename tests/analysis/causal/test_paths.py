"""Paths against the weights they go through, multiplied by hand."""

import pytest
import torch
from miii.analysis.causal.paths import Node

import miii
from miii.analysis.causal import patching
from miii.model.tap import capture, intervene

TASK = miii.ModularAddition(p=5).build()
COUPLES = partners.draw_couples(TASK.labels, 12)
BASES = [("corrupt", "clean"), ("clean", "corrupt")]


def network(n_layers: int) -> miii.Transformer:
    """Random weights and biases in float64, large enough that every part matters."""
    config = miii.ModelConfig(n_layers=n_layers, d_model=8, n_heads=2, d_mlp=12, biases="all")
    model = miii.Transformer(config, 6, 5, 3, seed=n_layers).double().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for weight in model.parameters():
        weight += torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 5
    return model


MODEL = network(2)
TOKENS = {"clean": TASK.tokens[COUPLES.clean], "corrupt": TASK.tokens[COUPLES.corrupt]}
ACTS = {name: capture(MODEL, tokens) for name, tokens in TOKENS.items()}
METRIC = patching.both_runs(MODEL, TASK, COUPLES).metric


def sent(sender: Node, base: str, other: str) -> torch.Tensor:
    """What the sender's change adds to the residual stream, at all positions."""
    change = ACTS[other][sender.name] - ACTS[base][sender.name]
    if sender.site == "z":
        heads = range(2) if sender.head is None else [sender.head]
        W_O = MODEL.blocks[sender.layer].W_O
        change = sum(change[:, :, head] @ W_O[head] for head in heads)
    at = torch.zeros(3, 1).double()
    at[slice(None) if sender.pos is None else sender.pos] = 1
    return change * at


SENDERS = [Node("z", 0, 1, 1), Node("z", 0, 0), Node("z", 0), Node("mlp_out", 0, pos=2), Node("embed", pos=0)]


@pytest.mark.parametrize(("base", "other"), BASES)
@pytest.mark.parametrize("sender", SENDERS, ids=str)
@pytest.mark.parametrize("site", ["q", "k", "v"])
def test_a_head_reads_what_was_sent_through_its_weights(site, sender, base, other):
    change = sent(sender, base, other)
    read = ACTS[base][f"1.{site}"].clone()
    W = getattr(MODEL.blocks[1], f"W_{site.upper()}")
    receivers = [Node(site, 1, 0), Node(site, 1, 1, pos=1)]
    read[:, :, 0] += change @ W[0]
    read[:, 1, 1] += (change @ W[1])[:, 1]
    expected = METRIC(intervene(MODEL, TOKENS[base], {f"1.{site}": read}))
    found = patching.path(MODEL, TASK, sender, receivers, couples=COUPLES, base=base)
    assert found == pytest.approx(expected, abs=1e-12)
    reaches = site != "q" or sender.pos in (2, None)  # other queries are not asked for the answer
    assert (abs(found - METRIC(ACTS[base]["logits"])) > 1e-6) == reaches


@pytest.mark.parametrize(("base", "other"), BASES)
@pytest.mark.parametrize("sender", [*SENDERS, Node("z", 1, 1, 2)], ids=str)
def test_an_mlp_reads_what_was_sent_through_w_in(sender, base, other):
    read = ACTS[base]["1.mlp_pre"] + sent(sender, base, other) @ MODEL.blocks[1].W_in
    expected = METRIC(intervene(MODEL, TOKENS[base], {"1.mlp_pre": read}))
    assert patching.path(MODEL, TASK, sender, [Node("mlp_pre", 1)], couples=COUPLES, base=base) == pytest.approx(
        expected, abs=1e-12
    )


@pytest.mark.parametrize(("base", "other"), BASES)
@pytest.mark.parametrize("sender", [Node("z", 1, 0, 2), Node("mlp_out", 1, pos=2), Node("z", 0, 1), Node("embed")])
def test_the_logits_read_what_was_sent_through_w_u(sender, base, other):
    expected = METRIC(ACTS[base]["logits"] + sent(sender, base, other) @ MODEL.W_U)
    found = patching.path(MODEL, TASK, sender, [Node("logits")], couples=COUPLES, base=base)
    assert found == pytest.approx(expected, abs=1e-12)


def test_receivers_of_two_layers_hear_the_sender_alone():
    """The first receiver's answer does not change what the second one reads from the sender."""
    sender = Node("embed", pos=0)
    change = sent(sender, "corrupt", "clean")
    read = {
        "0.v": ACTS["corrupt"]["0.v"] + torch.einsum("bpm,hmd->bphd", change, MODEL.blocks[0].W_V),
        "1.mlp_pre": ACTS["corrupt"]["1.mlp_pre"] + change @ MODEL.blocks[1].W_in,
    }
    expected = METRIC(intervene(MODEL, TOKENS["corrupt"], read))
    found = patching.path(MODEL, TASK, sender, [Node("v", 0), Node("mlp_pre", 1)], couples=COUPLES)
    assert found == pytest.approx(expected, abs=1e-12)


def test_recomputed_mlps_are_a_part_of_the_path():
    z = ACTS["corrupt"]["0.z"].clone()
    z[:, :, 1] = ACTS["clean"]["0.z"][:, :, 1]
    expected = METRIC(intervene(MODEL, TOKENS["corrupt"], {"0.z": z, "1.z": ACTS["corrupt"]["1.z"]}))
    sender, receivers = Node("z", 0, 1), [Node("logits")]
    found = patching.path(MODEL, TASK, sender, receivers, couples=COUPLES, mlps="recomputed")
    assert found == pytest.approx(expected, abs=1e-12)
    assert found != pytest.approx(patching.path(MODEL, TASK, sender, receivers, couples=COUPLES))


def test_a_sender_after_its_receivers_sends_nothing():
    for sender in (Node("z", 1), Node("mlp_out", 1), Node("mlp_out", 0)):
        assert patching.path(MODEL, TASK, sender, [Node("mlp_pre", 0)], couples=COUPLES) == 0
        assert patching.path(MODEL, TASK, sender, [Node("mlp_pre", 0)], couples=COUPLES, base="clean") == 1


@pytest.mark.parametrize(
    ("receivers", "senders"),
    [
        ([Node("logits")], {"embed", "0.z", "0.mlp_out", "1.z", "1.mlp_out"}),
        ([Node("mlp_pre", 1)], {"embed", "0.z", "0.mlp_out", "1.z"}),
        ([Node("q", 1)], {"embed", "0.z", "0.mlp_out"}),
        ([Node("mlp_pre", 0)], {"embed", "0.z"}),
        ([Node("k", 0)], {"embed"}),
        ([Node("v", 1), Node("mlp_pre", 1)], {"embed", "0.z", "0.mlp_out", "1.z"}),
    ],
)
def test_the_sweep_has_every_sender_before_the_receivers(receivers, senders):
    found = patching.sweep_paths(MODEL, TASK, receivers, couples=COUPLES)
    names = {patch.site if patch.layer is None else f"{patch.layer}.{patch.site}" for patch in found.patches}
    assert names == senders
    for patch in found.patches:
        sender = Node(patch.site, patch.layer, patch.head, patch.pos)
        assert patch.value == patching.path(MODEL, TASK, sender, receivers, couples=COUPLES)
    assert len(found.patches) == 3 * sum(2 if name.endswith("z") else 1 for name in senders)
    assert (found.clean, found.corrupt) == (METRIC.clean, METRIC.corrupt)


def test_in_the_planted_network_all_goes_from_heads_to_neurons_to_logits(adder):
    task = miii.ModularAddition(p=11).build()
    model = adder(11, (2, 3), n_heads=2)
    assert patching.path(model, task, Node("z", 0), [Node("mlp_pre", 0)]) == pytest.approx(1, abs=1e-5)
    assert patching.path(model, task, Node("mlp_out", 0), [Node("logits")]) == pytest.approx(1, abs=1e-5)
    assert patching.path(model, task, Node("embed"), [Node("v", 0)]) == pytest.approx(1, abs=1e-5)
    for sender, receiver in ((Node("z", 0), Node("logits")), (Node("embed"), Node("mlp_pre", 0))):
        assert patching.path(model, task, sender, [receiver]) == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize(
    ("sender", "receivers", "words"),
    [
        (Node("v", 0), [Node("logits")], ("sender", "embed, z, mlp_out", "v")),
        (Node("embed"), [Node("z", 0)], ("receivers", "q, k, v, mlp_pre, logits", "z")),
        (Node("z", 2), [Node("logits")], ("sender", "layer", "0 .. 1", "2")),
        (Node("z"), [Node("logits")], ("sender", "layer", "0 .. 1", "None")),
        (Node("embed", 0), [Node("logits")], ("sender", "no layer", "0")),
        (Node("z", 0, 2), [Node("logits")], ("sender", "head", "0 .. 1", "2")),
        (Node("embed"), [Node("mlp_pre", 0, 1)], ("receivers", "head", "none at mlp_pre", "1")),
        (Node("z", 0, 0, 3), [Node("logits")], ("sender", "pos", "0 .. 2", "3")),
        (Node("embed"), [], ("receivers", "0")),
        (Node("embed"), [Node("logits"), Node("q", 1)], ("receivers", "logits alone", "2")),
    ],
)
def test_a_node_that_is_not_there_is_refused(sender, receivers, words, one_sentence):
    with one_sentence(*words):
        patching.path(MODEL, TASK, sender, receivers, couples=COUPLES)
