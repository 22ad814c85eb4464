"""Charts of what networks on primes, residues and strings learned: they give back the numbers they are made of."""

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from miii import GCD, plots
from miii.analysis.multitask import Head, Sharing, active
from miii.analysis.sieve import (
    Answer,
    Crossing,
    Depth,
    EvidenceChange,
    Factor,
    Heads,
    Interval,
    Lattice,
    Line,
    Lines,
    Plane,
    Swap,
)
from miii.plots.sieve.residues import WRITTEN
from miii.plots.style import Chart

DEPTH = Depth(
    factors=(Factor(3, 0.999, 0.998, 1.0, 900), Factor(7, 0.93, 0.91, 0.95, 300), Factor(11, 0.5, 0.35, 0.6, 80)),
    sieve_depth=3,
    roc_auc=0.91,
    average_precision=0.4,
    threshold=-0.5,
    f1=0.5,
    recall_primes=0.9,
    recall_composites=0.8,
    oracles={3: 0.86, 7: 0.92, 11: 0.94},
    oracles_and_base={3: 0.9, 7: 0.92, 11: 0.94},
    primes=100,
    composites=900,
)
HEADS = Heads(3, torch.tensor([[0.3, 0.5, 0.2], [0.6, 0.3, 0.1]]), torch.tensor([[0.7, 0.5], [-0.3, 0.1]]))
PLANE = Plane(
    3,
    pd.DataFrame(
        [(place, digit, digit % 3, float(digit % 3), 0.1 * digit, 5) for place in range(2) for digit in range(10)],
        columns=["place", "digit", "residue", "x", "y", "integers"],
    ),
    share=0.9,
    first=0.8,
)
MOVES = (
    EvidenceChange(True, False, np.array([-2.0, -1.0, -1.5]), np.array([1.0, 2.0, -0.5])),
    EvidenceChange(False, True, np.array([2.0, 1.0]), np.array([-2.0, -1.0])),
    EvidenceChange(False, False, np.array([2.0, 1.0]), np.array([1.5, 1.5])),
)
CROSSING = Crossing(3, 0.8, 2 / 3, 1.0, 0.0, 0.95, 5, 0.0, MOVES)
LATTICE = Lattice(
    3,
    np.array([[2, 0, 0], [1, 1, 0], [1, 0, 1], [0, 1, 1], [3, -1, 0]]),
    np.array([True, True, True, False, False]),
    np.array([True, False, False, True, False]),
    np.array([-3.0, 1.0, 1.5, 0.5, -4.0]),
    Interval(1.0, 1.0, 1.0, 3),
    Interval(0.0, 0.0, 0.0, 2),
)
LINES = Lines(
    3, 0, (Line(3, 2, torch.zeros(2), 0.99),), 0.6, np.arange(20.0).reshape(2, 10), CROSSING, 1.0, 1.0, 0.3, 0.9
)
SHARING = Sharing(
    ("mod 2", "mod 3"),
    (1, 2),
    8,
    3,
    torch.tensor([[1, 0.25], [0.25, 1]]),
    torch.tensor([[1, 0.3], [0.3, 1]]),
    torch.tensor([[0.0, 60.0], [60.0, 0.0]]),
)
BY_BASE = pd.DataFrame(
    [(base, 3, 1, auc, auc, auc, 1, 0.1, 0.2) for base, auc in ((10, 0.9), (11, 0.5))],
    columns=["base", "q", "seeds", "auc", "low", "high", "order", "gain", "correlation"],
)
PROBES = pd.DataFrame(
    [
        {"site": site, "pos": pos, "q": q, "k": k, "r2": pos / 10 + q / 100 + k / 1000}
        for site in ("0.z", "0.mlp_post")
        for pos in range(3)
        for q, k in ((3, 1), (7, 1), (7, 2))
    ]
)
STRINGS = pd.DataFrame(
    {
        "length": [1, 1, 2, 2, 3, 3],
        "I": [0, 1, 1, 0, 3, 2],
        "theorem": [False, True, True, False, False, True],
        "right": [True, True, False, True, False, True],
        "longer": [False] * 4 + [True] * 2,
    }
)
PAIRS = GCD(pairs=300, tests=20, largest=3, high=400).build()
POWER = torch.tensor([[0.1] * 10, [0.0] * 9 + [1.0], [0.2] * 8 + [0.9, 0.9]])

