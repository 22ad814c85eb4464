"""An integer's cell in the grid, the patch of the cell, and its entry in the patch."""

import torch
from jaxtyping import Int
from torch import Tensor

from miii.errors import InputError

SIDE = 150  #: cells along an axis of the paper's grid


def coordinates(s: Int[Tensor, "*integers"], side: int = SIDE) -> Int[Tensor, "*integers 3"]:
    """Return the cell of an integer: (s // side^2, s % side^2 // side, s % side), its digits in base ``side``.

    Raises:
        InputError: an integer is below 0 or beyond the grid.

    Source: Lee and Kim's sparse encoding, with 150 for ``side``.
    """
    outside = s[(s < 0) | (s >= side**3)]
    if outside.numel():
        raise InputError(f"s must be from 0 to {side**3 - 1:,}, the grid's last cell (got {outside[0]}).")
    return torch.stack([s // side**2, s % side**2 // side, s % side], dim=-1)


def integers(cells: Int[Tensor, "*integers 3"], side: int = SIDE) -> Int[Tensor, "*integers"]:
    """Return the integers of some cells: the inverse of ``coordinates``."""
    return (cells * torch.tensor([side**2, side, 1])).sum(-1)


def patches(
    s: Int[Tensor, "*integers"], kernel: int, side: int = SIDE
) -> tuple[Int[Tensor, "*integers 3"], Int[Tensor, "*integers"]]:
    """Return the patch of an integer's cell, and the index of the cell in the patch.

    Patches are cubes with sides of ``kernel``; cells of a patch are counted in memory order.

    Raises:
        InputError: as ``coordinates``.
    """
    cells = coordinates(s, side)
    return cells // kernel, integers(cells % kernel, kernel)
