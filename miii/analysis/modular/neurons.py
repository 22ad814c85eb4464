"""The neurons of the last block: frequencies, phases, and writes to the logits."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.modular import fourier, fourier2d, grid
from miii.analysis.modular.relabelling import Relabelling
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task

SINGLE = 0.85  #: share of variance in one frequency above which a neuron has a single frequency (Nanda et al. 2023)
DEAD = 1e-6  #: a neuron is dead if its variance is below this share of the largest neuron's


@dataclass(frozen=True)
class Neurons:
    """The neurons of the last block over all pairs, at the last position. Angles in radians.

    A neuron of frequency k is a function of cos(w_k a + phase_a) and cos(w_k b + phase_b), and writes approximately
    cos(w_k c + phase_out) to answer c. To favor a + b (``multipliers`` (1, 1)) it needs phase_out = phase_a + phase_b.
    ``phase_error`` is the difference, in -pi .. pi, and ``alignment`` its cosine: 1 if input and output agree,
    0 for dead neurons. At the Nyquist frequency there is no sine, and a phase is 0 or pi.

    Attributes:
        alive: whether the neuron varies over the pairs by more than rounding, and by more than a millionth of the
            variance of the neuron that varies most.
        frequency: the k with the largest part of the 2-D spectrum (in a, in b, and in products of both); 0 if dead.
        share: that part, as a share of the neuron's variance over the pairs; 0 if dead.
        power: mean over live neurons of the share of each frequency 1 .. p // 2.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2 and appendix C; the phases are those of Gromov
    (arXiv 2301.02679), equations 7 to 10.
    """

    p: int
    alive: Bool[Tensor, " neuron"]
    frequency: Int[Tensor, " neuron"]
    share: Float[Tensor, " neuron"]
    phase_a: Float[Tensor, " neuron"]
    phase_b: Float[Tensor, " neuron"]
    phase_out: Float[Tensor, " neuron"]
    phase_error: Float[Tensor, " neuron"]
    alignment: Float[Tensor, " neuron"]
    power: Float[Tensor, " frequency"]

    @property
    def dead(self) -> int:
        """The number of dead neurons."""
        return int((~self.alive).sum())

    @property
    def single_frequency(self) -> float:
        """The share of live neurons with more than 85% of their variance in one frequency; 0 if all are dead."""
        return (self.share[self.alive] > SINGLE).double().mean().item() if self.alive.any() else 0.0

    @property
    def mean_alignment(self) -> float:
        """The mean alignment of live neurons; 0 if all are dead."""
        return self.alignment[self.alive].mean().item() if self.alive.any() else 0.0

    def clusters(self) -> dict[int, Int[Tensor, " members"]]:
        """Return the live neurons with more than 85% of their variance in one frequency, by that frequency."""
        chosen = self.alive & (self.share > SINGLE)
        return {
            int(k): (chosen & (self.frequency == k)).nonzero()[:, 0] for k in self.frequency[chosen].unique(sorted=True)
        }


@torch.no_grad()
def describe(
    model: Transformer,
    task: Task,
    multipliers: tuple[int, int] = (1, 1),
    relabelled: Relabelling | None = None,
    inputs: Float[Tensor, "pairs neuron"] | None = None,
) -> Neurons:
    """Describe the neurons of the last block.

    Args:
        multipliers: coefficients of a and b in the answer: (1, 1) for the sum, (1, -1) for the difference. With others,
            a neuron has different frequencies in a and b, and its phases are meaningless.
        relabelled: the operands and answers that are added, one-to-one; the numbers as they are if None.
        inputs: ``grid.neuron_inputs(model, task)``, if it was computed already.

    Raises:
        InputError: the task does not have all pairs of Z_p, or the relabelling is not one-to-one.

    Source: as ``Neurons``.
    """
    pre = grid.neuron_inputs(model, task) if inputs is None else inputs
    written = fourier.neuron_logit(model).T.double()
    if relabelled is None:
        p = grid.modulus(task)
    elif relabelled.full:
        p, pre, written = relabelled.m, pre[relabelled.rows], written[relabelled.answers]
    else:
        raise InputError(f"relabelled must be one-to-one (got {', '.join(relabelled.names)} modulo {relabelled.m}).")
    post = model.blocks[-1].act(pre)
    blocks = fourier2d.powers(post.view(p, p, -1))
    squares = blocks.sum((0, 1))
    blocks[0, 0] = 0
    variance = blocks.sum((0, 1))
    alive = (variance > DEAD * variance.max()) & (variance > fourier2d.ROUNDING * squares)
    parts = blocks.diagonal()[:, 1:].T + blocks[0, 1:] + blocks[1:, 0]
    parts = parts / variance.clamp_min(torch.finfo(torch.float64).tiny)
    parts[:, ~alive] = 0
    share, best = parts.max(0)
    frequency = torch.where(alive, best + 1, 0)

    # the waves of a and of b in the neuron's input, and of c in its output
    in_a, in_b = (pre.view(p, p, -1).mean(axis, dtype=torch.float64) for axis in (1, 0))
    phase_a, phase_b = _phase(in_a, frequency), _phase(in_b, frequency)
    phase_out = _phase(written, frequency)
    error = multipliers[0] * phase_a + multipliers[1] * phase_b - phase_out
    error = torch.atan2(error.sin(), error.cos())
    alignment = torch.where(alive, error.cos(), 0.0)
    power = parts[:, alive].mean(1) if alive.any() else parts[:, 0]
    return Neurons(p, alive, frequency, share, phase_a, phase_b, phase_out, error, alignment, power)


def power_over_training(
    models: Iterable[Transformer], task: Task, relabelled: Relabelling | None = None
) -> Float[Tensor, "snapshot frequency"]:
    """Return ``Neurons.power`` of each network; arguments as in ``describe``."""
    return torch.stack([describe(model, task, relabelled=relabelled).power for model in models])


def _phase(waves: Float[Tensor, "p neuron"], frequency: Int[Tensor, " neuron"]) -> Float[Tensor, " neuron"]:
    """Return the phase phi of cos(w n + phi) in each column, at the column's frequency; in (-pi, pi]."""
    p = waves.shape[0]
    angle = 2 * math.pi / p * (torch.arange(p)[:, None] * frequency % p).double()
    return torch.atan2(-(waves * angle.sin()).sum(0), (waves * angle.cos()).sum(0))
