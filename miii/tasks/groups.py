"""Cayley tables of finite groups: permutations in cycle notation, and dihedral groups."""

from collections.abc import Callable
from functools import lru_cache
from itertools import permutations

#: Groups by name, with their order.
ORDERS = {"S3": 6, "S4": 24, "S5": 120, "A4": 12, "A5": 60, "D5": 10, "D15": 30, "D30": 60}

#: A table as operand names, and the row of answers of each left operand, as indices of names.
Cayley = tuple[tuple[str, ...], tuple[tuple[int, ...], ...]]
Permutation = tuple[int, ...]

IDENTITY = "e"


def cycles(permutation: Permutation) -> str:
    """Return a permutation of 0 .. n - 1 in cycle notation, with points from 1: ``(1,2)(3,4)``, or ``e``."""
    left, found = set(range(len(permutation))), ""
    while left:
        cycle = [min(left)]
        while (following := permutation[cycle[-1]]) != cycle[0]:
            cycle.append(following)
        left -= set(cycle)
        if len(cycle) > 1:
            found += f"({','.join(str(point + 1) for point in cycle)})"
    return found or IDENTITY


def even(permutation: Permutation) -> bool:
    """Return whether a permutation is even, by its number of inversions."""
    n = len(permutation)
    return sum(permutation[i] > permutation[j] for i in range(n) for j in range(i + 1, n)) % 2 == 0


@lru_cache
def cayley(group: str) -> Cayley:
    """Return the table of a group in ``ORDERS``: Sn and An have n points, Dn has the symmetries of n corners.

    The product ab applies b first. Sn and An are in lexicographic order; Dn has the rotations ``r0``, ``r1``, ...,
    then the reflections ``s0``, ``s1``, ..., where ``sk`` is ``rk`` after ``s0``.
    """
    kind, n = group[0], int(group[1:])
    if kind == "D":
        corners = range(n)
        elements = [tuple((sign * i + k) % n for i in corners) for sign in (1, -1) for k in corners]
        names = [f"{letter}{k}" for letter in "rs" for k in corners]
    else:
        kept: Callable[[Permutation], bool] = even if kind == "A" else lambda permutation: True
        elements = [permutation for permutation in permutations(range(n)) if kept(permutation)]
        names = [cycles(permutation) for permutation in elements]
    index = {permutation: i for i, permutation in enumerate(elements)}
    rows = tuple(tuple(index[tuple(a[i] for i in b)] for b in elements) for a in elements)
    return tuple(names), rows
