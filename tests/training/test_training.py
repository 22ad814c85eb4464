"""Training is deterministic and resumable, and its evaluations match its weights."""

import itertools
import math

import numpy as np
import pytest
import torch

import miii
from miii import training
from miii.metrics import LOSSES
from miii.model import fast
from miii.training import build_model, evaluation, losses, snapshot_steps, train
from miii.training.batches import dropout_masks
from miii.training.evaluation import evaluator

VARIANTS = [{"optimizer": {"name": name}, "batch_size": batch} for name in miii.OPTIMIZERS for batch in (None, 7)]
VARIANTS += [
    {"dropout": 0.25, "dropout_steps": 9},
    {"dropout": 0.25, "dropout_site": "residual", "dropout_shared": True},
]


def final(steps):
    *_, last = steps
    return last.weights


def told(step):
    """The report of a step without its seconds."""
    row = None if step.evaluation is None else step.evaluation.row()
    return step.step, step.lr_factor, step.grokked_at, step.last, step.weights is None, row


def remembered(state):
    """A state without its clock."""
    return {name: value for name, value in state.items() if name != "clock"}


def test_dropout_draws_a_new_mask_at_every_step(small_config, monkeypatch):
    """Each neuron of each example independently, scaled by 1 / keep_prob."""
    masks, answer_logits = [], fast.answer_logits

    def looked_at(model, plan, used):
        masks.extend(used.values())
        return answer_logits(model, plan, used)

    monkeypatch.setattr(fast, "answer_logits", looked_at)
    final(train(small_config(dropout=0.2, dropout_steps=3, steps=5)))
    one, two, three = masks  # and none after those steps
    assert not torch.equal(one, two)
    assert not torch.equal(two, three)
    for mask in masks:
        assert sorted(mask.unique().tolist()) == pytest.approx([0, 1.25])
        assert 0.15 < (mask == 0).float().mean() < 0.25
        assert (mask == 0).any(0).sum() > 1
        assert (mask == 0).any(1).sum() > 1


def test_dropout_sites(small_config):
    """The residual stream twice in each block, with one mask for all examples where it is shared."""
    config = small_config(dropout=0.5, dropout_site="residual", dropout_shared=True)
    config = config.model_copy(update={"model": config.model.model_copy(update={"n_layers": 2})})
    masks = dropout_masks(config, torch.device("cpu"))
    first, second = masks(1, 7), masks(2, 7)
    assert list(first) == ["0.resid_mid", "0.resid_post", "1.resid_mid", "1.resid_post"]
    assert all(mask.shape == (1, config.model.d_model) for mask in first.values())
    assert len({tuple(mask[0].tolist()) for mask in (*first.values(), *second.values())}) == 8
    each = dropout_masks(config.model_copy(update={"dropout_shared": False}), torch.device("cpu"))(1, 7)
    assert each["1.resid_post"].shape == (7, config.model.d_model)


def test_the_global_generator_is_not_used(small_config, same):
    torch.manual_seed(1)
    first = final(train(small_config(batch_size=7, dropout=0.1)))
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    assert same(first, final(train(small_config(batch_size=7, dropout=0.1))))
    assert torch.equal(torch.rand(3), expected)


def test_resuming_from_any_step_gives_the_same_bits_and_reports(small_config, same):
    """From step 0 it is training again: the same config gives the same weights."""
    for i, changes in enumerate(VARIANTS):
        config = small_config(**changes, steps=24 if i == 0 else 15)
        whole = [(step, step.state()) for step in train(config)]
        for at in (0, 1, 5, 13, 23) if i == 0 else (13,):
            rest = list(train(config, whole[at][1]))
            assert same(rest[-1].weights, whole[-1][0].weights), changes
            assert same(remembered(rest[-1].state()), remembered(whole[-1][1])), changes
            assert [told(step) for step in rest] == [told(step) for step, _ in whole[at:]], changes
    state = whole[13][1]
    state["clock"][1] = 100.0
    assert next(train(config, state)).seconds >= 100.0


