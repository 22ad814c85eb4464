"""Primes: labels against SymPy, tokens read back, and every split against what it says."""

import itertools
import math
from functools import lru_cache

import numpy as np
import pytest
import sympy
import torch

from miii.errors import InputError
from miii.metrics import auc
from miii.tasks import Primes
from miii.tasks.primes import PRESETS

smallest = lru_cache(maxsize=None)(lambda n: min(sympy.factorint(n)))


def config(low=1_000, high=1_999, **changes):
    return Primes(low=low, high=high, **changes)


def integers(task):
    return task.facts["n"].tolist()


def read(task, base, width, leading_zeros=True, place=False):
    """The integers that the tokens write down, by the names of the tokens alone."""
    found = []
    for row in task.tokens.tolist():
        names = [task.token_names[token] for token in row]
        assert len(names) == width + 1
        assert names[-1] == "?"
        written = [name for name in names[:-1] if name != "·"]
        if leading_zeros:
            assert len(written) == width
        else:
            assert names[:-1] == ["·"] * (width - len(written)) + written
            assert written[0].partition("@")[0] != "0"
        value = 0
        for i, name in enumerate(written):
            digit, _, power = name.partition("@")
            assert power == (str(len(written) - 1 - i) if place else "")
            value = base * value + int(digit)
        found.append(value)
    return found


# ---- labels and tokens ----


def test_labels_and_smallest_factors_are_sympy_s():
    for low, high in [(2, 800), (9_700, 10_300), (10**8 - 400, 10**8)]:
        task = config(low, high).build()
        assert integers(task) == list(range(low, high + 1))
        assert task.labels.tolist() == [int(sympy.isprime(n)) for n in integers(task)]
        assert task.facts["spf"].tolist() == [smallest(n) for n in integers(task)]
        assert [(target.name, target.size, target.weight) for target in task.targets] == [("prime", 2, 1.0)]


def test_tokens_write_the_integer():
    for place, leading_zeros, base in itertools.product([False, True], [True, False], [2, 3, 10, 85, 100, 317, 1000]):
        asked = config(2, 1_100, base=base, leading_zeros=leading_zeros, tokens="place" if place else "digit")
        task = asked.build()
        width = len(np.base_repr(1_100, base)) if base <= 36 else 2
        assert asked.width == width == task.n_ctx - 1
        assert read(task, base, width, leading_zeros, place) == integers(task)
        assert len(set(task.token_names)) == len(task.token_names) == task.d_vocab
        assert task.d_vocab == (width if place else 1) * base + (1 if leading_zeros else 2)
        assert task.tokens.max() < task.d_vocab
        assert task.tokens.tolist() == asked.encode(np.array(integers(task))).tolist()


def test_an_integer_can_be_read_with_the_naked_eye():
    digit, place = (config(8_000, 10_010, leading_zeros=False, tokens=tokens) for tokens in ("digit", "place"))
    n = np.array([10_007, 8_100])
    assert digit.encode(n).tolist() == [[1, 0, 0, 0, 7, 10], [11, 8, 1, 0, 0, 10]]
    assert place.encode(n).tolist() == [[1, 10, 20, 30, 47, 50], [51, 18, 21, 30, 40, 50]]
    assert config(8_000, 10_010).encode(n).tolist()[1] == [0, 8, 1, 0, 0, 10]
    assert place.token_names[10:12] == ("0@3", "1@3")


def test_integers_of_more_digits_cannot_be_shown(one_sentence):
    assert config(1_000, 1_100).encode(np.array([0, 9_999])).tolist() == [[0, 0, 0, 0, 10], [9, 9, 9, 9, 10]]
    assert config().encode(np.array([], dtype=np.int64)).shape == (0, 5)
    for n in [[10_000], [-1], [5, 10_000], [-1, 5]]:
        with one_sentence("n must be from 0 to 9999", str(min(n)), str(max(n))):
            config(2, 1_500).encode(np.array(n))


def test_presets_are_the_paper_s_ranges():
    assert PRESETS == {"text": (1_000, 9_999), "table 1": (10_000, 99_999)}
    default = Primes()
    assert (default.low, default.high) == PRESETS["table 1"]
    assert (default.base, default.candidates, default.train_fraction, default.residues) == (10, "all", 0.5, ())
    assert default.label_only
    assert (default.name, config(base=100).name) == ("primes-10", "primes-100")
    for low, high in PRESETS.values():
        asked = Primes(low=low, high=high)
        assert asked.n_examples == high - low + 1
        assert asked.width == len(str(low)) == len(str(high))


# ---- which integers ----


def test_candidates_are_the_integers_coprime_to_the_base():
    for base, (low, high) in itertools.product([2, 6, 7, 10, 30, 1000], [(2, 700), (1_013, 1_999)]):
        asked = config(low, high, base=base, candidates="coprime")
        expected = [n for n in range(low, high + 1) if math.gcd(n, base) == 1]
        assert integers(asked.build()) == expected
        assert asked.n_examples == len(expected)


