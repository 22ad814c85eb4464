"""Training on tasks of several targets, with a validation part, drawn by chances, too large to evaluate whole."""

import collections
import itertools
import math

import numpy as np
import pytest
import torch

import miii
from miii import training
from miii.metrics import auc
from miii.model import fast
from miii.training import build_model, evaluation, train
from miii.training.evaluation import evaluator

TASKS = {
    "primes": {"kind": "primes", "low": 100, "high": 699},
    "primes told": {"kind": "primes", "low": 100, "high": 699, "residues": (3, 7), "tokens": "place"},
    "primes log": {"kind": "primes", "low": 100, "high": 699, "sampling": "log"},
    "residues": {"kind": "residues", "p": 7},
    "residues masked": {"kind": "residues", "p": 7, "masked": (3,)},
    "digits": {"kind": "residues", "p": 7, "control": "digits"},
    "miu": {"kind": "miu", "longest": 5, "longest_test": 8, "n": 100},
    "labels": {"kind": "frames", "low": 100, "high": 399, "frames": 3, "largest_step": 3, "predict": "label"},
}
#: With a target at every position.
EVERYTHING = TASKS["labels"] | {"predict": "everything"}
DESCENT = {"name": "sgd", "lr": 0.5, "momentum": 0.0, "weight_decay": 0.0}


def final(steps):
    *_, last = steps
    return last.weights


def logits_of(config, weights, rows=None):
    """The plain forward in float64, at the position of the answer."""
    task = config.task.build()
    model = miii.Transformer.of(config.model, task)
    model.load_state_dict(weights)
    return model.double()(task.tokens if rows is None else task.tokens[rows])[:, -1]


