"""What each kind of task is watched by while it trains."""

import pandas as pd
import pytest
from plot_checks import lines

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
#: Charts at two steps of a run.
LIVE = [
    (lambda: plots.sieving(PRIMES, 400), lambda: plots.sieving(PRIMES[:2], 400)),
    (lambda: plots.by_length(MIU, 400), lambda: plots.by_length(MIU[:2], 400)),
]


def test_curves_of_other_tasks():
    for chart, columns, names in [
        ("sieving", AREAS, ["all", "3", "7", "11", "13"]),
        ("by_prime", RIGHT, ["2", "3", "11"]),
        ("by_length", LENGTHS, ["training", "test, same lengths", "test, longer"]),
    ]:
        expected = [[STEPS, pytest.approx(values, nan_ok=True)] for values in columns.values()]
        assert lines(CHARTS[chart](), "line", "step", "value") == dict(zip(names, expected, strict=True))
    criteria = plots.sieving(PRIMES).layer[1].data
    assert criteria["line"].tolist() == ["all", "3"]  # in the colors of these curves
    assert criteria["value"].tolist() == list(SIEVED)
    assert CHARTS["by_prime"]().to_dict()["encoding"]["y"]["sort"] == ["2", "3", "11"]
    without = plots.by_length(MIU.drop(columns="accuracy_longer"))
    assert lines(without, "line", "step").keys() == {"training", "test, same lengths"}


def test_long_training_is_thinned():
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
