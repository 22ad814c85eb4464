"""Charts of neurons, progress and formulas: their numbers, and that they are drawn where there is nothing to show."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import altair as alt
import pandas as pd
import pytest
import torch
from plot_checks import bare, drawn, lines, noise

import miii
from miii import analysis, plots
from miii.analysis.modular.decomposition import KINDS
from miii.analysis.modular.formula import Formula, Term
from miii.analysis.modular.fourier2d import Spectrum2D
from miii.analysis.modular.neurons import Neurons
from miii.analysis.modular.phases import Phase
from miii.analysis.modular.steering import Steering
from miii.plots.modular.wall import SHADES, _tiles
from miii.plots.style import Chart, log_axis

P = 13


#: Six neurons: two of frequency 2, one of 5, a mixed one, and two that are dead.
NEURONS = Neurons(
    p=P,
    alive=torch.tensor([True, True, False, True, True, False]),
    frequency=torch.tensor([2, 5, 0, 2, 3, 0]),
    share=torch.tensor([0.99, 0.9, 0.0, 0.95, 0.5, 0.0], dtype=torch.float64),
    phase_a=torch.zeros(6),
    phase_b=torch.zeros(6),
    phase_out=torch.tensor([0.5, -3.0, 0.0, 1.0, 2.0, 0.0]),
    phase_error=torch.tensor([0.0, 0.25, 0.0, -3.0, 1.5, 0.0]),
    alignment=torch.ones(6),
    power=torch.full((P // 2,), 1 / 6),
)
DEAD = replace(NEURONS, alive=torch.zeros(6, dtype=torch.bool), frequency=torch.zeros(6, dtype=torch.int64))
FORMULA = Formula(P, (Term(2, 2, 2, 10.0, 0.5), Term(-5, 3, 5, 1.5, -3.0)))
STEERED = Steering((2, 5), torch.linspace(0.9, 1, P - 1), (1, 3), torch.linspace(1, 0.8, P - 1), 0.1, 0.0)
SHARES = dict(zip(KINDS, (0.5, 0.25, 0.125, 0.0625, 0.0625), strict=True))
SPECTRUM = Spectrum2D(P, torch.tensor([[0.0, 0.25], [0.5, 0.25]]))
PHASES = (Phase("memorization", 0, 10), Phase("circuit formation", 10, 100), Phase("afterwards", 100, 1000))


@cache
def trajectory(train_fraction: float | None = 0.5, frequencies: tuple[int, ...] = (2, 5)) -> pd.DataFrame:
    """Four networks without training, as if they were snapshots of one run."""
    task = miii.ModularAddition(p=P, train_fraction=train_fraction).build()
    config = miii.ModelConfig(d_model=8, n_heads=2, d_mlp=12)
    models = ((step, miii.Transformer(config, P + 1, P, 3, seed=step)) for step in (0, 10, 100, 1000))
    return analysis.trajectory.measure_all(models, task, frequencies).frame()


@cache
def circuit(method: str) -> analysis.circuits.Circuit:
    config = miii.ModelConfig(d_model=8, n_heads=1, d_mlp=6)
    task = miii.ModularAddition(p=5, train_fraction=0.5).build()
    return analysis.circuits.find(miii.Transformer(config, 6, 5, 3, seed=0), task, method, examples=6)


CHARTS: dict[str, Callable[[], Chart]] = {
    "activation": lambda: plots.activation(noise(P * P), 3),
    "circuit": lambda: plots.circuit(circuit("exact"), 5),
    "clusters": lambda: plots.clusters(NEURONS),
    "edge_agreement": lambda: plots.edge_agreement(circuit("eap"), circuit("exact")),
    "faithfulness": lambda: plots.faithfulness([circuit("exact"), circuit("eap")]),
    "kinds": lambda: plots.kinds({"step 400": SHARES, "step 52": SHARES}),
    "measures": lambda: plots.measures(trajectory(), {"loss": "all"}, title="Loss", y="nats", phases=PHASES, log=True),
    "neuron_wall": lambda: plots.neuron_wall(NEURONS, noise(P * P, 6)),
    "phases": lambda: plots.phases(NEURONS),
    "reads": lambda: plots.reads(noise(P), noise(P) + 1, 3),
    "single_frequency": lambda: plots.single_frequency(NEURONS),
    "spectrum_2d": lambda: plots.spectrum_2d(SPECTRUM),
    "steering": lambda: plots.steering(STEERED),
    "terms": lambda: plots.terms(FORMULA),
    "writes": lambda: plots.writes(noise(P), 3),
}


#: Charts at two steps of a run.
LIVE: list[tuple[Callable[[], Chart], Callable[[], Chart]]] = [
    *((lambda draw=draw: draw(NEURONS), lambda draw=draw: draw(DEAD)) for draw in (plots.clusters, plots.phases)),
    (lambda: plots.single_frequency(NEURONS), lambda: plots.single_frequency(DEAD)),
    (lambda: plots.reads(noise(P), noise(P), 1), lambda: plots.reads(noise(P).flip(0), noise(P), 1)),
    (lambda: plots.writes(noise(P), 1), lambda: plots.writes(noise(P).flip(0), 1)),
    (lambda: plots.spectrum_2d(SPECTRUM), lambda: plots.spectrum_2d(replace(SPECTRUM, power=torch.zeros(2, 2)))),
    (lambda: plots.terms(FORMULA), lambda: plots.terms(Formula(P, ()))),
    (CHARTS["kinds"], lambda: plots.kinds({"step 249": dict.fromkeys(KINDS, 0.0)})),
    (
        lambda: plots.steering(STEERED),
        lambda: plots.steering(replace(STEERED, accuracy=torch.zeros(P - 1), frequencies=())),
    ),
]


# ---- neurons ----


def test_the_wall_shows_live_neurons_by_frequency_and_phase():
    got = plots.frame(plots.neuron_wall(NEURONS, noise(P * P, 6)))
    tiles = got.dropna().groupby("row")["value"].apply(list).to_dict()
    assert tiles == {0: [0, 3], 1: [1], 2: [4]}  # k = 2 in order of phase, k = 5, mixed
    axis = bare(plots.neuron_wall(NEURONS, noise(P * P, 6)))["layer"][0]["encoding"]["y"]["axis"]
    assert "k = 2 (2)" in axis["labelExpr"]
    assert plots.frame(plots.neuron_wall(DEAD, noise(P * P, 6)))["value"].isna().all()


def test_tiles_by_angle_are_alike_for_any_frequency():
    n, neurons = torch.arange(P), replace(NEURONS, frequency=torch.tensor([1, 5, 0, 1, 1, 0]))
    post = torch.stack([torch.cos(2 * math.pi * k * (n[:, None] + n) / P).flatten() for k in (1, 5)] * 3, dim=1)
    for by_angle in (True, False):
        one, five = _tiles(neurons, post, [0, 1], by_angle)
        assert (one.min(), one.max()) == (0, len(SHADES) - 1)
        assert (one == five).all() == by_angle


def test_clusters():
    got = plots.frame(plots.clusters(NEURONS))
    pure = got["kind"].str.startswith("more than 85%")
    assert got[pure].set_index("frequency")["size"].to_dict() == {2: 2, 5: 1}
    assert got[~pure].set_index("frequency")["size"].to_dict() == {3: 1}


def test_single_frequency():
    got = plots.frame(plots.single_frequency(NEURONS))
    assert got["neuron"].tolist() == [0, 1, 3, 4]
    assert got["share"].tolist() == [0.99, 0.9, 0.95, 0.5]
    assert got["kind"].tolist() == ["more than 85% in one frequency"] * 3 + ["mixed"]


def test_phases():
    for draw in (plots.clusters, plots.single_frequency, plots.phases):
        assert len(plots.frame(draw(DEAD))) == 0
        assert draw(DEAD).to_dict()["title"] in drawn(draw(DEAD))
    got = plots.frame(plots.phases(NEURONS))
    assert got["neuron"].tolist() == [0, 1, 3]
    assert got["frequency"].tolist() == [2, 5, 2]
    assert got["written"].tolist() == pytest.approx([0.5 / math.pi, -3 / math.pi, 1 / math.pi])
    assert got["error"].tolist() == pytest.approx([0, 0.25 / math.pi, -3 / math.pi])


def test_reads_and_writes_are_centered():
    of_a, of_b, row = noise(P), noise(P).flip(0) + 3, noise(P) - 7
    got = lines(plots.reads(of_a, of_b, 0), "operand", "token", "input")
    for name, wave in (("a", of_a), ("b", of_b)):
        assert got[name] == [list(range(P)), pytest.approx((wave - wave.mean()).tolist())]
    got = plots.frame(plots.writes(row, 0))
    assert got["answer"].tolist() == list(range(P))
    assert got["logit"].tolist() == pytest.approx((row - row.mean()).tolist())


def test_spectrum_2d():
    chart = plots.spectrum_2d(SPECTRUM)
    assert plots.frame(chart)["value"].tolist() == pytest.approx([-6, math.log10(0.25), math.log10(0.5), -0.60206])
    assert chart.layer[1].data["value"].tolist() == [-6, 0]


# ---- formula ----


def test_terms():
    got = plots.frame(plots.terms(FORMULA))
    assert got["term"].tolist() == ["2a + 2b − 2c", "−5a + 3b − 5c"]
    assert got["amplitude"].tolist() == [10.0, 1.5]
    assert got["phase"].tolist() == [0.5, -3.0]


def test_kinds():
    for names in [["step 400"], ["step 400", "step 52"]]:
        got = plots.frame(plots.kinds(dict.fromkeys(names, SHARES)))
        for name in names:
            rows = got[got["network"] == name].sort_values("order")
            assert dict(zip(rows["kind"], rows["share"], strict=True)) == SHARES
            assert rows["kind"].tolist() == list(KINDS)


def test_steering():
    got = lines(plots.steering(STEERED), "turned", "s", "share")
    names = plots.steering(STEERED).to_dict()["encoding"]["color"]["scale"]["domain"]
    for name, values in zip(names, (STEERED.accuracy, STEERED.control_accuracy), strict=True):
        assert got[name] == [list(range(1, P)), values.tolist()]


# ---- progress ----


def test_measures():
    frame = trajectory()
    chart = plots.measures(frame, {"train_loss": "train", "test_loss": "test"}, title="Losses", y="nats")
    steps, shown = [0, 10, 100, 1000], [0.7, 10, 100, 1000]  # a logarithmic axis has no place for 0
    for name, got in lines(chart, "measure", "step", "at", "value").items():
        assert got == [steps, shown, frame[f"{name}_loss"].tolist()]
    assert lines(chart, "measure", "step").keys() == {"train", "test"}
    marks = plots.measures(frame, {"loss": "all"}, title="Loss", y="nats", phases=PHASES).layer[1].data
    assert marks["at"].tolist() == shown[:3]
    assert marks["phase"].tolist() == ["memorization", "circuit formation", "afterwards"]
    strip = plots.frame(plots.progress(frame, PHASES)[0])
    assert strip["phase"].tolist() == [each.name for each in PHASES]
    assert strip[["at", "until"]].to_numpy().tolist() == [[0.7, 10], [10, 100], [100, 1000]]
    chart = plots.measures(trajectory(None), {"loss": "all pairs", "train_loss": "train"}, title="Losses", y="nats")
    assert set(plots.frame(chart)["measure"]) == {"all pairs"}  # empty columns are left out
    assert chart.to_dict()["layer"][0]["encoding"]["color"]["scale"]["domain"] == ["all pairs"]


def test_zero_loss_on_the_log_axis():
    frame = pd.DataFrame({"step": [0, 1, 10], "loss": [1.0, 0.5, 0.0]})
    chart = plots.measures(frame, {"loss": "all"}, title="Loss", y="nats", log=True)
    assert plots.frame(chart)["value"].tolist() == [1.0, 0.5, 1e-12]
    drawn(chart)


def test_number_formats():
    def texts(name, values):
        frame = pd.DataFrame({"step": [0, 10], name: values})
        return re.findall(r"<text[^>]*>([^<]*)</text>", drawn(plots.measures(frame, {name: "all"}, title=name, y="y")))

    squares = texts("squares", [1000.0, 1800.0])
    assert "1,800" in squares
    assert not any("e+3" in text for text in squares)
    assert "0.5" not in texts("count", [0, 3])


def test_progress_shows_every_measure_once():
    for train_fraction in [0.5, None]:
        frame = trajectory(train_fraction)
        charts = plots.progress(frame, PHASES if train_fraction else ())
        titles = [chart.to_dict()["title"] for chart in charts]
        assert len(set(titles)) == len(charts) == (9 if train_fraction else 8)
        charts = charts[-8:]  # below the strip of phases
        shown = [
            rows["value"].tolist() for chart in charts for _, rows in plots.frame(chart).groupby("measure", sort=False)
        ]
        own = {"step", "dead_neurons", "gradient_symmetricity_error"} | (
            {"loss", "accuracy"} if train_fraction else set()
        )
        columns = [name for name in frame if name not in own and frame[name].notna().any()]
        for name in columns:
            assert frame[name].astype(float).tolist() in shown, f"{name} is not shown"
        assert len(shown) == len(columns) + 1  # the excluded loss stands twice
        for chart in charts:
            json.dumps(chart.to_dict(), allow_nan=False)


def test_log_axis_ticks():
    for values, ticks in [
        ([0.5, 3.0], [0.1, 0.2, 0.5, 1, 2, 5, 10]),
        ([2e-3, 0.8], [10.0**k for k in range(-3, 1)]),
        ([1e-12, 5.0], [10.0**k for k in range(-12, 2, 2)]),
    ]:
        y = alt.Y("value:Q", scale=alt.Scale(type="log"), axis=log_axis())
        chart = alt.Chart(pd.DataFrame({"value": values})).mark_point().encode(y=y)
        (axis,) = re.findall(r'class="mark-text role-axis-label".*?</g>', drawn(chart).replace("\N{MINUS SIGN}", "-"))
        assert sorted(map(float, re.findall(r">([^<>]+)</text>", axis))) == pytest.approx(ticks)
