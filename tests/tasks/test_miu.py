"""MIU: the count against real derivation, and strings that give the answer away by nothing but their count."""

import itertools

import numpy as np
import pytest
import torch

from miii.tasks import MIU
from miii.tasks.miu import NAMES, derivable, is_theorem

LONGEST = 8


def build(**changes):
    return MIU(**{"longest": 9, "longest_test": 14, "n": 3_000, **changes}).build()


def strings(task):
    """What the tapes say: the letters without the blanks, M first."""
    return ["".join(NAMES[token] for token in row if NAMES[token] in "MIU") for row in task.tokens.tolist()]


@pytest.fixture(scope="module")
def many():
    """Enough strings to count how often each occurs."""
    return build(n=60_000)


# ---- what is a theorem ----


@pytest.fixture(scope="module")
def theorems():
    return derivable(LONGEST)


def test_the_count_says_what_derivation_says_of_every_string(theorems):
    every = {
        "M" + "".join(letters) for length in range(LONGEST + 1) for letters in itertools.product("IU", repeat=length)
    }
    assert len(every) == 2 ** (LONGEST + 1) - 1
    assert {string for string in every if is_theorem(string)} == theorems


def test_theorems_of_the_book(theorems):
    for string in ("MI", "MIU", "MII", "MUI", "MIIU", "MIIII", "MUIU"):
        assert string in theorems
        assert is_theorem(string)
    for string in ("MU", "MIII", "M", "MUU", "MIIIU", "MUIUIUI"):
        assert string not in theorems
        assert not is_theorem(string)
    for string in ("", "I", "IM", "UMI", "MIM", "MMI", "MIA", "mi", "MI "):  # no strings of the system
        assert not is_theorem(string)


def test_derivations_pass_through_longer_strings():
    """MUI is reached by way of MIIII alone: two doublings, then III -> U."""
    assert derivable(1) == {"MI"}
    assert derivable(2) == {"MI", "MII", "MIU", "MUI"}
    assert derivable(3) == {s for s in derivable(5) if len(s) <= 4}


# ---- tokens ----


def test_a_tape_is_m_the_letters_with_blanks_between_and_the_question():
    task = build()
    assert task.token_names == NAMES == ("I", "U", "M", "?", "·")
    assert (task.d_vocab, task.d_vocab_out, task.n_ctx) == (5, 2, 16)
    named = [[NAMES[token] for token in row] for row in task.tokens.tolist()]
    for row, length, count in zip(named, task.facts["length"].tolist(), task.facts["I"].tolist(), strict=True):
        assert (row[0], row[-1]) == ("M", "?")
        body = row[1:-1]
        assert set(body) <= {"I", "U", "·"}
        assert sum(place != "·" for place in body) == length
        assert body.count("I") == count


def test_labels_are_what_is_derivable(theorems):
    task = build(longest=8, longest_test=LONGEST)
    assert task.labels.tolist() == [int(string in theorems) for string in strings(task)]
    task = build(longest=40, longest_test=60)
    assert task.labels.tolist() == [int(is_theorem(string)) for string in strings(task)]


def test_letters_are_met_at_every_place_and_in_every_order():
    task = build(n=6_000)
    train = task.tokens[task.train_mask][:, 1:-1]
    for token in (0, 1, 4):  # I, U and a blank
        share = (train == token).double().mean(0)
        assert (share - share.mean()).abs().max() < 0.05, NAMES[token]
    short = {string for string in strings(task) if len(string) == 4}
    assert short == {"M" + "".join(letters) for letters in itertools.product("IU", repeat=3)}


# ---- nothing gives the answer away ----


def test_of_every_length_half_are_theorems(many):
    length = many.facts["length"]
    for letters in range(1, 15):
        labels = many.labels[length == letters].double()
        assert abs(labels.mean().item() - 0.5) < 5 * 0.5 / len(labels) ** 0.5, letters


def test_up_to_the_training_length_every_length_is_as_frequent(many):
    counts = torch.bincount(many.facts["length"][:60_000], minlength=10)[1:10].double()
    assert (counts - 60_000 / 9).abs().max() < 5 * (60_000 / 9) ** 0.5


def test_the_number_of_is_is_drawn_evenly_among_those_that_fit(many):
    for letters in [1, 2, 3, 8, 9]:
        mine = many.facts["length"] == letters
        for label in (0, 1):
            counts = torch.bincount(many.facts["I"][mine & (many.labels == label)], minlength=letters + 1)
            fit = [count for count in range(letters + 1) if (count % 3 != 0) == bool(label)]
            assert counts.nonzero()[:, 0].tolist() == fit
            expected = counts.sum().item() / len(fit)
            assert (counts[fit] - expected).abs().max() < 5 * expected**0.5