def questions(config):
    """The targets, written out: name, number of logits, labels and weight."""
    task = config.task.build()
    n = task.facts.get("n")
    asked = config.task
    match asked:
        case miii.MIU():
            return [("theorem", 2, task.labels, 1.0)]
        case miii.Frames():
            return [("prime", 2, task.labels, 1.0)]
        case miii.Primes():
            more = [(f"mod {q}", q, n % q, 1 / math.log(q)) for q in asked.residues]
            return [("prime", 2, task.labels, 1.0), *more]
        case miii.Residues(control="digits"):
            return [("x0", asked.p, n % asked.p, 1 / math.log(asked.p)), ("x1", asked.p, n // asked.p, 1 / math.log(7))]
        case miii.Residues():
            primes_below = [q for q in range(2, asked.p) if all(q % d for d in range(2, q))]
            return [(f"mod {q}", q, n % q, 0 if q in asked.masked else 1 / math.log(q)) for q in primes_below]


def losses_and_right(config, logits):
    """Each example's loss, and whether each weighted target is correct."""
    begin, losses, right = 0, 0, []
    for _, size, labels, weight in questions(config):
        mine = logits[:, begin : begin + size]
        begin += size
        if weight:
            losses = losses + weight * (mine.logsumexp(1) - mine[torch.arange(len(labels)), labels])
            right.append(mine.argmax(1) == labels)
    assert begin == logits.shape[1]
    return losses, torch.stack(right)


# ---- the loss ----


def test_a_step_descends_the_sum_of_the_weighted_losses(small_config):
    for task in [name for name in TASKS if name != "primes log"]:
        config = small_config(task=TASKS[task], optimizer=DESCENT, schedule="constant", warmup_steps=0, steps=1)
        first, last = train(config)
        built = config.task.build()
        model = build_model(config, built).double()
        losses, _ = losses_and_right(config, model(built.tokens)[:, -1])
        losses[built.step_mask].mean().backward()
        assert first.evaluation.train_loss == pytest.approx(losses[built.step_mask].mean().item(), rel=1e-9)
        for name, weight in model.named_parameters():
            torch.testing.assert_close(
                last.weights[name].double(), weight.detach() - 0.5 * weight.grad, rtol=0, atol=1e-6
            )


def test_evaluations_match_the_weights(small_config):
    for task in TASKS:
        config = small_config(task=TASKS[task], snapshots=3, batch_size=20)
        looked_at = [step for step in train(config) if step.evaluation and step.weights]
        assert len(looked_at) >= 2
        built = config.task.build()
        for step in looked_at:
            with torch.no_grad():
                logits = logits_of(config, step.weights)
            losses, each = losses_and_right(config, logits)
            right = each.all(0) if built.correct_if == "all" else each[0]
            test = ~built.train_mask
            assert step.evaluation.correct.tolist() == right.tolist()
            assert step.evaluation.train_loss == pytest.approx(losses[built.step_mask].mean().item(), rel=1e-9)
            assert step.evaluation.test_loss == pytest.approx(losses[test].mean().item(), rel=1e-9)
            assert step.evaluation.train_accuracy == right[built.step_mask].double().mean().item()
            assert step.evaluation.test_accuracy == right[test].double().mean().item()
            stopping = test if built.val_mask is None else built.val_mask
            rows = stopping.nonzero()[:, 0].numpy()
            expected = config.task.scores(built, logits[rows].numpy(), rows)
            assert step.evaluation.scores == pytest.approx(expected, nan_ok=True)
            assert step.evaluation.row().items() >= step.evaluation.scores.items()


def next_token_losses(logits, following):
    """Each example's mean cross-entropy over its targets, in a loop."""
    found = []
    for row, asked in zip(logits.log_softmax(-1), following.tolist(), strict=True):
        found.append(-torch.stack([row[i, token] for i, token in enumerate(asked) if token >= 0]).mean())
    return torch.stack(found)


def test_a_step_descends_the_loss_at_every_position(small_config):
    for changes, positions in itertools.product([{}, {"block": "pre-norm", "mixer": "gru"}], ["frames", "learned"]):
        descent = {"optimizer": DESCENT, "schedule": "constant", "warmup_steps": 0, "steps": 1}
        shape = {"d_model": 8, "n_heads": 2, "d_mlp": 8, "positions": positions, **changes}
        config = small_config(task=EVERYTHING, model=shape, **descent)
        first, last = train(config)
        built = config.task.build()
        model = build_model(config, built).double()
        logits = model(built.tokens)
        losses = next_token_losses(logits, built.next_tokens)
        losses[built.step_mask].mean().backward()
        test = ~built.train_mask
        assert first.evaluation.train_loss == pytest.approx(losses[built.step_mask].mean().item(), rel=1e-9)
        assert first.evaluation.test_loss == pytest.approx(losses[test].mean().item(), rel=1e-9)
        right = logits[:, -1].argmax(-1) == built.labels
        assert first.evaluation.correct.tolist() == right.tolist()
        assert first.evaluation.test_accuracy == right[test].double().mean().item()
        rows = test.nonzero()[:, 0].numpy()
        expected = config.task.scores(built, logits.detach()[rows].numpy(), rows)
        assert first.evaluation.scores == pytest.approx(expected, nan_ok=True)
        for name, weight in model.named_parameters():
            torch.testing.assert_close(
                last.weights[name].double(), weight.detach() - 0.5 * weight.grad, rtol=0, atol=1e-6
            )


def test_dropout_silences_the_same_neurons_at_every_position(small_config):
    config = small_config(task=EVERYTHING)
    task = config.task.build()
    model = build_model(config, task)
    kept = torch.ones(4, config.model.d_mlp)
    kept[:, ::2] = 0
    plan = fast.plan(task.tokens).rows(torch.arange(4))
    found = fast.all_logits(model, plan, {f"{config.model.n_layers - 1}.mlp_post": kept})
    with torch.no_grad():
        model.blocks[-1].W_out[::2] = 0
    torch.testing.assert_close(found, model(task.tokens[:4]))


def test_fewer_examples_with_a_target_at_every_position_are_evaluated(small_config, monkeypatch):
    config = small_config(task=EVERYTHING)
    examples = len(config.task.build().labels)
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 5 * examples)
    assert len(evaluation.evaluated(config.task.build())) == examples
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 5 * examples - 1)
    monkeypatch.setattr(evaluation, "MAX_PER_SPLIT", 100)
    assert len(evaluation.evaluated(config.task.build())) == 40


