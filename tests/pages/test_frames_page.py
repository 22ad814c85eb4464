"""The page Frames: what it says and draws is what the library finds."""

import numpy as np
from zoo import FRAMES

from miii.analysis import rollout


def test_a_run_is_rolled_out_and_scored(zoo, see):
    view = see("frames", run="frames")
    found = rollout.report(zoo("frames"), ahead=2)
    context, held = found["context"], found["held_out"]
    assert list(view.metrics.values()) == [
        f"{found['rollout'][-1]['integers']:.1%}",
        f"{held['auc']:.3f}",
        f"{held['auc_coprime']:.3f}",
        f"{context['labels_coprime']:.3f}",
    ]
    for key in ("digit", "labels"):
        assert f"{context[key]:.3f}" in view.text
    assert len(view.charts) == 7


def test_start_and_length_can_be_chosen(zoo, see):
    view = see("frames", run="frames", n=123, d=4, ahead=5)
    assert (view.figures[0].arguments["n"], view.figures[0].arguments["ahead"]) == (123, 5)
    rolled = rollout.roll(zoo("frames").model(), FRAMES, np.array([123]), np.array([4]), 5)
    assert len(rollout.scores(rolled)) == 5
    assert any("5" in label for label in view.metrics)
    assert ("no training sequence" in view.text) == rollout.unseen(FRAMES, np.array([123]))[0]


def test_a_start_that_does_not_fit_is_one_sentence(see):
    for query, word in (
        ({"n": 1000}, "(got 1000 and"),
        ({"n": 200, "d": 5}, "(got 200 and 5)."),
        ({"n": 998, "d": 4}, "first + ahead step must be at most 999"),
    ):
        (error,) = see("frames", run="frames", **query).errors
        assert word in error
    for query in ({"n": "x"}, {"ahead": 99}, {"ahead": ""}, {"step": 3}):
        assert len(see("frames", run="frames", **query).charts) == 7


def test_other_positions_and_labels_have_fewer_figures(see):
    everything = see("frames", run="frames").drawn
    assert see("frames", run="places").drawn == everything[:5]
    assert see("frames", run="labels").drawn == everything[5:]
    assert see("frames", run="labels").infos
