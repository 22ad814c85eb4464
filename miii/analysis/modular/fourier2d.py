"""Fourier analysis over pairs (a, b): power by the frequencies of a and of b."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.modular import grid
from miii.analysis.modular.fourier import basis
from miii.analysis.modular.relabelling import Relabelling
from miii.model.transformer import Transformer
from miii.tasks import Task

CHUNK = 64  #: functions to transform at once
ROUNDING = 1e-12  #: variance below this share of the mean square is float32 rounding


def transform(values: Float[Tensor, "p p *rest"]) -> Float[Tensor, "p p *rest"]:
    """Return the coefficients of a function of (a, b) in the products of ``basis(p)`` with itself, in float64.

    Row and column 0 belong to the constant, 2k - 1 to cos w_k and 2k to sin w_k. Keeps the sum of squares (Parseval).

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4 and appendix B.
    """
    p = values.shape[0]
    B = basis(p)
    flat = values.double().reshape(p, p, -1)
    along_a = (B @ flat.flatten(1)).view(p, p, -1)
    return (B @ along_a).reshape(values.shape)


def block_power(coefficients: Float[Tensor, "p p *rest"]) -> Float[Tensor, "frequency frequency *rest"]:
    """Return the power by the frequencies of a and of b, summed over cosine and sine; index 0 is the constant.

    Source: Nanda et al. 2023, figure 6.
    """
    p = coefficients.shape[0]
    frequency = (torch.arange(p) + 1) // 2
    squares = coefficients.square()
    out = squares.new_zeros(p // 2 + 1, *squares.shape[1:]).index_add(0, frequency, squares)
    return out.new_zeros(p // 2 + 1, p // 2 + 1, *out.shape[2:]).index_add(1, frequency, out)


def powers(values: Float[Tensor, "p p functions"]) -> Float[Tensor, "frequency frequency functions"]:
    """Return ``block_power`` of many functions, in chunks to save memory."""
    return torch.cat([block_power(transform(some)) for some in values.split(CHUNK, dim=2)], dim=2)


@dataclass(frozen=True)
class Spectrum2D:
    """The spectrum of a site over (a, b), summed over its axes.

    Attributes:
        power: share of the variance over (a, b), by the frequency of a (row) and of b (column), 0 .. p // 2. 0 at
            [0, 0], the mean. All are 0 if the site does not vary beyond rounding.

    Source: Nanda et al. 2023, figure 6.
    """

    p: int
    power: Float[Tensor, "frequency frequency"]

    def single(self) -> Float[Tensor, " frequency"]:
        """Return the share of each k = 1 .. p // 2 alone: in a, in b, and in products of both."""
        diagonal = self.power.diagonal()[1:]
        return diagonal + self.power[0, 1:] + self.power[1:, 0]


def spectrum(values: Float[Tensor, "pairs *rest"]) -> Spectrum2D:
    """Return the spectrum of values over all pairs, in the order a * p + b."""
    p = round(values.shape[0] ** 0.5)
    power = powers(values.reshape(p, p, -1)).sum(-1)
    squares = power.sum()
    power[0, 0] = 0
    variance = power.sum()
    return Spectrum2D(p, power / variance if variance > ROUNDING * squares else torch.zeros_like(power))


def site_spectrum(model: Transformer, task: Task, name: str, relabelled: Relabelling | None = None) -> Spectrum2D:
    """Return the spectrum of an activation at the last position, such as ``"0.mlp_post"`` or ``"logits"``.

    Args:
        relabelled: the operands that are added, one-to-one; the numbers as they are if None.

    Raises:
        InputError: the model has no such activation, or the task does not have all pairs of Z_p.

    Source: Nanda et al. 2023, figure 6.
    """
    if relabelled is None or not relabelled.full:
        grid.modulus(task)
    values = grid.logits(model, task) if name == "logits" else grid.activations(model, task, name)
    return spectrum(values if relabelled is None else values[relabelled.rows])
