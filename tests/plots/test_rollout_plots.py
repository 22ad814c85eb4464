"""The charts of roll-outs hold the numbers that they are drawn from."""

import numpy as np
import pandas as pd
import pytest
import torch

import miii
from miii import plots
from miii.analysis import rollout

TASK = miii.Frames(low=100, high=999, frames=3, largest_step=4)


def stuck(tokens, at):
    """Writes the first digit again and again, and calls everything prime."""
    logits = torch.zeros(len(tokens), 1, len(TASK.token_names))
    slot = tokens.shape[1] % TASK.frame
    logits[:, 0] = torch.nn.functional.one_hot(tokens[:, 1], len(TASK.token_names)).float()
    if slot == TASK.frame - 1:
        logits[:, 0] = torch.tensor([0.0, 1.0] + [0.0] * 14)
    return logits


FIRST, STEP = np.array([197, 440]), np.array([2, 4])


def rolled_by_the_stuck() -> rollout.Rollout:
    return rollout.roll(stuck, TASK, FIRST, STEP)


def reported(rolled):
    found, first = rollout.scores(rolled), FIRST
    return {
        "rollout": found,
        "untrained": [row | {"integers": 0.0} for row in found],
        "copy": rollout.copied(rolled, first).tolist(),
        "by_carries": [
            {"carries": 0, "sequences": 1, "integers": 1.0},
            {"carries": 1, "sequences": 1, "integers": 0.5},
        ],
        "context": {"digit": 0.8},
    }


@pytest.fixture(scope="module")
def rolled():
    return rolled_by_the_stuck()


@pytest.fixture(scope="module")
def report(rolled):
    return reported(rolled)


CHARTS = {
    "generated_frames": lambda: plots.generated_frames(rolled_by_the_stuck()),
    "rollout_integers": lambda: plots.rollout_integers(reported(rolled_by_the_stuck())),
    "rollout_labels": lambda: plots.rollout_labels(reported(rolled_by_the_stuck())),
    "rollout_digits": lambda: plots.rollout_digits(reported(rolled_by_the_stuck()), 10),
    "rollout_carries": lambda: plots.rollout_carries(reported(rolled_by_the_stuck())),
    "vector_similarity": lambda: plots.vector_similarity(torch.eye(3), "slot"),
    "split_blocks": lambda: plots.split_blocks(np.array([True, True, False, False]), 100, 2),
    "by_token": lambda: plots.by_token(
        pd.DataFrame({"step": [0, 1], "digits": [0.1, 0.9], "integers": [0.0, 0.5], "auc": [0.5, 0.8]})
    ),
}


def test_written(rolled):
    frame = plots.frame(plots.generated_frames(rolled))
    assert len(frame) == 2 * TASK.frame
    one = frame[frame["frame"] == "1 ahead"].set_index("slot")
    assert one["written"].to_dict() == {"step": "+2", "10²": "1", "10¹": "1", "10⁰": "1", "label": "prime"}
    assert one["truth"].to_dict() == {"step": "+2", "10²": "1", "10¹": "9", "10⁰": "9", "label": "prime"}
    assert one["is"].to_dict() == {
        **{"step": "given", "10²": "right", "10¹": "wrong", "10⁰": "wrong", "label": "right"}
    }
    assert one["shown"]["10¹"] == "1 (9)"
    assert one["shown"]["label"] == "prime"
    other = plots.frame(plots.generated_frames(rolled, 1))
    assert set(other["truth"]) == {"+4", "4", "8", "composite"}


def test_rollout_integers(report):
    frame = plots.frame(plots.rollout_integers(report))
    assert sorted(frame["who"].unique()) == ["network", "repeats the first frame", "untrained"]
    network = frame[frame["who"] == "network"]
    # 444 is 440 + 4: the stuck one is right once, and wrong from then on
    assert network["integers"].tolist() == [0.5, 0.0] == [row["integers"] for row in report["rollout"]]


def test_rollout_labels(report):
    frame = plots.frame(plots.rollout_labels(report))
    assert frame[frame["who"] == "last digit"]["auc"].tolist() == [0.8, 0.8]
    scored = [row[name] for name in ("label_auc", "label_auc_true") for row in report["rollout"]]
    assert len(frame) == 2 + sum(value is not None for value in scored)


def test_rollout_digits_and_carries(report):
    digits = plots.frame(plots.rollout_digits(report, 10))
    shown = digits[digits["who"] == "network"].set_index("place")["digits"]
    assert shown.to_dict() == {"10²": 1.0, "10¹": 0.5, "10⁰": 0.5}
    copy = digits[digits["who"] == "repeats the first frame"]["digits"]
    assert copy.tolist() == [1.0, 1.0, 0.0]
    carries = plots.frame(plots.rollout_carries(report))
    assert carries[["carries", "sequences", "integers"]].to_numpy().tolist() == [[0, 1, 1.0], [1, 1, 0.5]]


def test_vector_similarity():
    chart = plots.vector_similarity(torch.eye(3), "slot")
    assert chart.to_dict()["title"] == "Cosine similarity of slot vectors"
    assert chart.layer[1].data["value"].tolist() == [-1, 1]
