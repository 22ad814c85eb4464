"""A chart as it is sent: the same specification whatever its numbers, which go as Arrow."""

import importlib
import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import torch

from miii import plots


@pytest.fixture
def drawing(server) -> Any:
    return importlib.import_module("pages._kit.draw").drawing


def heatmap(seed: int) -> plots.style.Chart:
    matrix = torch.randn(3, 4, generator=torch.Generator().manual_seed(seed))
    return plots.heatmap(matrix, title="A matrix", row="row", column="column", value="value")


def rows(data: bytes) -> list[dict[str, Any]]:
    return pa.ipc.open_stream(data).read_pandas().to_dict("records")


@pytest.mark.parametrize("make", [heatmap, lambda seed: plots.loss(metrics(seed))], ids=["heatmap", "lines"])
def test_other_numbers_are_the_same_chart_with_other_data(drawing, make):
    one, other = drawing(make(0)), drawing(make(1))
    assert one.spec == other.spec
    assert list(one.data) == [f"data-{i}" for i in range(len(one.data))]
    assert one.data != other.data
    assert json.loads(one.spec)["usermeta"]["embedOptions"]["renderer"] == "canvas"
    assert sorted(map(rows_of, make(0).to_dict()["datasets"].values())) == sorted(
        rows_of(rows(data)) for data in one.data.values()
    )


def rows_of(values: list[dict[str, Any]]) -> str:
    return pd.DataFrame(values).to_csv(index=False)


def metrics(seed: int) -> pd.DataFrame:
    loss = torch.rand(3, generator=torch.Generator().manual_seed(seed)).tolist()
    return pd.DataFrame({"step": [0, 1, 2], "train_loss": loss, "test_loss": loss[::-1]})


def test_every_name_in_a_specification_has_its_data(adding, visit):
    for page in ("fourier", "neurons", "attention", "formula"):
        for chart in visit(page, run="adding").get("vega_lite_chart"):
            spec = json.loads(chart.proto.spec)
            assert "datasets" not in spec
            assert spec["usermeta"]
            assert set(named(spec)) == {dataset.name for dataset in chart.proto.datasets}


#: Graphs of other edges, and axes as long as the largest score.
REDRAWN = ("Circuit", "Score of each edge")


@pytest.mark.parametrize("page", ["fourier", "neurons", "attention", "formula", "progress", "circuits"])
def test_from_step_to_step_a_page_s_charts_are_the_same_with_other_numbers(adding, visit, page):
    """Vega changes the numbers of a chart in place; if anything else differs, it compiles the chart anew."""
    query = {"run": "adding", "circles": "2", "frequency": "2", "neuron": 0}
    early, late = (sent(visit(page, **query, step=step)) for step in adding.steps[-2:])
    alike = set(early) & set(late)
    assert alike
    assert not [title for title in alike if early[title] != late[title] and not title.startswith(REDRAWN)]


def sent(at: Any) -> dict[str, tuple[str, str]]:
    """The specification and the description of each chart of a page, by its title."""
    protos = [chart.proto for chart in at.get("vega_lite_chart")]
    return {json.loads(proto.spec)["title"]: (proto.spec, proto.alt) for proto in protos}


def named(value: Any) -> list[str]:
    """The data that a specification asks for by name."""
    below = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value["data"]["name"]] if isinstance(value, dict) and isinstance(value.get("data"), dict) else []
    return own + [name for each in below for name in named(each)]