def test_a_sample_is_drawn_from_the_candidates():
    for candidates in ["all", "coprime"]:
        asked = config(1_000, 10**7, sample=500, candidates=candidates)
        n = integers(asked.build())
        assert len(n) == len(set(n)) == 500 == asked.n_examples
        assert n == sorted(n)
        assert 1_000 <= n[0] <= n[-1] <= 10**7
        assert candidates == "all" or all(math.gcd(m, 10) == 1 for m in n)
        assert np.mean(n) == pytest.approx(5e6, rel=0.1)  # evenly: 2.6 % is a standard error
        assert integers(asked.build()) == n
        assert integers(config(1_000, 10**7, sample=500, candidates=candidates, seed=1).build()) != n
    asked = config(sample=5_000)  # more than there are
    assert asked.n_examples == 1_000
    assert integers(asked.build()) == list(range(1_000, 2_000))


# ---- the split ----


def test_a_random_split_has_its_share_and_is_drawn_from_the_seed():
    for fraction in [0.1, 0.5, 0.9]:
        first, again, other = (config(train_fraction=fraction, seed=seed).build() for seed in (0, 0, 1))
        assert first.train_mask.sum().item() == int(fraction * 1_000)
        assert torch.equal(first.train_mask, again.train_mask)
        assert torch.equal(first.val_mask, again.val_mask)
        assert not torch.equal(first.train_mask, other.train_mask)
        assert torch.equal(first.labels, other.labels)


def test_a_random_split_is_random_over_the_integers():
    drawn = torch.stack([config(1_000, 1_099, seed=seed).build().train_mask for seed in range(200)]).double()
    assert (drawn.mean(0) - 0.5).abs().max() < 5 * 0.5 / math.sqrt(200)


def test_a_split_by_range_trains_below_and_tests_above():
    for fraction in [0.3, 0.5]:
        task = config(split="range", train_fraction=fraction).build()
        bound = 1_000 + int(fraction * 1_000)
        assert task.train_mask.tolist() == [n < bound for n in integers(task)]


def test_a_split_by_residue_keeps_classes_modulo_97_whole():
    for fraction in [0.3, 0.5]:
        task = config(split="residue", train_fraction=fraction, seed=3).build()
        training = {n % 97 for n, trains in zip(integers(task), task.train_mask, strict=True) if trains}
        tested = {n % 97 for n, trains in zip(integers(task), task.train_mask, strict=True) if not trains}
        assert not training & tested
        assert len(training) == round(fraction * 97)
        assert len(training | tested) == 97
        assert training != set(range(len(training)))  # drawn, not the lowest
        other = config(split="residue", train_fraction=fraction, seed=4).build()
        assert not torch.equal(task.train_mask, other.train_mask)


def test_the_validation_part_is_a_tenth_of_the_training_side():
    for split, candidates in itertools.product(["random", "range", "residue"], ["all", "coprime"]):
        asked = config(1_000, 4_999, split=split, candidates=candidates)
        task = asked.build()
        assert not (task.val_mask & ~task.train_mask).any()
        assert task.val_mask.sum().item() == task.train_mask.sum().item() // 10
        assert torch.equal(task.step_mask, task.train_mask & ~task.val_mask)
        assert task.step_mask.sum().item() == asked.n_train == (task.train_mask & ~task.val_mask).sum().item()
        share = task.val_mask[task.train_mask].double()
        half = len(share) // 2  # spread over the side, not its end
        assert 0.05 < share[:half].mean() < 0.15
        assert 0.05 < share[half:].mean() < 0.15


def test_the_validation_part_has_an_upper_bound():
    asked = config(10_000, 600_000, sample=500_000, train_fraction=0.9)
    task = asked.build()
    assert task.val_mask.sum().item() == 20_000
    assert asked.n_train == 430_000 == task.step_mask.sum().item()


def test_the_smallest_training_side_keeps_an_example_to_train_on():
    for low, high, train in ((2, 11, 1), (2, 21, 2)):
        for seed in range(40):
            try:
                asked = config(low, high, train_fraction=0.1, seed=seed)
                task = asked.build()
            except InputError:  # no prime on the training side
                continue
            assert (asked.n_train, task.train_mask.sum().item()) == (1, train)
            assert task.step_mask.sum().item() == 1
            break
        else:
            raise AssertionError("none of the seeds has a prime to train on")


def test_what_training_shares_cannot_be_changed_by_one_who_builds():
    first = config().build()
    expected = [tensor.clone() for tensor in (first.labels, first.train_mask, first.facts["n"], first.facts["spf"])]
    for tensor in (first.labels, first.train_mask, first.facts["n"], first.facts["spf"]):
        tensor.zero_()
    again = config().build()
    for tensor, kept in zip((again.labels, again.train_mask, *again.facts.values()), expected, strict=True):
        assert torch.equal(tensor, kept)


