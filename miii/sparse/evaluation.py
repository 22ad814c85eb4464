"""Score a classifier of primes: recalls at a training threshold, depth of the sieve, and trial division's recalls."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from miii import numbers
from miii.analysis import sieve
from miii.analysis.sieve.factors import MOST
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Primes, Task

LEAST = 0.99  #: least recall on training primes
SLACK = 0.001  #: largest difference in summed recalls between equally good thresholds


@dataclass(frozen=True)
class Recall:
    """Recall on primes and on composites.

    Source: the two figures of Lee and Kim.
    """

    primes: float
    composites: float


@dataclass(frozen=True)
class Scores:
    """The scores of a network's evidence. ``factors`` covers held-out integers by smallest prime factor.

    Attributes:
        threshold: on the evidence, from the training integers.
        train, test: recalls at the threshold.
        sieve_depth: the largest prime up to which every factor is seen; see ``analysis.sieve.Depth``.
    """

    threshold: float
    train: Recall
    test: Recall
    sieve_depth: int
    factors: tuple[sieve.Factor, ...]
    n_train: int
    n_test: int

    def to_json(self) -> dict[str, Any]:
        """Return the numbers by name; ``from_json`` reads them."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Scores":
        """Read the numbers from ``to_json``."""
        recalls = {side: Recall(**values[side]) for side in ("train", "test")}
        return cls(**values | recalls | {"factors": tuple(sieve.Factor(**factor) for factor in values["factors"])})


def sieve_recall(low: int, high: int, primes: tuple[int, ...]) -> Recall:
    """Return the recalls of trial division by some primes on the integers ``low`` (at least 2) .. ``high`` - 1.

    All multiples are predicted composite, even the primes themselves.

    Raises:
        InputError: there are no primes or no composites in the range.
    """
    prime, undivided = np.zeros(high - low, dtype=bool), np.ones(high - low, dtype=bool)
    for found in numbers.primes_between(low, high - 1):
        prime[found - low] = True
    for q in primes:
        undivided[-low % q :: q] = False
    return recall(undivided, prime)


def recall(predicted: Bool[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> Recall:
    """Return the recalls of predicted primes.

    Raises:
        InputError: there are no primes or no composites.
    """
    if prime.all() or not prime.any():
        raise InputError("the range must hold primes and composites for their recalls.")
    return Recall(float(predicted[prime].mean()), float((~predicted[~prime]).mean()))


def threshold(score: Float[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> float:
    """Return the threshold on the evidence at or above which to predict "prime", from the training integers.

    Considers thresholds that keep 99% of the primes and have a sum of recalls within 0.001 of the best, and returns
    the middle of these. If a network sieves by a few primes, its evidence has two clusters with a gap. All thresholds
    in the gap are equally good on training integers, and the middle is the safest on new ones.

    Source: Youden's index (1950).
    """
    values, primes, composites = np.sort(score), np.sort(score[prime]), np.sort(score[~prime])
    kept = 1 - np.searchsorted(primes, values) / len(primes)
    both = kept + np.searchsorted(composites, values) / len(composites)
    allowed = kept >= LEAST
    good = values[allowed & (both >= both[allowed].max() - SLACK)]
    return float(good.min() + good.max()) / 2


def evaluate(
    train: Float[np.ndarray, " train"], test: Float[np.ndarray, " test"], n: Int[np.ndarray, " integers"], seed: int = 0
) -> Scores:
    """Score a network by its evidence, with a threshold from the training integers.

    AUCs by factor use at most 50,000 held-out integers, drawn at random.

    Args:
        n: the integers, training integers first.

    Raises:
        InputError: a split has no primes or no composites.
    """
    spf = numbers.smallest_prime_factor(n)
    prime = n == spf
    inside, outside = prime[: len(train)], prime[len(train) :]
    at = threshold(train, inside)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(test))[:MOST])
    by = sieve.auc_by_factor(
        test[drawn], spf[len(train) :][drawn], outside[drawn], numbers.primes_below(sieve.LIMIT), seed
    )
    return Scores(
        threshold=at,
        train=recall(train >= at, inside),
        test=recall(test >= at, outside),
        sieve_depth=sieve.sieve_depth(by),
        factors=by,
        n_train=len(train),
        n_test=len(test),
    )


def of_digits(model: Transformer, task: Task, config: Primes) -> Scores:
    """Score a transformer that reads digits, on a split by range.

    Raises:
        InputError: the split is not by range, or as ``evaluate``.
    """
    if config.split != "range":
        raise InputError(
            f"split must be range, with the held-out integers after the training integers (got {config.split!r})."
        )
    score, train = sieve.evidence(model, task.tokens), task.train_mask.numpy()
    return evaluate(score[train], score[~train], task.facts["n"].numpy())
