"""What each kind of task is watched by while it trains."""

import pandas as pd
import pytest

from miii import plots
from miii.plots import training
from miii.tasks.primes import SIEVED

STEPS = [0, 50, 100]
AREAS = {
    "auc": [0.5, 0.8, 0.91],
    "auc_3": [0.45, 0.7, 0.995],
    "auc_7": [0.5, float("nan"), 0.5],
    "auc_11": [0.4, 0.5, 0.6],
    "auc_13": [0.5, 0.4, 0.3],
}
RIGHT = {"accuracy_2": [0.5, 0.9, 1.0], "accuracy_3": [0.3, 0.4, 0.5], "accuracy_11": [0.1, 0.1, 0.2]}
LENGTHS = {"train_accuracy": [0.5, 0.7, 1.0], "accuracy_as_long": [0.5, 0.6, 0.9], "accuracy_longer": [0.5, 0.5, 0.8]}
PRIMES = pd.DataFrame({"step": STEPS, "test_accuracy": 0.9} | AREAS)
RESIDUES = pd.DataFrame({"step": STEPS, "test_accuracy": 0.1, "accuracy_worst": 0.1} | RIGHT)
MIU = pd.DataFrame({"step": STEPS, "test_accuracy": 0.6} | LENGTHS)
CHARTS = {
    "sieving": lambda: plots.sieving(PRIMES),
    "by_prime": lambda: plots.by_prime(RESIDUES),
    "by_length": lambda: plots.by_length(MIU),
}


def test_every_measure_comes_back():
    for chart, columns, names in [
        ("sieving", AREAS, ["all", "3", "7", "11", "13"]),
        ("by_prime", RIGHT, ["2", "3", "11"]),
        ("by_length", LENGTHS, ["training", "test, as long", "test, longer"]),
    ]:
        got = plots.frame(CHARTS[chart]())
        assert got["line"].unique().tolist() == names
        for name, values in zip(names, columns.values(), strict=True):
            rows = got[got["line"] == name]
            assert rows["step"].tolist() == STEPS
            assert rows["value"].tolist() == pytest.approx(values, nan_ok=True)


def test_what_is_asked_for_is_marked_in_the_color_of_its_curve():
    asked = plots.sieving(PRIMES).layer[1].data
    assert asked["line"].tolist() == ["all", "3"]
    assert asked["value"].tolist() == list(SIEVED)


def test_moduli_stand_in_their_order():
    assert CHARTS["by_prime"]().to_dict()["encoding"]["y"]["sort"] == ["2", "3", "11"]


def test_a_task_without_longer_strings_has_no_curve_of_them():
    got = plots.frame(plots.by_length(MIU.drop(columns="accuracy_longer")))
    assert got["line"].unique().tolist() == ["training", "test, as long"]


def test_a_long_training_is_drawn_from_a_part_of_its_evaluations():
    for draw in [plots.sieving, plots.loss]:
        rows = 10_000
        columns = [*AREAS, "train_loss", "test_loss"]
        metrics = pd.DataFrame({"step": range(rows)} | dict.fromkeys(columns, 0.5))
        got = plots.frame(draw(metrics))
        assert len(got) <= training.MOST
        for _, line in got.groupby("line"):
            assert (line["step"].iloc[0], line["step"].iloc[-1]) == (0, rows - 1)
            gaps = line["step"].diff().dropna()
            assert gaps.max() - gaps.min() <= 1
        draw(metrics).to_dict()  # Altair refuses more than 5,000


@pytest.mark.parametrize(
    ("draw", "metrics"), [(plots.sieving, PRIMES), (plots.by_length, MIU)], ids=["sieving", "by_length"]
)
def test_another_evaluation_changes_the_data_and_nothing_else(draw, metrics):
    def bare(rows: pd.DataFrame) -> dict:
        spec = draw(rows, 400).to_dict()
        spec.pop("datasets")
        for part in (spec, *spec.get("layer", [])):
            part.pop("data", None)
        return spec

    assert bare(metrics) == bare(metrics[:2])
