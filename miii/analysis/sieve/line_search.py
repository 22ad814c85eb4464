"""Search for lines: directions in which digits add residues modulo a prime, up to whole turns."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.sieve.sums import Sum

AGREES = 0.97  #: least agreement of a line on the contributions of training
HELD = 0.98  #: share of the contributions' variance in the searched dimensions
STARTS, STEPS = 400, 120  #: of the search for a line


@dataclass(frozen=True)
class Contributions:
    """The mean contribution of each digit at each place, without the place's mean, in the fewest dimensions.

    Attributes:
        values: coordinates.
        basis: orthonormal rows that span the dimensions.
        cell: the place and the digit.
        parts: digit * base^place.
    """

    values: Float[Tensor, "cell dim"]
    basis: Float[Tensor, "dim d_model"]
    cell: Int[np.ndarray, "cell 2"]
    parts: Int[np.ndarray, " cell"]

    @classmethod
    def of(cls, sums: Sum) -> "Contributions":
        """Average the contributions of each digit at each place."""
        rows, cells, parts = [], [], []
        for place in range(sums.symbol.shape[1]):
            symbols, first, which = np.unique(sums.symbol[:, place], return_index=True, return_inverse=True)
            member = torch.nn.functional.one_hot(torch.from_numpy(which), len(symbols)).to(sums.added.dtype)
            mean = (member.T @ sums.added[:, place]) / member.sum(0)[:, None]
            rows.append(mean - mean.mean(0))
            cells += [(place, int(symbol)) for symbol in symbols]
            parts += sums.parts[first, place].tolist()
        table = torch.cat(rows)
        _, s, basis = torch.linalg.svd(table, full_matrices=False)
        share = (s.square().cumsum(0) / s.square().sum().clamp_min(1e-30)).tolist()
        size = 1 + next((i for i, held in enumerate(share) if held >= HELD), len(share) - 1)
        return cls(table @ basis[:size].T, basis[:size], np.array(cells), np.array(parts))

    def permuted(self, generator: np.random.Generator) -> Int[np.ndarray, " cell"]:
        """Return ``parts``, permuted within each place."""
        parts = self.parts.copy()
        for place in np.unique(self.cell[:, 0]):
            here = np.flatnonzero(self.cell[:, 0] == place)
            parts[here] = parts[generator.permutation(here)]
        return parts


@torch.enable_grad()
def search(
    table: Contributions, turns: Float[np.ndarray, " cell"], seed: int = 0
) -> tuple[float, Float[Tensor, " dim"]]:
    """Find a direction in which digits contribute given turns, up to whole turns and a constant for each place.

    Of the directions that agree well enough, the shortest; otherwise the one that agrees best.

    Args:
        turns: the wanted contribution of each digit, in turns.

    Returns:
        The agreement (1 is perfect) and the direction.
    """
    generator = torch.Generator().manual_seed(seed)
    place = torch.nn.functional.one_hot(torch.from_numpy(table.cell[:, 0])).to(table.values.dtype)
    wanted = torch.from_numpy(turns).to(table.values.dtype)
    unit = 1 / table.values.square().mean().sqrt().clamp_min(1e-12)
    w = torch.randn(STARTS, table.values.shape[1], generator=generator) * torch.rand(STARTS, 1, generator=generator)
    w = (w * unit).requires_grad_(True)
    optimizer = torch.optim.Adam([w], lr=0.015 * float(unit))
    for _ in range(STEPS):
        angle = 2 * math.pi * (w @ table.values.T - wanted)
        agreement = torch.hypot(angle.cos() @ place, angle.sin() @ place).sum(1) / len(turns)
        optimizer.zero_grad()
        (-agreement.sum()).backward()
        optimizer.step()
    agreement, w = agreement.detach(), w.detach()
    good = torch.where(agreement >= AGREES, w.norm(dim=1), math.inf)
    best = good.argmin() if good.isfinite().any() else agreement.argmax()
    return float(agreement[best]), w[best]


def find_lines(table: Contributions, moduli: Sequence[int], seed: int = 0) -> list[tuple[int, int, Tensor]]:
    """Return independent lines of some primes, the shortest first: q, multiplier, and direction in turns.

    There are at most as many as dimensions. A line of q that is a sum of lines found before is left out.
    """
    found = []
    for q in moduli:
        for k in range(1, max(2, (q + 1) // 2)):
            agreement, w = search(table, k * table.parts % q / q, seed)
            found += [(float(w.norm()), q, k, w)] if agreement >= AGREES else []
    chosen: list[tuple[int, int, Tensor]] = []
    span = torch.zeros(0, table.values.shape[1])
    for length, q, k, w in sorted(found, key=lambda each: each[0]):
        rest = w - w @ span.T @ span
        if float(rest.norm()) > 0.1 * length and len(chosen) < table.values.shape[1]:
            chosen.append((q, k, w))
            span = torch.cat([span, rest[None] / rest.norm()])
    return chosen