def test_a_masked_target_is_not_trained(small_config, same):
    plain, masked = (small_config(task=TASKS[name], optimizer=DESCENT) for name in ("residues", "residues masked"))
    task = masked.task.build()
    where = task.logits_of("mod 3")
    before, after = build_model(masked, task).W_U, final(train(masked))["W_U"]
    assert torch.equal(after[:, where], before[:, where])
    rest = [column for column in range(task.d_vocab_out) if column not in range(where.start, where.stop)]
    assert not torch.equal(after[:, rest], before[:, rest])
    assert not torch.equal(final(train(plain))["W_U"][:, where], before[:, where])
    evaluation = next(train(masked)).evaluation
    assert "accuracy_3" in evaluation.scores  # asked all the same


# ---- the validation part ----


def relabeled(monkeypatch, rows_of):
    """Flip the labels of primes on some rows."""
    build = miii.Primes.build

    def turned(config):
        task = build(config)
        task.labels[rows_of(task)] = 1 - task.labels[rows_of(task)]
        return task

    monkeypatch.setattr(miii.Primes, "build", turned)


def test_labels_of_the_validation_part_change_no_weight(small_config, same, monkeypatch):
    for task, batch_size in (("primes", None), ("primes log", 32)):
        config = small_config(task=TASKS[task], batch_size=batch_size)
        *_, plain = train(config)
        with monkeypatch.context() as patch:
            relabeled(patch, lambda task: task.val_mask)
            *_, turned = train(config)
        assert same(turned.weights, plain.weights)
        assert turned.evaluation.scores["auc"] == pytest.approx(1 - plain.evaluation.scores["auc"])
        assert turned.evaluation.train_loss == plain.evaluation.train_loss
        assert turned.evaluation.test_loss == plain.evaluation.test_loss
        with monkeypatch.context() as patch:
            relabeled(patch, lambda task: task.step_mask)  # those of the others do
            assert not same(final(train(config)), plain.weights)


def test_labels_of_the_test_split_change_nothing_but_its_own_numbers(small_config, same, monkeypatch):
    config = small_config(task=TASKS["primes"], batch_size=32)
    *_, plain = train(config)
    relabeled(monkeypatch, lambda task: ~task.train_mask)
    *_, turned = train(config)
    assert same(turned.weights, plain.weights)
    assert turned.evaluation.scores == pytest.approx(plain.evaluation.scores, rel=0, nan_ok=True)
    assert turned.evaluation.test_accuracy == pytest.approx(1 - plain.evaluation.test_accuracy)


# ---- sampling weights ----


@pytest.fixture
def drawn(monkeypatch):
    """The integers of every training batch, as they pass."""
    seen, plain = [], fast.answer_logits

    def watch(model, plan, kept=None):
        if torch.is_grad_enabled():
            digits = plan.token[plan.index][:, :-1]
            seen.append((digits * 10 ** torch.arange(digits.shape[1] - 1, -1, -1)).sum(1).tolist())
        return plain(model, plan, kept)

    monkeypatch.setattr(fast, "answer_logits", watch)
    return seen


def test_log_sampling_draws_n_with_chance_1_over_n(drawn, small_config):
    """Without a batch size, as many as there are."""
    for batch_size in (450, None):
        drawn.clear()
        task = {"kind": "primes", "low": 10, "high": 1_009, "sampling": "log"}
        config = small_config(task=task, batch_size=batch_size, steps=40, eval_every=40)
        for _ in train(config):
            pass
        task = config.task.build()
        n = task.facts["n"][task.step_mask].tolist()
        counts = collections.Counter(itertools.chain(*drawn))
        assert [len(batch) for batch in drawn] == [450] * 40
        assert counts.keys() <= set(n)  # steps are taken on the training side without its validation part
        total = sum(1 / m for m in n)
        for low, high in ((10, 20), (20, 50), (50, 100), (100, 300), (300, 1_010)):
            share = sum(1 / m for m in n if low <= m < high) / total
            found = sum(count for m, count in counts.items() if low <= m < high) / 18_000
            assert found == pytest.approx(share, abs=5 * math.sqrt(share * (1 - share) / 18_000)), (low, high)


