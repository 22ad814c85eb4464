"""Charts of judges of primes: what they draw is what they were given."""

from miii import plots
from miii.analysis.sieve import Factor
from miii.sparse.evaluation import Recall, Scores

FACTORS = (Factor(2, 1.0, 1.0, 1.0, 500), Factor(3, 0.5, 0.45, 0.55, 100))
JUDGED = Scores(-1.0, Recall(1.0, 0.5), Recall(0.99, 0.6), 2, FACTORS, 10, 20)
CHARTS = {
    "recalls": lambda: plots.recalls({"network": JUDGED.test}, {"by 2": Recall(1.0, 0.5)}),
    "seen_factors": lambda: plots.seen_factors({"a": JUDGED, "b": JUDGED}),
}


def test_recalls():
    chart = plots.recalls({"network": JUDGED.test}, {"by 2, 3": Recall(1.0, 0.66), "by 2": Recall(1.0, 0.5)})
    frame = plots.frame(chart)
    assert frame[["judge", "kind", "composites", "primes"]].values.tolist() == [
        ["by 2", "trial division", 0.5, 1.0],
        ["network", "network", 0.6, 0.99],
        ["by 2, 3", "trial division", 0.66, 1.0],
    ]
    chart.to_dict()


def test_seen_factors():
    chart = plots.seen_factors({"a": JUDGED, "b": JUDGED})
    frame = plots.frame(chart)
    assert frame["network"].tolist() == ["a", "a", "b", "b"]
    assert frame["q"].tolist() == [2, 3, 2, 3]
    assert frame["auc"].tolist() == [1.0, 0.5] * 2
    chart.to_dict()
