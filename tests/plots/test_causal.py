"""Charts of heads, ablations and patches: their numbers, and that a browser can draw them."""

import json
import math

import pytest
import torch
from plot_checks import encodings, noise

import miii
from miii import analysis, plots
from miii.analysis.causal.ablation import Ablations
from miii.analysis.causal.direct import Contributions
from miii.analysis.causal.patching import Patch, Sweep

NAMES = ["a", "b", "="]


def ablations(n: int, kind: str = "mean", loss: torch.Tensor | None = None) -> Ablations:
    loss = noise(n).exp().double() if loss is None else loss
    return Ablations("head", kind, tuple(f"0.{i}" for i in range(n)), loss, torch.rand(n).double(), 0.5, 0.875)


PATCHES = Sweep(
    (
        Patch("embed", None, 0, None, 0.5),
        Patch("z", 0, 2, None, 1.25),
        Patch("z", 0, 2, 1, -0.25),
        Patch("z", 0, 1, 1, 0.0),
    ),
    3.0,
    -3.0,
)
CHARTS = {
    "ablation": lambda: plots.ablation(ablations(4)),
    "many ablations": lambda: plots.ablation(ablations(100)),
    "attention_spectrum": lambda: plots.attention_spectrum(noise(6, 6).square(), 1, "a"),
    "no spectrum": lambda: plots.attention_spectrum(torch.zeros(6, 6), 1, "a"),
    "contributions": lambda: plots.contributions(Contributions(("embedding", "head 0.0"), noise(2, 9))),
    "ov": lambda: plots.ov(noise(8, 7), 0),
    "patching": lambda: plots.patching(PATCHES, NAMES),
    "qk": lambda: plots.qk(noise(8, 8), 0),
    "token_scores": lambda: plots.token_scores(noise(2, 7), ["a", "b"], 0),
}


# ---- heads ----


def test_qk_rows_are_centered():
    scores = noise(8, 8)
    shown = torch.tensor(plots.frame(plots.qk(scores + 100 * noise(8, 1), 0))["value"].to_numpy()).float().view(8, 8)
    torch.testing.assert_close(shown, scores - scores.mean(1, keepdim=True), atol=1e-4, rtol=0)
    for chart in (plots.ov, plots.qk):
        low, high = chart(noise(8, 8), 0).layer[1].data["value"]
        assert low == -high < 0
    assert CHARTS["no spectrum"]().layer[1].data["value"].tolist() == [0, 1]


def test_token_scores():
    scores = noise(2, 7)
    frame = plots.frame(plots.token_scores(scores, ["a", "b"], 3))
    assert frame["position"].tolist() == ["a"] * 7 + ["b"] * 7
    assert frame["token"].tolist() == [*range(7)] * 2
    assert frame["score"].tolist() == scores.flatten().tolist()


def test_contributions(adder):
    task = miii.ModularAddition(p=11).build()
    values = analysis.direct.contributions(adder(11, (2, 3)), task.tokens, task.labels)
    frame = plots.frame(plots.contributions(values))
    assert frame["part"].tolist() == ["embedding", "head 0.0", "MLP 0", "biases"]
    assert frame["logit"].tolist() == values.mean().tolist()
    assert frame["deviation"].tolist() == pytest.approx(values.values.std(1, correction=0).tolist())


# ---- ablations ----


def test_ablation():
    values = ablations(4)
    frame = plots.frame(plots.ablation(values))
    assert frame["name"].tolist() == list(values.names)
    assert frame["loss"].tolist() == values.loss.tolist()
    assert frame["accuracy"].tolist() == values.accuracy.tolist()
    assert set(frame["baseline"]) == {0.5}
    (said,) = plots.ablation(values).layer[2].data["whole"]
    assert "0.5 nats" in said
    assert "87.5%" in said
    for kind, word in [("zero", "zero"), ("mean", "its mean"), ("interchange", "interchanged"), ("removed", "removed")]:
        assert word in plots.ablation(ablations(2, kind)).to_dict()["title"]


def test_many_ablations_are_sorted():
    values = ablations(100)
    frame = plots.frame(plots.ablation(values))
    assert frame["loss"].tolist() == values.loss.sort(descending=True).values.tolist()
    assert frame["rank"].tolist() == list(range(1, 101))
    assert dict(zip(frame["name"], frame["loss"], strict=True)) == dict(
        zip(values.names, values.loss.tolist(), strict=True)
    )


def test_zero_loss_on_the_log_axis_of_ablations():
    chart = plots.ablation(ablations(2, loss=torch.tensor([0.0, 1.0]).double()))
    assert plots.frame(chart)["loss"].tolist() == [0.0, 1.0]
    spec = chart.to_dict()
    calculated = [step["calculate"] for layer in spec["layer"] for step in layer.get("transform", [])]
    assert len(calculated) == 4
    assert all("max(1e-12" in text for text in calculated)
    ys = [encoding["y"] for encoding in encodings(spec) if "field" in encoding.get("y", {})]
    assert all("_shown" in y["field"] and y["scale"]["type"] == "log" for y in ys)


# ---- patches ----


def test_patching_by_site_or_head():
    whole = plots.frame(plots.patching(PATCHES, NAMES))
    assert whole.to_numpy().tolist() == [["embed", "0: a", 0.5], ["0.z", "2: =", 1.25]]
    heads = plots.frame(plots.patching(PATCHES, NAMES, by_head=True, title="Heads"))
    assert heads.to_numpy().tolist() == [["0.z head 1", "2: =", -0.25], ["0.z head 1", "1: b", 0.0]]
    assert plots.patching(PATCHES, NAMES, title="Heads").to_dict()["title"] == "Heads"
    for by_head in (False, True):  # one has a value above 1, the other one below 0
        spec = plots.patching(PATCHES, NAMES, by_head=by_head).to_dict()
        scale = next(e["color"]["scale"] for e in encodings(spec) if "color" in e)
        assert (scale["domain"], scale["clamp"]) == ([0, 1], True)


def test_nan_patches_have_no_text():
    for values in [(math.nan, math.nan), (math.nan, 0.5)]:
        sweep = Sweep(tuple(Patch("embed", None, pos, None, value) for pos, value in enumerate(values)), 0.0, 0.0)
        spec = plots.patching(sweep, NAMES).to_dict()
        json.dumps(spec, allow_nan=False)
        assert next(e["color"]["scale"]["domain"] for e in encodings(spec) if "color" in e) == [0, 1]
        texts = next(layer for layer in spec["layer"] if layer["mark"]["type"] == "text")
        assert texts["transform"] == [{"filter": "isValid(datum.value)"}]
