"""Where an integer stands in the grid, in which patch of it, and at which entry of that patch."""

import torch
from jaxtyping import Int
from torch import Tensor

from miii.errors import InputError

SIDE = 150  #: of the paper's grid


def coordinates(s: Int[Tensor, "*integers"], side: int = SIDE) -> Int[Tensor, "*integers 3"]:
    """Where the integer's 1 stands: (s // side^2, s % side^2 // side, s % side), its digits in base ``side``.

    Raises:
        InputError: an integer below 0, or beyond the grid.

    Source: Lee and Kim's sparse encoding, with 150 for ``side``.
    """
    outside = s[(s < 0) | (s >= side**3)]
    if outside.numel():
        raise InputError(f"s must be from 0 to {side**3 - 1:,}, the grid's last cell (got {outside[0]}).")
    return torch.stack([s // side**2, s % side**2 // side, s % side], dim=-1)


def integers(cells: Int[Tensor, "*integers 3"], side: int = SIDE) -> Int[Tensor, "*integers"]:
    """The integers whose 1 stands there. Source: the inverse of ``coordinates``."""
    return (cells * torch.tensor([side**2, side, 1])).sum(-1)


def patches(
    s: Int[Tensor, "*integers"], kernel: int, side: int = SIDE
) -> tuple[Int[Tensor, "*integers 3"], Int[Tensor, "*integers"]]:
    """The patch that holds the 1, by its place among the patches, and which of the patch's entries the 1 is.

    The grid is cut into cubes with sides of ``kernel``; the entries of a cube are counted as in memory.

    Raises:
        InputError: as ``coordinates``.

    Source: own design; equality with a convolution of the whole grid is tested in tests/sparse/test_network.py.
    """
    cells = coordinates(s, side)
    return cells // kernel, integers(cells % kernel, kernel)
