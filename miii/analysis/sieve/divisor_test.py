"""Test which divisors a network detects: does evidence fall when other integers take an integer's place modulo q?"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from miii import metrics
from miii.analysis.sieve.factors import LEAST, indivisible
from miii.analysis.sieve.interventions import FEWEST
from miii.analysis.sieve.sums import Sum, means, subspace
from miii.model.transformer import Transformer

OTHERS = 64  #: integers to move to another integer's place
SAMPLE = 1000  #: held-out integers to draw for comparison
CHUNK = 50  #: places to test at once, each on all of the others
MEASURED = 300  #: most held-out multiples of q, and most other integers, used to measure the fall


@dataclass(frozen=True)
class DivisorTest:
    """How far evidence falls when integers without small factors take another integer's place modulo q.

    The place is the part of the sum in the q - 1 directions of ``subspace``; the rest of the sum stays. The fall
    measures the evidence of the place alone against "prime", apart from other evidence such as the last digit.

    Attributes:
        multiples, others: the median fall for places of held-out multiples of q, and of other integers.
        auc: probability that a multiple's place lowers the evidence more than another's.
        sample: places of held-out integers in the first two directions.
        residues: those integers modulo q.

    Source: interchange interventions, Geiger et al. 2021 (arXiv 2106.02997).
    """

    q: int
    multiples: float
    others: float
    auc: float
    sample: Float[np.ndarray, "sample 2"] = field(repr=False)
    residues: tuple[int, ...] = field(repr=False)
    _place: "_Place" = field(repr=False)

    @property
    def layer(self) -> int:
        """The block whose sum is moved."""
        return self._place.given.layer

    @property
    def seen(self) -> bool:
        """Whether the falls separate multiples from others, by the bound for the depth of the sieve."""
        return self.auc >= LEAST

    def fall(self, model: Transformer, one: Sum) -> float:
        """Return how far the mean evidence falls in the place of an integer, in logits."""
        return float(self._place.falls(model, one.resid[:1])[0])

    def predicts_multiple(self, fall: float) -> bool:
        """Return whether a fall is closer to the multiples' median than to the others'; False if q is not ``seen``."""
        return self.seen and abs(fall - self.multiples) < abs(fall - self.others)

    def path(self, one: Sum) -> Float[np.ndarray, "stations 2"]:
        """Return an integer's place before its first digit is added, after it, after the second, and so on."""
        steps = one.added[0]
        stations = torch.cat([torch.zeros_like(steps[:1]), steps.cumsum(0)])
        return self._place.plane(one.resid[0] - steps.sum(0) + stations)


@dataclass(frozen=True)
class _Place:
    """The directions of a modulus, and the sums of the integers to move."""

    directions: Float[Tensor, "d_model dimensions"]
    given: Sum

    @torch.no_grad()
    def falls(self, model: Transformer, sums: Float[Tensor, "integers d_model"]) -> Float[np.ndarray, " integers"]:
        after = torch.cat([self._after(model, some) for some in sums.split(CHUNK)])
        return (self.given.evidence(model).double().mean() - after).numpy()

    def _after(self, model: Transformer, sums: Tensor) -> Tensor:
        given, there = self.given.resid, sums @ self.directions
        moved = given + (there[:, None] - given @ self.directions) @ self.directions.T
        rows = np.tile(np.arange(len(given)), len(sums))
        return self.given.evidence(model, moved.flatten(0, 1), rows).view(len(sums), -1).double().mean(1)

    def plane(self, sums: Float[Tensor, "integers d_model"]) -> Float[np.ndarray, "integers 2"]:
        xy = sums @ self.directions[:, :2]
        return torch.nn.functional.pad(xy, (0, 2 - xy.shape[1])).numpy()  # modulo 2 there is one direction


def fit_divisor_test(
    model: Transformer, fitted: Sum, held_out: Sum, q: int, moduli: Sequence[int]
) -> DivisorTest | None:
    """Measure the falls on held-out integers; None if there are too few of them.

    Args:
        fitted: training integers, which determine the directions.
        moduli: primes that divide none of the integers to move.
    """
    multiple = held_out.n % q == 0
    given = np.flatnonzero(indivisible(held_out.n, (q, *moduli)))[:OTHERS]
    rows = np.flatnonzero(multiple), np.setdiff1d(np.flatnonzero(~multiple), given)
    if min(len(given), *map(len, rows)) < FEWEST:
        return None
    place = _Place(subspace(*means(fitted, q)), held_out.rows(given))
    high, low = (place.falls(model, held_out.resid[some[:MEASURED]]) for some in rows)
    return DivisorTest(
        q=q,
        multiples=float(np.median(high)),
        others=float(np.median(low)),
        auc=metrics.auc(np.concatenate([high, low]), np.arange(len(high) + len(low)) < len(high)),
        sample=place.plane(held_out.resid[:SAMPLE]),
        residues=tuple((held_out.n[:SAMPLE] % q).tolist()),
        _place=place,
    )
