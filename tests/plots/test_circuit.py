"""Circuits as pictures: every edge drawn where it belongs, and paths that can be followed."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
import torch

import miii
from miii import plots as draw
from miii.analysis.causal import circuits
from miii.plots.export import frame

METHODS = tuple(circuits.METHODS)


def model(n_layers: int, **changes) -> miii.Transformer:
    config = miii.ModelConfig(n_layers=n_layers, d_model=12, n_heads=2, d_mlp=10, **changes)
    return miii.Transformer(config, d_vocab=6, d_vocab_out=5, n_ctx=3, seed=0)


TASK = miii.ModularAddition(p=5, train_fraction=0.5).build()


@pytest.fixture(scope="module")
def found() -> dict[str, circuits.Circuit]:
    """By method, circuits of one network of one layer; "deep" is of one with two."""
    result = {name: circuits.find(model(1), TASK, name, examples=6) for name in METHODS}
    return result | {"deep": circuits.find(model(2, causal=False), TASK, "eap", examples=6)}


@pytest.fixture(scope="module")
def whole(found):
    """Charts of all edges of two circuits."""
    return {name: draw.circuit(found[name], len(found[name].edges)) for name in ("exact", "deep")}


def layer(chart, n: int):
    """The data of one of the chart's layers: 0 lines, 2 boxes, 4 the letters of a head's inputs."""
    return chart.layer[n].data


# ---- the graph ----


def test_circuit_edges_and_scores(found):
    for name, n in [("exact", 1), ("exact", 7), ("exact", 21), ("deep", 21), *((name, 7) for name in METHODS)]:
        circuit = found[name]
        rows = frame(draw.circuit(circuit, n)).drop_duplicates("item")
        assert rows["item"].tolist() == [edge.name for edge in circuit.edges[:n]]
        assert rows["score"].tolist() == list(circuit.scores[:n])
        assert rows["rank"].tolist() == list(range(1, n + 1))
        signs = ["works against it" if score < 0 else "helps the answer" for score in circuit.scores[:n]]
        assert rows["sign"].tolist() == signs
    title = draw.circuit(found["exact"], 21).to_dict()["title"]
    assert title == "The 21 most important of 21 edges (exact): f = 1.00"
    without = replace(found["exact"].faithfulness, f=None, cpr=None, cmd=None)
    assert "f =" not in draw.circuit(replace(found["exact"], faithfulness=without), 3).to_dict()["title"]
    for names, shown in ((["a", "b", "="], "['a', 'b', '=']"), (None, "['0', '1', '2']")):
        assert shown in json.dumps(draw.circuit(found["exact"], 5, names).to_dict())


def points(row) -> np.ndarray:
    return np.array([[float(v) for v in row[name].split()] for name in ("xs", "ys")]).T


def test_lines_run_upwards_from_source_to_reader_and_around_boxes(found, whole):
    for name, chart in whole.items():
        boxes = layer(chart, 2)
        of, ports = boxes.set_index("item"), layer(chart, 4).set_index(["item", "label"])["x"]
        edges = {edge.name: edge for edge in found[name].edges}
        assert set(frame(chart)["item"]) == set(edges)
        spec = chart.to_dict()["layer"][2]["encoding"]
        for axis, ends in (("x", ("x", "x2")), ("y", ("y", "y2"))):
            low, high = spec[axis]["scale"]["domain"]
            assert low < boxes[ends[0]].min()
            assert boxes[ends[1]].max() < high
        for a, b in itertools.combinations(boxes.itertuples(), 2):
            assert a.x2 < b.x or b.x2 < a.x or a.y2 < b.y or b.y2 < a.y, (a.item, b.item)
        for _, row in frame(chart).iterrows():
            edge, path = edges[row["item"]], points(row)
            source, target = of.loc[edge.source.name], of.loc[row["to"]]
            assert source["x"] <= path[0, 0] <= source["x2"]
            assert path[[0, -1], 1] == pytest.approx([source["y2"], target["y"]], abs=1e-3)
            assert (np.diff(path[:, 1]) > 0).all()
            if edge.which:
                assert path[-1, 0] == pytest.approx(ports[row["to"], edge.which], abs=1e-3)
            else:
                assert target["x"] <= path[-1, 0] <= target["x2"]
            for x, y in path[1:-1]:  # where it passes other depths
                assert 0 < x < spec["x"]["scale"]["domain"][1]
                hit = boxes[(boxes.x < x) & (x < boxes.x2) & (boxes.y - 0.05 < y) & (y < boxes.y2 + 0.05)]
                assert hit.empty, (row["item"], hit["item"].tolist())


def test_early_keys_are_drawn_to_all_reading_positions(whole):
    ends = frame(whole["deep"]).groupby("item")["to"].agg(sorted)
    assert ends["embed@1 -> 0.h1.k@1"] == ["0.h1@0", "0.h1@1", "0.h1@2"]
    assert ends["embed@1 -> 1.h1.k@1"] == ["1.h1@2"]
    assert ends["embed@1 -> 0.h1.q@1"] == ["0.h1@1"]


def test_paths_for_highlighting(whole):
    """The browser fades whatever does not name, in ``through``, what is under the pointer."""
    chart = whole["exact"]
    rows = {row["item"]: row["through"] for n in (0, 2) for _, row in layer(chart, n).iterrows()}

    def lit(item: str) -> set[str]:
        return {name for name, through in rows.items() if f"|{item}|" in through}

    assert lit("embed@2 -> logits@2") == {"embed@2", "embed@2 -> logits@2", "logits@2"}
    onward = {"0.h1@2", "0.h1@2 -> 0.mlp@2", "0.h1@2 -> logits@2", "0.mlp@2", "0.mlp@2 -> logits@2", "logits@2"}
    assert lit("embed@0 -> 0.h1.v@0") == {"embed@0", "embed@0 -> 0.h1.v@0"} | onward
    into = {f"embed@{p} -> 0.h1.{which}@{p}" for p in range(3) for which in "kv"} | {"embed@2 -> 0.h1.q@2"}
    assert lit("0.h1@2") == {"embed@0", "embed@1", "embed@2"} | into | onward
    assert lit("logits@2") == set(rows)


def test_invalid_input_is_an_error(found, one_sentence):
    for n in (0, 22):
        with one_sentence("n_edges", "1 .. 21", str(n)):
            draw.circuit(found["exact"], n)
    with one_sentence("names", "3 positions", "2"):
        draw.circuit(found["exact"], 3, ["a", "b"])


def test_zero_scores_are_drawn():
    flat = model(1)
    with torch.no_grad():
        flat.W_U.zero_()
    nothing = circuits.find(flat, TASK, examples=6)
    for chart in (draw.circuit(nothing, 21), draw.faithfulness([nothing]), draw.edge_agreement(nothing, nothing)):
        json.dumps(chart.to_dict(), allow_nan=False)


# ---- curves and scores ----


def test_faithfulness_curves(found):
    chosen = [found[name] for name in METHODS]
    rows = frame(draw.faithfulness(chosen))
    for circuit in chosen:
        of = rows[rows["method"] == circuit.method]
        assert of["edges"].tolist() == list(circuit.faithfulness.n_edges)
        assert of["f"].tolist() == list(circuit.faithfulness.f)


def test_edge_agreement(found):
    for name in METHODS:
        rows = frame(draw.edge_agreement(found[name], found["exact"])).set_index("edge")
        for circuit, column in ((found["exact"], "true"), (found[name], "found")):
            assert {e.name: s for e, s in zip(circuit.edges, circuit.scores, strict=True)} == rows[column].to_dict()
        assert rows["read as"].value_counts().to_dict() == {"query": 2, "key": 6, "value": 6, "MLP": 3, "logits": 4}


def test_line_of_equality_needs_one_unit(found):
    for name in METHODS:
        chart = draw.edge_agreement(found[name], found["exact"])
        assert len(chart.layer) == (1 if name == "acdc" else 2)
        axes = chart.to_dict()["layer"][0]["encoding"]
        assert axes["x"]["title"] == "exact, logits"
        assert axes["y"]["title"] == f"{name}, {'nats' if name == 'acdc' else 'logits'}"
        scores = {"x": found["exact"].scores, "y": found[name].scores}
        for axis, values in scores.items():
            low, high = axes[axis]["scale"]["domain"]
            assert low < min(values) <= max(values) < high
            ticks = axes[axis]["axis"]["values"]
            assert 0 in ticks
            assert all(low <= tick <= high for tick in ticks)
        if name != "acdc":
            assert axes["x"]["scale"] == axes["y"]["scale"]
