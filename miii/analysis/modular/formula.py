"""A network's logits as a formula: a sum of cos 2 pi (k a + l b - m c) / p, fitted to half of the pairs."""

import cmath
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics
from miii.errors import InputError
from miii.numbers import centered

if TYPE_CHECKING:
    import sympy


#: Multipliers of a and b that are tried beside those of the terms, and preferred: signs, then small multiples.
MULTIPLIERS = (
    *((1, 1), (1, -1), (-1, 1), (-1, -1)),
    *((i, j) for i in (1, -1, 2, -2, 3, -3) for j in (1, -1, 2, -2, 3, -3) if abs(i * j) > 1),
)
MIRRORED = 0.01  #: least power of a mirror image, relative to its wave
SAME = 0.99  #: least share of the terms' power in waves of one sum


@dataclass(frozen=True)
class Term:
    """One term, ``amplitude * cos(2 pi (a k_a + b k_b - c k_c) / p + phase)``.

    Attributes:
        k_a, k_b: in -(p // 2) .. p // 2.
        k_c: in 1 .. p // 2.
        amplitude: in logits, at least 0.
        phase: in radians, -pi .. pi.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2, with three frequencies instead of one.
    """

    k_a: int
    k_b: int
    k_c: int
    amplitude: float
    phase: float


@dataclass(frozen=True)
class Formula:
    """The logit of answer c to (a, b) as a sum of terms.

    A frequency may have a wave and its mirror image: A cos w(s - c) + B cos w(-s - c) for a sum s is
    (A + B) cos ws cos wc + (A - B) sin ws sin wc, where the network weighs cosine and sine differently.

    Source: Nanda et al. 2023, section 4.2: logits ~ sum_k alpha_k cos(w_k (a + b - c)); the mirror image is our own.
    """

    p: int
    terms: tuple[Term, ...]

    def logits(self) -> Float[Tensor, "pairs p"]:
        """Return the formula's logits for all pairs, in the order a * p + b, in float64."""
        n = torch.arange(self.p)
        of_pairs, of_answers = [n.new_empty(self.p**2, 0).double()], [n.new_empty(0, self.p).double()]
        for term in self.terms:
            of_pair = _angle(self.p, (term.k_a * n[:, None] + term.k_b * n).flatten()) + term.phase
            of_answer = _angle(self.p, term.k_c * n)
            # cos(x - y) as two outer products
            of_pairs.append(torch.stack([of_pair.cos(), of_pair.sin()], 1))
            of_answers.append(term.amplitude * torch.stack([of_answer.cos(), of_answer.sin()]))
        return torch.cat(of_pairs, 1) @ torch.cat(of_answers)

    @property
    def multipliers(self) -> tuple[int, int] | None:
        """The (alpha, beta) for which the terms are waves in +-(alpha a + beta b) - c; None if they disagree.

        (1, 1) is the sum, (1, -1) the difference; of (1, -1) and (-1, 1), the one with stronger waves. Ignores terms
        that disagree if together they have less than 1% of the squared amplitudes. None without terms. If every k_c
        shares a divisor with p, several pairs may fit (at the Nyquist frequency sum and difference are equal): then the
        first of ``MULTIPLIERS``.
        """
        p = self.p
        candidates = list(MULTIPLIERS)
        for term in self.terms:
            if math.gcd(term.k_c, p) == 1:
                inverse = pow(term.k_c, -1, p)
                candidates.append((centered(term.k_a * inverse, p), centered(term.k_b * inverse, p)))

        def weight(found: tuple[int, int], signs: tuple[int, ...]) -> float:
            def fits(t: Term, sign: int) -> bool:
                return (t.k_a - sign * found[0] * t.k_c) % p == 0 == (t.k_b - sign * found[1] * t.k_c) % p

            return math.fsum(t.amplitude**2 for t in self.terms if any(fits(t, sign) for sign in signs)) / total

        total = math.fsum(t.amplitude**2 for t in self.terms)
        if not total:
            return None
        best = max(candidates, key=lambda found: (round(weight(found, (1, -1)), 9), weight(found, (1,))))
        return best if weight(best, (1, -1)) > SAME else None

    def sympy(self, digits: int | None = None) -> "sympy.Expr":
        """Return the formula as a SymPy expression in the integer symbols a, b and c.

        Args:
            digits: significant digits of amplitudes and phases; all if None.
        """
        import sympy

        a, b, c = sympy.symbols("a b c", integer=True)
        number = sympy.Float if digits is None else lambda value: sympy.Float(value, digits)
        return sympy.Add(
            *(
                number(t.amplitude)
                * sympy.cos(2 * sympy.pi * (t.k_a * a + t.k_b * b - t.k_c * c) / self.p + number(t.phase))
                for t in self.terms
            ),
            evaluate=False,
        )

    def latex_terms(self, digits: int = 3) -> list[str]:
        """Return each term in LaTeX: amplitudes with ``digits`` significant digits, phases with as many decimals."""
        parts = []
        for t in self.terms:
            inner = _linear(t, self.p)
            if round(t.phase, digits):
                inner += f" {'-' if t.phase < 0 else '+'} {abs(t.phase):.{digits}f}"
            amplitude, _, power = f"{t.amplitude:.{digits}g}".partition("e")
            times = rf" \cdot 10^{{{int(power)}}}" if power else ""
            parts.append(rf"{amplitude}{times}\cos\!\left({inner}\right)")
        return parts

    def latex(self, digits: int = 3) -> str:
        """Return the formula in LaTeX on one line, numbers as in ``latex_terms``; ``0`` if empty."""
        return " + ".join(self.latex_terms(digits)) or "0"


