"""Depth of sieve: how far a network's judgement of primes goes beyond trial division by the first few primes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from miii import metrics
from miii.analysis.sieve import numbers
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import Primes, Task

LEAST = 0.95  #: the AUC that tells primes from the multiples of a factor, at its lower bound
RESAMPLES = 1000
LIMIT = 32  #: factors asked for are below it
FEWEST = 20  #: composites of a smallest factor that a bootstrap needs
MOST = 50_000  #: integers of a side that are run


@dataclass(frozen=True)
class Factor:
    """Primes against the held-out composites whose smallest prime factor is ``q``.

    ``low`` and ``high`` bound the 95 % bootstrap interval of the ``auc``; ``integers`` counts the composites.

    Source: own design; the bootstrap is Efron's (1979), its interval the percentiles.
    """

    q: int
    auc: float
    low: float
    high: float
    integers: int


@dataclass(frozen=True)
class Depth:
    """What the network tells apart, on the held-out side.

    Attributes:
        factors: by smallest prime factor, ascending, those that divide the base apart.
        sieve_depth: the largest q up to which every factor's ``low`` is at least .95; 1 where already the first is not.
        threshold: of the evidence, the one with the best F1 on the training side; F1 and recalls are at it.
        oracles: ROC AUC of trial division by all primes up to q, for each factor.
        oracles_and_base: the same with the primes that divide the base, which the last digit gives away.
        primes, composites: how many were judged.
    """

    factors: tuple[Factor, ...]
    sieve_depth: int
    roc_auc: float
    average_precision: float
    threshold: float
    f1: float
    recall_primes: float
    recall_composites: float
    oracles: dict[int, float]
    oracles_and_base: dict[int, float]
    primes: int
    composites: int

    def to_json(self) -> dict[str, Any]:
        """The numbers by name, moduli as text; None for what there is too little to measure."""
        return {
            "sieve_depth": self.sieve_depth,
            "auc_by_factor": {str(f.q): f.auc for f in self.factors},
            "auc_low_by_factor": {str(f.q): f.low for f in self.factors},
            "roc_auc": finite(self.roc_auc),
            "average_precision": self.average_precision,
            "f1": self.f1,
            "recall_primes": self.recall_primes,
            "recall_composites": finite(self.recall_composites),
            "oracle_auc": {str(q): value for q, value in self.oracles.items()},
            "oracle_auc_and_base": {str(q): value for q, value in self.oracles_and_base.items()},
        }


def depth(model: Transformer, task: Task, config: Primes, seed: int = 0) -> Depth:
    """Judge the held-out integers, at most 50,000 of them drawn at random.

    Raises:
        InputError: a logit is not finite.

    Source: own design; metrics by scikit-learn.
    """
    from sklearn.metrics import average_precision_score, f1_score

    test, train = (numbers.side(task, which, MOST, seed) for which in (False, True))
    score = numbers.evidence(model, task.tokens[test])
    prime, spf = task.labels.numpy()[test] == 1, task.facts["spf"].numpy()[test]
    threshold = best_threshold(numbers.evidence(model, task.tokens[train]), task.labels.numpy()[train] == 1)
    said = score >= threshold
    unknown = np.gcd(task.facts["n"].numpy()[test], config.base) == 1
    factors = by_factor(score, spf, prime, numbers.sieved(config, LIMIT), seed)
    return Depth(
        factors=factors,
        sieve_depth=reached(factors),
        roc_auc=metrics.auc(score, prime),
        average_precision=float(average_precision_score(prime, score)),
        threshold=threshold,
        f1=float(f1_score(prime, said)),
        recall_primes=float(said[prime].mean()),
        recall_composites=float((~said[~prime]).mean()) if not prime.all() else float("nan"),
        oracles={f.q: metrics.auc((prime | (spf > f.q)) * 1.0, prime) for f in factors},
        oracles_and_base={f.q: metrics.auc((prime | ((spf > f.q) & unknown)) * 1.0, prime) for f in factors},
        primes=int(prime.sum()),
        composites=int((~prime).sum()),
    )


def best_threshold(score: Float[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> float:
    """The evidence from which on to say "prime" for the best F1 on these integers.

    Without a prime among them it is 0, where the network's own answer turns.

    Source: own design; precision and recall by scikit-learn.
    """
    if not prime.any():
        return 0.0
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(prime, score)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)[:-1]
    return float(thresholds[f1.argmax()])


def by_factor(
    score: Float[np.ndarray, " integers"],
    spf: Int[np.ndarray, " integers"],
    prime: Bool[np.ndarray, " integers"],
    moduli: tuple[int, ...],
    seed: int = 0,
) -> tuple[Factor, ...]:
    """Primes against the composites of each smallest factor, of those factors that at least 20 composites have."""
    factors = []
    for q in moduli:
        against = (spf == q) & ~prime
        if against.sum() >= FEWEST:
            low, high = bootstrap(score[prime], score[against], seed)
            asked = prime | against
            factors.append(Factor(q, metrics.auc(score[asked], prime[asked]), low, high, int(against.sum())))
    return tuple(factors)


def reached(factors: tuple[Factor, ...]) -> int:
    """The largest q up to which every factor's lower bound is at least .95; 1 where already the first is below."""
    found = 1
    for factor in factors:
        if factor.low < LEAST:
            break
        found = factor.q
    return found


def bootstrap(
    positive: Float[np.ndarray, " positive"], negative: Float[np.ndarray, " negative"], seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of the AUC over resamples of both kinds, ties counting half.

    Source: Efron 1979; the AUC as Mann and Whitney's U.
    """
    generator = np.random.default_rng(seed)
    values, where = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    high, low = where[: len(positive)], where[len(positive) :]
    found = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        p = np.bincount(high[generator.integers(0, len(high), len(high))], minlength=len(values))
        n = np.bincount(low[generator.integers(0, len(low), len(low))], minlength=len(values))
        below = np.cumsum(n) - n
        found[i] = (p * (below + n / 2)).sum() / (len(high) * len(low))
    return float(np.quantile(found, 0.025)), float(np.quantile(found, 0.975))
