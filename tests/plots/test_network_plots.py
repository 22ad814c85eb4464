"""The clock, and charts of several networks' reports: what they draw is what they were given."""

import math

import pytest

from miii import plots

REPORTS = {
    "seed 0": {
        "digit_variance_explained": {"3": 0.97},
        "digit_variance_chance": {"3": 0.21},
        "interchange_accuracy": {"3": 0.99},
        "interchange_control": {"3": 0.01},
        "steering_accuracy": {"3": 0.96},
        "steering_control": {"3": 0.04},
        "auc_by_factor": {"3": 1.0, "7": 0.5},
        "auc_low_by_factor": {"3": 0.99, "7": 0.48},
    }
}
REPORTS["seed 1"] = REPORTS["seed 0"] | {"steering_accuracy": {"3": 0.94}}
EDGES = {
    "0.mlp@2 -> logits@2": 9.0,
    "0.h0@2 -> 0.mlp@2": 9.0,
    "embed@1 -> 0.h0.k@1": 6.0,
    "embed@0 -> 0.h0.v@0": 2.0,
    "embed@2 -> 0.h0.q@2": 1.0,
}
CHARTS = {
    "addition_by_network": lambda: plots.addition_by_network(REPORTS, 3),
    "clock": lambda: plots.clock(11, 3, 12),
    "depth_by_network": lambda: plots.depth_by_network(REPORTS),
    "readers": lambda: plots.readers(EDGES, ["10¹", "10⁰", "?"], "What is read"),
}


def test_a_clock_turns_to_the_sum():
    for a, b, p in [(11, 3, 12), (0, 0, 2), (112, 112, 113)]:
        chart = plots.clock(a, b, p)
        hours, _, _, turns = (layer.data for layer in chart.layer)
        (total,) = hours[hours["is"] == "the sum"]["hour"]
        assert total == (a + b) % p
        assert chart.title == f"{a} + {b} = {total} on a clock of {p}"
        last = turns[turns["turn"] == "b more"].iloc[-1]
        pointed = hours[hours["hour"] == total].iloc[0]
        angle = math.atan2(last["x"], last["y"]) - math.atan2(pointed["x"], pointed["y"])
        assert math.cos(angle) == pytest.approx(1)
        assert hours.iloc[0][["x", "y"]].tolist() == pytest.approx([0, 1])
        assert hours.iloc[1]["x"] > 0 or p == 2


def test_a_clock_of_many_hours_has_the_number_of_the_sum_alone():
    assert len(plots.clock(1, 2, 12).layer[1].data) == 12
    assert plots.clock(50, 70, 113).layer[1].data["hour"].tolist() == [7]


def test_an_hour_that_is_not_on_the_clock_is_refused(one_sentence):
    for a, b, p in [(12, 0, 12), (0, -1, 12), (0, 0, 1)]:
        with one_sentence("hours of a clock", f"got {a} and {b}"):
            plots.clock(a, b, p)


def test_every_network_has_its_measures_and_their_controls():
    chart = plots.addition_by_network(REPORTS, 3)
    frame = plots.frame(chart)
    assert len(frame) == 2 * 3 * 2
    steering = frame[(frame["measure"] == "steering") & (frame["kind"] == "measured")]
    assert dict(zip(steering["network"], steering["share"], strict=True)) == {"seed 0": 0.96, "seed 1": 0.94}
    bounds = chart.layer[1].data
    asked = {measure: sorted(group["bound"]) for measure, group in bounds.groupby("measure")}
    assert asked == {"explained": [0.9], "interchange": [0.05, 0.95], "steering": [0.05, 0.95]}


def test_depth_gives_back_every_factor_with_its_bound():
    frame = plots.frame(plots.depth_by_network(REPORTS))
    assert frame[["q", "auc", "low"]].to_numpy().tolist() == [[3, 1.0, 0.99], [7, 0.5, 0.48]] * 2
    assert set(frame["bound"]) == {0.95}


def test_of_a_circuit_only_what_is_read_as_key_or_value_is_drawn():
    frame = plots.frame(plots.readers(EDGES, ["10¹", "10⁰", "?"], "What is read"))
    drawn = list(zip(frame["place"], frame["read as"], frame["score"], strict=True))
    assert drawn == [("10⁰", "key", 6.0), ("10¹", "value", 2.0)]
