"""What a judge of primes is worth: recalls at a threshold from training alone, trial division's, and its depth."""

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

LEAST = 0.99  #: recall on primes, which a threshold must keep on the training integers
SLACK = 0.001  #: how much worse than the best a threshold may be to count as as good


@dataclass(frozen=True)
class Recall:
    """The share of the primes, and of the composites, that are called so.

    Source: Lee and Kim's two figures.
    """

    primes: float
    composites: float


@dataclass(frozen=True)
class Judged:
    """What a network's evidence comes to. ``factors`` are of held-out integers, by smallest prime factor.

    Attributes:
        threshold: of the evidence, from the training integers.
        train, test: recalls at it.
        sieve_depth: the largest prime up to which every factor is seen; see ``analysis.sieve.depth``.
    """

    threshold: float
    train: Recall
    test: Recall
    sieve_depth: int
    factors: tuple[sieve.Factor, ...]
    n_train: int
    n_test: int

    def to_json(self) -> dict[str, Any]:
        """The numbers by name; ``from_json`` reads them back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Judged":
        """What ``to_json`` wrote."""
        recalls = {side: Recall(**values[side]) for side in ("train", "test")}
        return cls(**values | recalls | {"factors": tuple(sieve.Factor(**factor) for factor in values["factors"])})


def sieve_recall(low: int, high: int, primes: tuple[int, ...]) -> Recall:
    """What trial division by some primes comes to on the integers ``low`` (2 or more) .. ``high`` - 1, counted.

    A multiple of one of them is called composite, also where it is that prime itself.

    Raises:
        InputError: there are no primes or no composites between.

    Source: Eratosthenes.
    """
    prime, undivided = np.zeros(high - low, dtype=bool), np.ones(high - low, dtype=bool)
    for found in numbers.primes_between(low, high - 1):
        prime[found - low] = True
    for q in primes:
        undivided[-low % q :: q] = False
    return recall(undivided, prime)


def recall(said: Bool[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> Recall:
    """Recalls of what was said to be prime.

    Raises:
        InputError: there are no primes or no composites.

    Source: the definition.
    """
    if prime.all() or not prime.any():
        raise InputError("the range must hold primes and composites for their recalls.")
    return Recall(float(said[prime].mean()), float((~said[~prime]).mean()))


def threshold(score: Float[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> float:
    """The evidence from which on to say "prime", from the training integers.

    Of all thresholds that keep 99 % of the primes, those are as good as the best whose sum of recalls is at most .001
    below the best one's; taken is the middle of them. A network that sieves by a few primes has two heaps of evidence
    with a gap between, in which nearly all thresholds are as good, and the middle is the safest where integers are new.

    Source: Youden's index (1950); the middle is own design.
    """
    values, primes, composites = np.sort(score), np.sort(score[prime]), np.sort(score[~prime])
    kept = 1 - np.searchsorted(primes, values) / len(primes)
    both = kept + np.searchsorted(composites, values) / len(composites)
    allowed = kept >= LEAST
    good = values[allowed & (both >= both[allowed].max() - SLACK)]
    return float(good.min() + good.max()) / 2


def judge(
    train: Float[np.ndarray, " train"], test: Float[np.ndarray, " test"], n: Int[np.ndarray, " integers"], seed: int = 0
) -> Judged:
    """Judge a network by its evidence: the threshold from the training integers, the rest on those held out.

    The factors' AUCs and bounds are taken on at most 50,000 of those, drawn at random.

    Args:
        n: the integers, those for training first.

    Raises:
        InputError: a side has no primes or no composites.
    """
    spf = numbers.smallest_prime_factor(n)
    prime = n == spf
    inside, outside = prime[: len(train)], prime[len(train) :]
    at = threshold(train, inside)
    drawn = np.sort(np.random.default_rng(seed).permutation(len(test))[:MOST])
    by = sieve.auc_by_factor(
        test[drawn], spf[len(train) :][drawn], outside[drawn], numbers.primes_below(sieve.LIMIT), seed
    )
    return Judged(
        threshold=at,
        train=recall(train >= at, inside),
        test=recall(test >= at, outside),
        sieve_depth=sieve.sieve_depth(by),
        factors=by,
        n_train=len(train),
        n_test=len(test),
    )


def of_digits(model: Transformer, task: Task, config: Primes) -> Judged:
    """Judge a transformer that reads digits, on a split by range.

    Raises:
        InputError: the split is another, or as ``judge``.

    Source: ``judge``.
    """
    if config.split != "range":
        raise InputError(
            f"split must be range, so that the integers held out come after the others (got {config.split!r})."
        )
    score, train = sieve.evidence(model, task.tokens), task.train_mask.numpy()
    return judge(score[train], score[~train], task.facts["n"].numpy())
