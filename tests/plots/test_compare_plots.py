"""Charts of architectures beside each other: what they draw is what they were given."""

import pandas as pd

from miii import plots


def curves() -> pd.DataFrame:
    rows = [("a run", f"net {i}", seed, step, 0.1 * step) for i in range(10) for seed in (0, 1) for step in (0, 1, 2)]
    return pd.DataFrame(rows, columns=["run", "architecture", "seed", "step", "value"])


SUMMARY = pd.DataFrame(
    {
        "architecture": ["a", "b", "c"],
        "seeds": [5, 5, 5],
        "explained": [0.5, None, 0.7],
        "explained_low": [0.4, None, 0.6],
        "explained_high": [0.6, None, 0.9],
    }
)
CHARTS = {
    "learning": lambda: plots.learning(curves(), "accuracy"),
    "spread": lambda: plots.spread(SUMMARY, "explained", "explained"),
}


def test_learning_curves():
    found = curves()
    found["value"] += 0.4 * found["seed"]
    stopped = found[(found["seed"] == 0) | (found["step"] < 2)]  # seed 1 keeps its last value
    chart = plots.learning(stopped, "accuracy")
    net = plots.frame(chart).query("architecture == 'net 3'").sort_values("step")
    assert net["lowest"].tolist() == [0.0, 0.1, 0.2]
    assert net["highest"].tolist() == [0.4, 0.5, 0.5]
    assert net["median"].round(9).tolist() == [0.2, 0.3, 0.35]
    assert net["seeds"].tolist() == [2, 2, 2]
    line = chart.to_dict()["layer"][1]["encoding"]
    ways = zip(*(line[channel]["scale"]["range"] for channel in ("color", "strokeDash")), strict=True)
    assert len({(color, tuple(dash)) for color, dash in ways}) == 10  # no two look alike


def test_spread_of_a_measure():
    chart = plots.spread(SUMMARY, "explained", "explained")
    frame = plots.frame(chart)
    assert set(frame["architecture"]) == {"a", "c"}
    spec = chart.to_dict()
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["a", "b", "c"]
