"""What the tests of exports share: runs to open by name, and a kernel to run notebooks in."""

import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import nbclient
import nbformat
import pytest
from safetensors.torch import save_file

import miii
from miii import runs
from miii.notebook.cells import Page

ROOT = Path(__file__).parents[2]
WIDE = {"view": {"continuousWidth": 640}}  # the theme of an exported notebook


@pytest.fixture
def small(small_run, home) -> runs.Run:
    """A finished run that is found by its name."""
    return runs.open(shutil.copytree(small_run.folder, home / "small"))


@pytest.fixture
def charts(tmp_path, monkeypatch, home) -> Callable[[nbformat.NotebookNode], list[list[dict[str, Any]]]]:
    """Run a notebook in a fresh kernel and an empty folder: the Vega-Lite that each code cell shows."""
    for name in ("JUPYTER_DATA_DIR", "JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):  # not the user's
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "empty").mkdir()

    def run(notebook: nbformat.NotebookNode) -> list[list[dict[str, Any]]]:
        nbformat.validate(notebook)
        client = nbclient.NotebookClient(notebook, timeout=120, resources={"metadata": {"path": tmp_path / "empty"}})
        ran = client.execute()
        return [[_spec(output) for output in cell.outputs] for cell in ran.cells if cell.cell_type == "code"]

    return run


@pytest.fixture(scope="session")
def made() -> Callable[[Page], list[list[dict[str, Any]]]]:
    """The Vega-Lite of each figure of a page, made here, as a notebook shows it."""

    def make(page: Page) -> list[list[dict[str, Any]]]:
        charts = [figure.make(**figure.arguments) for figure in page.figures]
        several = [chart if isinstance(chart, tuple) else (chart,) for chart in charts]
        with alt.data_transformers.disable_max_rows():
            return [[_alike(chart.to_dict() | {"config": WIDE}) for chart in one] for one in several]

    return make


@pytest.fixture(scope="session")
def adding(small_config, adder, tmp_path_factory) -> Path:
    """The folder of a run whose last network adds on circles. Shared: never write into it."""
    folder = tmp_path_factory.mktemp("shared") / "adds"
    shape = {"d_model": 8, "n_heads": 2, "d_mlp": 6, "biases": "none"}
    runs.record(folder, miii.train(small_config(task={"p": 11}, model=shape, steps=30, snapshots=3)))
    save_file(adder(11, (2, 3), n_heads=2).state_dict(), folder / "snapshots" / "30.safetensors")
    return folder


@pytest.fixture
def adds(home, adding, monkeypatch) -> runs.Run:
    """The run of ``adding``, found by its name, by the app too."""
    monkeypatch.syspath_prepend(ROOT)
    return runs.open(shutil.copytree(adding, home / "adds"))


def _spec(output: nbformat.NotebookNode) -> dict[str, Any]:
    """The Vega-Lite within an output of altair's; anything else that a cell prints is an error."""
    assert output.output_type in ("execute_result", "display_data"), output
    script = output.data["text/html"]
    begin = script.index("})({") + 3
    return _alike(json.JSONDecoder().raw_decode(script[begin:])[0])


def _alike(spec: dict[str, Any]) -> dict[str, Any]:
    """Vega-Lite without the names that altair gives to views, which depend on the theme."""
    return json.loads(re.sub(r'"view_\w+"', '"view"', json.dumps(spec)))
