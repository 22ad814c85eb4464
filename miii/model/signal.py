"""Deep networks without skips and norms: target matrices for attention, and leaky ReLUs tailored to the depth."""

import math
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

GAMMA_LAST = 0.005  #: decay of similarity with distance at the last layer
RETAINED = 0.9  #: correlation of two initially uncorrelated inputs after the last layer


def kernel(layer: int, n_layers: int, n: int) -> Float[Tensor, "pos pos"]:
    """Return the similarity of positions after ``layer`` of ``n_layers`` attentions: exp(-gamma |i - j|); I at layer 0.

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
    """Return the attention matrix of ``layer`` (from 0), which maps its input kernel to its output kernel.

    A = L_l L_(l-1)^-1 with Cholesky factors L of the kernels, so the product of the first l matrices has kernel l.

    Source: He et al. 2023 (arXiv 2302.10322), E-SPA.
    """
    before, after = (torch.linalg.cholesky(kernel(k, n_layers, n)) for k in (layer, layer + 1))
    return torch.linalg.solve_triangular(before, after, upper=False, left=False).clamp(min=0)


@lru_cache
def tailored_slope(n_layers: int) -> float:
    """Return the negative slope a of leaky ReLUs that keeps inputs distinct through ``n_layers`` layers.

    Uncorrelated inputs have correlation at most ``RETAINED`` after the last layer; for few layers, a = 0 (a ReLU). At
    unit variance one layer maps a correlation c to
    psi(c) = c + (1 - a)^2 / (pi (1 + a^2)) (sqrt(1 - c^2) - c arccos c); a is found by bisection.

    Source: Zhang et al. 2022 (arXiv 2203.08120), "tailored activation transformations".
    """
    low, high = 0.0, 1.0  # correlation falls as the slope rises, from the ReLU's to 0 for the identity
    for _ in range(60):
        slope = (low + high) / 2
        low, high = (slope, high) if _correlation(slope, n_layers) > RETAINED else (low, slope)
    return high


def tailored(x: Tensor, slope: float) -> Tensor:
    """Return sqrt(2 / (1 + a^2)) max(x, a x): a leaky ReLU that preserves the variance of a normal input."""
    return torch.where(x > 0, x, slope * x) * math.sqrt(2 / (1 + slope * slope))


def _correlation(slope: float, layers: int) -> float:
    share, c = (1 - slope) ** 2 / (math.pi * (1 + slope * slope)), 0.0
    for _ in range(layers):
        c = min(1.0, c + share * (math.sqrt(1 - c * c) - c * math.acos(c)))
    return c
