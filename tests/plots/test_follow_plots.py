"""Charts of one input on its way through a network: they show its numbers, and are whole."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch

from miii import plots
from miii.analysis import follow
from miii.analysis.sieve import EvidenceByFactor, Suspect
from miii.analysis.sieve.suspect import _Place
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


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0))


@cache
def logits() -> torch.Tensor:
    """Two waves whose crests agree at 5, and a little noise."""
    c = torch.arange(P)
    waves = [height * torch.cos(2 * torch.pi * k * (c - 5) / P) for k, height in ((2, 6.0), (4, 3.0))]
    return torch.stack(waves).sum(0) + 0.1 * noise(P)


def suspect(q: int) -> Suspect:
    crowd = 3 * noise(40, 2).numpy()
    return Suspect(q, 3.0, 0.0, 1.0, crowd, tuple(n % q for n in range(40)), _Place(noise(8, 2), noise(5, 8)))


def written(k: torch.Tensor | None = None) -> follow.NeuronWrites:
    return follow.NeuronWrites(
        noise(20).double(), torch.arange(20) % 3 + 1 if k is None else k, torch.ones(20).double()
    )


CHARTS: dict[str, Callable[[], Chart]] = {
    "agreeing": lambda: plots.agreeing(follow.waves(logits()), 5),
    "answer_logits": lambda: plots.answer_logits(follow.predict(logits()), 7),
    "argued": lambda: plots.argued(follow.waves(logits()), 5, 12),
    "digit_walk": lambda: plots.digit_walk(suspect(3), PATH, ["1", "0", "2"], 102),
    "evidence_by_factor": lambda: plots.evidence_by_factor(BESIDE, -4.5, "12345"),
    "evidence_by_letter": lambda: plots.evidence_by_letter("MIIUI", np.array([3.0, 2.0, 2.5, -4.0])),
    "looks_at": lambda: plots.looks_at(noise(2, 3).softmax(1), ["5", "5", "="]),
    "neurons_write": lambda: plots.neurons_write(written(), noise(20)),
}


def test_attention_gives_back_every_weight():
    weights = noise(2, 3).softmax(1)
    got = plots.frame(plots.looks_at(weights, ["5", "5", "="]))
    assert got["weight"].tolist() == weights.flatten().tolist()
    assert got["position"].tolist() == ["0: 5", "1: 5", "2: ="] * 2  # two like tokens in two places


def test_weights_are_written_where_there_is_room():
    for positions, layers in [(6, 2), (38, 1)]:
        chart = plots.looks_at(noise(2, positions).softmax(1), ["I"] * positions)
        assert len(chart.to_dict()["layer"]) == layers


def test_weights_below_0_have_a_scale_around_it():
    scale = plots.looks_at(noise(2, 3), ["5", "8", "="]).to_dict()["layer"][0]["encoding"]["color"]["scale"]
    assert scale["domain"][0] == -scale["domain"][1]


def test_neurons_come_the_loudest_first_with_their_frequency():
    values = written()
    got = plots.frame(CHARTS["neurons_write"]())
    order = values.strongest(12)
    assert got["neuron"].tolist() == [f"neuron {i}" for i in order]
    assert got["logits"].tolist() == values.added[order].tolist()
    assert got["activation"].tolist() == noise(20)[order].tolist()
    assert got["writes"].tolist() == [f"k = {values.frequency[i]}" for i in order]


def test_of_many_frequencies_the_weakest_share_a_color():
    chart = plots.neurons_write(written(torch.arange(20) + 1), noise(20))
    scale = chart.to_dict()["encoding"]["color"]["scale"]
    assert len(scale["domain"]) == len(scale["range"]) == len(CATEGORY)
    assert (scale["domain"][-1], scale["range"][-1]) == ("another k", MUTED)
    assert (plots.frame(chart)["writes"] == "another k").sum() == 12 - (len(CATEGORY) - 1)


def test_of_a_single_frequency_there_is_no_legend():
    color = plots.neurons_write(written(torch.ones(20, dtype=torch.int64)), noise(20)).to_dict()["encoding"]["color"]
    assert color["legend"] is None


def test_logits_mark_the_answer_the_runner_up_and_the_truth():
    said = follow.predict(logits())
    got = plots.frame(plots.answer_logits(said, 7)).set_index("c")
    assert got["logit"].tolist() == said.logits.tolist()
    assert got["probability"].sum() == pytest.approx(1)
    marked = got["kind"][got["kind"] != "others"].to_dict()
    assert marked == {said.answer: "answer", said.runner_up: "runner-up", 7: "truth"}


def test_a_truth_that_is_the_answer_or_the_runner_up_is_marked_once():
    for right in [True, False]:
        said = follow.predict(logits())
        assert said.answer == 5
        got = plots.frame(plots.answer_logits(said, 5 if right else said.runner_up)).set_index("c")["kind"]
        assert got[5] == "answer"
        assert got[said.runner_up] == ("runner-up" if right else "truth")


def test_what_is_argued_adds_up():
    said = follow.predict(logits())
    got = plots.frame(plots.argued(follow.waves(logits()), 5, 12)).groupby("for", sort=False)["logits"].sum()
    assert got.tolist() == pytest.approx([said.logits[5].item(), said.logits[12].item()])


def test_waves_stand_above_their_sum_and_do_not_meet():
    waves = follow.waves(logits())
    got = plots.frame(plots.agreeing(waves, 5, 2))
    lines = dict(list(got.groupby("line", sort=False)))
    assert list(lines) == ["k = 2", "k = 4", "all"]
    for k in (2, 4):
        assert lines[f"k = {k}"]["logit"].tolist() == waves.wave[k - 1].tolist()
    assert lines["all"]["logit"].to_numpy() == pytest.approx(waves.wave.sum(0).numpy())
    for above, below in (("k = 2", "k = 4"), ("k = 4", "all")):
        assert lines[above]["height"].min() > lines[below]["height"].max()


def test_waves_of_equal_logits_are_drawn():
    got = plots.frame(plots.agreeing(follow.waves(torch.zeros(2)), 0))
    assert got["logit"].tolist() == [0] * 4


def test_a_walk_names_what_each_step_adds_and_shares_the_label_of_a_place_met_again():
    chart = CHARTS["digit_walk"]()
    assert plots.frame(chart)["residue"].tolist() == [f"{n % 3} mod 3" for n in range(40)]
    steps = chart.layer[1].data
    assert steps["digit"].tolist() == ["start", "1", "0", "2"]
    assert steps["label"].tolist() == ["start +0", "+1", "", "+2"]
    assert steps[["x", "y"]].to_numpy().tolist() == PATH.tolist()


def test_of_many_residues_multiples_stand_out():
    names = plots.frame(plots.digit_walk(suspect(11), PATH, ["1", "0", "2"], 102))["residue"]
    assert names.tolist() == ["other" if n % 11 else "multiple of 11" for n in range(40)]


def test_evidence_stands_beside_that_of_others():
    chart = CHARTS["evidence_by_factor"]()
    assert plots.frame(chart).equals(TABLE)
    assert chart.layer[-1].data["at"].tolist() == [-4.5, -1.5]


def test_evidence_by_letter_says_what_has_come():
    got = plots.frame(CHARTS["evidence_by_letter"]())
    assert got["string"].tolist() == ["MI", "MII", "MIIU", "MIIUI"]
    assert got["I"].tolist() == [1, 2, 2, 3]
    assert got["answer"].tolist() == ["theorem"] * 3 + ["no theorem"]
    assert got["evidence"].tolist() == [3.0, 2.0, 2.5, -4.0]
