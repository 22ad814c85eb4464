"""The formula that was planted is found, on half of the pairs, and says what it is."""

import itertools
import math

import numpy as np
import pytest
import sympy
import torch

import miii
from miii.analysis.modular import formula, grid
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted


def labels(p, operation="add"):
    return miii.ModularAddition(p=p, operation=operation).build().labels


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def cosines(found):
    """The formula's logits, term by term, by numpy."""
    p = found.p
    a, b, c = np.meshgrid(*[np.arange(p)] * 3, indexing="ij")
    out = np.zeros((p, p, p))
    for t in found.terms:
        out += t.amplitude * np.cos(2 * np.pi * (t.k_a * a + t.k_b * b - t.k_c * c) / p + t.phase)
    return out.reshape(p * p, p)


def assert_same(found, planted, turn, amplitude=1e-9, phase=1e-9):
    """That all terms are the same, amplitudes and phases to a tolerance."""
    assert [(t.k_a, t.k_b, t.k_c) for t in found.terms] == [(t.k_a, t.k_b, t.k_c) for t in planted.terms]
    for one, other in zip(found.terms, planted.terms, strict=True):
        assert one.amplitude == pytest.approx(other.amplitude, abs=amplitude)
        assert turn(one.phase - other.phase) == pytest.approx(0, abs=phase)


# ---- planted truths ----

SIGNS = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
PLANTED = [
    *itertools.product([11, 59], [(1, 3, 5)], [*SIGNS, (1, 3), (2, 5)]),
    *itertools.product([12], [(1, 4, 6), (2, 3, 5)], SIGNS),  # the Nyquist frequency, and divisors in common with p
    (12, (2, 3, 5), (1, 3)),
]


def test_amplitudes_and_phases_of_logits_are_found(waves, turn):
    for p, keys, multipliers in PLANTED:
        truth = waves(p, keys, multipliers, phases=(0.4, -2.0, 0.0))
        fit = formula.fit(torch.from_numpy(cosines(truth)), labels(p), keys)
        assert_same(fit.formula, truth, turn)
        assert fit.formula.multipliers == multipliers
        assert fit.variance_explained == pytest.approx(1)
        assert (fit.argmax_agreement, fit.kl) == (1, pytest.approx(0, abs=1e-12))


def test_a_mirror_image_is_found_beside_its_wave(turn):
    for p, k_a, k_b, k_c in [(11, 3, -3, 3), (12, 1, 1, 1), (59, 7, -14, 7)]:
        truth = Formula(p, (Term(k_a, k_b, k_c, 3.0, 0.4), Term(-k_a, -k_b, k_c, 1.5, -1.0)))
        fit = formula.fit(truth.logits(), labels(p), (k_c,))
        assert_same(fit.formula, truth, turn)
        assert fit.variance_explained == pytest.approx(1)
        assert (k_a, k_b) == tuple(k_c * each for each in fit.formula.multipliers)
        found = miii.analysis.keys.waves(truth.logits())
        assert (found.frequencies, found.multipliers) == ((k_c,), fit.formula.multipliers)
        assert found.coherence[k_c - 1] > 0.99


def test_the_sum_s_waves_may_be_read_in_any_way(waves):
    """Answers that read a second wave of the same sum are outside the formula, but agree with the network."""
    truth, other = waves(P, (2,), amplitudes=(3.0,)), Formula(P, (Term(2, 2, 5, 2.5, 0.3),))
    fit = formula.fit(truth.logits() + other.logits(), labels(P), (2,))
    assert fit.formula.multipliers == (1, 1)
    assert fit.readout_agreement == 1 > fit.argmax_agreement
    one = formula.fit(random(P * P, P), labels(P), (2,))
    assert one.readout_agreement < 0.5


def test_formula_of_a_square_network(waves, turn):
    for p, keys in [(11, (1, 4)), (12, (1, 6)), (59, (3, 7, 20))]:
        for multipliers in [(1, 1), (1, -1), (1, 3)]:
            truth = waves(p, keys, multipliers, phases=(0.3, -1.2, 0.0)[: len(keys)] if p % 2 else (0.3, 0.0))
            theta = (0.9, -2.0, 0.4, 1.5, 0.2, -0.7)[: len({abs(k) for t in truth.terms for k in (t.k_a, t.k_b)})]
            model = planted.from_formula(truth, embedding_phases=theta)
            found = miii.analysis.keys.of_model(model).frequencies
            assert found == keys
            fit = formula.fit(grid.logits(model, miii.ModularAddition(p=p).build()), labels(p), found)
            assert_same(fit.formula, truth, turn)
            assert fit.formula.multipliers == multipliers
            assert fit.variance_explained == pytest.approx(1, abs=1e-9)


def test_formula_under_noise(waves, noisy, turn):
    for act in ["square", "relu"]:
        truth = waves(23, (2, 5, 9), phases=(0.3, -0.4, 0.1))
        for seed in range(5):
            model = noisy(planted.from_formula(truth, act=act, embedding_phases=(0.1, 0.8, 1.5)), 200, seed)
            keys = miii.analysis.keys.of_model(model).frequencies
            assert keys == (2, 5, 9)
            fit = formula.fit(grid.logits(model, miii.ModularAddition(p=23).build()), labels(23), keys)
            assert_same(fit.formula, truth, turn, amplitude=0.1, phase=0.01)


