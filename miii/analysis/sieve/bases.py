"""Which primes can be seen? What a network for primes learns from labels alone, by base, and a rule that predicts it.

``python -m benchmarks bases`` trains the default recipe in many bases. The rule uses only what is known before
training: the base, the range and q.
"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int

from miii import metrics, numbers
from miii.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

#: AUC of primes against composites of smallest factor q from which q counts as seen. The runs stop early, so this asks
#: for more than chance (95% intervals are at most .04 wide on either side), not for a finished sieve.
SEEN = 0.55
#: The bases of the map, in a random order, fixed before the first run. The rule is fitted on every other base.
BASES = tuple(int(base) for base in np.random.default_rng(0).permutation([*range(2, 65), 155, 210]))
UNUSED = frozenset(BASES[1::2])  #: bases on which the rule is tested
PHASES = 8  #: phases of the waves, for the best neuron
SAMPLE = 4000  #: integers that choose the best neuron, and as many that measure it
#: Traits of the rule, and of its controls, by name.
RULES: dict[str, tuple[str, ...]] = {
    "gain and correlation": ("gain", "correlation"),
    "gain alone": ("gain",),
    "correlation alone": ("correlation",),
    "order and gain": ("order", "gain"),
    "order alone": ("order",),
    "q alone": ("q",),
}
RULE = "gain and correlation"
SHUFFLES = 20  #: random orders of the labels, for the last control


@dataclass(frozen=True)
class Traits:
    """What is known of a base and a prime q before training. All is counted over integers coprime to the base.

    Attributes:
        order: the smallest k > 0 with base^k = 1 modulo q. At 1, the plain sum of digits shows the residue.
        digits: digits of the largest integer.
        share: share of multiples of q.
        gain: mutual information of the label and "q divides n", in bits: how far knowing it lowers the loss.
        per_residue: digit values per residue, base / q.
        totals: count vectors, the number of ways in which the digits can have residues.
        correlation: of "q divides n" with the best neuron (``best_neuron``).
    """

    order: int
    digits: int
    share: float
    gain: float
    per_residue: float
    totals: int
    correlation: float


@cache
def _labels(low: int, high: int) -> tuple[Int[np.ndarray, " integers"], Bool[np.ndarray, " integers"]]:
    n = np.arange(low, high + 1)
    return n, np.isin(n, numbers.primes_below(high + 1))


@cache
def traits(base: int, q: int, low: int = 10_000, high: int = 99_999, correlation: float | None = None) -> Traits:
    """Return the traits of a base and a prime over a range of integers.

    Args:
        correlation: the correlation, if it is known; None measures it.

    Raises:
        InputError: q divides the base, so the last digit shows it.
    """
    if base % q == 0:
        raise InputError(f"q must not divide the base {base} (got {q}).")
    n, prime = _labels(low, high)
    coprime = np.gcd(n, base) == 1
    n, prime = n[coprime], prime[coprime]
    multiple, digits = n % q == 0, numbers.width(high, base)
    share = float(multiple.mean())
    within = share * _entropy(prime[multiple]) + (1 - share) * _entropy(prime[~multiple])
    if correlation is None:
        drawn = np.random.default_rng(0).permutation(len(n))[: 2 * SAMPLE]
        correlation = best_neuron(numbers.digits(n[drawn], base, digits), multiple[drawn], q)
    return Traits(
        order=next(k for k in range(1, q) if pow(base, k, q) == 1),
        digits=digits,
        share=share,
        gain=_entropy(prime) - within,
        per_residue=base / q,
        totals=math.comb(digits + q - 1, q - 1),
        correlation=correlation,
    )


def _entropy(labels: Bool[np.ndarray, " integers"]) -> float:
    """Return the entropy of a bit in bits."""
    share = float(labels.mean()) if len(labels) else 0.0
    return -sum(p * math.log2(p) for p in (share, 1 - share) if p > 0)


def best_neuron(digits: Int[np.ndarray, "integers place"], label: Bool[np.ndarray, " integers"], q: int) -> float:
    """Return the correlation of a label with the best neuron that reads one sum of waves.

    The neuron is ReLU(sum of cos(2 pi k d / q + phase) over the digits d, minus a threshold): uniform attention to
    digits that are the same token at every place. The first half of the integers chooses k, phase and threshold; the
    second half measures the correlation.
    """
    half, found = len(label) // 2, (0.0, 0, 0.0, 0.0)
    y = label - label[:half].mean()
    waves = np.arange(digits.max() + 1)
    for k in range(1, q // 2 + 1):
        for phase in 2 * np.pi * np.arange(PHASES) / PHASES:
            total = np.cos(2 * np.pi * k * waves / q + phase)[digits[:half]].sum(1)
            order = np.argsort(-total)
            by_threshold = _correlations(total[order], y[:half][order])
            best = int(by_threshold.argmax())
            found = max(found, (float(by_threshold[best]), k, float(phase), float(total[order][best])))
    _, k, phase, threshold = found
    read = np.maximum(np.cos(2 * np.pi * k * waves / q + phase)[digits[half:]].sum(1) - threshold, 0)
    spread = float(read.std() * label[half:].std())
    return abs(float(np.mean((read - read.mean()) * label[half:]))) / spread if spread > 0 else 0.0


def _correlations(total: Float[np.ndarray, " n"], y: Float[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Return the absolute correlation of y, of mean 0, with ReLU(total - c) at every c in a descending ``total``."""
    n, count = len(y), np.arange(1, len(y) + 1)
    first, second = np.cumsum(total), np.cumsum(total**2)
    mean = (first - count * total) / n
    variance = (second - 2 * total * first + count * total**2) / n - mean**2
    covariance = (np.cumsum(total * y) - total * np.cumsum(y)) / n
    valid = variance > 1e-9
    return np.abs(np.divide(covariance, np.sqrt(np.where(valid, variance, 1)) * y.std(), where=valid, out=np.zeros(n)))


