"""The plane of residues: what each digit adds at each place, as a point."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from miii.analysis.sieve import digits
from miii.analysis.sieve.interchange import subspace

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Plane:
    """The mean contribution of every digit in the two directions in which residues differ most.

    ``table`` has one row for every place and digit that occurs there: ``place``, 0 the most significant, ``digit``,
    ``residue`` of digit * base^place modulo q, ``x``, ``y``, and ``integers``, over which the mean is taken. At every
    place the mean over the integers is 0. Modulo 2 there is one direction, and ``y`` is 0.

    Attributes:
        share: of the variance of the digits' contributions that lies in the plane; NaN where they do not vary.
        first: the same of the first direction alone.

    Source: own design; principal components of class means.
    """

    q: int
    table: "pd.DataFrame"
    share: float
    first: float


def plane(fitted: digits.Sum, held_out: digits.Sum, q: int) -> Plane:
    """Find the directions on some integers, and the points on others.

    Args:
        fitted: training integers, from which the directions are found.
        held_out: the integers that the means are taken over.

    Source: as ``Plane``.
    """
    import pandas as pd

    directions = subspace(*digits.means(fitted, q))[:, :2]
    directions = torch.nn.functional.pad(directions, (0, 2 - directions.shape[1])).double()
    rows, inside, whole = [], np.zeros(2), 0.0
    for place in range(held_out.parts.shape[1]):
        symbols, first, which = np.unique(held_out.symbol[:, place], return_index=True, return_inverse=True)
        added = held_out.added[:, place]
        member = torch.nn.functional.one_hot(torch.from_numpy(which), len(symbols)).to(added.dtype)
        count = member.sum(0).double()
        total = (member.T @ added).double()
        means = total / count[:, None] - total.sum(0) / count.sum()
        xy = means @ directions
        inside += (count @ xy.square()).numpy()
        whole += float((count * means.square().sum(1)).sum())
        residues = held_out.parts[first, place] % q
        rows += [
            {"place": place, "digit": digit, "residue": residue, "x": x, "y": y, "integers": int(n)}
            for digit, residue, (x, y), n in zip(
                symbols.tolist(), residues.tolist(), xy.tolist(), count.tolist(), strict=True
            )
        ]
    shares = inside / whole if whole > 0 else np.full(2, np.nan)
    return Plane(q, pd.DataFrame(rows), share=float(shares.sum()), first=float(shares[0]))
