"""Fourier analysis over pairs (a, b): which products of a wave in a and a wave in b something is made of."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular import grid
from miii.analysis.modular.fourier import basis
from miii.model.transformer import Transformer
from miii.tasks import Task

CHUNK = 64  #: functions that are transformed at a time
ROUNDING = 1e-12  #: a variance below this share of the mean square is what float32 leaves of none


def transform(values: Float[Tensor, "p p *rest"]) -> Float[Tensor, "p p *rest"]:
    """Coefficients of a function of (a, b) in the products of ``basis(p)`` with itself, in float64.

    Row and column 0 belong to the constant, 2k - 1 to cos w_k and 2k to sin w_k. The sum of squares is kept (Parseval).

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4 and appendix B.
    """
    p = values.shape[0]
    B = basis(p)
    flat = values.double().reshape(p, p, -1)
    along_a = (B @ flat.flatten(1)).view(p, p, -1)
    return (B @ along_a).reshape(values.shape)


def block_power(coefficients: Float[Tensor, "p p *rest"]) -> Float[Tensor, "frequency frequency *rest"]:
    """Power by the frequencies of a and of b: squares summed over cosine and sine; index 0 is the constant.

    Source: Nanda et al. 2023, figure 6.
    """
    p = coefficients.shape[0]
    frequency = (torch.arange(p) + 1) // 2
    squares = coefficients.square()
    out = squares.new_zeros(p // 2 + 1, *squares.shape[1:]).index_add(0, frequency, squares)
    return out.new_zeros(p // 2 + 1, p // 2 + 1, *out.shape[2:]).index_add(1, frequency, out)


def powers(values: Float[Tensor, "p p functions"]) -> Float[Tensor, "frequency frequency functions"]:
    """``block_power`` of many functions, in less memory than all their coefficients need. Source: as there."""
    return torch.cat([block_power(transform(some)) for some in values.split(CHUNK, dim=2)], dim=2)


@dataclass(frozen=True)
class Spectrum2D:
    """What a site is made of over (a, b), its axes summed over.

    Attributes:
        power: share of the variance over (a, b), by the frequency of a (row) and of b (column), 0 .. p // 2. The mean,
            at [0, 0], is no variance and is left at 0. All are 0 where the site does not vary beyond rounding.

    Source: Nanda et al. 2023, figure 6.
    """

    p: int
    power: Float[Tensor, "frequency frequency"]

    def single(self) -> Float[Tensor, " frequency"]:
        """For each k = 1 .. p // 2 the share in k alone: in a, in b, and in products of both. At most 1 in all."""
        diagonal = self.power.diagonal()[1:]
        return diagonal + self.power[0, 1:] + self.power[1:, 0]


def spectrum(values: Float[Tensor, "pairs *rest"]) -> Spectrum2D:
    """The spectrum of values given for every pair in the order a * p + b. Source: as ``Spectrum2D``."""
    p = round(values.shape[0] ** 0.5)
    power = powers(values.reshape(p, p, -1)).sum(-1)
    squares = power.sum()
    power[0, 0] = 0
    variance = power.sum()
    return Spectrum2D(p, power / variance if variance > ROUNDING * squares else torch.zeros_like(power))


def site_spectrum(model: Transformer, task: Task, name: str) -> Spectrum2D:
    """The spectrum of an activation at the last position, such as ``"0.mlp_post"`` or ``"logits"``.

    Raises:
        InputError: the model has no such activation, or the task is not made of all pairs of Z_p.

    Source: Nanda et al. 2023, figure 6.
    """
    grid.modulus(task)
    return spectrum(grid.logits(model, task) if name == "logits" else grid.activations(model, task, name))
