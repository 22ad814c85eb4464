"""Irreducible representations of a finite group, from its table."""

from dataclasses import dataclass
from functools import lru_cache
from math import comb, factorial, prod

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.errors import InputError
from miii.tasks import Table
from miii.tasks.table import MISSING, Cells


@dataclass(frozen=True)
class Irrep:
    """A real irreducible representation, or a pair of conjugate complex ones.

    Attributes:
        name: the partition for a symmetric group, such as "[4,1]"; otherwise the dimension, with a letter if several
            have it.
        dimension: of the complex representation.
        character: real part of the trace at each element, summed over the pair.
        projector: onto the functions on the group that are sums of its matrix elements.
    """

    name: str
    dimension: int
    character: Float[Tensor, " element"]
    projector: Float[Tensor, "element element"]

    @property
    def trivial(self) -> bool:
        """Whether every element is represented by 1."""
        return bool((self.character == 1).all())


@dataclass(frozen=True)
class Group:
    """A finite group with elements 0 .. n - 1.

    Attributes:
        product: of elements a (row) and b (column).
        quotient: a times the inverse of b.
    """

    product: Int[Tensor, "element element"]
    quotient: Int[Tensor, "element element"]
    identity: int
    irreps: tuple[Irrep, ...]


@lru_cache(maxsize=4)
def group_of(config: Table) -> Group:
    """Return the group that a task's table composes.

    Raises:
        InputError: the table is not that of a group, with the same names for both operands and the answers.
    """
    cells = config.cells
    if not cells.rows == cells.columns == cells.answers or any(MISSING in row for row in cells.values):
        raise InputError(
            "csv must be the table of a group: a square with the same names for a, b and c, and no blanks."
        )
    product = torch.tensor(cells.values)
    n = torch.arange(len(product))
    identities = ((product == n).all(1) & (n == product.T).all(1)).nonzero()[:, 0].tolist()
    if not identities or not (product == identities[0]).any(1).all():
        raise InputError("csv must be the table of a group: one with an identity, and an inverse of each element.")
    for a in range(len(n)):
        if not torch.equal(product[product[a]], product[a][product]):
            raise InputError(f"csv must be the table of a group: (a b) c = a (b c) (got a = {cells.rows[a]}).")
    inverse = (product == identities[0]).int().argmax(1)
    quotient = product[:, inverse]
    return Group(product, quotient, identities[0], _irreps(product, quotient, identities[0], config.group, cells))


def _irreps(
    product: Int[Tensor, "n n"], quotient: Int[Tensor, "n n"], identity: int, name: str, cells: Cells
) -> tuple[Irrep, ...]:
    """Return the irreducible representations: characters diagonalize convolution with any class function.

    Source: Serre, Linear representations of finite groups, section 2.5.
    """
    n = len(product)
    inverse = quotient[identity]
    # the class of x holds all h x h^-1; its least element stands for it
    least = product[product, inverse[:, None]].min(0).values
    _, classes = least.unique(return_inverse=True)
    random = np.random.default_rng(0)
    drawn = random.normal(size=(2, int(classes.max()) + 1))
    function = (drawn[0] + 1j * drawn[1])[classes]
    function = function + function[inverse].conj()  # so the convolution is Hermitian
    unit = np.eye(drawn.shape[1])[classes]
    unit /= np.sqrt(unit.sum(0))
    vectors = unit @ np.linalg.eigh(unit.T @ function[quotient] @ unit)[1]
    characters = (vectors * (vectors[identity].conj() / np.abs(vectors[identity])) * np.sqrt(n)).T
    found: list[tuple[int, np.ndarray]] = []
    for character in characters:
        real = np.abs(character.imag).max() < 1e-6
        both = np.round(character.real if real else 2 * character.real, 9) + 0.0
        if not any(np.allclose(both, other) for _, other in found):
            found.append((round(character[identity].real), both))
    found.sort(key=lambda each: (each[0], not (each[1] == 1).all(), *(-each[1])))
    dimensions = [dimension for dimension, _ in found]
    letters = [chr(97 + dimensions[:i].count(d)) if i < 26 else f"-{i}" for i, d in enumerate(dimensions)]
    names = [f"{d}{letter if dimensions.count(d) > 1 else ''}" for d, letter in zip(dimensions, letters, strict=True)]
    if name.startswith("S"):
        swap = cells.rows.index("(1,2)")
        names = [_partition(int(name[1:]), d, round(character[swap])) for d, character in found]
    return tuple(
        Irrep(each, d, values := torch.from_numpy(character), d / n * values[quotient])
        for each, (d, character) in zip(names, found, strict=True)
    )


def _partition(n: int, dimension: int, swap: int) -> str:
    """Return the partition of n whose representation has a dimension and a trace at transpositions.

    Source: the hook length formula, and Frobenius' formula: the trace is the dimension times the mean content.
    """
    for parts in _partitions(n, n):
        boxes = [(i, j) for i, row in enumerate(parts) for j in range(row)]
        hooks = prod(parts[i] - j + sum(row > j for row in parts[i + 1 :]) for i, j in boxes)
        contents = sum(j - i for i, j in boxes)
        if factorial(n) // hooks == dimension and dimension * contents == swap * comb(n, 2):
            return f"[{','.join(map(str, parts))}]"
    raise ValueError(f"S{n} has no irreducible representation of dimension {dimension} and trace {swap}")


def _partitions(n: int, most: int) -> list[tuple[int, ...]]:
    return [()] if n == 0 else [(k, *rest) for k in range(min(n, most), 0, -1) for rest in _partitions(n - k, k)]
