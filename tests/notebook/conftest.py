"""What the tests of exports share: a run to open by its name, and a kernel to run notebooks in."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest

from miii import runs

ROOT = Path(__file__).parents[2]


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


def _spec(output: nbformat.NotebookNode) -> dict[str, Any]:
    """The Vega-Lite within an output of altair's; anything else that a cell prints is an error."""
    assert output.output_type in ("execute_result", "display_data"), output
    script = output.data["text/html"]
    begin = script.index("})({") + 3
    return json.JSONDecoder().raw_decode(script[begin:])[0]
