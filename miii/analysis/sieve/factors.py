"""Which small factors a network detects: evidence by smallest factor, and the depth of the sieve."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics
from miii.analysis.activations import last_logits
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.numbers import primes_below
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

if TYPE_CHECKING:
    import pandas as pd

LEAST = 0.95  #: lower bound of the AUC at which a factor counts as seen
RESAMPLES = 1000
LIMIT = 32  #: factors are below this
FEWEST = 20  #: least composites per smallest factor for a bootstrap
MOST = 50_000  #: integers to run per split
INTEGERS = 10_000  #: integers to run per split for the evidence by smallest factor
LISTED = 14  #: smallest factors below this have separate rows
QUANTILES = {"low": 0.05, "first": 0.25, "median": 0.5, "third": 0.75, "high": 0.95}


def check(config: object) -> Primes | MIU:
    """Return the config of a task on primes or on MIU.

    Raises:
        InputError: the config is for a different task.
    """
    if not isinstance(config, Primes | MIU):
        raise InputError(f"task must be primes or miu for this analysis (got {getattr(config, 'name', config)}).")
    return config


def evidence(model: Transformer, tokens: Int[Tensor, "integers pos"]) -> Float[np.ndarray, " integers"]:
    """Return the evidence for "prime" (or "theorem"): the logit of yes minus the logit of no.

    Raises:
        InputError: a logit is not finite.
    """
    logits = last_logits(model, tokens)[:, :2]
    return (logits[:, 1] - logits[:, 0]).double().numpy()


def sieved(config: Primes, limit: int) -> tuple[int, ...]:
    """Return the primes below ``limit`` that do not divide the base, so the last digit does not show them."""
    return tuple(q for q in primes_below(limit) if config.base % q)


def indivisible(n: Int[np.ndarray, " integers"], by: tuple[int, ...]) -> Bool[np.ndarray, " integers"]:
    """Return which integers are divisible by none of the given primes."""
    return np.all([n % q != 0 for q in by], axis=0) if by else np.ones(len(n), dtype=bool)


def draw_rows(task: Task, train: bool, limit: int, seed: int = 0) -> Int[np.ndarray, " rows"]:
    """Draw up to ``limit`` examples of the training split (without its validation part) or of the test split."""
    rows = np.flatnonzero((task.step_mask if train else ~task.train_mask).numpy())
    return np.sort(np.random.default_rng(seed).permutation(rows)[:limit])


@dataclass(frozen=True)
class Interval:
    """An AUC with its 95% bootstrap interval over points or integers, and how many there are; NaN without both kinds.

    The interval says how well this network's AUC is known. It does not cover other seeds.

    Source: percentile bootstrap, Efron 1979.
    """

    auc: float
    low: float
    high: float
    size: int

    def to_json(self) -> dict[str, float | None]:
        """Return the values; None for NaN."""
        return {name: finite(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Factor:
    """Primes against the held-out composites with the smallest prime factor ``q``.

    Attributes:
        low, high: the 95% bootstrap interval of ``auc`` over integers, for this network; other seeds vary more.
        integers: number of composites.

    Source: percentile bootstrap, Efron 1979.
    """

    q: int
    auc: float
    low: float
    high: float
    integers: int


@dataclass(frozen=True)
class Depth:
    """How well the network tells held-out primes from composites.

    Attributes:
        factors: by smallest prime factor, ascending, without those that divide the base.
        sieve_depth: the largest q up to which every factor has ``low`` >= 0.95; 1 if the first fails.
        threshold: on the evidence, with the best F1 on the training split; used for F1 and recalls.
        oracles: ROC AUC of trial division by all primes up to q, for each factor.
        oracles_and_base: the same, including the primes that divide the base, which the last digit shows.
        primes, composites: number of each.
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
        """Return the numbers by name, moduli as text; None marks measures with too few integers."""
        return {
            "sieve_depth": self.sieve_depth,
            "auc_by_factor": {str(f.q): f.auc for f in self.factors},
            "auc_low_by_factor": {str(f.q): f.low for f in self.factors},
            "auc_high_by_factor": {str(f.q): f.high for f in self.factors},
            "composites_by_factor": {str(f.q): f.integers for f in self.factors},
            "threshold": self.threshold,
            "primes": self.primes,
            "composites": self.composites,
            "roc_auc": finite(self.roc_auc),
            "average_precision": self.average_precision,
            "f1": self.f1,
            "recall_primes": self.recall_primes,
            "recall_composites": finite(self.recall_composites),
            "oracle_auc": {str(q): value for q, value in self.oracles.items()},
            "oracle_auc_and_base": {str(q): value for q, value in self.oracles_and_base.items()},
        }


def depth(model: Transformer, task: Task, config: Primes, seed: int = 0) -> Depth:
    """Measure the depth of the sieve on at most 50,000 held-out integers, drawn at random.

    Raises:
        InputError: a logit is not finite.
    """
    from sklearn.metrics import average_precision_score, f1_score

    test, train = (draw_rows(task, which, MOST, seed) for which in (False, True))
    score = evidence(model, task.tokens[test])
    prime, spf = task.labels.numpy()[test] == 1, task.facts["spf"].numpy()[test]
    threshold = best_threshold(evidence(model, task.tokens[train]), task.labels.numpy()[train] == 1)
    predicted = score >= threshold
    coprime = np.gcd(task.facts["n"].numpy()[test], config.base) == 1
    factors = auc_by_factor(score, spf, prime, sieved(config, LIMIT), seed)
    return Depth(
        factors=factors,
        sieve_depth=sieve_depth(factors),
        roc_auc=metrics.auc(score, prime),
        average_precision=float(average_precision_score(prime, score)),
        threshold=threshold,
        f1=float(f1_score(prime, predicted)),
        recall_primes=float(predicted[prime].mean()),
        recall_composites=float((~predicted[~prime]).mean()) if not prime.all() else float("nan"),
        oracles={f.q: metrics.auc((prime | (spf > f.q)) * 1.0, prime) for f in factors},
        oracles_and_base={f.q: metrics.auc((prime | ((spf > f.q) & coprime)) * 1.0, prime) for f in factors},
        primes=int(prime.sum()),
        composites=int((~prime).sum()),
    )


