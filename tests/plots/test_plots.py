"""Values in, charts out: complete, labeled, with their numbers to take away."""

import base64
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import test_causal  # the charts of the other files here are held to the same rules
import test_compare_plots
import test_curves
import test_follow_plots
import test_inside
import test_integers_plots
import test_measure_plots
import test_network_plots
import test_rollout_plots
import test_sequence_plots
import test_sieve_plots
import test_sparse_plots
import test_sweep_plots
import test_trainability_plots
import torch
from PIL import Image
from plot_checks import bare, drawn, encodings, lines

from miii import ModularAddition, plots
from miii.analysis.modular import fourier
from miii.plots.heatmap import CELL
from miii.plots.style import BLUE_ORANGE, MUTED, TRAIN, VIRIDIS, Chart

P = 113  # 12,769 cells, above Altair's limit of 5,000 rows
TASK = ModularAddition(p=P).build()
SMALL = ModularAddition(p=5, train_fraction=0.5).build()
STEPS = [0, 1, 10, 100]


def noise(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def waves(frequency: int) -> torch.Tensor:
    """An embedding of 13 tokens that is one circle and a little noise."""
    angle = 2 * torch.pi * frequency * torch.arange(13) / 13
    return torch.stack([angle.cos(), angle.sin()], dim=1) @ torch.eye(2, 6) + 1e-4 * noise(13, 6)


METRICS = pd.DataFrame(
    {
        "step": STEPS,
        "train_loss": [4.7, 1.5, 1e-3, 1e-7],
        "test_loss": [4.8, 9.0, 3.0, 2e-3],
        "train_accuracy": [0.01, 0.5, 1.0, 1.0],
        "test_accuracy": [0.01, 0.02, 0.5, 0.995],
        "weight_norm": [30.0, 29.5, 25.25, 20.125],
    }
)
CHARTS: dict[str, Callable[[], Chart]] = {
    **test_causal.CHARTS,
    **test_inside.CHARTS,
    **test_integers_plots.CHARTS,
    **test_measure_plots.CHARTS,
    **test_network_plots.CHARTS,
    **test_curves.CHARTS,
    **test_follow_plots.CHARTS,
    **test_sieve_plots.CHARTS,
    **test_sparse_plots.CHARTS,
    **test_sweep_plots.CHARTS,
    **test_trainability_plots.CHARTS,
    **test_compare_plots.CHARTS,
    **test_rollout_plots.CHARTS,
    **test_sequence_plots.CHARTS,
    "accuracy": lambda: plots.accuracy(METRICS),
    "answers": lambda: plots.answers(noise(P * P) > 0.5, TASK, P),
    "answers_over_training": lambda: plots.answers_over_training(
        {1: noise(P * P) > 0.9, 9: noise(P * P) > 0.1}, TASK, P
    ),
    "angles": lambda: plots.angles(fourier.angles(waves(2), 2)),
    "at_step": lambda: plots.at_step(plots.loss(METRICS), 10),
    "circle": lambda: plots.circle(fourier.circle(waves(2), 2)),
    "circles": lambda: plots.circles([fourier.circle(waves(2), 2), fourier.circle(waves(2), 3)]),
    "class_balance": lambda: plots.class_balance(TASK),
    "heatmap": lambda: plots.heatmap(noise(P, P), title="Share", row="a", column="b", value="share"),
    "loss": lambda: plots.loss(METRICS),
    "mark_cell": lambda: plots.mark_cell(plots.over_inputs(noise(P, P), 2, "a"), 2, 3),
    "over_inputs": lambda: plots.over_inputs(noise(P, P), 2, "a"),
    "pattern": lambda: plots.pattern(noise(4, 3, 3), ["5", "8", "="]),
    "power_over_training": lambda: plots.power_over_training(noise(4, P // 2), STEPS),
    "singular_values": lambda: plots.singular_values(noise(6)),
    "spectrum": lambda: plots.spectrum(replace(fourier.spectrum(waves(2)), key_frequencies=(2,))),
    "split": lambda: plots.split(TASK, P),
    "weight_norm": lambda: plots.weight_norm(METRICS),
}


def pixels(chart: Chart) -> np.ndarray:
    """The image of a heatmap, pixel by pixel."""
    address = chart.layer[0].data["image"].item()
    file = io.BytesIO(base64.b64decode(address.removeprefix("data:image/png;base64,")))
    return np.asarray(Image.open(file).convert("RGBA"))


def hexed(color: str) -> list[int]:
    return [int(color[i : i + 2], 16) for i in (1, 3, 5)] + [255]


def _mixed(colors: list[str], share: float) -> list[int]:
    """Between the two neighboring colors of a scale."""
    at = share * (len(colors) - 1)
    one, other = hexed(colors[int(at)]), hexed(colors[min(int(at) + 1, len(colors) - 1)])
    return [round(a + (at - int(at)) * (b - a)) for a, b in zip(one, other, strict=True)]


def test_all_plots_are_tested():
    tested = CHARTS.keys() - {"many ablations", "no spectrum"}
    assert tested == set(plots.__all__) - {"frame", "picture", "progress"}  # progress gives several of measures


def test_every_chart_has_data_a_title_and_titled_axes():
    for name, draw in CHARTS.items():
        spec = draw().to_dict()
        assert sum(len(rows) for rows in spec["datasets"].values()) > 0, name
        json.dumps(spec, allow_nan=False)  # a browser cannot read NaN
        assert isinstance(spec.get("title"), str), name
        axes = [encoding[axis] for encoding in encodings(spec) for axis in ("x", "y") if axis in encoding]
        titles = [axis.get("title") for axis in axes]
        assert {"x", "y"} <= {axis for encoding in encodings(spec) for axis in encoding}, name
        assert sum(bool(title) for title in titles) >= 2, f"{name} has axes without a title: {titles}"
        assert "" not in titles, name


# ---- the numbers of a chart ----


def test_heatmap_values():
    for shape in [(1, 1), (3, 5), (P, P)]:
        matrix = noise(*shape)
        got = plots.frame(plots.heatmap(matrix, title="t", row="a", column="b", value="c"))
        assert got.columns.tolist() == ["row", "column", "value"]
        assert got["row"].tolist() == [row for row in range(shape[0]) for _ in range(shape[1])]
        assert got["column"].tolist() == [*range(shape[1])] * shape[0]
        back = torch.tensor(got["value"].to_numpy(), dtype=torch.float32).view(shape)
        assert torch.equal(back, matrix)


def test_heatmap_of_extreme_values():
    for values in [[[0.0, 1024.0], [-1e-9, 3e20]], [[float("nan"), 1.0], [float("inf"), -1.0]]]:
        matrix = torch.tensor(values)
        got = plots.frame(plots.heatmap(matrix, title="t", row="a", column="b", value="c", domain=(0, 1)))["value"]
        assert torch.equal(torch.tensor(got.to_numpy()).float().nan_to_num(7), matrix.flatten().nan_to_num(7))


def test_answers_over_training():
    early, late = torch.arange(25) == 3, torch.arange(25) != 3
    chart = plots.answers_over_training({10: early, 90: late}, SMALL, 5)
    got = plots.frame(chart)
    assert got.columns.tolist() == ["panel", "row", "column", "value"]
    assert got["panel"].unique().tolist() == ["step 10: 4% correct", "step 90: 96% correct"]
    test = (~SMALL.train_mask).int()
    for name, right in (("step 10: 4% correct", early), ("step 90: 96% correct", late)):
        codes = torch.where(right, 0, 2) + test
        assert got[got["panel"] == name]["value"].tolist() == codes.tolist()


def test_answers():
    correct = torch.arange(25) % 3 == 0
    chart = plots.answers(correct, SMALL, 5)
    labels = bare(chart)["layer"][1]["encoding"]["color"]["scale"]["domain"]
    shown = [labels[int(code)] for code in plots.frame(chart)["value"]]
    assert shown == [
        f"{'train' if train else 'test'}, {'correct' if right else 'wrong'}"
        for train, right in zip(SMALL.train_mask.tolist(), correct.tolist(), strict=True)
    ]


def test_pairs_that_a_task_leaves_out_are_named():
    task = ModularAddition(operation="div", p=5, train_fraction=0.4).build()
    correct = torch.arange(20) % 3 == 0
    for chart, n in ((plots.split(task, 5), 2), (plots.answers(correct, task, 5), 4)):
        labels = bare(chart)["layer"][1]["encoding"]["color"]["scale"]["domain"]
        assert (len(labels), labels[-1]) == (n + 1, "left out")
        codes = torch.tensor(plots.frame(chart)["value"].astype(int).tolist()).view(5, 5)
        assert (codes[:, 0] == n).all()
        assert (codes[:, 1:] < n).all()
    panels = plots.frame(plots.answers_over_training({3: correct}, task, 5))
    assert panels["value"].astype(int).tolist() == codes.flatten().tolist()


def test_class_balance():
    got = plots.frame(plots.class_balance(SMALL))
    counts = got.groupby(["split", "label"])["pairs"].sum()
    for name, mask in (("train", SMALL.train_mask), ("test", ~SMALL.train_mask)):
        assert counts[name].tolist() == SMALL.labels[mask].bincount(minlength=5).tolist()
    assert got["pairs"].sum() == 25


def test_loss_and_accuracy_curves():
    for draw, kind in [(plots.loss, "loss"), (plots.accuracy, "accuracy")]:
        expected = {split: [STEPS, METRICS[f"{split}_{kind}"].tolist()] for split in ("train", "test")}
        assert lines(draw(METRICS), "line", "step", "value") == expected
        assert bare(draw(METRICS, 400))["encoding"]["x"]["scale"]["domain"] == [0, 400]
        assert bare(draw(METRICS))["encoding"]["x"]["scale"]["domain"] == [0, 100]


def test_at_step():
    curves = plots.loss(METRICS, 400)
    chart = plots.at_step(curves, 10)
    assert plots.frame(chart).equals(plots.frame(curves))
    assert chart.layer[1].data["step"].tolist() == [10]
    assert (chart.title, chart.height) == (curves.title, curves.height)
    assert bare(chart) == bare(plots.at_step(plots.loss(METRICS[:2], 400), 100))
    assert bare(plots.at_step(curves, 0, "at"))["layer"][1]["encoding"]["x"]["field"] == "at"


def test_mark_cell():
    chart, marked = CHARTS["over_inputs"](), CHARTS["mark_cell"]()
    assert plots.frame(marked).columns.equals(plots.frame(chart).columns)
    *whole, rim, line = marked.layer
    assert len(whole) == len(chart.layer)
    assert rim.data.to_dict("list") == line.data.to_dict("list") == {"column": [3], "row": [2]}


def test_spectrum():
    values = replace(fourier.spectrum(waves(2)), key_frequencies=(2,))
    expected = {"cos": values.cos_norm.tolist(), "sin": values.sin_norm.tolist()}
    got = lines(plots.spectrum(values), "part", "frequency", "norm")
    assert got == {part: [[1, 2, 3, 4, 5, 6], norms] for part, norms in expected.items()}
    marks = plots.spectrum(values).layer[1].data
    assert marks["key"].tolist() == ["2"]
    assert marks["norm"].tolist() == [max(norms[1] for norms in expected.values())]


def test_the_area_of_a_circle_is_its_share_of_the_variance():
    """The embedding has frequency 2 alone."""
    got = plots.frame(plots.circles([fourier.circle(waves(2), 2), fourier.circle(waves(2), 3)]))
    dots = got[got["token"].notna()]
    radius = {k: np.hypot(part["x"] - i, part["y"]).mean() for i, (k, part) in enumerate(dots.groupby("k"))}
    assert radius[2] == pytest.approx(0.65, abs=0.01)
    assert radius[3] < radius[2]
    assert dots[dots["k"] == 2]["turn"].tolist() == pytest.approx([2 * n % 13 / 13 for n in range(13)])


def test_circle():
    values = fourier.circle(waves(2), 2)
    chart = plots.circle(values)
    got = plots.frame(chart)
    assert got["token"].tolist() == list(range(13))
    assert got[["x", "y"]].to_numpy().tolist() == values.xy.tolist()
    assert got["turn"].tolist() == [2 * n % 13 for n in range(13)]
    named = chart.layer[1].data
    assert 1 < len(named) <= 12
    assert set(named["token"] * 2 % 13 % 2) == {0}
    reach = chart.layer[2].data["x"].max()
    assert named[["x", "y"]].abs().to_numpy().max() < reach  # no label is clipped


def test_pattern():
    weights = noise(2, 3, 3)
    got = plots.frame(plots.pattern(weights, ["5", "5", "="]))
    assert got["weight"].tolist() == weights.flatten().tolist()
    assert got["query"].tolist() == [name for _ in range(2) for name in ("0: 5", "1: 5", "2: =") for _ in range(3)]
    assert got["key"].tolist() == ["0: 5", "1: 5", "2: ="] * 6
    assert got["head"].tolist() == ["head 0"] * 9 + ["head 1"] * 9


def test_power_over_training():
    power = noise(4, 6)
    got = plots.frame(plots.power_over_training(power, STEPS))
    assert got["power"].tolist() == power.flatten().tolist()
    assert got["step"].tolist() == [step for step in STEPS for _ in range(6)]
    assert got["frequency"].tolist() == [1, 2, 3, 4, 5, 6] * 4


# ---- live updates, and files ----


def test_new_values_change_only_the_data():
    for one, other in [
        *test_inside.LIVE,
        *test_curves.LIVE,
        (lambda: plots.answers(noise(25) > 0.5, SMALL, 5), lambda: plots.answers(noise(25) > 0.7, SMALL, 5)),
        (lambda: plots.split(SMALL, 5), lambda: plots.split(ModularAddition(p=5, seed=1).build(), 5)),
        (lambda: plots.loss(METRICS, 400), lambda: plots.loss(METRICS[:2], 400)),
        (lambda: plots.accuracy(METRICS, 400), lambda: plots.accuracy(METRICS[:2], 400)),
        (lambda: plots.weight_norm(METRICS, 400), lambda: plots.weight_norm(METRICS[:2], 400)),
        (lambda: plots.over_inputs(noise(5, 5), 0, "a"), lambda: plots.over_inputs(noise(5, 5).T, 0, "a")),
        (
            lambda: plots.spectrum(replace(fourier.spectrum(waves(2)), key_frequencies=(2,))),
            lambda: plots.spectrum(fourier.spectrum(noise(13, 6))),  # without any key frequency
        ),
    ]:
        before, after = one().to_dict(), other().to_dict()
        assert bare(before) == bare(after)
        assert before["datasets"] != after["datasets"]


def test_heatmap_cells_are_whole_pixels():
    for shape in [(1, 1), (5, 5), (P, P), (P, 3)]:
        spec = bare(plots.heatmap(noise(*shape), title="t", row="a", column="b", value="c"))
        cell = spec["width"] // shape[1]
        assert cell >= 1
        assert (spec["width"], spec["height"]) == (cell * shape[1], cell * shape[0])
        (chosen,) = [param for param in spec["params"] if param["name"] == CELL]
        assert chosen["select"]["fields"] == ["row", "column"]


def test_diverging_heatmap_is_centered_on_zero():
    matrix = torch.tensor([[-3.0, 1.0]])
    chart = plots.heatmap(matrix, title="t", row="a", column="b", value="c", diverging=True)
    assert chart.layer[1].data["value"].tolist() == [-3, 3]
    assert pixels(chart)[0].tolist() == [hexed(BLUE_ORANGE[0]), _mixed(BLUE_ORANGE, 2 / 3)]


def test_heatmap_pixels():
    matrix = torch.tensor([[0.0, 1.0, 0.5], [0.25, float("nan"), 2.0]])
    chart = plots.heatmap(matrix, title="t", row="a", column="b", value="c", domain=(0, 1))
    got = pixels(chart)
    assert got[0].tolist() == [hexed(VIRIDIS[0]), hexed(VIRIDIS[-1]), _mixed(VIRIDIS, 0.5)]
    assert got[1, 0].tolist() == _mixed(VIRIDIS, 0.25)
    assert got[1, 1].tolist() == [0, 0, 0, 0]  # no number, no color
    assert got[1, 2].tolist() == hexed(VIRIDIS[-1])
    assert bare(chart)["layer"][1]["encoding"]["color"]["scale"]["range"] == VIRIDIS


def test_split():
    assert plots.frame(plots.split(TASK, P))["value"].tolist() == TASK.train_mask.int().tolist()
    got = pixels(plots.split(SMALL, 5)).reshape(25, 4)
    assert got.tolist() == [hexed(TRAIN if train else MUTED) for train in SMALL.train_mask.tolist()]


def test_chart_as_png_and_svg():
    chart = CHARTS["heatmap"]()
    image = Image.open(io.BytesIO(plots.picture(chart, "png")))
    assert image.format == "PNG"
    assert min(image.size) > 300
    assert len(image.convert("RGB").getcolors(2**24) or []) > 20  # not an empty page
    drawing = plots.picture(chart, "svg").decode()
    assert drawing.startswith("<svg")
    assert chart.to_dict()["title"] in drawing


def test_layers_share_axis_titles():
    texts = re.findall(r"<text[^>]*>([^<]*)</text>", drawn(CHARTS["spectrum"]()))
    assert {"frequency k", "amplitude", "Spectrum of the embedding", "2"} <= set(texts)
    assert not any("," in text for text in texts)  # Vega-Lite joins titles that differ with a comma
