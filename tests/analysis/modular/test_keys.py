"""Key frequencies: those that were planted, however weak, and none on controls."""

import math

import pytest
import torch

import miii
from miii.analysis.modular import keys, relabelling
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted

P = 23


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def grid_of(p, amplitudes, multipliers=(1, 1)):
    """Logits of waves in alpha a + beta b - c, by frequency."""
    terms = [
        Term(multipliers[0] * k % p, multipliers[1] * k % p, k, size, 0.3 * k) for k, size in sorted(amplitudes.items())
    ]
    return Formula(p, tuple(terms)).logits()


def lookup(p, share, seed=0):
    """Logits that know the sum of a share of the pairs."""
    generator = torch.Generator().manual_seed(seed)
    sums = (torch.arange(p)[:, None] + torch.arange(p)).flatten() % p
    known = torch.rand(p * p, generator=generator) < share
    table = torch.nn.functional.one_hot(sums, p).double() * known[:, None] * 10
    return table + 0.1 * random(p * p, p, seed=seed)


def test_planted_waves_are_found_whatever_the_multipliers():
    for p, found in [(11, (1, 2, 3)), (11, (1, 2, 3, 4, 5)), (12, (1, 4, 6)), (59, (3, 7, 20))]:
        for multipliers in [(1, 1), (1, -1), (-1, -1), (3, -1), (2, 5)]:
            if p == 12 and {abs(k) for k in multipliers} != {1}:
                continue  # 3 * 4 = 0 modulo 12: a wave without a
            logits = grid_of(p, dict.fromkeys(found, 1.0), multipliers)
            waves = keys.waves(logits + 0.01 * random(p * p, p))
            assert waves.frequencies == found
            assert waves.multipliers == multipliers
            assert waves.share.sum().item() == pytest.approx(1, abs=0.01)
            assert waves.coherence[[k - 1 for k in found]].min() > 0.99


def test_a_weak_member_erases_no_other():
    """Powers 18, 15, 12 beside a fourth of any size: the first three stay, and the fourth is judged alone."""
    strong = {2: math.sqrt(18), 5: math.sqrt(15), 9: math.sqrt(12)}
    noise = random(P * P, P)
    for size, found in [(3.0, (2, 5, 7, 9)), (0.5, (2, 5, 7, 9)), (0.01, (2, 5, 9)), (0.0, (2, 5, 9))]:
        waves = keys.waves(grid_of(P, strong | {7: size}) + noise)
        assert waves.frequencies == found


def test_waves_of_one_operand_do_not_count(adder):
    """2 (1 + cos w (a - b)) cos w (a + b - c) is a wave in the sum of the same size, and waves in a or b alone."""
    choice = keys.of_model(adder(P, (2, 5, 9)))
    assert choice.frequencies == (2, 5, 9)
    assert choice.waves.coherence[[1, 4, 8]].tolist() == pytest.approx([1.0] * 3)
    assert choice.waves.share.sum().item() == pytest.approx(2 / 3, abs=0.01)


def test_controls_have_no_key_frequency():
    for p in (11, P, 59):
        for seed in range(3):
            task = miii.ModularAddition(p=p, seed=seed).build()
            model = miii.Transformer.of(miii.ModelConfig(d_model=16, n_heads=2, d_mlp=24), task, seed=seed)
            sums = (torch.arange(p)[:, None] + torch.arange(p)).flatten() % p
            order = torch.randperm(p * p, generator=torch.Generator().manual_seed(seed))
            for logits in (
                miii.analysis.grid.logits(model, task),
                torch.nn.functional.one_hot(sums[order], p).double(),  # shuffled
                random(p * p, p, seed=seed),
                random(p, p, seed=seed).repeat(p, 1),  # b alone
                torch.zeros(p * p, p, dtype=torch.float64),
                *(lookup(p, share, seed) for share in (0.3, 0.6, 0.8) if p > 11),
            ):
                waves = keys.waves(logits)
                assert waves.frequencies == ()
                assert waves.why_none


def test_all_frequencies_may_be_key():
    """One-hot logits are waves of every frequency: a network that adds exactly, not a table of some pairs."""
    sums = (torch.arange(P)[:, None] + torch.arange(P)).flatten() % P
    assert keys.waves(torch.nn.functional.one_hot(sums, P).double()).frequencies == tuple(range(1, 12))


def test_the_task_s_relabelling_or_the_numbers_as_they_are(waves, renamed):
    mul = miii.ModularAddition(p=P, operation="mul").build()
    log = relabelling.candidates(mul)[0][0]
    plain = planted.from_formula(waves(P - 1, (2, 5, 9)))
    model = renamed(plain, [-1, *log.answers.argsort().tolist()])
    found = keys.of_model(model, mul)
    assert (found.frequencies, found.multipliers, found.relabelling.base) == ((2, 5, 9), (1, 1), 5)
    added = keys.of_model(planted.from_formula(waves(P, (2, 5, 9))), mul)
    assert (added.frequencies, added.relabelling.natural) == ((2, 5, 9), True)


def test_frequencies_asked_for_replace_those_found(waves, one_sentence):
    model, task = planted.from_formula(waves(P, (2, 5, 9))), miii.ModularAddition(p=P).build()
    found = keys.of_model(model, task, (7, 2, 2))
    assert (found.frequencies, found.why_none) == ((2, 7), "")
    for wrong, got in [((2, 12), "12"), ((0,), "0"), ((), "none")]:
        with one_sentence("frequencies must be in 1 .. 11", f"(got {got})"):
            keys.of_model(model, task, wrong)


def test_small_and_large_p_have_a_reason():
    for p, words in [(7, "at least 11"), (223, "at most 211")]:
        task = miii.ModularAddition(p=p).build()
        model = miii.Transformer.of(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=8), task, seed=0)
        found = keys.of_model(model, task)
        assert found.frequencies == ()
        assert words in found.why_none
