"""Ensembles: many networks as one tensor program are their single runs."""

import pytest
import torch

from miii.tasks import ModularAddition
from miii.training import Diverged, ensemble, flat, train

DIFFERENT = [
    {"seed": 0, "lr": 0.01, "weight_decay": 1.0, "train_fraction": 0.5},
    {"seed": 1, "lr": 0.02, "weight_decay": 0.0, "train_fraction": 0.3},
    {"seed": 2, "lr": 0.003, "weight_decay": 2.5, "train_fraction": 0.8, "init": "glorot"},
]


@pytest.fixture
def double():
    """Train in float64, where two orders of the same sum differ by less than 1e-9 after 50 steps."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def largest(found: dict, wanted: dict) -> float:
    assert found.keys() == wanted.keys()
    return max((found[name].double() - wanted[name].double()).abs().max().item() for name in wanted)


def test_networks_trained_together_equal_single_runs(small_config, double):
    kinds = [
        (50, {}),
        (5, {"model": {"biases": "all", "positions": "none", "act": "gelu", "d_model": 16}}),
        (10, {"batch_size": 12, "loss": "stablemax", "model": {"block": "pre-norm", "biases": "all", "n_layers": 2}}),
        (10, {"task": {"operation": "div", "equals": False, "separate": True}, "schedule": "constant"}),
    ]
    for steps, changes in kinds:
        base = small_config(steps=steps, eval_every=10, **changes)
        configs = [flat.change(base, each) for each in DIFFERENT]
        for found, *singles in zip(ensemble.train(configs), *map(train, configs), strict=True):
            for one, single in zip(found, singles, strict=True):
                for name in ("config", "step", "lr_factor", "last", "grokked_at"):
                    assert getattr(one, name) == getattr(single, name)
                if single.evaluation is not None:
                    assert one.evaluation.row() == pytest.approx(single.evaluation.row(), abs=1e-9, rel=1e-9)
                    assert torch.equal(one.evaluation.correct, single.evaluation.correct)
                assert (one.weights is None) == (single.weights is None)
                if single.weights is not None:
                    assert largest(one.weights, single.weights) < 1e-9
                if single.step in (0, 7):
                    state = one.state()
                    assert largest(state, single.state() | {"clock": state["clock"]}) < 1e-9
                    assert state["clock"][0] == single.step
        assert found[0].step == steps


def test_a_network_that_ends_leaves_the_others_alone(small_config, monkeypatch):
    base = small_config(steps=12, eval_every=4, loss="squared", warmup_steps=0, model={"act": "square"})
    configs = [flat.change(base, {"seed": seed, "lr": lr}) for seed, lr in enumerate((0.01, 10.0, 0.01))]
    rounds = list(ensemble.train(configs))
    for i in (0, 2):
        wanted = list(ensemble.train([configs[i]]))
        assert largest(rounds[-1][i].weights, wanted[-1][0].weights) < 1e-5
    (end,) = [item for found in rounds if isinstance(item := found[1], Diverged)]
    with pytest.raises(Diverged) as single:
        list(train(configs[1]))
    assert abs(end.step - single.value.step) <= 1
    assert all(found[1] is None for found in rounds[end.step + 1 :])

    learned = classmethod(lambda task, row: row["train_loss"] < 1.25)
    monkeypatch.setattr(ModularAddition, "learned", learned)
    base = small_config(steps=60, steps_after_grok=3, optimizer={"name": "adamw", "weight_decay": 0.1})
    configs = [flat.change(base, {"seed": seed, "lr": lr}) for seed, lr in enumerate((0.01, 0.02, 0.04))]
    rounds = list(ensemble.train(configs))
    ends = [[found[i].step for found in rounds if found[i] is not None][-1] for i in range(3)]
    assert len(set(ends)) == 3
    assert ends == [list(train(config))[-1].step for config in configs]


def test_a_run_ends_once_both_accuracies_are_reached(small_config):
    whole = small_config(steps=24, eval_every=4)
    evaluated = {s.step: each for s in train(whole) if (each := s.evaluation)}
    least = {step: min(each.train_accuracy, each.test_accuracy) for step, each in evaluated.items()}
    most = max(least.values())
    config = flat.change(whole, {"until_accuracy": most - 1e-9})
    for steps in (list(train(config)), [found[0] for found in ensemble.train([config])]):
        assert steps[-1].step == min(step for step, value in least.items() if value == most)
        assert steps[-1].last
        assert steps[-1].weights is not None


def test_an_ensemble_is_resumed_to_the_same_bits(small_config, same):
    configs = [flat.change(small_config(), each) for each in DIFFERENT]
    whole = list(ensemble.train(configs))[-1]
    for at in (0, 9):
        states = next([one.state() for one in found] for found in ensemble.train(configs) if found[0].step == at)
        again = list(ensemble.train(configs, states))
        assert again[0][0].step == at
        assert all(same(one.weights, other.weights) for one, other in zip(again[-1], whole, strict=True))
    seen = []
    for found in ensemble.train(configs, stop=lambda: len(seen) == 3):
        seen.append(found)
    assert [found[0].step for found in seen] == [0, 1, 2, 3]


def test_networks_of_different_shapes_are_refused(small_config, one_sentence):
    base = small_config()
    states = [next(iter(train(base))).state(), list(train(small_config(steps=3)))[-1].state()]
    for configs, given, words in [
        ([base, flat.change(base, {"d_model": 16})], None, ["seed, train_fraction", "2 shapes"]),
        ([flat.change(base, {"optimizer": "sgd"})], None, ["AdamW"]),
        ([flat.change(base, {"dropout": 0.5})], None, ["no dropout"]),
        ([base, base], states, ["one step", "0, 3"]),
    ]:
        with one_sentence(*words):
            ensemble.train(configs, given)
