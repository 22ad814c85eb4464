"""Analyses of sequences, on a network with hand-set weights that reads parity alone."""

import math
from dataclasses import astuple

import numpy as np
import pytest
import torch

import miii
from miii import Sequences, analysis, plots
from miii.errors import InputError
from miii.tasks.sequences import guesses
from miii.tasks.sequences.goals import guess_blocks
from miii.tasks.sequences.kinds import KINDS
from miii.tasks.sequences.named import named

CONFIG = Sequences(n=600, longest=14, largest_modulus=5)
PRIME = 2 * tuple(KINDS).index("prime")


@pytest.fixture(scope="module")
def task():
    return CONFIG.build()


@pytest.fixture(scope="module")
def parity():
    """Say "prime" if more than half of the positions hold odd terms, and none of the other kinds."""
    config = miii.ModelConfig(n_layers=1, d_model=4, n_heads=1, d_mlp=1, biases="all")
    model = miii.Transformer(config, CONFIG.sizes.d_vocab, 2 * len(KINDS), 15).requires_grad_(False)
    for weight in model.parameters():
        weight.zero_()
    model.W_E[CONFIG.encoding.blocks["mod 2"].start + 1, 0] = 1
    model.blocks[0].W_V[0, 0, 0] = model.blocks[0].W_O[0, 0, 1] = 1
    model.W_U[1, PRIME + 1] = 8
    model.b_U[0::2], model.b_U[PRIME] = 1, 4
    return model


def test_what_it_reads_is_found(task, parity):
    odd, even = [2 * i + 1 for i in range(14)], [2 * i for i in range(14)]
    assert (
        analysis.kinds.of_terms(parity, CONFIG, odd)["prime"]
        > 0.5
        > analysis.kinds.of_terms(parity, CONFIG, even)["prime"]
    )
    effect = analysis.moduli.argued(parity, CONFIG, [1, 2, 3, 4, 5, 6, 7], "prime")
    parts = list(analysis.moduli.columns(CONFIG))
    expected = np.zeros((len(parts), 7))
    expected[parts.index("mod 2"), ::2] = 8 / 15  # of 15 positions
    assert np.allclose(effect, expected, atol=1e-6)
    spectrum = analysis.moduli.spectrum(parity, task, CONFIG)
    prime = list(KINDS).index("prime")
    changed = {part: bool((row != spectrum.whole).any()) for part, row in zip(parts, spectrum.without, strict=True)}
    assert changed == {part: part == "mod 2" for part in parts}
    assert spectrum.needed[parts.index("mod 2"), prime] > 0.05
    assert np.array_equal(spectrum.shuffled, spectrum.whole)  # it does not see order
    assert spectrum.alone[parts.index("mod 2"), prime] == spectrum.whole[prime] > spectrum.size_only[prime] == 0
    again = analysis.moduli.Spectrum.from_json(spectrum.to_json())
    assert np.allclose(again.without, spectrum.without, atol=1e-4)


def test_residues_carry_what_it_says(task, parity):
    (carrier,) = (each for each in analysis.moduli.carriers(parity, task, CONFIG) if each.kind == "prime")
    assert carrier.pairs > 5
    assert (carrier.residues, carrier.size) == (carrier.yes, carrier.no)
    assert carrier.yes > carrier.no + 0.1
    kind, *values = astuple(carrier)
    carried, decoded = analysis.moduli.reported(
        {"carriers": {kind: values}, "decoded": [{"part": "mod 2", "step 0": 0.5}]}
    )
    assert (carried, decoded.to_dict("records")) == ((carrier,), [{"part": "mod 2", "step 0": 0.5}])
    assert not len(analysis.moduli.reported({"carriers": {}})[1])


def test_scores_of_networks_and_baselines(task, parity):
    found = analysis.kinds.held_out(parity, task)
    assert found["prime"] > 0.1
    assert sum(found[kind] for kind in KINDS) == found["prime"] == pytest.approx(11 * found["macro"])
    table = analysis.kinds.on_named(parity, CONFIG).set_index("name")
    assert len(table) == len(named())
    assert (table.loc["primes", "leading"], table.loc["primes", "correct"]) == ("prime", True)
    assert (table.loc["powers of 2", "leading"], table.loc["powers of 2", "correct"]) == ("none", False)
    assert table.loc["binary digit sums", "true"] == ""
    tree = analysis.kinds.tree(CONFIG)
    assert tree["macro"] > 0.5
    features = analysis.kinds.features([[1, 4, 9], [-3, 10**30, 0]], 5).reshape(2, 4, 5)
    assert np.allclose(features[0, 1, :3], np.log2([4, 6, 1]))
    assert np.allclose(features[1, 3], [10**30 / -3, 0, 0, 0, 0])