def best_threshold(score: Float[np.ndarray, " integers"], prime: Bool[np.ndarray, " integers"]) -> float:
    """Return the threshold on the evidence with the best F1 for "prime"; 0 if there is no prime."""
    if not prime.any():
        return 0.0
    from sklearn.metrics import precision_recall_curve

    precision, recall, thresholds = precision_recall_curve(prime, score)
    both = precision + recall
    f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(both), where=both > 0)[:-1]
    return float(thresholds[f1.argmax()])


def auc_by_factor(
    score: Float[np.ndarray, " integers"],
    spf: Int[np.ndarray, " integers"],
    prime: Bool[np.ndarray, " integers"],
    moduli: tuple[int, ...],
    seed: int = 0,
) -> tuple[Factor, ...]:
    """Compare primes with the composites of each smallest factor that has at least 20 composites."""
    factors = []
    for q in moduli:
        against = (spf == q) & ~prime
        if against.sum() >= FEWEST:
            compared = prime | against
            found = interval(score[compared], against[compared], seed)
            factors.append(Factor(q, found.auc, found.low, found.high, int(against.sum())))
    return tuple(factors)


def sieve_depth(factors: tuple[Factor, ...]) -> int:
    """Return the largest q up to which every factor's lower bound is at least 0.95; 1 if the first fails."""
    largest = 1
    for factor in factors:
        if factor.low < LEAST:
            break
        largest = factor.q
    return largest


def interval(score: Float[np.ndarray, " rows"], multiple: Bool[np.ndarray, " rows"], seed: int = 0) -> Interval:
    """Return the AUC of the other rows against the multiples, with the interval of ``bootstrap``."""
    yes, no = score[~multiple], score[multiple]
    if not len(yes) or not len(no):
        return Interval(float("nan"), float("nan"), float("nan"), len(score))
    return Interval(metrics.auc(score, ~multiple), *bootstrap(yes, no, seed), len(score))


def bootstrap(
    positive: Float[np.ndarray, " positive"], negative: Float[np.ndarray, " negative"], seed: int = 0
) -> tuple[float, float]:
    """Return the 95% percentile interval of the AUC over resamples of both classes, ties counting half.

    Source: Efron 1979; the AUC as Mann and Whitney's U.
    """
    generator = np.random.default_rng(seed)
    values, where = np.unique(np.concatenate([positive, negative]), return_inverse=True)
    high, low = where[: len(positive)], where[len(positive) :]
    aucs = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        p = np.bincount(high[generator.integers(0, len(high), len(high))], minlength=len(values))
        n = np.bincount(low[generator.integers(0, len(low), len(low))], minlength=len(values))
        below = np.cumsum(n) - n
        aucs[i] = (p * (below + n / 2)).sum() / (len(high) * len(low))
    return float(np.quantile(aucs, 0.025)), float(np.quantile(aucs, 0.975))


@dataclass(frozen=True)
class EvidenceByFactor:
    """The evidence of held-out integers by their smallest prime factor.

    ``table`` has one row per ``kind``, primes first: quantiles at 5, 25, 50, 75 and 95% as ``low``, ``first``,
    ``median``, ``third`` and ``high``, and the number of ``integers``. Kinds of fewer than 20 are left out.

    Attributes:
        threshold: on the evidence, with the best F1 on the training integers.
        wrong: the misclassified integers.
    """

    table: "pd.DataFrame"
    threshold: float
    wrong: Int[np.ndarray, " integers"] = field(repr=False)

    def separates(self, q: int) -> bool:
        """Return whether 95% of the primes have more evidence than 95% of the composites with smallest factor q."""
        rows = {row["kind"]: row for row in self.table.to_dict("records")}
        composites, primes = rows.get(f"smallest factor {q}"), rows.get("primes")
        return composites is not None and primes is not None and composites["high"] < primes["low"]


def evidence_by_factor(model: Transformer, task: Task, config: Primes, seed: int = 0) -> EvidenceByFactor:
    """Measure up to 10,000 held-out integers, with a threshold from up to 10,000 training integers.

    Raises:
        InputError: a logit is not finite.
    """
    import pandas as pd

    test, train = (draw_rows(task, which, INTEGERS, seed) for which in (False, True))
    threshold = best_threshold(evidence(model, task.tokens[train]), task.labels.numpy()[train] == 1)
    n, spf = task.facts["n"].numpy()[test], task.facts["spf"].numpy()[test]
    score = evidence(model, task.tokens[test])
    prime = n == spf
    factors = primes_below(LISTED)
    kinds = {"primes": prime}
    kinds |= {f"smallest factor {q}": ~prime & (spf == q) for q in factors}
    kinds["other composites"] = ~prime & ~np.isin(spf, factors)
    rows = [
        {"kind": kind, "integers": int(mask.sum())}
        | {name: float(np.quantile(score[mask], at)) for name, at in QUANTILES.items()}
        for kind, mask in kinds.items()
        if mask.sum() >= FEWEST
    ]
    table = pd.DataFrame(rows, columns=["kind", "integers", *QUANTILES])
    return EvidenceByFactor(table, threshold, n[(score >= threshold) != prime])