CHARTS: dict[str, Callable[[], Chart]] = {
    "active_frequencies": lambda: plots.active_frequencies(active(dict(zip((0, 5, 10), POWER, strict=True)))),
    "digit_swaps": lambda: plots.digit_swaps(Swap(1, 50, 0.98, 0.02, 0.01, 0.97, 0.99)),
    "divisors_by_base": lambda: plots.divisors_by_base(
        [{"base": 2, "learned": [1, 2]}, {"base": 2, "learned": [1]}, {"base": 10, "learned": [1, 5]}]
    ),
    "gcd_answers": lambda: plots.gcd_answers(
        (Answer(1, 9, 1, 1.0, 1), Answer(2, 9, 2, 0.9, 2), Answer(3, 9, 2, 0.5, 1))
    ),
    "gcd_counts": lambda: plots.gcd_counts(PAIRS),
    "learned_divisors": lambda: plots.learned_divisors({0: (), 10: (1, 3), 20: (1, 2)}, (1, 2, 4), 40),
    "crossings": lambda: plots.crossings(
        {"interchange": replace(CROSSING, rest=0.01), "steering": replace(CROSSING, control=0.25)}
    ),
    "digit_plane": lambda: plots.digit_plane(PLANE, 10),
    "digit_steps": lambda: plots.digit_steps(LINES, 10),
    "evidence_by_count": lambda: plots.evidence_by_count(np.arange(8.0), np.array([0, 0, 0, 1, 1, 1, 2, 2])),
    "evidence_moves": lambda: plots.evidence_moves(CROSSING, "Interchange"),
    "head_attention": lambda: plots.head_attention(HEADS, ["10¹", "10⁰", "?"]),
    "shared_directions": lambda: plots.shared_directions(SHARING),
    "auc_by_base": lambda: plots.auc_by_base(BY_BASE),
    "score_by_base": lambda: plots.score_by_base(BY_BASE, np.array([2.0, -1.0]), frozenset({10})),
    "head_digits": lambda: plots.head_digits([Head(0, (0.9, 0.05, 0.05), 0.1), Head(1, (0.1, 0.2, 0.7), 0.0)]),
    "head_sums": lambda: plots.head_sums(HEADS, ["10¹", "10⁰"]),
    "lattice": lambda: plots.lattice(LATTICE),
    "probe_map": lambda: plots.probe_map({"trained": PROBES, "untrained": PROBES}, 7, 2, ["", "", "?"]),
    "string_accuracy": lambda: plots.string_accuracy(STRINGS, "length", 2),
    "right_by_target": lambda: plots.right_by_target({"mod 2": 1.0, "mod 3": 0.4}, {"mod 2": 0.5, "mod 3": 0.34}),
    "sieve_depth": lambda: plots.sieve_depth(DEPTH),
    "sieve_oracles": lambda: plots.sieve_oracles(DEPTH),
}


def test_sieve_depth():
    got = plots.frame(CHARTS["sieve_depth"]())
    assert got["q"].tolist() == [3, 7, 11]
    for name in ("auc", "low", "high", "integers"):
        assert got[name].tolist() == [getattr(factor, name) for factor in DEPTH.factors]
    assert got["factor"].tolist() == ["seen", "not seen", "not seen"]  # by the lower end
    spec = CHARTS["sieve_depth"]().to_dict()
    low, high = spec["layer"][0]["encoding"]["y"]["scale"]["domain"]
    assert low < 0.35  # the lowest interval is inside
    assert high > 1
    empty = replace(DEPTH, factors=(), oracles={}, oracles_and_base={})
    for draw in (plots.sieve_depth, plots.sieve_oracles):
        assert len(plots.frame(draw(empty))) == 0
        draw(empty).to_dict()


def test_sieve_oracles():
    got = plots.frame(CHARTS["sieve_oracles"]())
    lines = {name: rows.set_index("q")["auc"].to_dict() for name, rows in got.groupby("line")}
    assert lines == {"primes up to q": DEPTH.oracles, "primes up to q and of the base": DEPTH.oracles_and_base}
    assert set(got["network"]) == {DEPTH.roc_auc}


