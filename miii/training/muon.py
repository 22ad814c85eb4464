"""Muon in float32. torch's Muon multiplies in bfloat16, which is ten times slower where emulated."""

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

#: Coefficients of the quintic that brings singular values near 1, with maximal slope at 0.
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
STEPS = 5


def orthogonalize(matrix: Float[Tensor, "rows columns"]) -> Float[Tensor, "rows columns"]:
    """Return the matrix with its singular values brought near 1 (about 0.7 to 1.2), in float32.

    Each iteration multiplies from the left by a polynomial of the Gram matrix. So iterate on the small Gram matrix, and
    multiply the full matrix once.

    Source: Jordan et al. 2024 (Muon), Newton-Schulz iteration as in ``torch.optim.Muon``.
    """
    a, b, c = COEFFICIENTS
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / wide.norm().clamp(min=1e-7)
    gram = wide @ wide.T
    product = torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    for _ in range(STEPS):
        polynomial = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        polynomial.diagonal().add_(a)
        product = polynomial @ product
        gram = polynomial @ gram @ polynomial
    wide = product @ wide
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T


class Orthogonal(torch.optim.Optimizer):
    """Orthogonalized Nesterov momentum with decoupled weight decay, for matrices [in, out].

    Source: Jordan et al. 2024; the update of ``torch.optim.Muon`` on the transposed matrix, up to rounding.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float, momentum: float) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Update every matrix from its gradient."""
        for group in self.param_groups:
            for matrix in group["params"]:
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix)
                velocity = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonalize(matrix.grad.lerp(velocity, group["momentum"]))
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * max(1, matrix.shape[1] / matrix.shape[0]) ** 0.5)
