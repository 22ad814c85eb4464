"""What lets signals survive depth without skips and norms: attention's targets, and leaky ReLUs that suit the depth."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

GAMMA_LAST = 0.005  #: how fast positions forget each other at the last layer: almost not
RETAINED = 0.9  #: correlation at the end of the depth of what begins uncorrelated


def kernel(layer: int, n_layers: int, n: int) -> Float[Tensor, "pos pos"]:
    """The similarity of positions after ``layer`` of ``n_layers`` attentions: exp(-gamma |i - j|); 1 at first.

    gamma = -1/2 log(1 - alpha^(2 layer / n_layers)), alpha = sqrt(1 - exp(-2 GAMMA_LAST)): infinite at layer 0.

    Source: He et al. 2023 (arXiv 2302.10322), E-SPA.
    """
    apart = (torch.arange(n)[:, None] - torch.arange(n)).abs().double()
    if layer == 0:
        return torch.eye(n, dtype=torch.float64)
    alpha = math.sqrt(1 - math.exp(-2 * GAMMA_LAST))
    gamma = -0.5 * math.log(1 - alpha ** (2 * layer / n_layers))
    return torch.exp(-gamma * apart)


def target(layer: int, n_layers: int, n: int) -> Float[Tensor, "query key"]:
    """The attention matrix with which layer ``layer`` (from 0) turns the kernel before it into the one after it.

    A = L_l L_(l-1)^-1, the L's Cholesky factors of the kernels, so that the product of the first l has the l-th kernel.

    Source: He et al. 2023 (arXiv 2302.10322), E-SPA.
    """
    before, after = (torch.linalg.cholesky(kernel(k, n_layers, n)) for k in (layer, layer + 1))
    return torch.linalg.solve_triangular(before, after, upper=False, left=False).clamp(min=0)


@lru_cache
def tailored_slope(n_layers: int) -> float:
    """The negative slope a of a leaky ReLU that keeps ``n_layers`` of them from making all inputs alike.

    Two uncorrelated inputs have correlation ``RETAINED`` after the last, or less: of a few layers a is 0, a ReLU. The
    correlation map of one, normalised to variance 1, is
    psi(c) = c + (1 - a)^2 / (pi (1 + a^2)) (sqrt(1 - c^2) - c arccos c); a is found by bisection.

    Source: Zhang et al. 2022 (arXiv 2203.08120), "tailored activation transformations".
    """
    low, high = 0.0, 1.0  # correlation falls as the slope rises, from the ReLU's to 0 for the identity
    for _ in range(60):
        slope = (low + high) / 2
        low, high = (slope, high) if _correlation(slope, n_layers) > RETAINED else (low, slope)
    return high


def tailored(x: Tensor, slope: float) -> Tensor:
    """sqrt(2 / (1 + a^2)) max(x, a x): a leaky ReLU that keeps a normal input's variance. Source: as its slope."""
    return torch.where(x > 0, x, slope * x) * math.sqrt(2 / (1 + slope * slope))


def _correlation(slope: float, layers: int) -> float:
    share, c = (1 - slope) ** 2 / (math.pi * (1 + slope * slope)), 0.0
    for _ in range(layers):
        c = min(1.0, c + share * (math.sqrt(1 - c * c) - c * math.acos(c)))
    return c
