"""Roll-outs of stand-ins that add by the rule, or wrongly on purpose, counted by hand."""

from collections import Counter

import numpy as np
import pytest
import sympy
import torch

import miii
from miii import reports, runs
from miii.analysis import rollout
from miii.tasks import frames
from miii.training import build_model, train

TASK = miii.Frames(low=100, high=999, frames=3, largest_step=4)
PRIME, COMPOSITE = 1, 0


def number(tokens):
    return int("".join(TASK.token_names[token] for token in tokens))


def adder(error=0, forgets_carry=False, label=sympy.isprime):
    """Writes n + d after [+d] n, whatever stood before: a network's logits at the last position, from a rule."""

    def model(tokens, at=slice(None)):
        logits = torch.zeros(len(tokens), 1, len(TASK.token_names))
        for row, logit in zip(tokens.tolist(), logits[:, 0], strict=True):
            *before, now = [row[i : i + TASK.frame] for i in range(0, len(row), TASK.frame)]
            slot = len(now)
            if slot == TASK.frame - 1:
                prime = label(number(now[1:]))
                logit[PRIME], logit[COMPOSITE] = (2.0, 1.0) if prime else (1.0, 2.0)
                continue
            step = int(TASK.token_names[now[0]])
            n = number(before[-1][1:-1])
            said = n + step + error
            if forgets_carry and said // 10 != n // 10:
                said -= 10
            logit[TASK.token_names.index(f"{said:03d}"[slot - 1])] = 5.0
        assert at == slice(-1, None)
        return logits

    return model


FIRST, STEP = np.array([197, 300, 486, 990]), np.array([2, 1, 4, 3])


def test_correct_adder_writes_the_true_frames():
    rolled = rollout.roll(adder(), TASK, FIRST, STEP)
    assert rolled.n.tolist() == [[199, 201], [301, 302], [490, 494], [993, 996]]
    assert rolled.integers.tolist() == rolled.n.tolist()
    assert np.array_equal(rolled.generated, rolled.truth)
    names = [[TASK.token_names[token] for token in frame] for frame in rolled.generated[0]]
    assert names == [["+2", "1", "9", "9", "prime"], ["+2", "2", "0", "1", "composite"]]
    assert np.array_equal(rolled.score, rolled.score_true)
    assert rolled.score[0].tolist() == [1, -1]


def test_one_first_integer_is_a_roll_out_of_one():
    rolled = rollout.roll_one(adder(), TASK, 197, 2)
    assert rolled.integers.tolist() == [[199, 201]]


def test_window_slides_beyond_the_context():
    lengths = set()

    def seen(tokens, at):
        lengths.add(tokens.shape[1])
        return adder()(tokens, at)

    rolled = rollout.roll(seen, TASK, np.array([100]), np.array([3]), ahead=9)
    assert rolled.integers.tolist() == [list(range(103, 130, 3))]
    assert max(lengths) == TASK.n_ctx


def test_errors_accumulate_and_labels_follow_the_written_integer():
    rolled = rollout.roll(adder(error=1), TASK, FIRST, STEP)
    assert (rolled.integers - rolled.n).tolist() == [[1, 2]] * 4
    primes = np.vectorize(sympy.isprime)
    assert np.array_equal(rolled.generated[..., -1] == PRIME, primes(rolled.integers))
    assert np.array_equal(rolled.score_true > 0, primes(rolled.n))
    for row in rollout.scores(rolled):
        assert row["integers"] == 0
        assert row["label_accuracy"] in (1, None)
        assert row["label_accuracy_true"] in (1, None)


def test_scores_by_hand():
    rolled = rollout.roll(adder(forgets_carry=True, label=lambda n: False), TASK, FIRST, STEP)
    # 197 + 2 = 199, then 201 becomes 191; 486 + 4 = 490 becomes 480, and 494 becomes 484
    assert rolled.integers.tolist() == [[199, 191], [301, 302], [480, 484], [993, 996]]
    one, two = rollout.scores(rolled)
    assert (one["ahead"], two["ahead"]) == (1, 2)
    assert (one["integers"], two["integers"]) == (0.75, 0.5)
    assert one["digits"] == [1, 0.75, 1]
    assert two["digits"] == [0.75, 0.5, 1]
    fresh = rollout.unseen(TASK, rolled.n)
    for i, row in enumerate((one, two)):
        prime = [bool(sympy.isprime(n)) for n in rolled.n[fresh[:, i], i]]
        assert row["composite"] == (1 - np.mean(prime) if prime else None) == row["label_accuracy_true"]
    assert [row["seen"] for row in (one, two)] == (1 - fresh.mean(0)).tolist()


def test_carries_are_counted_over_all_held_out_sequences():
    by_rule = adder(forgets_carry=True)

    def everywhere(tokens):
        ends = range(TASK.frame + 1, tokens.shape[1])  # the digits of the second frame
        digits = [by_rule(tokens[:, :end], at=slice(-1, None)) for end in ends]
        return torch.cat([torch.zeros(len(tokens), TASK.frame, len(TASK.token_names)), *digits, digits[-1]], dim=1)

    found = rollout.by_carries(everywhere, TASK)
    first, step, train = frames.parts(TASK)
    held = [(n, d) for n, d, trains in zip(first.tolist(), step.tolist(), train, strict=True) if not trains]
    carried = [sum((n % 10**k) + d >= 10**k for k in (1, 2)) for n, d in held if n + d < 1000]
    assert [(row["carries"], row["sequences"]) for row in found] == sorted(Counter(carried).items())
    assert [row["integers"] for row in found] == [1, 0, 0]
    with_all, _ = rollout.starts(TASK, 1, None)
    assert len(with_all) == len(carried) > len(rollout.starts(TASK, 1, 50)[0]) == 50


