"""A certificate never exceeds the count, is tight on planted networks, and needs a formula."""

import torch

import miii
from miii.analysis.modular import certificate, grid, keys
from miii.analysis.modular.formula import Formula
from miii.analysis.oracles import planted

P, KEYS = 23, (2, 5, 9)
TASK = miii.ModularAddition(p=P).build()


def certify(model, task=TASK):
    logits = grid.logits(model, task)
    return certificate.certify(logits, task.labels, keys.choose(logits, task).fit(logits, task).formula)


def test_it_is_tight_on_a_planted_network(waves):
    for act in ("square", "relu"):
        found = certify(planted.from_formula(waves(P, KEYS), act=act))
        assert (found.certified, found.correct, found.tightness) == (1, 1, 1)
        assert found.margin > found.residual


def test_it_never_exceeds_the_count(waves, noisy):
    seen = set()
    for ratio in (1, 1.5, 2, 3, 4, 6):
        for seed in range(3):
            model = noisy(planted.from_formula(waves(P, KEYS), act="relu"), ratio, seed=seed)
            found, logits = certify(model), grid.logits(model, TASK)
            correct = (logits.argmax(1) == TASK.labels).double().mean().item()
            assert found.certified <= found.correct == correct
            seen.add(0 < found.certified < found.correct)
    assert seen == {True, False}
    untrained = miii.Transformer.of(miii.ModelConfig(d_model=16, n_heads=2, d_mlp=24), TASK, seed=0)
    assert certify(untrained).certified == 0


def test_an_accurate_network_without_a_formula_is_not_certified():
    logits = torch.nn.functional.one_hot(TASK.labels, P).double()
    found = certificate.certify(logits, TASK.labels, Formula(P, ()))
    assert (found.certified, found.correct) == (0, 1)


def test_one_wrong_pair_costs_its_class(waves):
    formula = waves(P, KEYS)
    logits = formula.logits()
    logits[40] = -logits[40]
    found = certificate.certify(logits, TASK.labels, formula)
    assert found.correct == 1 - 1 / P**2
    assert found.certified == 1 - 1 / P


def test_an_answer_outside_the_formula_may_be_larger(waves):
    formula = waves(P, KEYS)
    others = torch.full((P * P, 1), -1e3, dtype=torch.float64)
    assert certificate.certify(formula.logits(), TASK.labels, formula, others=others).certified == 1
    others[40] = 1e3
    found = certificate.certify(formula.logits(), TASK.labels, formula, others=others)
    assert (found.correct, found.certified) == (1 - 1 / P**2, 1 - 1 / P)
