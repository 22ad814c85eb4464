"""Does the network add, or look totals up? Its evidence at sums inside and outside those of training.

With one vector per residue, a sum depends only on how many digits have each residue. Few digits have few such counts,
so a network may learn one answer for each. A network that adds is right at counts that training never showed.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from miii.analysis.sieve.factors import LEAST, Interval, evidence, indivisible, interval
from miii.analysis.sieve.sums import Sum, means
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import Primes, Task
from miii.tasks.integers import count_residues, counts_of, residue_counts

MARGIN = 2  #: how far beyond the counts of training the lattice reaches
STARTS = 100  #: integers moved to each point
MOST_POINTS = 200  #: points in training, and of each distance from them; drawn at random if there are more
MOST_INTEGERS = 3000  #: integers for each withheld count vector


@dataclass(frozen=True)
class Lattice:
    """The median evidence for "prime" at every count vector, for sums moved there along mean contributions.

    Attributes:
        counts: how many digits contribute each residue modulo q; negative or above the number of digits outside.
        trained: whether a training integer has these counts.
        multiple: whether such integers are multiples of q.
        evidence: median over moved sums, in logits.
        inside, outside: non-multiples against multiples of q, over trained points and the others.
    """

    q: int
    counts: Int[np.ndarray, "points q"]
    trained: Bool[np.ndarray, " points"]
    multiple: Bool[np.ndarray, " points"]
    evidence: Float[np.ndarray, " points"]
    inside: Interval
    outside: Interval


@dataclass(frozen=True)
class Generalization:
    """Whether a network is right about counts of residues that training did not show.

    Attributes:
        lattice: evidence at moved sums.
        withheld: non-multiples against multiples of q where one of both has withheld counts; None if the task withholds
            none modulo q.
        by_counts: the same for each withheld count vector.
    """

    q: int
    lattice: Lattice = field(repr=False)
    withheld: Interval | None
    by_counts: dict[str, float]

    @property
    def generalizes(self) -> bool:
        """Whether the lower bound is at least 0.95: on withheld counts, or without them outside the trained lattice."""
        return (self.lattice.outside if self.withheld is None else self.withheld).low >= LEAST

    def to_json(self) -> dict[str, Any]:
        """Return the AUCs with their intervals, and the AUC of each withheld count vector."""
        aucs = {"inside": self.lattice.inside, "outside": self.lattice.outside, "withheld": self.withheld}
        found: dict[str, Any] = {name: each and each.to_json() for name, each in aucs.items()}
        return found | {"by_counts": {counts: finite(value) for counts, value in self.by_counts.items()}}


@torch.no_grad()
def lattice(
    model: Transformer,
    fitted: Sum,
    moved: Sum,
    q: int,
    known: Int[np.ndarray, "points q"],
    others: tuple[int, ...] = (),
    seed: int = 0,
) -> Lattice:
    """Move sums to every count vector, up to ``MARGIN`` digits beyond those of training.

    Args:
        fitted: training integers, which determine the mean contribution of each residue, over all places but the last.
        moved: integers whose sums are moved.
        known: the count vectors of training.
        others: the other sieved primes, which divide none of the moved integers.
    """
    generator = np.random.default_rng(seed)
    mean, occurs = means(fitted, q)
    mean, occurs = mean[:-1], occurs[:-1]  # the last place also shows the factors of the base
    vectors = mean.sum(0) / torch.from_numpy(occurs).sum(0).clamp(min=1)[:, None]  # absent residues have a mean of 0
    trained = {tuple(point) for point in known.tolist()}
    counts = np.array(_points(trained, [r for r in range(q) if occurs[:, r].any()], generator))
    rows = generator.permutation(np.flatnonzero(indivisible(moved.n, others)))[:STARTS]
    own = count_residues(moved.parts[rows], q)
    score = np.empty(len(counts))
    for i, point in enumerate(counts):
        change = torch.from_numpy((point - own).astype(np.float32))
        score[i] = float(moved.evidence(model, moved.resid[rows] + change @ vectors, rows).median())
    multiple = (counts @ np.arange(q)) % q == 0
    inner = np.array([tuple(point) in trained for point in counts.tolist()])
    inside, outside = (interval(score[kind], multiple[kind], seed) for kind in (inner, ~inner))
    return Lattice(q, counts, inner, multiple, score, inside, outside)


@torch.no_grad()
def generalize(
    model: Transformer,
    task: Task,
    config: Primes,
    fitted: Sum,
    held_out: Sum,
    q: int,
    others: tuple[int, ...] = (),
    seed: int = 0,
) -> Generalization:
    """Measure whether the network is right about counts modulo q that training did not show.

    Args:
        fitted, held_out: sums of the training and test split.
        others: the other sieved primes, which divide none of the integers measured.
    """
    n, train = task.facts["n"].numpy(), task.train_mask.numpy()
    known = np.unique(residue_counts(n[train], config, q), axis=0)
    whole = lattice(model, fitted, held_out, q, known, others, seed)
    vectors = [text for text in config.withheld if len(counts_of(text)) == q]
    if not vectors:
        return Generalization(q, whole, None, {})
    rows = np.flatnonzero(~train & (np.gcd(n, config.base) == 1) & indivisible(n, others))
    counts, multiple = residue_counts(n[rows], config, q), n[rows] % q == 0
    by_vector = {text: (counts == counts_of(text)).all(1) for text in vectors}
    withheld = np.any(list(by_vector.values()), axis=0)
    drawn = np.concatenate(
        [_draw(of & (multiple == kind), seed) for of in (*by_vector.values(), ~withheld) for kind in (True, False)]
    )
    score = np.full(len(rows), np.nan)
    score[drawn] = evidence(model, task.tokens[rows[drawn]])

    def compare(some: Bool[np.ndarray, " rows"]) -> Interval:
        """Compare multiples with the others; a kind that ``some`` lacks is taken from the counts of training."""
        lacking = [kind for kind in (True, False) if not (some & (multiple == kind)).any()]
        used = (some | (~withheld & np.isin(multiple, lacking))) & ~np.isnan(score)
        return interval(score[used], multiple[used], seed)

    each = {text: compare(of).auc for text, of in by_vector.items()}
    return Generalization(q, whole, compare(withheld), each)


def _draw(rows: Bool[np.ndarray, " rows"], seed: int) -> Int[np.ndarray, " drawn"]:
    return np.random.default_rng(seed).permutation(np.flatnonzero(rows))[:MOST_INTEGERS]


def _points(known: set[tuple[int, ...]], possible: list[int], generator: np.random.Generator) -> list[tuple[int, ...]]:
    """Return the count vectors of training and those up to ``MARGIN`` moves of one digit away, or a sample of both."""
    edge = found = set(_sample(sorted(known), generator))
    for _ in range(MARGIN):
        edge = {_move(point, a, b) for point in edge for a in possible for b in possible if a != b} - known - found
        edge = set(_sample(sorted(edge), generator))
        found = found | edge
    return sorted(found)


def _sample(points: list[tuple[int, ...]], generator: np.random.Generator) -> list[tuple[int, ...]]:
    chosen = generator.permutation(len(points))[:MOST_POINTS]
    return [points[i] for i in chosen]


def _move(point: tuple[int, ...], a: int, b: int) -> tuple[int, ...]:
    moved = list(point)
    moved[a] += 1
    moved[b] -= 1
    return tuple(moved)