def test_digit_plane_labels():
    got = plots.frame(CHARTS["digit_plane"]())
    assert got[["digit", "residue", "x", "y"]].equals(PLANE.table[["digit", "residue", "x", "y"]])
    assert got["place"].tolist() == ["10¹"] * 10 + ["10⁰"] * 10
    assert (got["label y"] > got["y"]).all()
    for _, same in got.groupby(["place", "residue"]):
        assert same["label x"].is_monotonic_increasing  # side by side, in the order of the digits
        assert same["label x"].is_unique
        assert same["label x"].mean() == pytest.approx(same["x"].mean())
    for q in [2, 8, 11]:
        table = PLANE.table.assign(residue=PLANE.table["digit"] % q)
        spec = json.dumps(plots.digit_plane(Plane(q, table, 1, 1), 10).to_dict())
        assert f'"domain": {list(range(q))}' in spec


def test_distant_digits_have_separate_labels():
    table = PLANE.table.copy()
    far = (table["digit"] == 4) & (table["place"] == 0)
    table.loc[far, "x"] = -2.0
    got = plots.frame(plots.digit_plane(Plane(3, table, 1, 1), 10))
    assert got.loc[(got["digit"] == 4) & (got["place"] == "10¹"), "label x"].tolist() == [-2.0]
    beside = got[got["digit"].isin([1, 7]) & (got["place"] == "10¹")]
    assert beside["label x"].mean() == pytest.approx(1)


def test_head_charts():
    for name, matrix in [("head_attention", HEADS.attends), ("head_sums", HEADS.adds)]:
        got = plots.frame(CHARTS[name]())
        assert got["value"].tolist() == matrix.flatten().tolist()
        assert got["head"].tolist() == [f"head {h}" for h in range(2) for _ in range(matrix.shape[1])]
    for places, layers in ((WRITTEN, 2), (WRITTEN + 1, 1)):  # numbers are written if there is room
        values = Heads(3, torch.full((2, places), 1 / places), torch.full((2, places), 0.5 / places))
        chart = plots.head_sums(values, [str(i) for i in range(places)])
        assert len(chart.layer) == layers
        assert chart.to_dict()["width"] <= 330  # two stand side by side


def test_evidence_moves():
    got = plots.frame(CHARTS["evidence_moves"]())
    assert got.groupby(["change", "when"])["share"].sum().tolist() == pytest.approx([1] * 6)
    change = got[(got["change"] == "multiples of 3 → others") & (got["when"] == "after")]
    above = change.loc[change["from"] > CROSSING.midpoint, "share"].sum()
    assert above == pytest.approx(2 / 3)
    assert set(got["midpoint"]) == {0.0}
    assert set(got["change"]) == {"multiples of 3 → others", "others → multiples of 3", "control: others, kept"}
    for moves in [(), (EvidenceChange(True, False, np.ones(3), np.ones(3)),)]:
        plots.evidence_moves(replace(CROSSING, moves=moves), "Steering").to_dict()


def test_crossings():
    got = plots.frame(CHARTS["crossings"]()).set_index(["change", "made"])
    for change, made, column, value in (
        ("interchange", "moved off the multiples", "share", CROSSING.to_other),
        ("interchange", "moved to the multiples", "share", CROSSING.to_multiple),
        ("interchange", "control: everything else", "share", 0.01),
        ("interchange", "control: everything else", "bound", "at most 5%"),
        ("steering", "control", "share", 0.25),
        ("steering", "control", "bound", "at most 5%"),
        ("steering", "moved to the multiples", "bound", "at least 95%"),
    ):
        assert got.loc[(change, made), column] == value
    assert ("steering", "control: everything else") not in got.index
    unknown = replace(CROSSING, to_other=float("nan"), control=float("nan"))
    json.dumps(plots.crossings({"steering": unknown}).to_dict(), allow_nan=False)


def test_probe_map():
    got = plots.frame(CHARTS["probe_map"]())
    wanted = PROBES[(PROBES["q"] == 7) & (PROBES["k"] == 2)]
    for name in ("trained", "untrained"):
        assert got.loc[got["network"] == name, "r2"].tolist() == wanted["r2"].tolist()
    assert got["position"].unique().tolist() == ["0", "1", "2: ?"]