def test_every_option_changes_the_weights(small_config, same):
    defaults: dict[str, dict[str, torch.Tensor]] = {}
    for changes in [
        {"task": {"seed": 1}},
        {"task": {"operation": "sub"}},
        {"model": {"act": "gelu"}},
        {"model": {"biases": "all"}},
        {"optimizer": {"name": "adamw", "lr": 1e-3}},
        {"optimizer": {"name": "adamw", "weight_decay": 0.5}},
        {"optimizer": {"name": "adamw", "beta1": 0.5}},
        {"optimizer": {"name": "sgd"}},
        {"optimizer": {"name": "muon"}},
        {"optimizer": {"name": "muon", "embedding": True}},
        {"optimizer": {"name": "muon", "adamw_weight_decay": 2.0}},
        {"batch_size": 23},
        {"dropout": 0.25},
        {"dropout": 0.25, "dropout_steps": 3},
        {"dropout": 0.25, "dropout_site": "residual"},
        {"dropout": 0.25, "dropout_shared": True},
        {"optimizer": {"name": "slow-gradient"}},
        {"optimizer": {"name": "slow-gradient", "slow_lambda": 1.0}},
        {"optimizer": {"name": "slow-gradient", "slow_alpha": 0.5}},
        {"optimizer": {"name": "orthogonal-gradient"}},
        {"loss": "stablemax"},
        {"loss": "squared"},
        {"schedule": "linear"},
        {"schedule": "constant"},
        {"warmup_steps": 0},
        {"precision": "bfloat16"},
    ]:
        default: dict = {}
        if len(changes.get("optimizer", {})) > 1:
            default = {"optimizer": {"name": changes["optimizer"]["name"]}}
        if changes == {"optimizer": {"name": "orthogonal-gradient"}}:  # which has another weight decay as well
            default = {"optimizer": {"name": "adamw", "weight_decay": 0.0}}
        if "dropout_steps" in changes:
            default = {"dropout": 0.25}
        if str(default) not in defaults:
            defaults[str(default)] = final(train(small_config(steps=8, **default)))
        assert not same(final(train(small_config(steps=8, **changes))), defaults[str(default)]), changes


def test_a_stop_interrupts_an_evaluation_and_loses_nothing(small_config, same, monkeypatch):
    """At any moment, from the first chunk of step 0 to the last chunk of the last step."""
    monkeypatch.setattr(evaluation, "CHUNK", 20)  # three chunks an evaluation
    config = small_config(optimizer={"name": "muon"}, batch_size=7)
    whole = list(train(config))
    asked = itertools.count()
    for _ in train(config, stop=lambda: next(asked) < 0):
        pass
    cut_short = 0
    for after in range(0, next(asked), 5):
        calls = itertools.count()
        steps = list(train(config, stop=lambda calls=calls, after=after: next(calls) >= after))
        last = steps[-1]
        cut_short += last.evaluation is None and last.step % config.eval_every == 0
        assert not last.last or last.step == config.steps
        rest = [last] if last.last else list(train(config, last.state()))
        rows = {step.step: told(step) for step in steps} | {step.step: told(step) for step in rest}
        assert list(rows.values()) == [told(step) for step in whole]
        assert same(rest[-1].weights, whole[-1].weights)
    assert cut_short >= 3


def test_divergence_ends_training_with_finite_weights(small_config):
    for task in [{"p": 7}, {"kind": "primes", "low": 100, "high": 400}]:
        for optimizer in ({"name": "sgd", "lr": 10.0}, {"name": "adamw", "lr": 10.0, "weight_decay": 1.0}):
            config = small_config(
                task=task, loss="squared", optimizer=optimizer, steps=2000, snapshots=200, warmup_steps=0
            )
            steps: list[training.Step] = []
            with pytest.raises(training.Diverged, match=r"at step \d+ is not finite; lower lr") as caught:
                steps.extend(train(config))
            assert steps[-1].step == caught.value.step - 1
            for step in steps:
                assert step.weights is None or all(w.isfinite().all() for w in step.weights.values())


def test_evaluations_and_snapshots_do_not_change_training(small_config, same):
    plain = final(train(small_config()))
    for changes in [{"eval_every": 1}, {"snapshots": 20}, {"steps_after_grok": 10**6}]:
        assert same(final(train(small_config(**changes))), plain)


