"""Which primes can be seen: traits by hand, the rule on made-up bases, and the shipped map."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from miii import numbers
from miii.analysis import sieve
from miii.errors import InputError

SHIPPED = Path(__file__).parents[3] / "checkpoints" / "bases.jsonl"


def test_traits_by_hand():
    """Of the integers 10 to 99, 36 are coprime to 10: 21 primes and 15 others, 12 of these multiples of 3."""
    found = sieve.traits(10, 3, 10, 99)
    assert (found.order, found.digits, found.totals, found.per_residue) == (1, 2, 6, pytest.approx(10 / 3))
    assert found.share == pytest.approx(1 / 3)
    entropy = lambda p: -p * math.log2(p) - (1 - p) * math.log2(1 - p)  # noqa: E731
    assert found.gain == pytest.approx(entropy(21 / 36) - 24 / 36 * entropy(21 / 24))
    assert sieve.traits(10, 11, 10, 99).order == 2
    assert sieve.traits(10, 7, 10, 99).order == 6
    with pytest.raises(InputError, match="divide the base 10"):
        sieve.traits(10, 5)


def test_best_neuron():
    """A neuron reads the parity of one digit, some of a plain or alternating sum, and nothing of noise."""
    digits = np.random.default_rng(0).integers(0, 14, (8000, 3))
    one = digits[:, :1]
    assert sieve.best_neuron(one, one[:, 0] % 2 == 0, 2) == pytest.approx(1)
    for weights in ((1, 1, 1), (1, -1, 1)):
        assert 0.1 < sieve.best_neuron(digits, digits @ weights % 7 == 0, 7) < 0.5, weights
    label = np.random.default_rng(1).random(8000) < 0.5
    assert sieve.best_neuron(digits, label, 7) < 0.05  # chosen on one half, measured on the other


def table_of(rule):
    """A table in which the label of (base, q) is that of a rule on gain and correlation."""
    generator = np.random.default_rng(0)
    rows = [(base, q, *np.exp(generator.normal(size=2))) for base in range(2, 42) for q in numbers.primes_below(24)]
    table = pd.DataFrame(rows, columns=["base", "q", "gain", "correlation"])
    table["seen"], table["order"] = rule(table), generator.integers(1, 4, len(table))
    return table.assign(auc=0.5 + 0.4 * table["seen"])


def test_the_rule_that_made_the_labels_wins_on_unused_bases():
    table = table_of(lambda rows: rows["gain"] * rows["correlation"] ** 2 > 1.5)
    rules = sieve.compare_rules(table, range(22, 42)).set_index("rule")
    assert rules.loc[sieve.RULE, "auc"] > 0.99
    assert rules.loc[sieve.RULE, "accuracy"] > 0.95
    assert rules["auc"].drop(sieve.RULE).max() < 0.95
    for control in ("order alone", "q alone", "shuffled labels"):
        assert abs(rules.loc[control, "auc"] - 0.5) < 0.15
    found = sieve.fit_rule(table, sieve.RULES[sieve.RULE])
    assert found.weights[1] / found.weights[0] == pytest.approx(2, abs=0.3)
    with pytest.raises(InputError, match="seen and primes that are not"):
        sieve.compare_rules(table.assign(seen=False), range(22, 42))


def test_shipped_correlations_are_those_of_the_best_neurons():
    runs = sieve.load_runs(SHIPPED)
    assert all(run["correlations"].keys() == run["factors"].keys() for run in runs)
    first = {run["base"]: run for run in runs}
    for base, q in ((10, 3), (10, 7), (21, 2)):
        assert first[base]["correlations"][str(q)] == pytest.approx(sieve.traits(base, q).correlation), (base, q)
    assert sieve.traits(10, 3, correlation=0.5) == replace(sieve.traits(10, 3), correlation=0.5)


def test_auc_by_base_takes_the_median(tmp_path):
    runs = [{"base": 10, "seed": seed, "factors": {"3": [auc, 0, 1, 9]}} for seed, auc in enumerate((0.5, 0.9, 0.6))]
    (row,) = sieve.auc_by_base(runs).to_dict("records")
    assert (row["seeds"], row["auc"], row["low"], row["high"], row["seen"]) == (3, 0.6, 0.5, 0.9, True)
    assert row["gain"] == sieve.traits(10, 3).gain
    with pytest.raises(InputError, match="one run a line"):
        sieve.load_runs(tmp_path / "nowhere")


def test_the_shipped_map():
    """The bases of the map in their order, each with the factors that do not divide it."""
    found = sieve.load_runs(SHIPPED)
    bases = [each["base"] for each in found if each["seed"] == 0]
    assert set(bases) == set(sieve.BASES[: len(bases)])  # none was left out because of its result
    assert len({each["steps"] for each in found}) == 1
    for each in found:
        assert [int(q) for q in each["factors"]] == [q for q in numbers.primes_below(24) if each["base"] % q]
