"""Networks written down by hand compute the formula they were given."""

import math

import torch

import miii
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted


def logits(model, p):
    tokens = miii.ModularAddition(p=p).build().tokens
    with torch.no_grad():
        return torch.cat([model(chunk)[:, -1] for chunk in tokens.split(2048)])


def wanted(formula):
    """The formula's logits, term by term and cosine by cosine."""
    p = formula.p
    a, b, c = torch.meshgrid(*[torch.arange(p, dtype=torch.float64)] * 3, indexing="ij")
    out = torch.zeros(p, p, p, dtype=torch.float64)
    for t in formula.terms:
        out += t.amplitude * torch.cos(2 * math.pi * (t.k_a * a + t.k_b * b - t.k_c * c) / p + t.phase)
    return out.view(p * p, p)


def largest_error(model, formula):
    return (logits(model, formula.p) - wanted(formula)).abs().max().item()


def mixture(p):
    """Sums, differences, three different frequencies, the largest frequency (Nyquist's for an even p), with phases."""
    top = p // 2
    return Formula(
        p,
        (
            Term(1, 1, 1, 5.0, 0.3),
            Term(3, -3, 3, 4.0, -1.0),
            Term(-2, 5, 4, 3.0, 2.0),
            Term(top, top, top, 2.0, 0.0),
            Term(top, -4, 2, 2.0, 0.7),
        ),
    )


SOME = [Term(1, 1, 1, 5.0, 0.3), Term(2, -3, 4, 4.0, -1.0)]
PHASES = (0.1, 0.5, -1.0, 2.0, 0.9, -3.0)  # one for each frequency of a and b in the mixture, ascending


def phases_for(formula):
    return PHASES[: len({abs(k) for t in formula.terms for k in (t.k_a, t.k_b)})]


def test_with_square_neurons_the_logits_are_the_formula_s():
    for p in [11, 12, 59, 113]:
        formula = mixture(p)
        model = planted.from_formula(formula, embedding_phases=phases_for(formula))
        assert largest_error(model, formula) < 1e-9
        assert largest_error(model, Formula(p, formula.terms[:-1])) > 1  # the comparison can fail


def test_with_relu_the_logits_are_the_formula_s_to_the_stated_tolerance():
    for hinges in [1, 3, 8]:
        for p in [11, 12, 59]:
            formula = mixture(p)
            tolerance = sum(t.amplitude for t in formula.terms) / hinges**2
            model = planted.from_formula(formula, act="relu", hinges=hinges, embedding_phases=phases_for(formula))
            assert 0.05 * tolerance < largest_error(model, formula) <= tolerance


def test_dead_heads_and_dead_neurons_change_nothing():
    for act in ["square", "relu"]:
        formula = Formula(11, (*SOME,))
        plain = planted.from_formula(formula, act=act)
        more = planted.from_formula(formula, act=act, n_heads=5, dead_neurons=7)
        assert more.config.n_heads == 5
        assert more.config.d_mlp == plain.config.d_mlp + 7
        torch.testing.assert_close(logits(more, 11), logits(plain, 11), rtol=0, atol=1e-9)


def test_the_seed_turns_the_weights_and_not_the_logits():
    first, second = (planted.from_formula(Formula(11, (*SOME,)), seed=seed) for seed in (0, 1))
    torch.testing.assert_close(logits(first, 11), logits(second, 11), rtol=0, atol=1e-9)
    assert (first.W_E - second.W_E).norm() > first.W_E.norm() / 2
    torch.testing.assert_close(first.W_E @ first.W_E.T, second.W_E @ second.W_E.T)


def test_the_embedding_has_the_planted_phases():
    theta = (0.1, 0.5, -1.0)
    model = planted.from_formula(Formula(11, (*SOME,)), embedding_phases=theta)
    plain = planted.from_formula(Formula(11, (*SOME,)))
    n = torch.arange(11).double()
    gram = sum(
        torch.cos(2 * math.pi * k * (n[:, None] - n) / 11 + shift) for k, shift in zip((1, 2, 3), theta, strict=True)
    )
    torch.testing.assert_close(model.W_E[:11] @ plain.W_E[:11].T, gram)
    torch.testing.assert_close(logits(model, 11), logits(plain, 11), rtol=0, atol=1e-9)


def test_it_is_made_in_the_precision_asked_for():
    model = planted.from_formula(Formula(11, (*SOME,)), dtype=torch.float32)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert not any(weight.requires_grad for weight in model.parameters())
    assert largest_error(model, Formula(11, (*SOME,))) < 1e-4


def test_bad_input_is_one_sentence(one_sentence):
    for terms, options, words in [
        ([], {}, ["formula must have at least one term"]),
        ([Term(0, 1, 0, 1.0, 0.0)], {}, ["frequencies in 1 .. 5", "(0, 1, 0)"]),
        ([Term(1, 6, 1, 1.0, 0.0)], {}, ["frequencies in 1 .. 5", "(1, 6, 1)"]),
        ([Term(1, 1, -1, 1.0, 0.0)], {}, ["frequencies in 1 .. 5", "(1, 1, -1)"]),
        (SOME, {"n_heads": 1}, ["n_heads must be at least 2", "1"]),
        (SOME, {"hinges": 0, "act": "relu"}, ["hinges must be at least 1", "0"]),
        (SOME, {"dead_neurons": -1}, ["dead_neurons must be at least 0", "-1"]),
        (SOME, {"embedding_phases": (0.1,)}, ["embedding_phases must be one for each", "[1, 2, 3]", "1"]),
    ]:
        with one_sentence(*words):
            planted.from_formula(Formula(11, tuple(terms)), **options)