def test_attention_a_period_apart_is_cut(task, parity):
    apart = analysis.lags.apart(torch.tensor([6]), torch.tensor([3]), 8)[0]
    assert apart.nonzero().tolist() == [[3, 0], [4, 1], [5, 2]]
    closer = analysis.lags.apart(torch.tensor([6]), torch.tensor([3]), 8, 1)[0]
    assert closer.nonzero().tolist() == [[2, 0], [3, 1], [4, 2], [5, 0], [5, 3]]
    found = analysis.lags.knockout(parity, task, CONFIG)
    assert found.whole == found.period == found.other == 0  # it never says periodic
    assert analysis.lags.report(parity, task, CONFIG) == found.to_json()
    assert torch.allclose(found.attention, torch.tensor([[found.chance]]))  # it attends to all positions alike


def test_residues_are_decoded_where_they_are_read(task, parity):
    with torch.no_grad():
        only = miii.Transformer.of(parity.config, task)
        only.load_state_dict(parity.state_dict())
        place = only.W_pos.zero_()
        place[5, 2], place[-1, 3] = 1, 1  # the answer looks at the sixth term alone
        only.blocks[0].W_Q[0, 3, 1] = only.blocks[0].W_K[0, 2, 1] = 30
    found = analysis.moduli.decodability({0: parity, 1: only.requires_grad_(False)}, task, CONFIG).set_index("part")
    assert found.loc["mod 2", "step 1"] == 1
    assert max(found.loc["mod 2", ["step 0", "shuffled"]]) < 0.9
    assert found.loc["mod 5", "step 1"] < 0.6
    with pytest.raises(InputError, match="terms must be residues"):
        analysis.moduli.decodability({}, task, CONFIG.model_copy(update={"terms": "digits"}))


def certain(x, moduli, wrong=()):
    """Log probabilities of residues of x: 0.999, or 0.6 for x + 1 if the modulus is wrong."""
    return {
        q: np.log(np.where(np.arange(q) == (x + (q in wrong)) % q, *((0.6, 0.4) if q in wrong else (0.999, 0.0001))))
        for q in moduli
    }


def test_residues_are_combined():
    size = np.full(guesses.SIZES, -9.0)
    size[guesses.size_of(-1234)] = 0
    found = analysis.continuation.combine(certain(-1234, range(2, 14)), size, ["a rule"] * 12)
    assert found.term == -1234
    assert all(each.agrees and each.residue == -1234 % each.modulus for each in found.residues)
    assert (found.smallest, found.largest) == (-2047, -1024)
    assert found.product == math.lcm(*(each.modulus for each in found.residues if each.used))
    found = analysis.continuation.combine(certain(-1234, range(2, 14), wrong=(7,)), size, ["a rule"] * 12)
    assert found.term == -1234
    assert [each.modulus for each in found.residues if not each.agrees] == [7]
    large = analysis.continuation.combine(certain(10**9 + 7, range(2, 24)), size, ["a rule"] * 22)
    assert large.term == 10**9 + 7  # outside of the probable sizes, but all residues agree
    drawn = plots.frame(plots.next_residues(found, -1234)).set_index("modulus")["residue is"]
    assert (drawn[7], set(drawn.drop(7))) == ("wrong", set(drawn) - {"wrong"})


def test_a_network_that_trusts_one_rule_continues_by_it(one_sentence):
    config = Sequences(target="continuation", largest_modulus=11, n=300)
    first, width = guess_blocks(11)["guess"].start, 11 + guesses.SIZES
    shape = miii.ModelConfig(n_layers=1, d_model=width + 1, n_heads=1, d_mlp=1, biases="none")
    model = miii.Transformer(shape, config.d_vocab, width, config.sizes.n_ctx).requires_grad_(False)
    for weight in model.parameters():
        weight.zero_()
    model.W_E[first : first + width, :width] = torch.eye(width)
    model.W_pos[guesses.RULES.index("fitted, order 2"), -1] = model.W_pos[-1, -1] = 1
    block = model.blocks[0]
    block.W_Q[0, -1, 0] = block.W_K[0, -1, 0] = 20
    block.W_V[0], block.W_O[0] = torch.eye(width + 1), torch.eye(width + 1)
    model.W_U[:width] = 20 * torch.eye(width)
    lucas = named()["Lucas numbers"].terms
    found = analysis.continuation.predict(model, config, lucas[:20])
    assert found.term == lucas[20]
    assert {each.rule for each in found.residues} == {"fitted, order 2"}
    assert analysis.continuation.longest_run(config, lucas[:20]) == lucas[20]
    assert analysis.continuation.by_recurrence(lucas[:20]) == lucas[20]
    shares = analysis.continuation.exact(model, config, 1).set_index("rule")
    assert (shares.loc["exponential", "Berlekamp-Massey"], shares.loc["noise", "network"]) == (1, 0)
    with one_sentence("target continuation", "kinds"):
        analysis.continuation.check(CONFIG)
    with one_sentence("terms", "at least 2", "1"):
        analysis.continuation.predict(model, config, [1])


def test_other_tasks_are_refused(one_sentence):
    with one_sentence("sequences", "primes"):
        analysis.kinds.check(miii.Primes())
    with one_sentence("target kinds", "next"):
        analysis.kinds.check(CONFIG.model_copy(update={"target": "next"}))