def _linear(term: Term, p: int) -> str:
    """Return ``2 pi k / p (a + b - c)`` if the frequencies agree up to sign, otherwise a sum with each frequency."""
    if abs(term.k_a) == abs(term.k_b) == term.k_c:
        first, second = ("" if term.k_a > 0 else "-"), ("+" if term.k_b > 0 else "-")
        return rf"\tfrac{{2\pi \cdot {term.k_c}}}{{{p}}}({first}a {second} b - c)"
    texts = [f"{value:+d}{name}" for value, name in ((term.k_a, "a"), (term.k_b, "b"), (-term.k_c, "c")) if value]
    return rf"\tfrac{{2\pi}}{{{p}}}({' '.join(texts).removeprefix('+')})"


@dataclass(frozen=True)
class Fit:
    """A formula fitted to half of the pairs, and how well it fits.

    Attributes:
        variance_explained: held-out R^2 of the logits' variance over the pairs, after subtracting each answer's mean
            over the fitted half. 1 is perfect, below 0 is worse than that mean; 0 if the logits do not vary.
        argmax_agreement: share of held-out pairs at which formula and network have the same largest logit.
        readout_agreement: the same for the formula's waves of the sum alone, where each answer may weigh them as it
            likes: ``Formula.multipliers`` names the sum; without it, ``argmax_agreement``.
        kl: mean KL divergence from the network's output distribution to the formula's on held-out pairs, in nats.
        accuracy, loss: the formula on all pairs, loss in nats. They are not evidence: cos w (a + b - c) contains
            the answer.

    Source: Nanda et al. 2023, section 4.2, with a held-out half.
    """

    formula: Formula
    variance_explained: float
    argmax_agreement: float
    readout_agreement: float
    kl: float
    accuracy: float
    loss: float


