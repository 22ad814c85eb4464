"""Analyses of sequences, on a network with hand-set weights that reads parity alone."""

import numpy as np
import pytest
import torch

import miii
from miii import Sequences, analysis
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
    assert torch.allclose(found.attention, torch.tensor([[found.chance]]))  # it attends to all positions alike


def test_other_tasks_are_refused(one_sentence):
    with one_sentence("sequences", "primes"):
        analysis.kinds.check(miii.Primes())