def test_step_0_is_the_untrained_network(small_config, same):
    config = small_config()
    first = next(train(config))
    assert (first.step, first.lr_factor, first.step_seconds, first.last) == (0, 0.0, 0.0, False)
    assert same(first.weights, build_model(config, config.task.build()).state_dict())


def test_steps_of_evaluations_and_snapshots(small_config):
    config = small_config(steps=23, eval_every=5, snapshots=6)
    steps = list(train(config))
    assert [step.step for step in steps] == list(range(24))
    assert [step.step for step in steps if step.evaluation] == [0, 5, 10, 15, 20, 23]
    assert [step.step for step in steps if step.weights] == snapshot_steps(23, 6)
    assert [step.step for step in steps if step.last] == [23]
    assert all(a.seconds <= b.seconds for a, b in itertools.pairwise(steps))
    assert all(0 < step.step_seconds <= step.seconds for step in steps[1:])


def test_weights_of_a_step_are_float32_copies(small_config, same):
    steps = train(small_config())
    first = next(steps)
    kept = {name: value.clone() for name, value in first.weights.items()}
    state = remembered(first.state())
    kept_state = {name: value.clone() for name, value in state.items()}
    for _ in steps:
        pass
    assert same(first.weights, kept)
    assert same(state, kept_state)
    assert {value.dtype for value in kept.values()} == {torch.float32}


def test_without_positions_their_vectors_stay_zero(small_config, same):
    config = small_config(model={"positions": "none"})
    steps = list(train(config))
    assert steps[-1].weights["W_pos"].count_nonzero() == 0
    assert not torch.equal(steps[-1].weights["W_E"], steps[0].weights["W_E"])
    state = next(step.state() for step in train(config) if step.step == 13)
    assert not [name for name in state if name.startswith("stepper.") and "W_pos" in name]
    assert same(final(train(config, state)), steps[-1].weights)
    assert not same(final(train(small_config())), steps[-1].weights)


def test_a_step_lowers_the_loss(small_config):
    config = small_config(model={"d_model": 32, "d_mlp": 64}, steps=100, task={"train_fraction": 0.8})
    losses = [step.evaluation.train_loss for step in train(config) if step.evaluation]
    assert losses[-1] < 0.5 * losses[0]


def test_every_matrix_moves_and_stays_finite(small_config):
    for name in miii.OPTIMIZERS:
        steps = list(train(small_config(optimizer={"name": name})))
        for weight, after in steps[-1].weights.items():
            assert after.isfinite().all(), weight
            assert not torch.equal(after, steps[0].weights[weight]), weight
        assert all(value.isfinite().all() for value in remembered(steps[-1].state()).values())


# ---- the numbers ----


def by_numpy(weights, config):
    """Losses and accuracies from the weights: the plain forward in float64, then NumPy."""
    task = config.task.build()
    model = miii.Transformer(config.model, task.d_vocab, task.d_vocab_out, task.n_ctx)
    model.load_state_dict(weights)
    with torch.no_grad():
        logits = model.double()(task.tokens)[:, -1].numpy()
    logits = logits - logits.max(1, keepdims=True)
    labels, train_rows = task.labels.numpy(), task.train_mask.numpy()
    right = logits.argmax(1) == labels
    others = np.exp(logits)
    own = logits[np.arange(len(labels)), labels]
    loss = np.where(right, np.log1p(others.sum(1) - 1), np.log(others.sum(1))) - own
    return {
        "train_loss": loss[train_rows].mean(),
        "test_loss": loss[~train_rows].mean(),
        "train_accuracy": right[train_rows].mean(),
        "test_accuracy": right[~train_rows].mean(),
        "weight_norm": math.sqrt(sum(value.double().square().sum().item() for value in weights.values())),
    }, right


def test_evaluations_match_the_weights(small_config):
    for changes in [{}, {"model": {"n_layers": 2, "biases": "all"}}, {"precision": "bfloat16"}]:
        config = small_config(**changes)
        looked_at = [step for step in train(config) if step.evaluation and step.weights]
        assert len(looked_at) >= 3
        for step in looked_at:
            row, right = by_numpy(step.weights, config)
            assert step.evaluation.row() == pytest.approx(row, rel=1e-9, abs=1e-12)
            assert step.evaluation.correct.tolist() == right.tolist()


