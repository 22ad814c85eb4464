"""Charts of information, regions, equivariance and experience: they give back the numbers they are made of."""

from collections.abc import Callable

import pandas as pd
import torch
from plot_checks import drawn, lines

from miii import plots
from miii.analysis.information import Bits
from miii.analysis.regions import Window
from miii.analysis.representations import Part
from miii.plots.style import Chart

BITS = Bits(
    3,
    pd.DataFrame(
        [
            (site, about, reader, 0.1 * i + 0.3 * j, 0.01, 0.005)
            for i, site in enumerate(("0.resid_mid", "0.mlp_post"))
            for j, (about, reader) in enumerate((("n mod 3", "residue"), ("n mod 3", "totals"), ("prime", "prime")))
        ],
        columns=["site", "about", "reader", "bits", "shuffled", "bias"],
    ),
    {"n mod 3": 1.58, "prime": 0.45},
)
WINDOW = Window(
    3,
    40,
    9,
    (-1.0, 2.0),
    (-2.0, 2.0),
    torch.linspace(-1, 1, 64).view(8, 8),
    torch.eye(8),
    torch.tensor([[0.0, 1.0], [1.0, -1.0]]),
    torch.tensor([[2.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
)
STEPS = pd.DataFrame(
    {"step": [0, 0, 9, 9], "site": ["a", "b"] * 2, "r2": [0.1, 0.2, 0.8, 0.9], "control": [0.0, 0.1, -0.5, 0.2]}
)
BANDS = pd.DataFrame(
    [
        (name, measure, examples, low, low + 0.1, low + 0.2, 3)
        for name, examples in (("random", 100), ("range", 1000))
        for measure, low in (("like", 0.7), ("beyond", 0.4), ("other", 0.0))
    ],
    columns=["name", "measure", "examples", "low", "median", "high", "seeds"],
)
LABELS = {"like": "like training", "beyond": "left out"}
CIRCLES = {"trained": torch.tensor([1.0, 30.0, 2.0]), "untrained": torch.tensor([9.0, 8.0, 9.0])}

PARTS = [
    Part("[4,1]", 4, 0.9, 0.8, True, 0.1, 0.9),
    Part("[3,2]", 5, 0.1, -0.02, False, 0.9, 0.1),
]
CHARTS: dict[str, Callable[[], Chart]] = {
    "circle_regions": lambda: plots.circle_regions(CIRCLES, [2]),
    "equivariance": lambda: plots.equivariance(STEPS),
    "representations": lambda: plots.representations(PARTS, 0.01),
    "information": lambda: plots.information({"trained": BITS, "untrained": BITS}),
    "learning_curve": lambda: plots.learning_curve(BANDS, LABELS, "Primes", "AUC"),
    "plane_regions": lambda: plots.plane_regions(WINDOW),
    "transfer": lambda: plots.transfer(BANDS, LABELS, "AUC"),
}


def test_they_are_drawn_with_their_numbers():
    for name, draw in CHARTS.items():
        assert "<svg" in drawn(draw()), name
    got = plots.frame(CHARTS["information"]())
    assert got[got["network"] == "trained"]["bits"].tolist() == BITS.table["bits"].tolist()
    assert lines(CHARTS["equivariance"](), "kind", "value") == {
        "shift": STEPS["r2"].tolist(),
        "random permutation": STEPS["control"].tolist(),
    }
    for name in ("learning_curve", "transfer"):
        got = lines(CHARTS[name](), "shown", "low", "high")
        assert list(got) == list(LABELS.values())
        assert got["left out"] == [[0.4, 0.4], [0.4 + 0.2, 0.4 + 0.2]]
    assert plots.frame(CHARTS["plane_regions"]())["counts"].tolist() == ["2-0-0", "1-1-0"]
    assert lines(CHARTS["circle_regions"](), "network", "regions") == {
        name: values.tolist() for name, values in CIRCLES.items()
    }


def test_a_share_below_zero_is_drawn_at_zero_and_told():
    bars, null = CHARTS["representations"]().layer
    assert bars.data[["representation", "explained", "drawn", "kind"]].to_numpy().tolist() == [
        ["[4,1]", 0.8, 0.8, "key"],
        ["[3,2]", -0.02, 0.0, "other"],
    ]
    assert null.data["null"].tolist() == [0.01]
