"""Interchange: give a number another one's place in the plane of residues; does the network change its mind?"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.sieve import digits, numbers
from miii.model.transformer import Transformer

FEWEST = 20  #: pairs that a share needs


@dataclass(frozen=True)
class Moved:
    """The evidence of the integers of one change, before and after it.

    Attributes:
        of, to: whether they are multiples of q, and whether they are made to be; alike in the control.
    """

    of: bool
    to: bool
    before: Float[np.ndarray, " integers"]
    after: Float[np.ndarray, " integers"]


@dataclass(frozen=True)
class Crossing:
    """How often the evidence crosses the midpoint between the medians of multiples of q and of other integers.

    All are coprime to the base, and no other sieved prime divides them.

    Looked at are the integers that stand on their own class's side before anything is changed.

    Attributes:
        accuracy: share that crosses when a multiple is made a non-multiple, or the reverse: the mean of both.
        to_other, to_multiple: the two by themselves.
        control: share that crosses when the change keeps what the number is: the mean of both.
        before: share of integers that stand on their own class's side: the mean of both.
        pairs: how many numbers were changed.
        midpoint: between the medians.
        moves: the evidence behind the shares, for each of the four changes that has enough integers.

    A share of fewer than 20 pairs is NaN.

    Source: interchange interventions, Geiger et al. 2021 (arXiv 2106.02997).
    """

    q: int
    accuracy: float
    to_other: float
    to_multiple: float
    control: float
    before: float
    pairs: int
    midpoint: float
    moves: tuple[Moved, ...] = field(repr=False, compare=False)


def subspace(
    means: Float[Tensor, "place residue d_model"], occurs: Bool[np.ndarray, "place residue"]
) -> Float[Tensor, "d_model dimensions"]:
    """The q - 1 orthonormal directions in which the residues' mean contributions differ most, all places together.

    For q = 3 a plane. It is kept that small on purpose: a subspace of nine dimensions holds everything that ten digits
    can say, and whatever is interchanged in it crosses, in any network.

    Source: own design; principal components of the class means.
    """
    centred = []
    for place, here in zip(means, occurs, strict=True):
        mine = place[torch.from_numpy(here)]
        centred.append(mine - mine.mean(0))
    return torch.linalg.svd(torch.cat(centred), full_matrices=False).Vh[: means.shape[1] - 1].T


@torch.no_grad()
def interchange(
    model: Transformer,
    fitted: digits.Sum,
    held_out: digits.Sum,
    q: int,
    others: tuple[int, ...] = (),
    seed: int = 0,
) -> Crossing:
    """Replace where the sum stands in the residues' q - 1 directions by where another's stands, and nothing else.

    Args:
        fitted: training integers, from which the subspace is found.
        held_out: the integers that are changed, and those that they are given the residues of.
        others: the other sieved primes, whose residues the two numbers of a pair share.

    Source: Geiger et al. 2023 (arXiv 2303.02536), with the subspace found from means instead of by training.
    """
    directions = subspace(*digits.means(fitted, q))
    sides = Sides.of(model, held_out, q, others)
    generator = np.random.default_rng(seed)
    shared = np.zeros(len(held_out.n), dtype=np.int64)
    for other in others:
        shared = shared * other + held_out.n % other

    def change(of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        rows, sources = _partners(sides.own(of), sides.own(to), shared, generator)
        resid = held_out.resid
        moved = (resid[sources] - resid[rows]) @ directions
        return rows, resid[rows] + moved @ directions.T

    return sides.crossing(model, change)


@dataclass(frozen=True)
class Sides:
    """Multiples of q and other integers, their evidence, the midpoint between them, and on which side each stands."""

    q: int
    multiple: Bool[np.ndarray, " integers"]
    counted: Bool[np.ndarray, " integers"]
    evidence: Float[np.ndarray, " integers"]
    above: Bool[np.ndarray, " integers"]
    midpoint: float

    @classmethod
    def of(cls, model: Transformer, sums: digits.Sum, q: int, others: tuple[int, ...]) -> "Sides":
        """Judge the integers that none of the ``others`` divides."""
        evidence = digits.evidence(model, sums.resid).numpy()
        multiple = sums.n % q == 0
        counted = numbers.undivided(sums.n, others)
        both = [evidence[counted & (multiple == kind)] for kind in (True, False)]
        midpoint = float(sum(map(np.median, both))) / 2 if all(map(len, both)) else float("nan")
        return cls(q, multiple, counted, evidence, evidence > midpoint, midpoint)

    def own(self, multiple: bool) -> Bool[np.ndarray, " integers"]:
        """The multiples (or the others) that stand on their own side: below the midpoint (or above it)."""
        return self.counted & (self.multiple == multiple) & (self.above != self.multiple)

    def crossing(self, model: Transformer, change: Callable[[bool, bool], tuple[np.ndarray, Tensor]]) -> Crossing:
        """Count who crosses.

        Args:
            change: for what an integer is and what it is to become (whether a multiple of q), the rows that were
                changed, and their new sums.
        """
        moves = []

        def share(of: bool, to: bool) -> tuple[float, int]:
            rows, changed = change(of, to)
            if len(rows) < FEWEST:
                return float("nan"), len(rows)
            after = digits.evidence(model, changed).numpy()
            moves.append(Moved(of, to, self.evidence[rows], after))
            return float(((after > self.midpoint) != self.above[rows]).mean()), len(rows)

        (to_other, first), (to_multiple, second) = share(True, False), share(False, True)
        own = [(self.above != self.multiple)[self.counted & (self.multiple == kind)] for kind in (True, False)]
        return Crossing(
            q=self.q,
            accuracy=(to_other + to_multiple) / 2,
            to_other=to_other,
            to_multiple=to_multiple,
            control=float(np.mean([share(kind, kind)[0] for kind in (True, False)])),
            before=float(np.mean([side.mean() for side in own])) if all(map(len, own)) else float("nan"),
            pairs=first + second,
            midpoint=self.midpoint,
            moves=tuple(moves),
        )


def _partners(
    rows: np.ndarray, sources: np.ndarray, shared: Int[np.ndarray, " integers"], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """For each row a source with the same shared residues, drawn at random; rows without one are left out."""
    where, pool = np.flatnonzero(rows), generator.permutation(np.flatnonzero(sources))
    pool = pool[np.argsort(shared[pool], kind="stable")]
    first, last = (np.searchsorted(shared[pool], shared[where], side) for side in ("left", "right"))
    has = last > first
    chosen = first + (generator.random(len(where)) * (last - first)).astype(np.int64)
    return where[has], pool[chosen[has]]