def test_chunks_of_the_evaluation_make_no_difference(small_config, monkeypatch):
    whole = next(train(small_config())).evaluation
    monkeypatch.setattr(evaluation, "CHUNK", 10)
    chunked = next(train(small_config())).evaluation
    assert chunked.row() == pytest.approx(whole.row(), rel=1e-12)
    assert torch.equal(chunked.correct, whole.correct)


@pytest.fixture
def solved(adder, small_config):
    """A config and a state at step 0 that adds exactly: test accuracy is 1 from the start."""

    def start(scale=1.0, **changes):
        model = adder(7, (1, 2, 3), scale=scale)
        shape = model.config.model_dump()
        config = small_config(model=shape, optimizer={"name": "sgd", "lr": 1e-9}, **changes)
        state = {f"weights.{name}": value for name, value in model.state_dict().items()}
        return config, state | {"clock": torch.tensor([0, 0, torch.nan, torch.nan], dtype=torch.float64)}

    return start


def test_the_smallest_losses_are_resolved(solved):
    for scale, largest in [(5.0, 1e-5), (7.0, 1e-8), (9.0, 1e-11)]:
        config, state = solved(scale)
        first = next(train(config, state))
        row, _ = by_numpy(first.weights, config)
        assert 0 < first.evaluation.test_loss < largest
        assert first.evaluation.test_loss == pytest.approx(row["test_loss"], rel=1e-3)
        assert first.evaluation.train_loss == pytest.approx(row["train_loss"], rel=1e-3)


# ---- grokking ----


def test_training_ends_so_many_steps_after_grokking(solved):
    for after in [0, 1, 7, None, 1000]:
        config, state = solved(steps_after_grok=after)
        steps = list(train(config, state))
        end = after if after in (0, 1, 7) else config.steps
        assert [step.step for step in steps] == list(range(end + 1))
        assert [step.last for step in steps] == [False] * end + [True]
        assert steps[-1].grokked_at == 0
        assert steps[-1].evaluation is not None
        assert steps[-1].weights is not None
    config, state = solved(steps_after_grok=9)
    middle = next(step for step in train(config, state) if step.step == 4)
    rest = list(train(config, middle.state()))  # which remembers
    assert [step.step for step in rest] == [4, 5, 6, 7, 8, 9]
    assert (rest[-1].grokked_at, rest[-1].seconds_to_grok) == (0, middle.seconds_to_grok)


def test_a_small_network_groks_addition():
    """Trained on 80% of the pairs modulo 31, from random weights."""
    config = miii.RunConfig(
        task=miii.ModularAddition(p=31, train_fraction=0.8, seed=1),
        model=miii.ModelConfig(d_model=64, d_mlp=256),
        optimizer=miii.AdamW(lr=2e-2, weight_decay=2.0),
        steps_after_grok=3,
        precision="float32",
        threads=1,
    )
    steps = list(train(config))
    first = next(step.step for step in steps if step.evaluation and step.evaluation.test_accuracy >= 0.99)
    assert 10 < first < 200
    assert [step.grokked_at for step in steps] == [None] * first + [first] * 4
    assert {step.seconds_to_grok for step in steps} == {None, steps[first].seconds}


# ---- batches ----


@pytest.fixture
def batches(monkeypatch):
    """Records the pairs (a, b) of every training batch."""
    seen, plain = [], fast.answer_logits

    def watch(model, plan, kept=None):
        if torch.is_grad_enabled():
            seen.append([tuple(row) for row in plan.token[plan.index][:, :2].tolist()])
        return plain(model, plan, kept)

    monkeypatch.setattr(fast, "answer_logits", watch)
    return seen


