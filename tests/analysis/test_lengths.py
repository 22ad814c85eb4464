"""MIU by length: fresh strings of every length, and what a network says of them."""

import pytest
import torch

import miii
from miii.analysis import lengths
from miii.model.config import ModelConfig
from miii.training import build_model

TASK = miii.MIU(longest=5, longest_test=8, n=200)


@pytest.fixture
def model(small_config):
    config = small_config(task=TASK, model=ModelConfig(d_model=8, n_heads=2, d_mlp=6, positions="none"))
    return build_model(config, TASK.build()).requires_grad_(False)


def says(monkeypatch, answer):
    """A network whose answer is a function of the number of I's."""

    def logits(model, plan):
        count = (plan.token[plan.index] == 0).sum(1)
        yes = answer(count).double()
        return torch.stack([1 - yes, yes], 1)

    monkeypatch.setattr(lengths.fast, "answer_logits", logits)


def test_there_are_as_many_strings_of_each_length(model):
    found = lengths.by_length(model, TASK)
    assert found["length"].value_counts().to_dict() == dict.fromkeys(range(1, 9), lengths.STRINGS)
    assert (found["longer"] == (found["length"] > 5)).all()
    assert (found["theorem"] == (found["I"] % 3 != 0)).all()
    assert (found["I"] <= found["length"]).all()
    assert abs(found.loc[found["length"] == 8, "I"].mean() - 4) < 0.3


def test_who_counts_is_always_right(model, monkeypatch):
    says(monkeypatch, lambda count: count % 3 != 0)
    found = lengths.by_length(model, TASK)
    assert found["right"].all()
    assert lengths.balanced(found) == 1


def test_who_always_says_yes_is_right_about_theorems_alone(model, monkeypatch):
    says(monkeypatch, lambda count: count >= 0)
    found = lengths.by_length(model, TASK)
    assert (found["right"] == found["theorem"]).all()
    assert lengths.balanced(found) == 0.5
