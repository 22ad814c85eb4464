"""All residues of two-digit numbers against loops in plain Python."""

import itertools
import math

import numpy as np
import pytest
import sympy
import torch

from miii.tasks import Residues
from miii.training.config import RunConfig

SIZES = [3, 5, 10, 31]


def build(p=31, **changes):
    return Residues(p=p, **changes).build()


def primes(p):
    return [q for q in range(2, p) if sympy.isprime(q)]


def test_every_number_stands_there_once_as_its_two_digits():
    for p, control, readout in itertools.product(SIZES, ["off", "shuffled", "digits"], ["digit", "equals"]):
        task, last = build(p, control=control, readout=readout), readout == "equals"
        assert task.facts["n"].tolist() == list(range(p * p))
        assert task.tokens.tolist() == [[*[p] * (not last), n % p, n // p, *[p] * last] for n in range(p * p)]
        assert task.d_vocab == len(task.token_names) == p + 1
        assert task.token_names == (*map(str, range(p)), "=")
        assert task.n_ctx == 3


def test_every_prime_below_p_is_a_target():
    for p in [*SIZES, 113]:
        task = build(p)
        assert [target.name for target in task.targets] == [f"mod {q}" for q in primes(p)]
        for target, q in zip(task.targets, primes(p), strict=True):
            assert target.size == q
            assert target.labels.tolist() == [n % q for n in range(p * p)]
            assert target.weight == pytest.approx(1 / math.log(q))
        assert task.d_vocab_out == sum(primes(p))
        assert torch.equal(task.labels, task.targets[0].labels)
        assert Residues(p=p).primes == tuple(primes(p))


def test_the_logits_of_the_targets_lie_side_by_side():
    assert (len(Residues().primes), Residues().p, Residues().train_fraction) == (29, 113, 0.5)  # as in the preprint
    assert build().correct_if == build(control="digits").correct_if == "all"
    names = ["residues-31", "residues-31-shuffled", "residues-31-digits"]
    assert [Residues(p=31, control=control).name for control in ("off", "shuffled", "digits")] == names
    task = build(10)
    assert [task.logits_of(f"mod {q}") for q in (2, 3, 5, 7)] == [slice(0, 2), slice(2, 5), slice(5, 10), slice(10, 17)]
    with pytest.raises(KeyError):
        task.logits_of("mod 4")


def test_masked_targets_are_asked_but_not_trained():
    for masked in ["2", "2,7", [3, 5]]:
        task, plain = build(10, masked=masked), build(10)
        hidden = {int(q) for q in (masked.split(",") if isinstance(masked, str) else masked)}
        for target, unmasked, q in zip(task.targets, plain.targets, (2, 3, 5, 7), strict=True):
            assert torch.equal(target.labels, unmasked.labels)
            assert target.weight == (0 if q in hidden else unmasked.weight)
        assert task.d_vocab_out == plain.d_vocab_out


def test_shuffled_labels_are_the_residues_of_other_numbers():
    for p in [5, 31, 113]:
        task, plain, other = build(p, control="shuffled"), build(p), build(p, control="shuffled", seed=1)
        assert [target.name for target in task.targets] == [target.name for target in plain.targets]
        assert torch.equal(task.train_mask, plain.train_mask)
        assert torch.equal(task.tokens, plain.tokens)
        labels, true, others = (torch.stack([t.labels for t in each.targets], 1) for each in (task, plain, other))
        assert sorted(labels.tolist()) == sorted(true.tolist())  # whole rows are permuted, none is lost
        assert not torch.equal(labels, others)
        for drawn, target, q in zip(labels.T, plain.targets, primes(p), strict=True):
            same = (drawn == target.labels).double().mean()
            assert abs(same - 1 / q) < 5 * math.sqrt(1 / q / p**2)  # right by chance alone


def test_configs_of_earlier_versions_name_the_digits_basis():
    for old, control in [(False, "off"), (True, "digits")]:
        config = RunConfig(task={"kind": "residues", "p": 7, "basis": old})
        assert config.task == Residues(p=7, control=control)
        assert "basis" not in config.model_dump_json()


def test_the_control_asks_for_the_digits_themselves():
    for p in SIZES:
        task, plain = build(p, control="digits"), build(p)
        assert [(target.name, target.size) for target in task.targets] == [("x0", p), ("x1", p)]
        assert task.targets[0].labels.tolist() == task.tokens[:, 1].tolist()
        assert task.targets[1].labels.tolist() == task.tokens[:, 2].tolist()
        assert {target.weight for target in task.targets} == {1 / math.log(p)}
        assert torch.equal(task.train_mask, plain.train_mask)
        assert Residues(p=p, control="digits").primes == (p, p)


def test_the_split_has_the_size_it_says_and_is_drawn_from_the_seed():
    for p, fraction, n in [(113, 0.5, 6_384), (10, 0.3, 30), (3, 0.12, 1), (3, 0.99, 8)]:
        first, again, other = (build(p, train_fraction=fraction, seed=seed) for seed in (0, 0, 5))
        assert Residues(p=p, train_fraction=fraction).n_train == n == first.train_mask.sum().item()
        assert torch.equal(first.train_mask, again.train_mask)
        assert p < 10 or not torch.equal(first.train_mask, other.train_mask)
        assert first.val_mask is None
        assert torch.equal(first.step_mask, first.train_mask)


def test_the_split_is_random_over_the_numbers():
    drawn = torch.stack([build(10, seed=seed).train_mask for seed in range(200)]).double()
    assert (drawn.mean(0) - 0.5).abs().max() < 5 * 0.5 / math.sqrt(200)


def logits_for(task, rows, answers):
    """Logits that answer each target as given, whatever the other targets' logits are."""
    logits = np.random.default_rng(0).normal(size=(len(rows), task.d_vocab_out))
    for target, answer in zip(task.targets, answers, strict=True):
        logits[np.arange(len(rows)), task.logits_of(target.name).start + answer] += 100
    return logits


def test_scores_are_the_share_of_right_answers_to_each_target():
    task, rows = build(10), np.arange(3, 93)
    answers = [rows % q for q in (2, 3, 5, 7)]
    answers[1] = np.where(rows < 48, answers[1], (answers[1] + 1) % 3)  # half of them wrong
    answers[3] = np.where(rows < 75, answers[3], (answers[3] + 1) % 7)  # a fifth
    expected = {"accuracy_worst": 0.5, "accuracy_2": 1.0, "accuracy_3": 0.5, "accuracy_5": 1.0, "accuracy_7": 0.8}
    assert Residues.scores(task, logits_for(task, rows, answers), rows) == pytest.approx(expected)
    # the worst is the worst of those that are trained
    task, rows = build(10, masked="3"), np.arange(100)
    answers = [rows % q for q in (2, 3, 5, 7)]
    answers[1] = (answers[1] + 1) % 3
    answers[3] = np.where(rows < 90, answers[3], (answers[3] + 1) % 7)
    found = Residues.scores(task, logits_for(task, rows, answers), rows)
    assert found["accuracy_3"] == 0
    assert found["accuracy_worst"] == found["accuracy_7"] == pytest.approx(0.9)
    task = build(10, control="digits")
    found = Residues.scores(task, logits_for(task, rows, [rows % 10, 0 * rows]), rows)
    assert found == pytest.approx({"accuracy_worst": 0.1, "accuracy_x0": 1.0, "accuracy_x1": 0.1})


def test_bad_values_are_one_sentence(one_sentence):
    for values, words in [
        ({"p": 2}, ["p must be", "at least 3 and at most 257", "2"]),
        ({"p": 258}, ["p must be", "at least 3 and at most 257", "258"]),
        ({"p": "x"}, ["p must be an integer", "'x'"]),
        ({"train_fraction": 0}, ["train_fraction must be", "greater than 0 and less than 1", "0"]),
        ({"p": 3, "train_fraction": 0.1}, ["train_fraction must leave at least one of the 9 numbers", "0.1"]),
        ({"p": 10, "masked": "11"}, ["masked must hold primes below p", "2, 3, 5, 7", "11"]),
        ({"p": 10, "masked": "4"}, ["masked must hold primes below p", "4"]),
        ({"p": 10, "masked": "2,3,5,7"}, ["masked must leave at least one of 2, 3, 5, 7"]),
        ({"p": 10, "masked": "2,x"}, ["masked", "x"]),
        ({"control": "perhaps"}, ["control must be", "off", "shuffled", "digits", "'perhaps'"]),
        ({"residues": "3"}, ["residues is not a known field", "Residues has", "masked"]),
    ]:
        with one_sentence(*words):
            Residues(**values)


def test_the_control_has_no_prime_to_mask(one_sentence):
    with one_sentence("masked must be none where control is digits", "3"):
        Residues(p=10, control="digits", masked="3")


def test_json_round_trip():
    for values in [{}, {"p": 31, "masked": (2, 3)}, {"control": "digits", "p": 10, "seed": 7}, {"control": "shuffled"}]:
        asked = Residues(**values)
        assert Residues(**asked.model_dump(mode="json")) == asked
        assert Residues.model_validate_json(asked.model_dump_json()) == asked