# ---- further targets, sampling ----


def test_residues_are_further_targets_and_change_nothing_else():
    plain, task = config().build(), config(residues=(3, 7, 11)).build()
    for name in ("labels", "tokens", "train_mask", "val_mask"):
        assert torch.equal(getattr(plain, name), getattr(task, name)), name
    for text in ("3,7,11", "3,7,11,", ["3", "7", "11"], [3, 7, 11]):
        assert config(residues=text).residues == (3, 7, 11)
    assert config(residues="").residues == ()
    assert task.d_vocab_out == 2 + 3 + 7 + 11
    assert [target.name for target in task.targets] == ["prime", "mod 3", "mod 7", "mod 11"]
    for target, q in zip(task.extra_targets, (3, 7, 11), strict=True):
        assert target.size == q
        assert target.labels.tolist() == [n % q for n in integers(task)]
        assert target.weight == pytest.approx(1 / math.log(q))
    logits = [task.logits_of(target.name) for target in task.targets]
    assert logits == [slice(0, 2), slice(2, 5), slice(5, 12), slice(12, 23)]
    assert (task.targets[0].size, task.correct_if) == (2, "first")
    with pytest.raises(KeyError):
        task.logits_of("mod 5")


def test_sampling_evenly_in_log_n_draws_n_with_chance_1_over_n():
    assert config().build().sampling_weights is None
    task = config(100, 10_000, sampling="log").build()
    expected = 1 / torch.arange(100, 10_001, dtype=torch.float64)
    torch.testing.assert_close(task.sampling_weights, expected)
    n = task.facts["n"]
    two, four = (task.sampling_weights[(n >= low) & (n < 10 * low)].sum().item() for low in (100, 1_000))
    assert two == pytest.approx(four, rel=0.01)  # as many of three digits as of four


def test_label_only_is_base_10_all_integers_at_most_half_and_no_residues():
    for changes, label_only in [
        ({}, True),
        ({"train_fraction": 0.25, "tokens": "place", "leading_zeros": False, "sampling": "log"}, True),
        ({"split": "range"}, True),
        ({"residues": (3,)}, False),
        ({"base": 100}, False),
        ({"candidates": "coprime"}, False),
        ({"train_fraction": 0.51}, False),
    ]:
        assert config(**changes).label_only is label_only


# ---- scores ----


def test_scores_are_areas_of_primes_against_each_small_factor():
    task = config(2, 3_000).build()
    rows = np.sort(np.random.default_rng(0).choice(len(task.labels), 700, replace=False))
    logits = np.random.default_rng(1).normal(size=(700, 2))
    logits[:, 1] += task.labels.numpy()[rows]
    found = Primes.scores(task, logits, rows)
    assert found.keys() == {"auc", "auc_3", "auc_7", "auc_11", "auc_13"}
    n, score = [integers(task)[row] for row in rows], logits[:, 1] - logits[:, 0]
    primes = [s for m, s in zip(n, score, strict=True) if sympy.isprime(m)]
    for name, q in (("auc", None), ("auc_3", 3), ("auc_7", 7), ("auc_11", 11), ("auc_13", 13)):
        others = [s for m, s in zip(n, score, strict=True) if not sympy.isprime(m) and (q is None or smallest(m) == q)]
        wins = sum((a > b) + 0.5 * (a == b) for a in primes for b in others)
        assert found[name] == pytest.approx(wins / len(primes) / len(others)), name


def test_a_sieve_by_3_is_seen_in_the_score_of_3_alone():
    task = config(10_000, 30_000).build()
    spf, rows = task.facts["spf"].numpy(), np.arange(20_001)
    logits = np.stack([np.zeros(20_001), np.where(np.isin(spf, (2, 3, 5)), 0.0, 1.0)], axis=1)
    found = Primes.scores(task, logits, rows)
    assert found["auc_3"] == 1.0
    assert found["auc_7"] == found["auc_11"] == found["auc_13"] == 0.5
    assert found["auc"] == auc(logits[:, 1], task.labels.numpy() == 1) > 0.9


def test_a_score_without_examples_is_no_number():
    task = config(2, 100).build()  # 7 x 7 and 7 x 11 and 7 x 13 are there, 11 x 11 is not
    found = Primes.scores(task, np.zeros((99, 2)), np.arange(99))
    assert found["auc"] == found["auc_3"] == found["auc_7"] == 0.5
    assert math.isnan(found["auc_11"])


# ---- bad input ----