def auc_by_base(runs: Sequence[dict[str, Any]]) -> "pd.DataFrame":
    """Return one row for each base and q: seeds, median ``auc``, its range ``low`` to ``high``, ``seen``, traits.

    Correlations are measured where the runs hold none.
    """
    import pandas as pd

    rows = [
        {"base": run["base"], "q": int(q), "seed": run["seed"], "auc": values[0]}
        for run in runs
        for q, values in run["factors"].items()
    ]
    grouped = pd.DataFrame(rows, columns=["base", "q", "seed", "auc"]).groupby(["base", "q"])["auc"]
    table = grouped.agg(seeds="size", auc="median", low="min", high="max").reset_index()
    measured = {(run["base"], int(q)): value for run in runs for q, value in run.get("correlations", {}).items()}
    known = [
        vars(traits(base, q, correlation=measured.get((base, q))))
        for base, q in zip(table["base"], table["q"], strict=True)
    ]
    return table.assign(seen=table["auc"] >= SEEN).join(pd.DataFrame(known, index=table.index))


@dataclass(frozen=True)
class Rule:
    """A logistic regression on the logarithms of some traits: the log odds that q is seen.

    Attributes:
        weights: per factor of e in a trait.
    """

    names: tuple[str, ...]
    weights: tuple[float, ...]
    intercept: float

    def score(self, table: "pd.DataFrame") -> Float[np.ndarray, " rows"]:
        """Return the log odds of each row of ``auc_by_base``."""
        return _logs(table, self.names) @ np.array(self.weights) + self.intercept


def fit_rule(table: "pd.DataFrame", names: Sequence[str], seen: Bool[np.ndarray, " rows"] | None = None) -> Rule:
    """Fit the rule to rows of ``auc_by_base``, with L2 penalty 1 for standardized traits.

    Args:
        seen: the labels; None takes those of the table.

    Raises:
        InputError: all rows have the same label.
    """
    from sklearn.linear_model import LogisticRegression

    x, y = _logs(table, names), np.asarray(table["seen"] if seen is None else seen, dtype=bool)
    if y.all() or not y.any():
        raise InputError(f"table must hold primes that are seen and primes that are not (got {len(y)} alike).")
    center, scale = x.mean(0), x.std(0)
    scale[scale == 0] = 1
    found = LogisticRegression().fit((x - center) / scale, y)
    weights = found.coef_[0] / scale
    return Rule(tuple(names), tuple(weights.tolist()), float(found.intercept_[0] - center @ weights))


def _logs(table: "pd.DataFrame", names: Sequence[str]) -> Float[np.ndarray, "rows traits"]:
    return np.log(table[list(names)].to_numpy(dtype=float).clip(1e-3))


def compare_rules(table: "pd.DataFrame", unused: Collection[int]) -> "pd.DataFrame":
    """Fit every rule on some bases and test it on the ``unused`` ones.

    One row a rule: ``auc`` (of its score, for seen against unseen primes), ``accuracy``, and ``rank``, Spearman's
    correlation of score and measured AUC. The last row is the mean over fits to shuffled labels.

    Raises:
        InputError: as ``fit_rule``, for either part.
    """
    import pandas as pd
    from scipy.stats import spearmanr

    held_out = table["base"].isin(unused)
    fitted, tested = table[~held_out], table[held_out]
    seen = tested["seen"].to_numpy()
    if seen.all() or not seen.any():
        raise InputError(f"unused must hold primes that are seen and primes that are not (got {len(seen)} alike).")

    def measure(rule: Rule) -> dict[str, float]:
        score = rule.score(tested)
        return {
            "auc": metrics.auc(score, seen),
            "accuracy": float(((score > 0) == seen).mean()),
            "rank": float(spearmanr(score, tested["auc"]).statistic),
        }

    rows = [{"rule": name} | measure(fit_rule(fitted, traits)) for name, traits in RULES.items()]
    generator = np.random.default_rng(0)
    shuffled = [
        measure(fit_rule(fitted, RULES[RULE], generator.permutation(fitted["seen"].to_numpy())))
        for _ in range(SHUFFLES)
    ]
    mean = {name: float(np.mean([each[name] for each in shuffled])) for name in shuffled[0]}
    return pd.DataFrame([*rows, {"rule": "shuffled labels"} | mean])
