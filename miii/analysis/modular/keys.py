"""The key frequencies of a network: those at which its logits follow a sum of the operands."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.modular import grid, relabelling
from miii.analysis.modular.formula import MULTIPLIERS, Fit, fit
from miii.analysis.modular.relabelling import Relabelling
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.numbers import centered
from miii.tasks import ModularAddition, Task

COHERENCE = 0.25  #: least coherence of a key frequency
FLAT = 4  #: a lookup table's frequencies differ in share by less than this factor ...
WHOLE = 0.9  #: ... and its coherence, the share of pairs in the table, is below this
LARGEST_P = 211  #: the p^3 logits of larger p take gigabytes; ``choose`` takes them all the same
ROUNDING = 1e-9  #: a smaller share of the logits' variance is rounding

#: The rule in one sentence, as the pages state it.
RULE = (
    f"A frequency k is key if one wave in ±(αa + βb) − c holds at least {COHERENCE:.0%} of the logits' joint "
    "dependence on a and b at k; chance: about 2/(p − 1)²."
)


@dataclass(frozen=True)
class Waves:
    """How far logits are waves in +-(alpha u + beta v) - c, by frequency 1 .. m // 2 of the answer c.

    Two waves with opposite signs weigh cosine and sine of one sum differently; see ``formula.Formula``.

    Attributes:
        multipliers: (alpha, beta), the strongest of all.
        share: share of the logits' variance over the pairs.
        coherence: share of the part of frequency k in c that depends on both operands together. A random function of
            the pairs has 2 / (m - 1)^2, a lookup table of some pairs their share.
    """

    multipliers: tuple[int, int]
    share: Float[Tensor, " frequency"]
    coherence: Float[Tensor, " frequency"]

    @property
    def flat(self) -> bool:
        """Whether all frequencies are about equally strong and none is a whole wave, as in a lookup table."""
        return bool(self.share.max() < FLAT * self.share.min() and self.coherence.max() < WHOLE)

    @property
    def frequencies(self) -> tuple[int, ...]:
        """The key frequencies, ascending."""
        found = (self.coherence >= COHERENCE) & (self.share > ROUNDING)
        return () if self.flat else tuple((found.nonzero()[:, 0] + 1).tolist())

    @property
    def why_none(self) -> str:
        """The reason why there is no key frequency, as part of a sentence; empty if there are some."""
        if self.frequencies:
            return ""
        if not self.share.max() > ROUNDING:
            return "the logits do not depend on both operands together"
        if self.flat and self.coherence.max() >= COHERENCE:
            return "all frequencies are equally strong, as in a lookup table of pairs"
        best = int(self.coherence.argmax())
        return (
            f"at the best frequency, {best + 1}, a single wave makes up {self.coherence[best].item():.3g} of the "
            f"logits' joint dependence on both operands, and at least {COHERENCE} is required"
        )


@dataclass(frozen=True)
class Choice:
    """The key frequencies of a network on a task.

    Attributes:
        frequencies: ascending; ``waves.frequencies``, or those asked for.
        relabelling: the operands and answers in which ``waves`` were found.
        why_none: the reason why there is no key frequency, as part of a sentence; empty if there are some.
        inseparable: the reason why the task itself is no sum under any relabelling; empty if it is one.
    """

    frequencies: tuple[int, ...]
    waves: Waves
    relabelling: Relabelling
    why_none: str = ""
    inseparable: str = ""

    @property
    def multipliers(self) -> tuple[int, int]:
        """The (alpha, beta) of the waves; (1, 1) if there is no key frequency."""
        return self.waves.multipliers if self.waves.frequencies else (1, 1)

    def aligned(self, task: Task, usual: tuple[int, int] = (1, 1)) -> tuple[Relabelling, tuple[int, int]]:
        """Return the order of operands and answers in which one neuron has one frequency, and the multipliers there.

        The numbers as they are if the relabelling is not one-to-one, such as a^2.

        Args:
            usual: the multipliers of numbers as they are, if there is no key frequency.
        """
        found = self.relabelling
        if not found.full:
            return relabelling.natural(task), usual
        multipliers = self.multipliers if self.frequencies else usual if found.natural else (1, 1)
        scaled = found.scaled(multipliers)
        return scaled, multipliers if scaled is found else (1, 1)

    def fit(self, logits: Float[Tensor, "examples p"], task: Task) -> Fit:
        """Fit the formula of these frequencies to the network's logits, or to those of another snapshot."""
        relabelled = self.relabelling
        labels, operands = relabelled.labels(task.labels), (relabelled.u, relabelled.v)
        return fit(relabelled.logits(logits), labels, self.frequencies, operands=operands)


