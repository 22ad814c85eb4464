"""Frames against loops in plain Python: tokens, what is asked, and who trains."""

import itertools

import numpy as np
import pytest
import sympy
import torch

import miii
from miii.metrics import auc
from miii.tasks import Frames
from miii.tasks.frames import trains
from miii.tasks.task import NO_TARGET

SMALL = {"low": 100, "high": 999, "frames": 3, "largest_step": 4}


def build(**changes):
    return Frames(**SMALL | changes).build()


def words(task, row):
    return [task.token_names[token] for token in task.tokens[row].tolist()]


def frame_in_words(n, step, width=3):
    return [f"+{step}", *str(n).zfill(width), "prime" if sympy.isprime(n) else "composite"]


def test_a_sequence_is_its_integers_frame_by_frame_without_the_last_label():
    for changes in [{}, {"predict": "label"}, {"frames": 2}, {"low": 50, "high": 500}]:
        task, config = build(**changes), Frames(**SMALL | changes)
        for row in range(0, len(task.labels), 97):
            first, step = int(task.facts["first"][row]), int(task.facts["step"][row])
            integers = [first + i * step for i in range(config.frames)]
            whole = list(itertools.chain.from_iterable(frame_in_words(n, step) for n in integers))
            assert words(task, row) == whole[:-1]
            assert task.token_names[task.labels[row]] == whole[-1]
            assert int(task.facts["last"][row]) == integers[-1]
            assert bool(task.facts["coprime"][row]) == (integers[-1] % 10 in (1, 3, 7, 9))
        assert task.n_ctx == config.n_ctx == config.frames * 5 - 1
        assert task.frame == config.frame == 5
        assert task.d_vocab == len(task.token_names) == 2 + 10 + 4


def test_what_is_asked_is_the_next_token_where_it_can_be_known():
    task = build()
    for row in range(0, len(task.labels), 97):
        whole = [*task.tokens[row].tolist(), int(task.labels[row])]
        for i, asked in enumerate(task.next_tokens[row].tolist()):
            frame, slot = divmod(i + 1, task.frame)
            known = slot == 4 or (frame > 0 and slot > 0)
            assert asked == (whole[i + 1] if known else NO_TARGET)
    assert task.d_vocab_out == task.d_vocab
    assert (task.next_tokens[:, -1] == task.labels).all()


def test_labels_alone_have_two_answers_at_the_last_position():
    task = build(predict="label")
    assert task.next_tokens is None
    assert task.d_vocab_out == 2
    assert torch.equal(task.labels, build().labels)


def test_no_integer_of_a_held_out_sequence_occurs_in_training():
    for seed, train_fraction in itertools.product([0, 1, 2], [0.3, 0.5, 0.8]):
        config = Frames(**SMALL, seed=seed, train_fraction=train_fraction)
        task = config.build()
        n = task.facts["first"][:, None] + task.facts["step"][:, None] * torch.arange(config.frames)
        trained, held_out = set(n[task.train_mask].ravel().tolist()), set(n[~task.train_mask].ravel().tolist())
        assert trained
        assert held_out
        assert not trained & held_out
        side = trains(config)
        assert all(side[np.array(sorted(trained)) - config.low])
        assert not any(side[np.array(sorted(held_out)) - config.low])
        assert config.n_train == int(task.train_mask.sum())
        assert abs(side.mean() - train_fraction) < 0.1


def test_every_sequence_on_one_side_stands_there_once():
    config = Frames(**SMALL)
    side, task = trains(config), config.build()
    wanted = set()
    for n, d in itertools.product(range(100, 1000), range(1, 5)):
        integers = [n, n + d, n + 2 * d]
        if integers[-1] < 1000 and len({bool(side[m - 100]) for m in integers}) == 1:
            wanted.add((n, d))
    found = list(zip(task.facts["first"].tolist(), task.facts["step"].tolist(), strict=True))
    assert len(found) == len(set(found))
    assert set(found) == wanted
    assert found == sorted(found)


def test_a_sample_is_a_part_and_the_seed_draws_it():
    whole, part = build(), build(sample=200)
    assert len(part.labels) == 200
    assert {tuple(row) for row in part.tokens.tolist()} <= {tuple(row) for row in whole.tokens.tolist()}
    assert not torch.equal(build(sample=200, seed=1).tokens, part.tokens)
    assert torch.equal(build(sample=200).tokens, part.tokens)


def test_digits_of_another_base_have_leading_zeros():
    task = build(low=2, high=400, base=7)
    assert task.frame == 6  # 400 is 1111 in base 7
    assert words(task, 0)[:6] == ["+1", "0", "0", "0", "2", "prime"]


def test_scores_are_counted_by_hand():
    task = build()
    rows = (~task.train_mask).nonzero()[:, 0].numpy()
    following = task.next_tokens[rows]
    logits = torch.nn.functional.one_hot(following.clamp(min=0), task.d_vocab).double()
    right = Frames.scores(task, logits.numpy(), rows)
    assert right == {"auc": 1, "auc_coprime": 1, "digits": 1, "integers": 1}
    logits[:4, 4 + 2] = 0  # the token after [+d] and one digit of the second frame: its tens
    logits[:4, 4 + 2, 0] = 1
    logits[:, 0] = torch.rand(task.d_vocab)  # where nothing is asked
    integers, digits = len(rows) * 2, len(rows) * 2 * 3
    found = Frames.scores(task, logits.numpy(), rows)
    assert found["digits"] == pytest.approx(1 - 4 / digits)
    assert found["integers"] == pytest.approx(1 - 4 / integers)
    score = np.random.default_rng(0).normal(size=len(rows))
    logits[:, -1, 0], logits[:, -1, 1] = 0, torch.from_numpy(score)
    prime, coprime = task.labels[rows].numpy() == 1, task.facts["coprime"][rows].numpy() == 1
    found = Frames.scores(task, logits.numpy(), rows)
    assert found["auc"] == auc(score, prime)
    assert found["auc_coprime"] == auc(score[coprime], prime[coprime])
    alone = build(predict="label")
    assert Frames.scores(alone, logits[:, -1, :2].numpy(), rows) == {
        name: found[name] for name in ("auc", "auc_coprime")
    }


def test_bad_input_is_one_sentence(one_sentence):
    for changes, words in [
        ({"low": 500, "high": 400}, ["low must be at most high", "500 > 400"]),
        ({"high": 130}, ["high must be at least low + 32", "32 integers", "130"]),
        ({"low": 2, "high": 10**8}, ["low and high must hold at most 1,250,000 integers"]),
        ({"low": 2, "high": 1_000_000}, ["sample must be at most 769,230 sequences of 26 tokens"]),
        ({"frames": 1}, ["frames must be", "at least 2", "1"]),
        ({"largest_step": 0}, ["largest_step must be", "at least 1", "0"]),
        ({"base": 1}, ["base must be", "at least 2", "1"]),
        ({"predict": "digits"}, ["predict must be one of", "'everything'", "'digits'"]),
        ({"train_fraction": 1}, ["train_fraction", "1"]),
        ({"low": 1328, "high": 1360, "frames": 2, "largest_step": 1}, ["train_fraction must leave sequences", "prime"]),
    ]:
        with one_sentence(*words):
            Frames(**SMALL | changes).build()


def test_its_name_says_base_and_what_is_asked():
    assert (Frames().name, Frames(base=7, predict="label").name) == ("frames-10", "frames-7-label")
    assert miii.Frames is Frames