def test_batches_depend_on_the_seed_and_the_step(drawn, small_config):
    for seed in (0, 0, 1):
        for _ in train(small_config(task={**TASKS["primes log"], "seed": seed}, batch_size=64, steps=2)):
            pass
    first, second, again, and_again, other, _ = drawn
    assert (first, second) == (again, and_again)
    assert first != second
    assert first != other


def test_even_sampling_takes_no_integer_twice_in_an_epoch(drawn, small_config):
    config = small_config(task=TASKS["primes"], batch_size=45, steps=6)
    for _ in train(config):
        pass
    task = config.task.build()
    epoch = list(itertools.chain(*drawn))
    assert len(epoch) == 270 == config.task.n_train
    assert sorted(epoch) == task.facts["n"][task.step_mask].tolist()


def test_resuming_gives_the_same_bits_on_every_task(small_config, same):
    for i, task in enumerate(TASKS):
        changes = [{"batch_size": 20, "optimizer": {"name": "slow-gradient"}}, {"optimizer": {"name": "muon"}}][i % 2]
        config = small_config(task=TASKS[task], steps=7, **changes)
        whole = [(step, step.state()) for step in train(config)]
        for at in (1, 5):
            last = list(train(config, whole[at][1]))[-1]
            assert same(last.weights, whole[-1][0].weights), task
            assert last.evaluation.row() == pytest.approx(whole[-1][0].evaluation.row(), rel=0, nan_ok=True), task
        assert {name: tuple(v.shape) for name, v in whole[1][1].items()} == training.state_shapes(config), task


# ---- the clock ----


@pytest.fixture
def clock(monkeypatch):
    """A clock that is a second further each time it is looked at."""
    ticks = itertools.count(1)
    monkeypatch.setattr(training.state.time, "perf_counter", lambda: float(next(ticks)))


def test_training_stops_when_its_seconds_are_over(clock, small_config):
    steps = list(train(small_config(steps=1_000, eval_every=1_000, seconds=50)))
    assert 5 < len(steps) < 50  # the clock is looked at a few times a step
    assert steps[-2].seconds <= 50 <= steps[-1].seconds
    assert [step.last for step in steps] == [False] * (len(steps) - 1) + [True]
    assert steps[-1].evaluation is not None
    assert steps[-1].weights is not None
    assert list(train(small_config(steps=100, eval_every=100)))[-1].step == 100  # without seconds


def test_the_seconds_before_a_stop_count(clock, small_config):
    config = small_config(steps=1_000, eval_every=1_000, seconds=50)
    whole = list(train(config))
    state = next(step.state() for step in train(config) if step.seconds > 30)
    rest = list(train(config, state))
    assert rest[0].seconds > 30
    assert rest[-1].last
    assert rest[-1].seconds >= 50
    assert len(rest) < 0.6 * len(whole)


def test_seconds_do_not_change_schedule_and_weights(clock, small_config):
    cut, whole = (train(small_config(steps=1_000, seconds=seconds)) for seconds in (50, None))
    for a, b in zip(cut, whole, strict=False):
        assert a.lr_factor == b.lr_factor
        weights = [{n: v for n, v in s.state().items() if n != "clock"} for s in (a, b)]
        assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


# ---- grokking ----


def test_the_validation_part_decides_when_to_stop(small_config, monkeypatch):
    """A network that tells the primes of the validation part alone has reached what training stops at."""
    config = small_config(task=TASKS["primes"], steps_after_grok=0, eval_every=5)
    answers, plain = {}, miii.Primes.scores

    def told(task, logits, rows):
        answers["rows"] = rows
        return plain(task, np.stack([0 * logits[:, 0], task.labels.numpy()[rows]], axis=1), rows)

    monkeypatch.setattr(miii.Primes, "scores", staticmethod(told))
    steps = list(train(config))
    assert [step.grokked_at for step in steps] == [0]
    assert answers["rows"].tolist() == config.task.build().val_mask.nonzero()[:, 0].tolist()


