"""Which divisor a network suspects in one integer: others are given its place modulo q; does the evidence fall?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from miii import metrics, numbers
from miii.analysis.sieve import digits
from miii.analysis.sieve.depth import LEAST
from miii.analysis.sieve.interchange import FEWEST, subspace
from miii.analysis.sieve.numbers import undivided
from miii.model.transformer import Transformer
from miii.tasks import Primes

OTHERS = 64  #: integers that are given another one's place
CROWD = 1000  #: held-out integers that stand beside the one that is followed
CHUNK = 50  #: integers whose places are given at a time, each to all of the others
MEASURED = 300  #: held-out integers of each kind, multiples of q and others, that the fall is measured on


@dataclass(frozen=True)
class Suspect:
    """How the evidence falls when integers without small factors are given another one's place modulo q.

    The place is where an integer's sum, as the last block's neurons read it, stands in the q - 1 directions in which
    the residues' mean contributions differ most (``interchange.subspace``); all else of those integers stays. So the
    fall is what the place alone says against being prime, whatever else speaks against it, such as the last digit.

    Attributes:
        multiples, others: the median fall by the places of held-out integers that q divides, and that it does not.
        auc: the chance that a multiple's place makes the evidence fall further than another's.
        crowd: where held-out integers stand in the first two of the directions.
        residues: those integers modulo q.

    Source: own design; interchange interventions, Geiger et al. 2021 (arXiv 2106.02997).
    """

    q: int
    multiples: float
    others: float
    auc: float
    crowd: Float[np.ndarray, "crowd 2"] = field(repr=False)
    residues: tuple[int, ...] = field(repr=False)
    _place: "_Place" = field(repr=False)

    @property
    def seen(self) -> bool:
        """Whether the falls tell multiples from others, by the bound of the depth of sieve."""
        return self.auc >= LEAST

    def fall(self, model: Transformer, one: digits.Sum) -> float:
        """By how much the mean evidence falls at the place of an integer, in logits."""
        return float(self._place.falls(model, one.resid[:1])[0])

    def suspects(self, fall: float) -> bool:
        """Whether a fall is on the side of the multiples' median; never, where the falls do not tell them apart."""
        return self.seen and abs(fall - self.multiples) < abs(fall - self.others)

    def path(self, one: digits.Sum) -> Float[np.ndarray, "stations 2"]:
        """Where an integer's sum stands before its first digit is added, after it, after the second, and so on."""
        steps = one.added[0]
        stations = torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(0)])
        return self._place.plane(one.resid[0] - steps.sum(0) + stations)


@dataclass(frozen=True)
class _Place:
    """The directions of a modulus, and the sums of those who are given another one's place in them."""

    directions: Float[Tensor, "d_model dimensions"]
    given: Float[Tensor, "given d_model"]

    @torch.no_grad()
    def falls(self, model: Transformer, sums: Float[Tensor, "integers d_model"]) -> Float[np.ndarray, " integers"]:
        after = torch.cat([self._after(model, some) for some in sums.split(CHUNK)])
        return (digits.evidence(model, self.given).double().mean() - after).numpy()

    def _after(self, model: Transformer, sums: Tensor) -> Tensor:
        own, there = self.given @ self.directions, sums @ self.directions
        moved = self.given + (there[:, None] - own) @ self.directions.T
        return digits.evidence(model, moved.flatten(0, 1)).view(len(sums), -1).double().mean(1)

    def plane(self, sums: Float[Tensor, "integers d_model"]) -> Float[np.ndarray, "integers 2"]:
        xy = sums @ self.directions[:, :2]
        return torch.nn.functional.pad(xy, (0, 2 - xy.shape[1])).numpy()  # modulo 2 there is one direction


def suspect(
    model: Transformer, fitted: digits.Sum, held_out: digits.Sum, q: int, moduli: Sequence[int]
) -> Suspect | None:
    """Measure the fall on held-out integers; None where there are too few of them.

    Args:
        fitted: training integers, from which the directions are found.
        moduli: the primes that divide none of the integers that are given another's place.

    Source: as ``Suspect``.
    """
    multiple = held_out.n % q == 0
    given = np.flatnonzero(undivided(held_out.n, (q, *moduli)))[:OTHERS]
    rows = np.flatnonzero(multiple), np.setdiff1d(np.flatnonzero(~multiple), given)
    if min(len(given), *map(len, rows)) < FEWEST:
        return None
    place = _Place(subspace(*digits.means(fitted, q)), held_out.resid[given])
    high, low = (place.falls(model, held_out.resid[some[:MEASURED]]) for some in rows)
    return Suspect(
        q=q,
        multiples=float(np.median(high)),
        others=float(np.median(low)),
        auc=metrics.auc(np.concatenate([high, low]), np.arange(len(high) + len(low)) < len(high)),
        crowd=place.plane(held_out.resid[:CROWD]),
        residues=tuple((held_out.n[:CROWD] % q).tolist()),
        _place=place,
    )


def sum_of(model: Transformer, config: Primes, n: int) -> digits.Sum:
    """The sum of one integer, of the task's data or not.

    Raises:
        InputError: it has more digits than the task's, or as ``digits.of``.

    Source: as ``digits.of``.
    """
    asked = np.array([n])
    tokens = torch.from_numpy(config.encode(asked))
    symbol = numbers.digits(asked, config.base, config.width)
    return digits.of(model, tokens, asked, symbol, symbol * config.base ** np.arange(config.width - 1, -1, -1))
