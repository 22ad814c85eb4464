"""A relabelling makes a task a sum; tasks that are none have none."""

from dataclasses import replace

import pytest
import torch

import miii
from miii.analysis.modular import fourier2d, keys, neurons, relabelling
from miii.analysis.oracles import planted

P = 23


def task(expression, p=P):
    return miii.ModularAddition(p=p, operation="expr", expression=expression).build()


def check(built, multipliers):
    """That the labels are the sum of the operands' labels, up to a constant."""
    (own, *_), why = relabelling.candidates(built)
    assert why == ""
    labels = own.labels(built.labels)
    beyond = (labels - own.sum(multipliers)) % own.m
    assert (beyond == beyond[0]).all()
    assert torch.equal(own.answers[labels], built.labels[own.rows])
    return own


def test_separable_tasks_are_sums():
    for expression, multipliers, name, left_out in [
        ("a + b", (1, 1), "modular addition", 0),
        ("a - b + 4", (1, -1), "modular addition", 0),
        ("3*a - b", (3, -1), "modular addition of (3a, -b)", 0),
        ("a**2 + b**2", (1, 1), "modular addition of (a^2, b^2)", 0),
        ("a**2 - 2*b**3", (1, 1), "modular addition of (a^2, -2b^3)", 0),
        ("a*b", (1, 1), "multiplication as addition of logarithms to base 5", 2 * P - 1),
        ("a*b**21", (1, -1), "division as subtraction of logarithms to base 5", 2 * P - 1),
        ("5*a*b**2 + 3", (1, 2), "modular addition of (log a, 2 log b), logarithms to base 5", 2 * P - 1),
        ("a*b + 3*a", (1, 1), "modular addition of (log a, log(b + 3)), logarithms to base 5", 2 * P - 1),
        ("a*b + a + b", (1, 1), "modular addition of (log(a + 1), log(b + 1)), logarithms to base 5", 2 * P - 1),
    ]:
        own = check(task(expression), multipliers)
        assert own.name(multipliers) == name
        assert own.left_out == left_out
        assert own.full == ("a**2" not in expression)
    own = check(task("(a**2 + 1) * (b + 2)"), (1, 1))  # no a makes the first factor 0
    assert own.left_out == P
    assert own.words((1, -2)) == "log f(a) - 2 log(b + 2)"


def test_division_may_leave_out_pairs():
    """A task without the pairs of b = 0 is still a difference of logarithms."""
    whole = task("a*b**21")
    rows = whole.tokens[:, 1] != 0
    some = replace(whole, tokens=whole.tokens[rows], labels=whole.labels[rows], train_mask=whole.train_mask[rows])
    own = check(some, (1, -1))
    assert (own.left_out, own.full, len(own.rows)) == (P - 1, True, (P - 1) ** 2)


def test_other_tasks_are_not(one_sentence):
    for operation in ["shuffled", "relabeled", "quadratic"]:
        (only,), why = relabelling.candidates(miii.ModularAddition(p=P, operation=operation).build())
        assert only.natural
        assert why == "the answer is neither f(a) + g(b) nor f(a) * g(b) + constant modulo 23"
    (only,), why = relabelling.candidates(task("a*b", p=15))  # no logarithms modulo 15
    assert why
    assert relabelling.candidates(task("a**3 + a*b**2"))[1]
    with one_sentence("pairs of Z_p"):
        relabelling.candidates(miii.Residues(p=7).build())


def test_multiples_are_scaled_away(waves):
    built = task("3*a - b")
    natural = relabelling.natural(built)
    for same in (natural.scaled((1, -1)), natural.scaled((0, 1))):
        assert same is natural
    found = natural.scaled((3, -1))
    assert (found.names, found.full, found.words((1, 1))) == (("3a", "-b"), True, "3a - b")
    a, b = built.tokens[found.rows, :2].T
    assert torch.equal(found.u * P + found.v, torch.arange(P * P))
    assert torch.equal((3 * a - b) % P, (found.u + found.v) % P)
    model = planted.from_formula(waves(P, (2, 4), (3, -1)), act="relu", hinges=1)
    choice = keys.of_model(model, built)
    order, multipliers = choice.aligned(built)
    assert (order.names, multipliers) == (("3a", "-b"), (1, 1))
    assert set(neurons.describe(model, built, multipliers, order).clusters()) == {2, 4}
    assert not set(neurons.describe(model, built, choice.multipliers).clusters())
    low = fourier2d.site_spectrum(model, built, "logits", order).power
    assert low.diagonal().sum() > 0.98


def test_logits_are_reordered():
    built = task("a*b")
    own = relabelling.candidates(built)[0][0]
    logits = torch.nn.functional.one_hot(built.labels, P).double()
    assert torch.equal(own.logits(logits).argmax(1), own.labels(built.labels))
    assert own.others(logits).shape == ((P - 1) ** 2, 1)
    assert own.others(logits).max().item() == pytest.approx(-1 / (P - 1))