def test_a_small_network_learns_to_sieve_by_two_and_five():
    """The area under the curve that the last digit alone can reach, from random weights."""
    config = miii.RunConfig(
        task=miii.Primes(low=1_000, high=4_999),
        model=miii.ModelConfig(d_model=32, d_mlp=64),
        optimizer=miii.AdamW(lr=1e-2, weight_decay=0.1),
        batch_size=512,
        steps=60,
        eval_every=20,
        precision="float32",
        threads=1,
    )
    areas = [step.evaluation.scores["auc"] for step in train(config) if step.evaluation]
    task = config.task.build()
    n = task.facts["n"][task.val_mask].numpy()
    ceiling = auc((n % 2 * (n % 5) > 0).astype(float), task.labels[task.val_mask].numpy() == 1)
    assert areas[0] < 0.7
    assert areas[-1] > ceiling - 0.05


# ---- tasks too large to evaluate whole ----


LARGE = {
    "primes": {"kind": "primes", "low": 100, "high": 699, "residues": (3,)},
    "residues": {"kind": "residues", "p": 13},
    "miu": {"kind": "miu", "longest": 5, "longest_test": 8, "n": 200},
    "frames": TASKS["labels"],
}


def looked_at(config):
    task = config.task.build()
    return task, evaluator(build_model(config, task), task, scores=config.task.scores)()


def test_a_large_task_is_evaluated_on_a_sample_of_each_split(small_config, monkeypatch):
    for task in LARGE:
        config = small_config(task=LARGE[task])
        whole, exact = looked_at(config)
        assert exact.rows.tolist() == list(range(len(whole.labels)))
        with monkeypatch.context() as patch:
            patch.setattr(evaluation, "MAX_EXAMPLES", len(whole.labels) - 1)
            patch.setattr(evaluation, "MAX_PER_SPLIT", 40)
            built, part = looked_at(config)
        rows = part.rows
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert len(part.correct) == len(rows)
        assert built.step_mask[rows].sum() == (~built.train_mask)[rows].sum() == 40
        if built.val_mask is not None:
            assert built.val_mask[rows].sum() == built.val_mask.sum()
        assert torch.equal(part.correct, exact.correct[rows])
        if built.val_mask is not None:  # what decides when to stop is evaluated whole
            assert part.scores == pytest.approx(exact.scores, nan_ok=True)
        with torch.no_grad():
            losses, _ = losses_and_right(config, logits_of(config, build_model(config, built).state_dict()))
        for side, mask in (("train", built.step_mask), ("test", ~built.train_mask)):
            mine = torch.zeros(len(built.labels), dtype=torch.bool)
            mine[rows] = True
            mine &= mask
            assert getattr(part, f"{side}_loss") == pytest.approx(losses[mine].mean().item(), rel=1e-6)
            assert getattr(part, f"{side}_accuracy") == exact.correct[mine].double().mean().item()


def test_the_same_examples_are_evaluated_each_time(small_config, monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 100)
    monkeypatch.setattr(evaluation, "MAX_PER_SPLIT", 40)
    evaluations = [step.evaluation for step in train(small_config(task=LARGE["primes"])) if step.evaluation]
    assert len(evaluations) >= 5
    assert all(torch.equal(one.rows, evaluations[0].rows) for one in evaluations)
    rows = evaluations[0].rows
    assert rows.max() - rows.min() > 500  # drawn from the whole range


def test_a_small_split_is_evaluated_whole(small_config, monkeypatch):
    monkeypatch.setattr(evaluation, "MAX_EXAMPLES", 100)
    monkeypatch.setattr(evaluation, "MAX_PER_SPLIT", 90)
    task, found = looked_at(small_config(task={"kind": "residues", "p": 13, "train_fraction": 0.9}))
    assert (~task.train_mask).sum() == 17 == (~task.train_mask)[found.rows].sum()
    assert task.train_mask[found.rows].sum() == 90


def test_20_000_examples_are_all_evaluated_and_more_are_not(small_config):
    sizes = {}
    for high in (21_999, 22_000):
        task = small_config(task={"kind": "primes", "low": 2_000, "high": high}).task.build()
        sizes[len(task.labels)] = len(evaluation.evaluated(task))
    assert sizes == {20_000: 20_000, 20_001: 2 * 5_000 + 1_000}