def test_right_by_target():
    got = plots.frame(CHARTS["right_by_target"]()).set_index(["target", "who"])["accuracy"]
    assert got.to_dict() == {
        ("mod 2", "network"): 1.0,
        ("mod 2", "most common answer"): 0.5,
        ("mod 3", "network"): 0.4,
        ("mod 3", "most common answer"): 0.34,
    }


def test_active_frequencies():
    found = active(dict(zip((0, 5, 10), POWER, strict=True)))
    got = plots.frame(CHARTS["active_frequencies"]())
    for rule, marks in (("within the step", found.within), ("over all steps", found.overall)):
        assert got.loc[got["rule"] == rule, "active"].tolist() == marks.sum(1).tolist()
    assert found.within.sum(1).tolist() != found.overall.sum(1).tolist()  # or the rules would not be told apart


def test_shared_directions():
    got = plots.frame(CHARTS["shared_directions"]())
    assert got[["target", "with"]].values.tolist() == [["mod 2", "mod 3"], ["mod 3", "mod 2"]]
    assert got["overlap"].tolist() == [0.25, 0.25]


def test_bases():
    cells = plots.frame(CHARTS["auc_by_base"]())
    assert cells[["base", "auc"]].values.tolist() == [[10, 0.9], [11, 0.5]]
    dots = plots.frame(CHARTS["score_by_base"]())
    assert dots["part"].tolist()[:2] == ["unused base", "rule fitted on this base"]
    assert dots["score"].tolist()[:2] == [2, -1]


def test_head_digits():
    got = plots.frame(CHARTS["head_digits"]())
    assert got["share"].tolist() == [0.9, 0.05, 0.05, 0.1, 0.2, 0.7]
    assert got["to"].tolist() == ["x0", "x1", "="] * 2


def test_reach():
    for by in ["length", "I"]:
        got = plots.frame(plots.string_accuracy(STRINGS, by)).set_index([by, "answer"])
        means = STRINGS.groupby([by, "theorem"])["right"].mean()
        assert len(got) == len(means)
        for (value, theorem), share in means.items():
            assert got.loc[(value, "theorem" if theorem else "not a theorem"), "accuracy"] == share


def test_evidence_by_count():
    got = plots.frame(CHARTS["evidence_by_count"]()).set_index("I")
    assert got["median"].tolist() == [1, 4, 6.5]
    assert got.loc[0, ["low", "high"]].tolist() == [0.5, 1.5]
    assert got["strings"].tolist() == [3, 3, 2]
    assert got["answer"].tolist() == ["not a theorem", "theorem", "theorem"]


def test_lattice():
    got = plots.frame(CHARTS["lattice"]()).set_index("counts")
    assert got["evidence"].tolist() == LATTICE.evidence.tolist()
    assert got["seen"].tolist() == ["in training"] * 3 + ["not in training"] * 2
    assert got["kind"].tolist() == ["multiple of 3", "other", "other", "multiple of 3", "other"]
    assert got.loc["0-1-1", ["x", "y"]].tolist() == [0, 0]
    assert got.loc["2-0-0", "from_midpoint"] == -3.0 - (-3.0 + 1.25) / 2
    of_five = replace(LATTICE, q=5, counts=np.eye(5, dtype=int))
    assert plots.lattice(of_five).to_dict()["encoding"]["row"]["field"] == "seen"


def test_charts_of_the_gcd():
    frame = plots.frame(CHARTS["learned_divisors"]())
    assert frame["divisor"].tolist() == [1, 3, 1, 2]
    assert frame["is"].str.startswith("product").tolist() == [True, False, True, True]
    assert plots.frame(plots.learned_divisors({0: ()}, (1,))).empty
    assert plots.frame(CHARTS["gcd_answers"]())["is"].tolist() == ["as the list predicts"] * 2 + ["otherwise"]
    shares = plots.frame(CHARTS["divisors_by_base"]()).set_index(["base", "learned"])["share"]
    assert shares.to_dict() == {(2, 1): 1.0, (2, 2): 0.5, (10, 1): 1.0, (10, 5): 1.0}
    counts = plots.frame(CHARTS["gcd_counts"]()).drop_duplicates("gcd")
    assert counts["pairs"].tolist() == np.bincount(PAIRS.labels[PAIRS.train_mask]).tolist()