def test_formula_of_another_operation_is_poor():
    task = miii.ModularAddition(p=23, operation="mul").build()
    logits = 20 * torch.nn.functional.one_hot(task.labels, 23).double()
    fit = formula.fit(logits, task.labels, range(1, 12))
    assert fit.variance_explained < 0.3
    assert fit.argmax_agreement < 0.3
    assert fit.formula.multipliers is None


def test_sign_convention_at_the_nyquist_frequency(turn):
    """There c and -c are equal, so all signs may flip at once."""
    for p, k_a, k_b in [(12, 2, 3), (12, 6, 1), (12, 1, 6), (20, 2, -3), (20, 10, 1)]:
        turned = Formula(p, (Term(-k_a, -k_b, p // 2, 2.0, -0.7),)).logits()
        for seed in range(5):  # rounding may prefer either
            fit = formula.fit(turned + 1e-3 * random(p * p, p, seed=seed), labels(p), (p // 2,))
            assert_same(fit.formula, Formula(p, (Term(k_a, k_b, p // 2, 2.0, 0.7),)), turn, amplitude=0.01, phase=0.01)


# ---- what it says ----


def test_logits_sum_the_terms():
    some = Formula(12, (Term(1, -2, 3, 2.0, 0.5), Term(6, 6, 6, 1.0, 0.0), Term(-5, 4, 1, 3.0, -3.0)))
    np.testing.assert_allclose(some.logits().numpy(), cosines(some), atol=1e-12)
    assert torch.equal(Formula(11, ()).logits(), torch.zeros(121, 11).double())


def test_multipliers():
    for p, terms, multipliers in [
        (11, [], None),
        (11, [(3, 3, 3, 1.0)], (1, 1)),
        (11, [(-3, 3, 3, 1.0), (-1, 1, 1, 2.0)], (-1, 1)),
        (11, [(2, -5, 2, 1.0)], (1, 3)),
        (11, [(3, 3, 3, 1.0), (1, -1, 1, 1.0)], None),
        (11, [(3, 3, 3, 10.0), (1, -1, 1, 0.99)], (1, 1)),  # under 1 % of the squares
        (11, [(3, 3, 3, 10.0), (1, -1, 1, 1.01)], None),
        (11, [(3, 3, 3, 10.0), (1, -1, 1, 0.8), (2, 3, 2, 0.8)], None),  # more than 1 % together
        (12, [(2, 2, 2, 1.0)], (1, 1)),
        (12, [(2, -2, 2, 1.0), (4, -4, 4, 1.0)], (1, -1)),
        (12, [(2, 4, 2, 1.0)], (1, 2)),  # no inverse of 2: the smallest of those that fit
        (12, [(2, 5, 2, 1.0)], None),
        (12, [(6, 6, 6, 1.0)], (1, 1)),  # a sum as well as a difference
        (12, [(1, -1, 1, 1.0), (6, 6, 6, 3.0)], (1, -1)),  # what the others say
        (12, [(1, 3, 1, 1.0), (3, -3, 3, 3.0)], (1, 3)),  # 9 is -3 modulo 12
        (12, [(1, 1, 1, 1.0), (6, 3, 6, 3.0)], None),
    ]:
        assert Formula(p, tuple(Term(*term, 0.3) for term in terms)).multipliers == multipliers


SOME = Formula(11, (Term(2, 2, 2, 1234.5, 0.0), Term(3, -3, 3, 0.25, -1.25), Term(-1, 5, 4, 1e-7, 3.0)))


def test_sympy_expression_evaluates_to_the_logits():
    expression = SOME.sympy()
    a, b, c = sympy.symbols("a b c", integer=True)
    assert expression.free_symbols == {a, b, c}
    n = np.arange(11)
    grids = np.meshgrid(n, n, n, indexing="ij")
    values = sympy.lambdify((a, b, c), expression, "numpy")(*grids)
    np.testing.assert_allclose(values.reshape(121, 11), SOME.logits().numpy(), rtol=0, atol=1e-9)


def test_sympy_digits():
    assert "1.2e+3*" in str(SOME.sympy(2)).replace("1.2e+03", "1.2e+3").replace(" ", "")
    assert "1234.5" in str(SOME.sympy())


def test_empty_formula_is_zero():
    assert Formula(11, ()).sympy() == 0
    assert Formula(11, ()).latex() == "0"


def test_latex():
    assert SOME.latex() == " + ".join(
        [
            r"1.23 \cdot 10^{3}\cos\!\left(\tfrac{2\pi \cdot 2}{11}(a + b - c)\right)",
            r"0.25\cos\!\left(\tfrac{2\pi \cdot 3}{11}(a - b - c) - 1.250\right)",
            r"1 \cdot 10^{-7}\cos\!\left(\tfrac{2\pi}{11}(-1a +5b -4c) + 3.000\right)",
        ]
    )


# ---- fitted on half, judged on the other ----

P = 11
KEYS = (2, 4)


@pytest.fixture(scope="module")
def blurred(waves):
    """Logits of a formula that explains most of them but not all."""
    return waves(P, KEYS, amplitudes=(3.0, 2.0), phases=(0.3, 0.0)).logits() + 0.8 * random(P * P, P)


@pytest.fixture(scope="module")
def fitted(blurred):
    """Which pairs the formula depends on, found by disturbing them one at a time."""
    plain = formula.fit(blurred, labels(P), KEYS).formula
    depends = []
    for pair in range(P * P):
        disturbed = blurred.clone()
        disturbed[pair] += random(P, seed=pair)
        depends.append(formula.fit(disturbed, labels(P), KEYS).formula != plain)
    return torch.tensor(depends)


def test_formula_depends_on_half_of_the_pairs(fitted):
    assert fitted.sum() == P * P // 2


def test_seed_draws_the_fitted_half(blurred, fitted):
    held_out = (~fitted).nonzero()[0]
    disturbed = blurred.clone()
    disturbed[held_out] += random(P)
    seen = [
        formula.fit(disturbed, labels(P), KEYS, seed).formula != formula.fit(blurred, labels(P), KEYS, seed).formula
        for seed in range(8)
    ]
    assert seen[0] is False
    assert True in seen


def test_measures_use_the_held_out_half(blurred, fitted):
    fit = formula.fit(blurred, labels(P), KEYS)
    own, network, held_out = fit.formula.logits(), blurred - blurred.mean(1, keepdim=True), ~fitted
    assert 0.7 < fit.variance_explained < 0.95
    each_mean, rest_mean = network[fitted].mean(0), (network - own)[fitted].mean(0)
    residual = ((network - own)[held_out] - rest_mean).square().sum()
    expected = 1 - residual / (network[held_out] - each_mean).square().sum()
    assert fit.variance_explained == pytest.approx(expected.item())
    agreement = (own.argmax(1) == network.argmax(1))[held_out].double().mean().item()
    assert fit.argmax_agreement == pytest.approx(agreement)
    assert agreement < 1
    q = torch.distributions.Categorical(logits=own[held_out])
    p = torch.distributions.Categorical(logits=blurred[held_out])
    assert fit.kl == pytest.approx(torch.distributions.kl_divergence(p, q).mean().item())


def test_accuracy_and_loss_on_all_pairs(blurred):
    fit = formula.fit(blurred, labels(P), KEYS)
    own, right = cosines(fit.formula), labels(P).numpy()
    assert fit.accuracy == (own.argmax(1) == right).mean()
    log_softmax = own - np.log(np.exp(own).sum(1, keepdims=True))
    assert fit.loss == pytest.approx(-log_softmax[np.arange(P * P), right].mean())
    other = formula.fit(blurred, (labels(P) + 1) % P, KEYS)
    assert other.formula == fit.formula
    assert other.accuracy < 0.1 < 0.9 < fit.accuracy


def test_terms_solve_least_squares(blurred, fitted):
    """Amplitude and phase solve the regression on the fitted pairs, with each answer's constant beside them."""
    for term in formula.fit(blurred, labels(P), KEYS).formula.terms:
        n = np.arange(P)
        wave = np.exp(2j * np.pi * (term.k_a * n[:, None] + term.k_b * n).reshape(-1, 1) / P)
        wave = wave * np.exp(-2j * np.pi * term.k_c * n / P)
        target = blurred.numpy() - blurred.numpy().mean(1, keepdims=True)
        kept = fitted.numpy()
        design = np.stack([(x - x.mean(0)).ravel() for x in (wave.real[kept], -wave.imag[kept])], axis=1)
        x, y = np.linalg.lstsq(design, (target[kept] - target[kept].mean(0)).ravel(), rcond=None)[0]
        assert term.amplitude == pytest.approx(math.hypot(x, y))
        assert term.phase == pytest.approx(math.atan2(y, x))


def test_constants_do_not_matter(blurred):
    plain = formula.fit(blurred, labels(P), KEYS)
    moved = formula.fit(blurred + 1e4 * random(P, seed=1) + 1e4 * random(P * P, 1, seed=2), labels(P), KEYS)
    assert moved.variance_explained == pytest.approx(plain.variance_explained, rel=1e-6)
    for one, other in zip(moved.formula.terms, plain.formula.terms, strict=True):
        assert (one.amplitude, one.phase) == (pytest.approx(other.amplitude), pytest.approx(other.phase))


def test_constant_logits_are_not_explained():
    for frequencies in [(), (2, 4)]:
        for logits in (torch.zeros(P * P, P), torch.ones(P * P, 1) * torch.arange(P)):
            fit = formula.fit(logits.double(), labels(P), frequencies)
            assert fit.variance_explained == pytest.approx(0, abs=1e-9)
            assert math.isfinite(fit.kl)


def test_invalid_frequency_is_an_error(one_sentence, blurred):
    for wrong in [0, 6, -1]:
        with one_sentence("frequencies must be in 1 .. 5", f"(got {wrong})"):
            formula.fit(blurred, labels(P), (2, wrong))