def test_token_that_is_not_a_digit_is_not_an_integer():
    def mute(tokens, at):
        logits = torch.zeros(len(tokens), 1, len(TASK.token_names))
        logits[..., PRIME] = 1.0  # a label, wherever a digit is due
        return logits

    rolled = rollout.roll(mute, TASK, FIRST, STEP)
    assert (rolled.integers == -1).all()
    for row in rollout.scores(rolled):
        assert row["integers"] == 0
        assert row["digits"] == [0, 0, 0]
        assert row["label_accuracy"] is None
        assert row["label_auc"] is None


def test_copy_control():
    rolled = rollout.roll(adder(), TASK, FIRST, STEP)
    # 197 -> 199, 201; 300 -> 301, 302; 486 -> 490, 494; 990 -> 993, 996
    assert rollout.copied(rolled, FIRST).tolist() == [[1, 0.75, 0], [0.75, 0.5, 0]]


def test_carries():
    for n, step, count in [(123, 4, 0), (128, 4, 1), (199, 1, 2), (999, 9, 3), (5, 5, 1)]:
        assert rollout.carries(np.array([n]), np.array([step]), 10).tolist() == [count]


def test_unseen_integers():
    task = TASK.build()
    first, step, train = (task.facts["first"], task.facts["step"], task.train_mask)
    trained = {int(n) + i * int(d) for n, d in zip(first[train], step[train], strict=True) for i in range(3)}
    n = np.arange(90, 1010)[None]
    unseen = set(n[rollout.unseen(TASK, n)].tolist())
    assert not unseen & trained
    assert {90, 1009} <= unseen
    held_out = {int(n) + i * int(d) for n, d in zip(first[~train], step[~train], strict=True) for i in range(3)}
    assert held_out <= unseen


def test_auc_from_context():
    task = miii.Frames(low=1000, high=9999, frames=4).build()
    found = rollout.auc_from_context(task, 10)
    last, held = task.facts["last"].numpy(), ~task.train_mask.numpy()
    prime = task.labels.numpy() == 1
    digit = np.isin(last % 10, (1, 3, 7, 9)).astype(float)
    assert found["digit"] == pytest.approx(miii.metrics.auc(digit[held], prime[held]), abs=0.03)
    assert found["digit_coprime"] == pytest.approx(0.5, abs=0.05)
    assert found["labels_coprime"] > 0.58  # two primes of three terms: the third is often divisible by 3


def test_similarity_is_a_cosine():
    vectors = torch.tensor([[1.0, 0.0], [3.0, 0.0], [0.0, 2.0], [-1.0, 0.0]])
    assert rollout.similarity(vectors)[0].tolist() == [1, 1, 0, -1]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, small_config):
    config = small_config(task=TASK.model_dump(), model={"d_model": 8, "n_heads": 2, "d_mlp": 8, "positions": "frames"})
    return runs.record(tmp_path_factory.mktemp("frames") / "frames", train(config))


def test_rollout_is_greedy_token_by_token(trained):
    model, task = trained.model(), trained.task()
    rows = [0, 5, 100]
    first, step = (task.facts[name][rows].numpy() for name in ("first", "step"))
    rolled = rollout.roll(model, TASK, first, step)
    for row, made in zip(rows, rolled.generated, strict=True):
        tokens = task.tokens[row, : TASK.frame].tolist()
        for _ in range(2):
            tokens.append(int(task.tokens[row, 0]))
            for _ in range(TASK.frame - 1):
                # padded to the whole length: what comes after must not matter
                padded = torch.tensor([tokens + [0] * (task.n_ctx - len(tokens))])[:, : task.n_ctx]
                tokens.append(int(model(padded)[0, len(tokens) - 1].argmax()))
        assert tokens[TASK.frame :] == made.ravel().tolist()
    logits = model(task.tokens[rows])[:, -1]
    assert rolled.score_true[:, -1] == pytest.approx((logits[:, 1] - logits[:, 0]).numpy(), abs=1e-5)


def test_report_has_controls(trained):
    found = reports.report_rollout(trained, ahead=1)
    assert found["run"] == "frames"
    assert len(found["rollout"]) == len(found["untrained"]) == len(found["copy"]) == 1
    untrained = build_model(trained.config, trained.task())
    first, step = rollout.starts(TASK, 1)
    assert found["untrained"] == rollout.scores(rollout.roll(untrained, TASK, first, step, 1))
    assert found["held_out"].keys() == {"auc", "auc_coprime", "digits", "integers"}
    assert found["sequences"] == len(first)
    assert sum(row["sequences"] for row in found["by_carries"]) == len(rollout.starts(TASK, 1, None)[0])


def test_invalid_input_is_an_error(one_sentence):
    with one_sentence("ahead must be at least 1", "0"):
        rollout.roll(adder(), TASK, FIRST, STEP, ahead=0)
    with one_sentence("first + ahead step must be at most 999", "1002"):
        rollout.roll(adder(), TASK, FIRST, STEP, ahead=4)
    with one_sentence("ahead must leave a held-out sequence", "5000"):
        rollout.starts(TASK, 5000)
    with one_sentence("run must be on frames", "modular"):
        rollout.check(miii.ModularAddition())
    with one_sentence("predict must be everything"):
        rollout.check(TASK.model_copy(update={"predict": "label"}))
