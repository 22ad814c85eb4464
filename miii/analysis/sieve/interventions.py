"""Two interventions on the sum, interchange and steering: does the network's answer follow the residue?"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.sieve.factors import indivisible
from miii.analysis.sieve.sums import Sum, means, subspace
from miii.model.transformer import Transformer

FEWEST = 20  #: least pairs for a share
PROPOSALS = 100  #: digits to try for each integer to steer


@dataclass(frozen=True)
class EvidenceChange:
    """The evidence before and after one kind of change.

    Attributes:
        of, to: whether the integers are multiples of q before and after the change; equal in the control.
    """

    of: bool
    to: bool
    before: Float[np.ndarray, " integers"]
    after: Float[np.ndarray, " integers"]


@dataclass(frozen=True)
class Crossing:
    """How often the evidence crosses the midpoint between the medians of multiples of q and of other integers.

    All integers are coprime to the base and to every other sieved prime, and start on their class's side.

    Attributes:
        accuracy: share that crosses if a multiple becomes a non-multiple or the reverse: the mean of both.
        to_other, to_multiple: both of them.
        control: share that crosses if the change keeps the class: the mean of both.
        rest: share that crosses if all but the residues' directions is interchanged between classes: the mean of both;
            NaN for steering.
        before: share of integers on their class's side before the change: the mean of both.
        pairs: number of changed integers.
        midpoint: between the medians.
        moves: the evidence behind the shares, for each of the four changes with enough integers.

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
    moves: tuple[EvidenceChange, ...] = field(repr=False, compare=False)
    rest: float = float("nan")


@dataclass(frozen=True)
class Sides:
    """Multiples of q and other integers, with their evidence and side of the midpoint.

    Attributes:
        counted: integers that no other sieved prime divides.
    """

    sums: Sum
    q: int
    multiple: Bool[np.ndarray, " integers"]
    counted: Bool[np.ndarray, " integers"]
    evidence: Float[np.ndarray, " integers"]
    above: Bool[np.ndarray, " integers"]
    midpoint: float

    @classmethod
    def of(cls, model: Transformer, sums: Sum, q: int, others: tuple[int, ...]) -> "Sides":
        """Measure the integers divisible by none of ``others``."""
        evidence = sums.evidence(model).numpy()
        multiple = sums.n % q == 0
        counted = indivisible(sums.n, others)
        both = [evidence[counted & (multiple == kind)] for kind in (True, False)]
        midpoint = float(sum(map(np.median, both))) / 2 if all(map(len, both)) else float("nan")
        return cls(sums, q, multiple, counted, evidence, evidence > midpoint, midpoint)

    def own(self, multiple: bool) -> Bool[np.ndarray, " integers"]:
        """Return the multiples below the midpoint, or the other integers above it."""
        return self.counted & (self.multiple == multiple) & (self.above != self.multiple)

    def crossing(self, model: Transformer, change: Callable[[bool, bool], tuple[np.ndarray, Tensor]]) -> Crossing:
        """Count the integers that cross.

        Args:
            change: function of (multiple of q before, multiple of q after) to the changed rows and their sums.
        """
        moves = []

        def share(of: bool, to: bool) -> tuple[float, int]:
            rows, changed = change(of, to)
            if len(rows) < FEWEST:
                return float("nan"), len(rows)
            after = self.sums.evidence(model, changed, rows).numpy()
            moves.append(EvidenceChange(of, to, self.evidence[rows], after))
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