def test_bad_values_are_one_sentence(one_sentence):
    for values, words in [
        ({"low": 5_000, "high": 4_000}, ["low must be at most high", "empty", "5000 > 4000"]),
        ({"low": 1}, ["low must be", "at least 2", "1"]),
        ({"high": 10**8 + 1}, ["high must be", "at most 100000000", "100000001"]),
        ({"high": "many"}, ["high must be an integer", "'many'"]),
        *[({"base": base}, ["base must be", "at least 2 and at most 1000", str(base)]) for base in (1, 0, -10, 1001)],
        ({"low": 100, "high": 108}, ["low and high must hold 10 to 5,000,000 integers", "9"]),
        ({"low": 100, "high": 125, "candidates": "coprime", "base": 30}, ["10 to 5,000,000 integers", "7"]),
        ({"high": 10**7}, ["sample must say how many", "9,999,001"]),
        ({"sample": 9}, ["sample must be", "at least 10", "9"]),
        ({"train_fraction": 0}, ["train_fraction must be", "greater than 0 and less than 1", "0"]),
        ({"train_fraction": 1}, ["train_fraction must be", "greater than 0 and less than 1", "1"]),
        ({"train_fraction": None}, ["train_fraction must be a number"]),
        ({"residues": "4"}, ["residues must be primes below 1000", "4"]),
        ({"residues": "3,1009"}, ["residues must be primes below 1000", "1009"]),
        ({"residues": "3,3"}, ["residues must name each prime once", "3,3"]),
        ({"residues": "three"}, ["residues", "three"]),
        ({"split": "halves"}, ["split must be one of", "'range'", "'halves'"]),
        ({"tokens": "word"}, ["tokens must be one of", "'place'", "'word'"]),
        ({"candidates": "odd"}, ["candidates must be one of", "'coprime'", "'odd'"]),
        ({"sampling": "square"}, ["sampling must be one of", "'log'", "'square'"]),
        ({"p": 113}, ["p is not a known field", "Primes has", "low"]),
    ]:
        with one_sentence(*words):
            config(**values)


def test_a_side_without_primes_is_one_sentence(one_sentence):
    for values, side in [
        ({"low": 114, "high": 126}, "training"),  # no primes at all
        ({"low": 114, "high": 127, "split": "range"}, "training"),
        ({"low": 113, "high": 126, "split": "range"}, "test"),
        ({"low": 24, "high": 36, "split": "range", "train_fraction": 0.9}, "test"),
        ({"low": 20, "high": 30, "train_fraction": 0.05}, "training"),  # trains on none
        ({"split": "residue", "train_fraction": 0.001}, "training"),
        ({"split": "residue", "train_fraction": 0.999}, "test"),
    ]:
        with one_sentence("split must leave at least one prime on each side", f"none for {side}"):
            config(**values).build()


def test_a_small_sample_of_a_wide_range_has_primes_on_both_sides_or_is_refused():
    refused = 0
    for seed in range(12):
        try:
            task = config(10**6, 7 * 10**6, sample=40, seed=seed).build()
        except InputError:
            refused += 1
        else:
            assert task.labels[task.train_mask].any()
            assert task.labels[~task.train_mask].any()
    assert 0 < refused < 12  # with about 1.3 primes a side both happen


# ---- withheld counts ----


def test_withheld_counts_are_only_tested():
    for changes in ({}, {"base": 7, "low": 3000, "high": 6000}, {"sample": 500, "split": "residue"}):
        q = 3 if "base" not in changes else 4
        free = config(**changes)
        first, second = "1-2-1", "0-1-3"
        vectors = (first, second) if q == 3 else ("1-2-1-1", "0-0-4-1")
        made = Primes(**(free.model_dump() | {"withheld": ",".join(vectors)}))
        task, whole = made.build(), free.build()
        n = task.facts["n"].numpy()
        weights = [made.base**place % q for place in reversed(range(made.width))]
        each = [[int(d) * w % q for d, w in zip(row, weights, strict=True)] for row in task.tokens[:, :-1].tolist()]
        counts = ["-".join(str(row.count(r)) for r in range(q)) for row in each]
        withheld = np.isin(counts, vectors)
        assert 0 < withheld.sum() < len(n)
        assert not (task.train_mask.numpy() & withheld).any()
        assert (task.train_mask == whole.train_mask).numpy()[~withheld].all()
        assert made.n_train == int(task.step_mask.sum()) < made.max_train or changes.get("split") == "residue"


def test_withheld_counts_must_sum_to_the_digits(one_sentence):
    for given in ("1-2-2", "1-2", "4", "a-2-1", "1--2", "-", "4-0-0,5-0-0", "1-2-1x", "٣-1-0", "9999999999-0-0"):
        with one_sentence("withheld", given.split(",")[-1]):
            config(withheld=given)
    assert config(withheld=()).withheld == ()
    assert config(withheld=["1-2-1"]).withheld == ("1-2-1",)