def test_an_epoch_takes_no_training_pair_twice(batches, small_config):
    for batch_size, per_epoch in [(1, 24), (7, 3), (8, 3), (24, 1)]:
        batches.clear()
        config = small_config(batch_size=batch_size, steps=2 * per_epoch + 1)
        for _ in train(config):
            pass
        task = config.task.build()
        training_pairs = {tuple(row) for row in task.tokens[task.train_mask][:, :2].tolist()}
        assert [len(batch) for batch in batches] == [batch_size] * config.steps
        for epoch in (batches[:per_epoch], batches[per_epoch : 2 * per_epoch]):
            pairs = list(itertools.chain(*epoch))
            assert len(set(pairs)) == len(pairs) == per_epoch * batch_size
            assert set(pairs) <= training_pairs


def test_each_epoch_is_a_new_permutation_of_the_seed(batches, small_config):
    for seed in (0, 0, 1):
        for _ in train(small_config(batch_size=24, steps=2, task={"seed": seed})):
            pass
    # the splits of two seeds differ, so batches are compared by the ranks of their pairs
    first, second, again, _, other, _ = [[sorted(batch).index(pair) for pair in batch] for batch in batches]
    assert first == again
    assert first != second
    assert first != other
    assert sorted(batches[0]) == sorted(batches[1])


def test_the_full_batch_is_the_training_split(batches, small_config):
    config = small_config(steps=3)
    for _ in train(config):
        pass
    task = config.task.build()
    assert batches == [[tuple(row) for row in task.tokens[task.train_mask][:, :2].tolist()]] * 3


# ---- snapshots ----


def test_snapshots_run_from_the_first_step_to_the_last_spaced_in_log_step():
    for steps, snapshots in itertools.product([1, 2, 24, 400, 40_000], [1, 2, 3, 6, 40, 1000]):
        kept = snapshot_steps(steps, snapshots)
        assert kept[0] == 0
        assert kept[-1] == steps
        assert kept == sorted(set(kept))
        assert len(kept) <= max(snapshots, 3)  # the two ends and step 1 are always among them
    kept = snapshot_steps(40_000, 40)
    ratios = [b / a for a, b in itertools.pairwise(kept) if a >= 100]
    assert len(kept) >= 35
    assert max(ratios) / min(ratios) < 1.02


# ---- where it runs ----


def test_bfloat16_trains_float32_weights(small_config):
    weights = final(train(small_config(precision="bfloat16")))
    assert {value.dtype for value in weights.values()} == {torch.float32}
    exact = final(train(small_config()))
    difference = torch.cat([(weights[n] - exact[n]).flatten() for n in exact]).norm()
    assert 0 < difference < 0.2 * torch.cat([value.flatten() for value in exact.values()]).norm()


def test_the_thread_count_is_the_config_s(small_config):
    before = torch.get_num_threads()
    try:
        next(train(small_config(threads=2)))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_what_cannot_be_trained_is_refused(small_config, monkeypatch, one_sentence):
    config = small_config(task={"train_fraction": None})
    with one_sentence("train_fraction must be a number in (0, 1) for training", "none"):
        next(train(config))
    with one_sentence("batch_size", "0 training examples"):
        small_config(task={"train_fraction": None}, batch_size=1)
    task = config.task.build()
    found = evaluator(build_model(config, task), task)()  # of all pairs
    assert math.isnan(found.train_loss)
    assert found.test_accuracy == found.correct.double().mean().item()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with one_sentence("device", "cuda"):
        next(train(small_config(device="cuda")))


def test_a_loss_is_computed_in_float32():
    """In bfloat16 a loss of .01 is 0, and so is its gradient, which StableMax is there to prevent."""
    task = miii.ModularAddition(p=5).build()
    rows = torch.arange(len(task.labels))
    logits = torch.randn(len(rows), 5, generator=torch.Generator().manual_seed(0)) * 4
    logits[rows, task.labels] += 20
    rounded = logits.bfloat16()

    def gradient(loss, logits, autocast):
        logits = logits.clone().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss(logits, rows).backward()
        return logits.grad.float()

    for name in LOSSES:
        loss = losses.loss_of(task, name, torch.device("cpu"))
        expected = gradient(loss, rounded.float(), False)
        torch.testing.assert_close(gradient(loss, rounded, True), expected, rtol=1e-2, atol=1e-6)
