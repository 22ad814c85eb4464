"""Charts of one input on its way through a network: they show its numbers, and are whole."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
from plot_checks import noise

from miii import plots
from miii.analysis import follow
from miii.analysis.causal.path import InputPath
from miii.analysis.sieve import DivisorTest, EvidenceByFactor
from miii.analysis.sieve.divisor_test import _Place
from miii.analysis.sieve.sums import Sum
from miii.plots.style import CATEGORY, MUTED, Chart

P = 13
KINDS = ["primes", "smallest factor 2", "smallest factor 3"]
TABLE = pd.DataFrame(
    {
        "kind": KINDS,
        "integers": [100, 200, 50],
        "low": [-2.0, -12.0, -6.0],
        "first": [-1.0, -11.0, -5.0],
        "median": [-0.5, -10.0, -4.0],
        "third": [0.0, -9.0, -3.0],
        "high": [1.0, -8.0, -2.5],
    }
)
BESIDE = EvidenceByFactor(TABLE, -1.5, np.array([1001]))
PATH = np.array([[0.0, 0.0], [1.0, 0.0], [0.01, 0.0], [0.0, 2.0]], dtype=np.float32)


@cache
def logits() -> torch.Tensor:
    """Two waves whose crests agree at 5, and a little noise."""
    c = torch.arange(P)
    waves = [height * torch.cos(2 * torch.pi * k * (c - 5) / P) for k, height in ((2, 6.0), (4, 3.0))]
    return torch.stack(waves).sum(0) + 0.1 * noise(P)


def divisor_test(q: int) -> DivisorTest:
    crowd = 3 * noise(40, 2).numpy()
    n, none = np.arange(5), np.zeros((5, 1), dtype=np.int64)
    moved = Sum(n, none, none, noise(5, 1, 1, 8), noise(1, 8, 8), noise(5, 1, 2), noise(5, 8), 0, None)
    return DivisorTest(q, 3.0, 0.0, 1.0, crowd, tuple(n % q for n in range(40)), _Place(noise(8, 2), moved))


def written(k: torch.Tensor | None = None) -> follow.NeuronWrites:
    return follow.NeuronWrites(
        noise(20).double(), torch.arange(20) % 3 + 1 if k is None else k, torch.ones(20).double()
    )


def path() -> InputPath:
    """Three tokens, two heads, three neurons, and two answers; one neuron works against the first."""
    written = torch.tensor([[4.0, -4.0], [-2.0, 2.0], [1.0, -1.0]])
    return InputPath(
        noise(2, 3).softmax(1),
        torch.tensor([7, 1, 4]),
        torch.tensor([2.0, 1.0, 0.5]),
        noise(2, 3),
        torch.tensor([1, 0]),
        written,
        torch.tensor([3.0, -3.0]),
        torch.tensor([0.9, 0.1]),
        3.0,
    )


CHARTS: dict[str, Callable[[], Chart]] = {
    "input_path": lambda: plots.input_path(path(), ["5", "5", "="], ["yes", "no"]),
    "wave_sum": lambda: plots.wave_sum(follow.waves(logits()), 5),
    "answer_logits": lambda: plots.answer_logits(follow.predict(logits()), 7),
    "wave_logits": lambda: plots.wave_logits(follow.waves(logits()), 5, 12),
    "digit_path": lambda: plots.digit_path(divisor_test(3), PATH, ["1", "0", "2"], 102),
    "evidence_by_factor": lambda: plots.evidence_by_factor(BESIDE, -4.5, "12345"),
    "evidence_by_letter": lambda: plots.evidence_by_letter("MIIUI", np.array([3.0, 2.0, 2.5, -4.0])),
    "attention_by_position": lambda: plots.attention_by_position(noise(2, 3).softmax(1), ["5", "5", "="]),
    "neuron_contributions": lambda: plots.neuron_contributions(written(), noise(20)),
}


def test_a_path_has_one_line_for_each_pair_of_neighbors():
    got, drawn = plots.frame(CHARTS["input_path"]()), path()
    for row, matrix in enumerate((drawn.attention.T, drawn.read, drawn.written)):
        lines = got[got["y"] == row]
        assert lines["value"].tolist() == matrix.flatten().tolist()
        assert ((lines["kind"] == "subtracts") == (lines["value"] < 0)).all()
    assert (got.groupby("y")["share"].max() == 1).all()
    assert got[got["y"] == 2]["share"].tolist() == [1, 1, 0.5, 0.5, 0.25, 0.25]
    nodes = CHARTS["input_path"]().layer[1].data
    assert nodes["name"].tolist() == ["5", "5", "=", "head 0", "head 1", "7", "1", "4", "yes", "no"]
    assert nodes["href"].unique().tolist() == ["#tokens", "#looks", "#neurons", "#says"]


def test_looks_at():
    weights = noise(2, 3).softmax(1)
    got = plots.frame(plots.attention_by_position(weights, ["5", "5", "="]))
    assert got["weight"].tolist() == weights.flatten().tolist()
    assert got["position"].tolist() == ["0: 5", "1: 5", "2: ="] * 2  # two like tokens in two places
    for positions, layers in [(6, 2), (38, 1)]:  # the weights are written if there is room
        chart = plots.attention_by_position(noise(2, positions).softmax(1), ["I"] * positions)
        assert len(chart.to_dict()["layer"]) == layers
    spec = plots.attention_by_position(noise(2, 3), ["5", "8", "="]).to_dict()
    scale = spec["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"][0] == -scale["domain"][1]  # some are negative


def test_neurons_write_in_order():
    values = written()
    got = plots.frame(CHARTS["neuron_contributions"]())
    order = values.strongest(12)
    assert got["neuron"].tolist() == [f"neuron {i}" for i in order]
    assert got["logits"].tolist() == values.added[order].tolist()
    assert got["activation"].tolist() == noise(20)[order].tolist()
    assert got["writes"].tolist() == [f"k = {values.frequency[i]}" for i in order]
    chart = plots.neuron_contributions(written(torch.arange(20) + 1), noise(20))
    scale = chart.to_dict()["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(scale["range"]) == len(CATEGORY)
    assert (scale["domain"][-1], scale["range"][-1]) == ("another k", MUTED)
    assert (plots.frame(chart)["writes"] == "another k").sum() == 12 - (len(CATEGORY) - 1)
    one = plots.neuron_contributions(written(torch.ones(20, dtype=torch.int64)), noise(20))
    assert one.to_dict()["encoding"]["color"]["legend"] is None


def test_answer_logits_marks():
    said = follow.predict(logits())
    got = plots.frame(plots.answer_logits(said, 7)).set_index("c")
    assert got["logit"].tolist() == said.logits.tolist()
    assert got["probability"].sum() == pytest.approx(1)
    marked = got["kind"][got["kind"] != "others"].to_dict()
    assert marked == {said.answer: "answer", said.runner_up: "runner-up", 7: "truth"}
    assert said.answer == 5
    for truth, second in ((5, "runner-up"), (said.runner_up, "truth")):
        got = plots.frame(plots.answer_logits(said, truth)).set_index("c")["kind"]
        assert (got[5], got[said.runner_up]) == ("answer", second)
    names = [f"({i})" for i in range(len(said.logits))]
    chart = plots.answer_logits(said, 7, names)
    assert plots.frame(chart)["c"].tolist() == names
    assert chart.to_dict()["layer"][0]["encoding"]["x"]["sort"] == names  # not by alphabet


def test_argued_logits_sum():
    said = follow.predict(logits())
    got = plots.frame(plots.wave_logits(follow.waves(logits()), 5, 12)).groupby("for", sort=False)["logits"].sum()
    assert got.tolist() == pytest.approx([said.logits[5].item(), said.logits[12].item()])


def test_waves_do_not_overlap():
    waves = follow.waves(logits())
    got = plots.frame(plots.wave_sum(waves, 5, 2))
    lines = dict(list(got.groupby("line", sort=False)))
    assert list(lines) == ["k = 2", "k = 4", "all"]
    for k in (2, 4):
        assert lines[f"k = {k}"]["logit"].tolist() == waves.wave[k - 1].tolist()
    assert lines["all"]["logit"].to_numpy() == pytest.approx(waves.wave.sum(0).numpy())
    for above, below in (("k = 2", "k = 4"), ("k = 4", "all")):
        assert lines[above]["height"].min() > lines[below]["height"].max()
    assert plots.frame(plots.wave_sum(follow.waves(torch.zeros(2)), 0))["logit"].tolist() == [0] * 4


def test_digit_path_labels():
    chart = CHARTS["digit_path"]()
    assert plots.frame(chart)["residue"].tolist() == [f"{n % 3} mod 3" for n in range(40)]
    steps = chart.layer[1].data
    assert steps["digit"].tolist() == ["start", "1", "0", "2"]
    assert steps["label"].tolist() == ["start +0", "+1", "", "+2"]
    assert steps[["x", "y"]].to_numpy().tolist() == PATH.tolist()
    names = plots.frame(plots.digit_path(divisor_test(11), PATH, ["1", "0", "2"], 102))["residue"]
    assert names.tolist() == ["other" if n % 11 else "multiple of 11" for n in range(40)]


def test_evidence_by_factor():
    chart = CHARTS["evidence_by_factor"]()
    assert plots.frame(chart).equals(TABLE)
    assert chart.layer[-1].data["at"].tolist() == [-4.5, -1.5]


def test_evidence_by_letter():
    got = plots.frame(CHARTS["evidence_by_letter"]())
    assert got["string"].tolist() == ["MI", "MII", "MIIU", "MIIUI"]
    assert got["I"].tolist() == [1, 2, 2, 3]
    assert got["answer"].tolist() == ["theorem"] * 3 + ["not a theorem"]
    assert got["evidence"].tolist() == [3.0, 2.0, 2.5, -4.0]