def fit(
    logits: Float[Tensor, "pairs p"],
    labels: Int[Tensor, " pairs"],
    frequencies: Sequence[int],
    seed: int = 0,
    operands: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]] | None = None,
) -> Fit:
    """Fit a term to each frequency of c on half of the pairs, and test the formula on the other half.

    For each frequency k of c, the wave in (a, b) is the strongest among all p^2 - 1 pairs of frequencies (k_a, k_b) of
    the 2-D spectrum. So a network that does not add gets a different formula, or a poor fit. The mirror image (-k_a,
    -k_b) becomes a second term if it has at least 1% of the wave's power.

    Args:
        logits: logits of all pairs, in the order a * p + b, or of those in ``operands``.
        labels: the correct answers, for ``accuracy`` and ``loss``.
        frequencies: frequencies of c, such as the key frequencies.
        seed: draws the fitted half.
        operands: a and b of each pair, such as those of a ``relabelling``.

    Raises:
        InputError: a frequency is not in 1 .. p // 2.
    """
    p = logits.shape[1]
    wrong = [k for k in frequencies if not 1 <= k <= p // 2]
    if wrong:
        raise InputError(f"frequencies must be in 1 .. {p // 2} (got {wrong[0]}).")
    logits = logits.double() - logits.double().mean(1, keepdim=True)
    size, n = len(logits), torch.arange(p)
    a, b = operands or (n.repeat_interleave(p), n.repeat(p))
    fitted = torch.zeros(size, dtype=torch.bool)
    fitted[torch.randperm(size, generator=torch.Generator().manual_seed(seed))[: size // 2]] = True
    chosen = sorted(set(frequencies))
    angle = _angle(p, n[:, None] * torch.tensor(chosen, dtype=torch.long))
    waves = torch.complex(logits @ angle.cos(), -(logits @ angle.sin()))
    formula = Formula(p, tuple(term for i, k in enumerate(chosen) for term in _terms(waves[:, i], fitted, p, k, a, b)))

    own = formula.logits()[a * p + b]
    rest = logits - own
    residual = (rest[~fitted] - rest[fitted].mean(0)).square().sum()
    total = (logits[~fitted] - logits[fitted].mean(0)).square().sum()
    agreement = (logits.argmax(1) == own.argmax(1))[~fitted].double().mean().item()
    log_p, log_q = torch.log_softmax(logits[~fitted], 1), torch.log_softmax(own[~fitted], 1)
    return Fit(
        formula=formula,
        variance_explained=(1 - residual / total).item() if total > 0 else 0.0,
        argmax_agreement=agreement,
        readout_agreement=_of_sum(logits, fitted, formula, a, b) if formula.multipliers else agreement,
        kl=(log_p.exp() * (log_p - log_q)).sum(1).mean().item(),
        accuracy=metrics.correct(own, labels).double().mean().item(),
        loss=metrics.cross_entropy(own, labels).mean().item(),
    )


def _of_sum(
    logits: Float[Tensor, "pairs p"], fitted: Bool[Tensor, " pairs"], formula: Formula, a: Tensor, b: Tensor
) -> float:
    """Return the share of held-out pairs at which the best map from the sum's waves to the logits gives the same."""
    assert formula.multipliers is not None
    alpha, beta = formula.multipliers
    frequencies = torch.tensor(sorted({term.k_c for term in formula.terms}))
    angle = _angle(formula.p, (alpha * a + beta * b)[:, None] * frequencies)
    waves = torch.cat([angle.cos(), angle.sin(), torch.ones(len(angle), 1, dtype=angle.dtype)], 1)
    found = waves[~fitted] @ (torch.linalg.pinv(waves[fitted]) @ logits[fitted])
    return (found.argmax(1) == logits[~fitted].argmax(1)).double().mean().item()


def _terms(wave: Tensor, fitted: Bool[Tensor, " pairs"], p: int, k: int, a: Tensor, b: Tensor) -> list[Term]:
    """Return the best term at one frequency of c, and its mirror image if that is strong enough.

    ``wave`` [pairs] is the sum over c of logits * exp(-i w_k c).
    """
    wave = wave - wave[fitted].mean()  # fit a constant together with the term
    known = torch.zeros(p * p, dtype=wave.dtype).index_add(0, a * p + b, torch.where(fitted, wave, 0)).view(p, p)
    # logits in exp(i (w (k_a a + k_b b) - w k c)) appear in the conjugate wave at (k_a, k_b)
    at = int(torch.fft.fft2(known.conj()).abs().argmax())
    k_a, k_b = centered(at // p, p), centered(at % p, p)
    nyquist = 2 * k == p  # there c and -c are equal: the wave is real, and counts once instead of twice
    target = wave[fitted].conj().resolve_conj() / p * (1 if nyquist else 2)
    angle = _angle(p, k_a * a + k_b * b)[fitted]
    turn = torch.polar(torch.ones_like(angle), angle)
    turn -= turn.mean()
    if nyquist:
        # all signs may flip: make the first nonzero one positive
        x, y = (torch.linalg.pinv(torch.stack([turn.real, -turn.imag], 1)) @ target.real).tolist()
        if (k_a if 2 * k_a % p else k_b) < 0:
            k_a, k_b, y = centered(-k_a, p), centered(-k_b, p), -y
        return [Term(k_a, k_b, k, math.hypot(x, y), math.atan2(y, x))]
    if 2 * k_a % p or 2 * k_b % p:  # otherwise the mirror image is the wave itself
        first, second = (torch.linalg.pinv(torch.stack([turn, turn.conj().resolve_conj()], 1)) @ target).tolist()
        if abs(second) ** 2 >= MIRRORED * abs(first) ** 2:
            terms = [(k_a, k_b, first), (centered(-k_a, p), centered(-k_b, p), second)]
            terms.sort(key=lambda term: -abs(term[2]))
            return [Term(i, j, k, abs(value), cmath.phase(value)) for i, j, value in terms]
    first = complex(torch.linalg.pinv(turn[:, None]) @ target)
    return [Term(k_a, k_b, k, abs(first), cmath.phase(first))]


def _angle(p: int, turns: Tensor) -> Tensor:
    # reduce modulo p as integers first, so the angle is exact to the last bit
    return 2 * math.pi / p * (turns % p).double()
