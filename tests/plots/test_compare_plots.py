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
    "learning": lambda: plots.learning(curves(), "right answers"),
    "spread": lambda: plots.spread(SUMMARY, "explained", "explained"),
}


def test_learning_curves():
    chart = plots.learning(curves(), "right answers")
    pd.testing.assert_frame_equal(plots.frame(chart), curves())
    spec = chart.to_dict()
    ways = zip(*(spec["encoding"][channel]["scale"]["range"] for channel in ("color", "strokeDash")), strict=True)
    assert len({(color, tuple(dash)) for color, dash in ways}) == 10  # no two look alike


def test_spread_of_a_measure():
    chart = plots.spread(SUMMARY, "explained", "explained")
    frame = plots.frame(chart)
    assert set(frame["architecture"]) == {"a", "c"}
    spec = chart.to_dict()
    assert spec["layer"][0]["encoding"]["y"]["sort"] == ["a", "b", "c"]