def waves(
    logits: Float[Tensor, "pairs m"], operands: tuple[Int[Tensor, " pairs"], Int[Tensor, " pairs"]] | None = None
) -> Waves:
    """Measure how far logits are waves in a sum of the operands: the core of the rule, on any grid of logits.

    Multipliers alpha and beta are chosen among ``formula.MULTIPLIERS`` and those of the strongest wave at each
    frequency of the answer: those whose waves have the largest share in all.

    Args:
        logits: of all pairs, or of some.
        operands: u and v in Z_m of each pair; if None, the pairs are all p^2 in the order a * p + b.

    Source: the waves are those of Nanda et al. 2023 (arXiv 2301.05217), section 4.2; the rule is our own. Nanda et al.
    pick key frequencies by eye and publish no threshold.
    """
    m = logits.shape[1]
    u, v = operands or (grid.combined(m, (1, 0)), grid.combined(m, (0, 1)))
    k = torch.arange(1, m // 2 + 1)
    # float32 is enough for shares, and twice as fast; a matrix product is faster than an FFT of prime length
    values = logits.double() - logits.double().mean(1, keepdim=True)
    values = (values / values.abs().max().clamp_min(torch.finfo(torch.float64).tiny)).float()
    angle = (2 * math.pi / m * (torch.arange(m)[:, None] * k % m).double()).float()
    parts = torch.complex(values @ angle.cos(), -(values @ angle.sin()))
    parts -= parts.mean(0)
    twice = torch.where(2 * k == m, 1.0, 2.0)  # the Nyquist frequency counts once
    variance = (_square(parts).mean(0) * twice).sum().clamp_min(torch.finfo(torch.float32).tiny)
    mixed = parts - _means(parts, u)[u] - _means(parts, v)[v]
    each = _square(mixed).mean(0)
    table = torch.zeros(m * m, len(k), dtype=parts.dtype).index_add(0, u * m + v, mixed.conj().resolve_conj())
    power = _square(torch.fft.fft2(table.view(m, m, -1), dim=(0, 1)) / len(u))  # [k_u, k_v, k]

    best = power.flatten(0, 1).argmax(0)
    found = list(MULTIPLIERS)
    for frequency, at in zip(k.tolist(), best.tolist(), strict=True):
        if math.gcd(frequency, m) == 1 and at // m and at % m:
            inverse = pow(frequency, -1, m)
            found.append((centered(at // m * inverse, m), centered(at % m * inverse, m)))
    wave = {(alpha, beta): power[alpha * k % m, beta * k % m, k - 1] for alpha, beta in found}
    mirror = {}
    for alpha, beta in wave:
        other = (2 * k != m) & ((2 * alpha * k % m != 0) | (2 * beta * k % m != 0))  # else it is the wave itself
        mirror[alpha, beta] = power[-alpha * k % m, -beta * k % m, k - 1] * other

    def size(of: Tensor) -> float:
        return round(((of * twice).sum() / variance).item(), 6)

    # of pairs that fit equally well, as at the Nyquist frequency, the first
    multipliers = max(wave, key=lambda pair: (size(wave[pair] + mirror[pair]), size(wave[pair])))
    best_wave = wave[multipliers] + mirror[multipliers]
    coherence = best_wave / each.clamp_min(torch.finfo(torch.float32).tiny)
    return Waves(multipliers, (best_wave * twice / variance).double(), coherence.double())


def choose(logits: Float[Tensor, "examples p"], task: Task, frequencies: Sequence[int] | None = None) -> Choice:
    """Choose the key frequencies of logits on a task, under the relabelling in which waves have the largest share.

    Args:
        frequencies: use these instead.

    Raises:
        InputError: the task does not have pairs of Z_p, or a frequency is out of range.
    """
    offered, inseparable = relabelling.candidates(task)
    measured = [(each, waves(each.logits(logits), (each.u, each.v))) for each in offered]
    best, found = max(measured, key=lambda pair: sum(pair[1].share[k - 1].item() for k in pair[1].frequencies))
    if frequencies is not None:
        return Choice(check(frequencies, best.m), found, best, inseparable=inseparable)
    if task.d_vocab_out < grid.MIN_P:
        why = f"p must be at least {grid.MIN_P} to tell its frequencies apart (got {task.d_vocab_out})"
        return Choice((), found, best, why, inseparable)
    return Choice(found.frequencies, found, best, found.why_none, inseparable)


def of_model(model: Transformer, task: Task | None = None, frequencies: Sequence[int] | None = None) -> Choice:
    """Choose the key frequencies of a network, as ``choose``; on ``addition`` if there is no task.

    There are none if p is above ``LARGEST_P``.

    Raises:
        InputError: as ``choose``, or a logit is not finite.
    """
    task = task or addition(model)
    p = task.d_vocab_out
    if p > LARGEST_P:
        none = torch.zeros(p // 2, dtype=torch.float64)
        why = f"p must be at most {LARGEST_P} to search all pairs for waves (got {p})"
        return Choice((), Waves((1, 1), none, none), relabelling.natural(task), why)
    return choose(grid.logits(model, task), task, frequencies)


def addition(model: Transformer) -> Task:
    """Return addition modulo the model's number of outputs, as the task of a model that comes without one."""
    return ModularAddition(p=model.W_U.shape[1], train_fraction=None).build()


def check(frequencies: Sequence[int], m: int) -> tuple[int, ...]:
    """Return frequencies in ascending order.

    Raises:
        InputError: there is none, or one is not in 1 .. m // 2.
    """
    wrong = [k for k in frequencies if not 1 <= k <= m // 2]
    if wrong or not frequencies:
        raise InputError(f"frequencies must be in 1 .. {m // 2} (got {wrong[0] if wrong else 'none'}).")
    return tuple(sorted(set(frequencies)))


def _square(parts: Tensor) -> Tensor:
    return parts.real.square() + parts.imag.square()


def _means(parts: Tensor, labels: Int[Tensor, " pairs"]) -> Tensor:
    """Return the mean of the rows with each label."""
    size = int(labels.max()) + 1
    counts = torch.bincount(labels, minlength=size).clamp_min(1)
    return torch.zeros(size, parts.shape[1], dtype=parts.dtype).index_add(0, labels, parts) / counts[:, None]