@torch.no_grad()
def interchange(
    model: Transformer, fitted: Sum, held_out: Sum, q: int, others: tuple[int, ...] = (), seed: int = 0
) -> Crossing:
    """Replace the sum's part in the residues' q - 1 directions by another integer's.

    There are two controls: the part of an integer of the same class, and everything but this part of an integer of
    the other class (``Crossing.rest``).

    Args:
        fitted: training integers, which determine the directions.
        held_out: integers to change, and their replacements.
        others: the other sieved primes. Both integers of a pair have the same residues modulo these.

    Source: Geiger et al. 2023 (arXiv 2303.02536), with the subspace found from means instead of by training.
    """
    directions = subspace(*means(fitted, q))
    sides = Sides.of(model, held_out, q, others)
    shared = np.zeros(len(held_out.n), dtype=np.int64)
    for other in others:
        shared = shared * other + held_out.n % other

    def cross(rest: bool) -> Crossing:
        generator = np.random.default_rng(seed)  # the same pairs for both

        def change(of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
            rows, sources = _matched(sides.own(of), sides.own(to), shared, generator)
            whole = held_out.resid[sources] - held_out.resid[rows]
            moved = whole @ directions @ directions.T
            return rows, held_out.resid[rows] + (whole - moved if rest else moved)

        return sides.crossing(model, change)

    return replace(cross(False), rest=cross(True).accuracy)


def _matched(
    rows: np.ndarray, sources: np.ndarray, shared: Int[np.ndarray, " integers"], generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a source for each row, with the same shared residues. Rows without a source are left out."""
    where, pool = np.flatnonzero(rows), generator.permutation(np.flatnonzero(sources))
    pool = pool[np.argsort(shared[pool], kind="stable")]
    first, last = (np.searchsorted(shared[pool], shared[where], side) for side in ("left", "right"))
    has = last > first
    chosen = first + (generator.random(len(where)) * (last - first)).astype(np.int64)
    return where[has], pool[chosen[has]]


@torch.no_grad()
def steer(
    model: Transformer,
    fitted: Sum,
    held_out: Sum,
    q: int,
    others: tuple[int, ...] = (),
    seed: int = 0,
    *,
    digits: bool = False,
) -> Crossing:
    """Shift the residue by s at one place: add the mean contribution of residue r + s and subtract that of r.

    Here r = digit * base^place mod q, at a place drawn at random among all but the last. Depending on s, a multiple
    of q becomes a non-multiple or the reverse. The control moves a non-multiple to another non-multiple, and a multiple
    by two shifts that cancel: s at one place, -s at another.

    In a network that sieves by q and others, a shift also changes the residues modulo these, so that even an ideal
    sieve fails the control. With ``digits``, whole digits are exchanged, and only for sums that no other divides.

    Shares are NaN where there is nothing to steer: the control modulo 2, where all non-multiples have the same
    residue; everything with one digit; and the control with two digits, where multiples have no second place.

    Args:
        fitted: training integers, which determine the mean contributions.
        held_out: integers to steer.
        others: the other sieved primes, which divide none of the counted integers.
        digits: exchange digits instead of shifting residues.

    Source: activation addition, Turner et al. 2023 (arXiv 2308.10248), along the mean contributions.
    """
    sides = Sides.of(model, held_out, q, others)
    generator = np.random.default_rng(seed)
    proposed = _exchanges(fitted, held_out, q, others, generator) if digits else _shifts(fitted, held_out, q, generator)
    places = held_out.parts.shape[1]

    def change(of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        rows = np.flatnonzero(sides.own(of))
        if places - 1 < (2 if of and to else 1) or (q == 2 and not of and not to):
            return rows[:0], held_out.resid[rows[:0]]
        possible, step = proposed(rows, of, to)
        return rows[possible], (held_out.resid[torch.from_numpy(rows)] + step)[torch.from_numpy(possible)]

    return sides.crossing(model, change)


#: From rows and their class before and after the change, to which of them can be changed, and by what.
Steps = Callable[[np.ndarray, bool, bool], tuple[np.ndarray, Tensor]]


def _shifts(fitted: Sum, held_out: Sum, q: int, generator: np.random.Generator) -> Steps:
    """Shift a residue at one place, or by amounts that cancel at two."""
    mean, occurs = means(fitted, q)
    n, residues, places = held_out.n, held_out.parts % q, held_out.parts.shape[1]

    def shift(rows: np.ndarray, place: np.ndarray, by: np.ndarray) -> tuple[np.ndarray, Tensor]:
        old = residues[rows, place]
        new = (old + by) % q
        step = mean[torch.from_numpy(place), torch.from_numpy(new)] - mean[place, old]
        return occurs[place, new], step

    def propose(rows: np.ndarray, of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        now = n[rows] % q
        if of:
            by = generator.integers(1, q, len(rows))
        elif to:
            by = -now % q
        else:  # to a residue other than its own and 0
            by = (1 + (now - 1 + generator.integers(1, q - 1, len(rows))) % (q - 1) - now) % q
        order = np.argsort(generator.random((len(rows), places - 1)), axis=1)
        possible, step = shift(rows, order[:, 0], by)
        if of and to:
            back, second = shift(rows, order[:, 1], -by)
            possible, step = possible & back, step + second
        return possible, step

    return propose


def _exchanges(fitted: Sum, held_out: Sum, q: int, others: tuple[int, ...], generator: np.random.Generator) -> Steps:
    """Exchange a digit, or two digits to move a multiple to another one; the new sum is divisible by none of others."""
    places = fitted.parts.shape[1] - 1  # the last place also shows the factors of the base
    size = int(max(fitted.symbol.max(), held_out.symbol.max())) + 1
    worth, known = np.zeros((places, size), dtype=np.int64), np.zeros((places, size), dtype=bool)
    mean = torch.zeros(places, size, fitted.added.shape[-1])
    for place in range(places):
        for symbol in np.unique(fitted.symbol[:, place]):
            rows = np.flatnonzero(fitted.symbol[:, place] == symbol)
            worth[place, symbol], known[place, symbol] = fitted.parts[rows[0], place], True
            mean[place, symbol] = fitted.added[torch.from_numpy(rows), place].mean(0)

    def propose(rows: np.ndarray, of: bool, to: bool) -> tuple[np.ndarray, Tensor]:
        exchanged = 2 if of and to else 1
        order = np.argsort(generator.random((len(rows), places)), axis=1)[:, :exchanged]
        old = held_out.symbol[rows[:, None], order]
        new = generator.integers(0, size, (PROPOSALS, len(rows), exchanged))
        n = held_out.n[rows] + (worth[order, new] - worth[order, old]).sum(2)
        fits = (known[order, new] & known[order, old]).all(2) & (new != old).any(2) & ((n % q == 0) == to)
        fits &= indivisible(n, others) & (to | (n % q != held_out.n[rows] % q))
        chosen = new[fits.argmax(0), np.arange(len(rows))]
        return fits.any(0), (mean[order, chosen] - mean[order, old]).sum(1)

    return propose
