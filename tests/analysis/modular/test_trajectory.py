"""A run measured snapshot by snapshot: the same numbers as from each network alone."""

import copy
import gc
import weakref

import pytest
import torch

import miii
from miii import metrics
from miii.analysis.modular import fourier, grid, neurons, phases, progress, relabelling, trajectory
from miii.analysis.oracles import planted

P, KEYS = 11, (2, 4)
TASK = miii.ModularAddition(p=P, train_fraction=0.4).build()
UNKNOWN = miii.ModularAddition(p=P, train_fraction=None).build()


@pytest.fixture(scope="module")
def networks(waves, noisy):
    """A network that sharpens, step by step."""
    steps = {0: 1.5, 10: 4.0, 30: 50.0}  # how much stronger than the noise its weights are
    formula = waves(P, KEYS)
    return [
        (step, noisy(planted.from_formula(formula, act="relu", dead_neurons=3), ratio, seed=1))
        for step, ratio in steps.items()
    ]


@pytest.fixture(scope="module")
def measured(networks):
    return trajectory.measure_all(networks, TASK, KEYS)


def test_a_point_holds_all_measures(networks, measured):
    for (step, model), point in zip(networks, measured.points, strict=True):
        logits, W_E = grid.logits(model, TASK), model.W_E[:P]
        loss, right = metrics.cross_entropy(logits, TASK.labels), logits.argmax(1) == TASK.labels
        train = TASK.train_mask
        losses = progress.losses(logits, TASK.labels, train, KEYS)
        of_neurons = neurons.describe(model, TASK)
        assert point.step == step
        assert point.loss == pytest.approx(loss.mean().item())
        assert point.accuracy == pytest.approx(right.double().mean().item())
        assert point.train_loss == pytest.approx(loss[train].mean().item())
        assert point.test_loss == pytest.approx(loss[~train].mean().item())
        assert point.train_accuracy == pytest.approx(right[train].double().mean().item())
        assert point.test_accuracy == pytest.approx(right[~train].double().mean().item())
        assert (point.restricted_loss, point.excluded_loss) == (losses.restricted, losses.excluded)
        assert point.excluded_alone == losses.excluded_alone
        assert point.squared_weights == progress.squared_weights(model)
        assert point.gini_embedding == progress.gini(progress.component_norms(W_E))
        W_L = model.blocks[0].W_out @ model.W_U
        assert point.gini_neuron_logit == progress.gini(progress.component_norms(W_L.T))
        found = progress.gradient_symmetricity(model, TASK)
        assert (point.gradient_symmetricity, point.gradient_symmetricity_error) == found
        raw = grid.raw_logits(model, TASK)
        assert point.distance_irrelevance == progress.distance_irrelevance(raw, TASK.labels)
        assert point.distance_irrelevance != progress.distance_irrelevance(logits, TASK.labels)
        assert point.circularity == progress.circularity(W_E)
        assert point.neurons_single_frequency == of_neurons.single_frequency
        assert point.dead_neurons == of_neurons.dead
        torch.testing.assert_close(point.power, of_neurons.power)
        torch.testing.assert_close(point.embedding, fourier.spectrum(W_E).power)


def test_frame_has_one_row_a_snapshot(measured):
    frame = measured.frame()
    assert frame["step"].tolist() == [0, 10, 30]
    numbers = set(trajectory.Point.__dataclass_fields__) - {"power", "embedding", "excluded_alone"}
    assert set(frame) == numbers | {"excluded_2", "excluded_4", "active_frequencies", "active_frequencies_together"}
    assert frame["excluded_4"].tolist() == [point.excluded_alone[4] for point in measured.points]
    power = torch.stack([point.power for point in measured.points])
    torch.testing.assert_close(measured.power(), power)
    assert frame["active_frequencies"].tolist() == progress.active_frequencies(power).sum(1).tolist()
    assert frame["active_frequencies_together"].tolist() == progress.active_frequencies(power, True).sum(1).tolist()
    assert frame.notna().all(axis=None)


def test_unknown_split_has_no_train_or_test_measures(networks):
    found = trajectory.measure_all(networks, UNKNOWN, KEYS)
    frame = found.frame()
    sides = ["train_loss", "test_loss", "train_accuracy", "test_accuracy"]
    assert frame[sides].isna().all(axis=None)
    assert frame.drop(columns=sides).notna().all(axis=None)
    assert phases.mark(frame) == ()


def test_pairs_may_be_missing(networks):
    task = miii.ModularAddition(p=P, operation="div", train_fraction=0.4).build()
    (own, natural), _ = relabelling.candidates(task)
    frame = trajectory.measure_all(networks, task, KEYS, (1, -1), own).frame()
    assert frame[["gradient_symmetricity", "distance_irrelevance"]].isna().all(axis=None)
    model = networks[-1][1]
    right = grid.logits(model, task).argmax(1) == task.labels
    assert frame["accuracy"].iloc[-1] == pytest.approx(right.double().mean().item())
    described = neurons.describe(model, task, (1, -1), own)
    assert frame["neurons_single_frequency"].iloc[-1] == described.single_frequency
    with pytest.raises(miii.InputError, match="all p"):
        trajectory.measure(model, task, KEYS, relabelled=natural)


def test_one_network_in_memory_at_a_time(networks):
    """The one before is let go when the next is asked for."""
    alive: list[weakref.ref] = []

    def one_by_one():
        for step, model in networks:
            gc.collect()
            assert sum(ref() is not None for ref in alive) <= 1
            copied = copy.deepcopy(model)
            alive.append(weakref.ref(copied))
            yield step, copied
            del copied

    assert [point.step for point in trajectory.measure_all(one_by_one(), TASK, ()).points] == [0, 10, 30]


def test_invalid_input_is_an_error(one_sentence, networks, adder):
    with one_sentence("frequencies must be in 1 .. 5", "6"):
        trajectory.measure_all(networks, TASK, (6,))
    with one_sentence("p must be at least 11", "7"):
        trajectory.measure(adder(7, (1,)), miii.ModularAddition(p=7).build(), ())