def test_where_the_is_stand_is_drawn_evenly(many):
    mine = (many.facts["length"] == 6) & (many.facts["I"] == 2)
    chosen = [string for string, takes in zip(strings(many), mine, strict=True) if takes]
    counts = np.array([chosen.count("M" + "".join(p)) for p in sorted(set(itertools.permutations("IIUUUU")))])
    assert counts.sum() == len(chosen)
    assert abs(counts - counts.mean()).max() < 5 * counts.mean() ** 0.5


# ---- the split ----


def test_longer_strings_are_tested_and_never_trained():
    asked = MIU(longest=9, longest_test=14, n=3_000)
    task = asked.build()
    length = task.facts["length"]
    assert task.train_mask.sum().item() == asked.n_train == 1_500
    assert length[task.train_mask].max().item() == 9
    assert torch.bincount(length[length > 9])[10:].tolist() == [150] * 5  # n / 20 of each
    assert len(task.labels) == 3_000 + 5 * 150
    assert not task.train_mask[length > 9].any()
    assert task.val_mask is None
    assert (MIU().name, MIU().longest, MIU().longest_test) == ("miu-24", 24, 36)


def test_a_seed_gives_the_same_strings_and_another_seed_others():
    first, again, other = (build(seed=seed) for seed in (0, 0, 1))
    for name in ("tokens", "labels", "train_mask"):
        assert torch.equal(getattr(first, name), getattr(again, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


# ---- scores ----


def test_scores_tell_longer_strings_from_those_as_long():
    task = build()
    rows = np.flatnonzero(~task.train_mask.numpy())
    length, labels = task.facts["length"].numpy()[rows], task.labels.numpy()[rows]
    right = np.where(length > 9, np.arange(len(rows)) % 4 == 0, True)
    answers = np.where(right, labels, 1 - labels)
    logits = np.stack([answers == 0, answers == 1], axis=1).astype(float)
    found = MIU.scores(task, logits, rows)
    assert found == {"accuracy_as_long": 1.0, "accuracy_longer": right[length > 9].mean()}
    assert 0.2 < found["accuracy_longer"] < 0.3
    task = build(longest_test=9)
    assert (len(task.labels), task.n_ctx) == (3_000, 11)
    rows = np.flatnonzero(~task.train_mask.numpy())
    assert MIU.scores(task, np.zeros((len(rows), 2)), rows).keys() == {"accuracy_as_long"}


# ---- bad input ----


def test_bad_values_are_one_sentence(one_sentence):
    for values, words in [
        ({"longest": 2}, ["longest must be", "at least 3 and at most 200", "2"]),
        ({"longest": 201, "longest_test": 400}, ["longest must be", "at most 200", "201"]),
        ({"longest": 20, "longest_test": 19}, ["longest_test must be at least longest, 20 letters", "19"]),
        ({"longest_test": 401}, ["longest_test must be", "at most 400", "401"]),
        ({"n": 99}, ["n must be", "at least 100", "99"]),
        ({"n": "many"}, ["n must be an integer", "'many'"]),
        ({"train_fraction": 1}, ["train_fraction must be", "less than 1", "1"]),
        ({"n": 100, "train_fraction": 0.001}, ["train_fraction must leave at least one of the 100 strings", "0.001"]),
        ({"base": 10}, ["base is not a known field", "MIU has", "longest_test"]),
    ]:
        with one_sentence(*words):
            MIU(**values)


def test_a_string_of_one_s_own_is_a_tape():
    for string in ["MI", "MUUUU", "MIUIUIUIUIUIUI"]:
        config = MIU(longest=9, longest_test=14)
        tape = config.encode(string)
        assert len(tape) == 16
        spelled = [NAMES[token] for token in tape]
        assert (spelled[0], spelled[-1]) == ("M", "?")
        assert "".join(spelled).replace("·", "") == f"{string}?"
        assert (tape == config.encode(string)).all()


def test_what_is_no_string_for_the_tape_is_one_sentence(one_sentence):
    for string in ["", "M", "I", "IM", "mi", "MIX", "MI ", "M" + "I" * 15]:
        with one_sentence("string", "M followed by 1 to 14 letters", repr(string)):
            MIU(longest=9, longest_test=14).encode(string)
