"""Write the example notebooks: ``python examples/make.py``. ``miii export`` writes two of them; one is written here."""

import subprocess
import sys
import tempfile
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

HERE = Path(__file__).parent
EXPORTED = {"formula": "add-113", "sieve": "primes-10"}  #: page and run, in a notebook named after the page
COLAB = "https://colab.research.google.com/github/syrkis/miii/blob/main/examples"
BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
#: The first cell. The repository goes into a folder with another name, or Python would take the folder for the package.
INSTALL = """\
# On Colab: install miii and fetch the shipped runs.
import importlib.util
import os

if importlib.util.find_spec("miii") is None:
    !git clone -q --depth 1 https://github.com/syrkis/miii miii-repository
    %pip install -q ./miii-repository
    os.environ["MIII_RUNS"] = "miii-repository/checkpoints\""""

#: The third notebook. Markdown starts with a heading.
TRAIN = [
    """# Train a network, look inside, verify

A small transformer learns to add modulo 59. It memorizes first, then groks.""",
    """import miii
from miii import analysis, plots

config = miii.RunConfig(task=miii.ModularAddition(p=59, train_fraction=0.5))
run = miii.runs.record(miii.runs.new_folder(config), miii.train(config))
plots.accuracy(run.metrics())""",
    """## Look inside

The embedding has power at a few frequencies only. Each is a circle with the 59 numbers on it.""",
    """model, task = run.model(), run.task()
spectrum = analysis.fourier.embedding_spectrum(model)
print(spectrum.key_frequencies)
plots.spectrum(spectrum)""",
    """plots.circle(analysis.fourier.circle(model.W_E[:59], spectrum.key_frequencies[0]))""",
    """## Verify

Test accuracy does not show how the network adds. The verdict does: a formula is fitted on half of the pairs
and checked on the other half, and rotating the circles by *s* must shift the prediction by *s*.""",
    """report = analysis.verdict.analyze(model, task)
print(report.verdict, f"R² {report.logit_variance_explained:.3f}", f"steering {report.steering_accuracy:.3f}")""",
    """## A control

Shuffled labels leave nothing to learn but the training pairs. The verdict must not be *modular addition*.""",
    """config = miii.RunConfig(task=miii.ModularAddition(operation="shuffled", p=59, train_fraction=0.5), steps=200)
control = miii.runs.record(miii.runs.new_folder(config), miii.train(config))
analysis.verdict.analyze(control.model(), control.task()).verdict""",
]


def main() -> None:
    """Write all notebooks into this folder."""
    for page, run in EXPORTED.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "exported.ipynb"
            options = ["--to", "notebook", "--page", page, "--out", str(file)]
            subprocess.run([sys.executable, "-m", "miii.cli", "export", run, *options], check=True, cwd=HERE.parent)
            write(page, without_link(nbformat.read(file, as_version=4)))
    cells = [new_markdown_cell(text) if text.startswith("#") else new_code_cell(text) for text in TRAIN]
    write("train", new_notebook(cells=cells))


def without_link(notebook: nbformat.NotebookNode) -> nbformat.NotebookNode:
    """Return the notebook without its link to the app, which runs on nobody else's machine."""
    lines = notebook.cells[0].source.splitlines(keepends=True)
    notebook.cells[0].source = "".join(line for line in lines if not line.startswith("[This page in the app]"))
    return notebook


def write(name: str, notebook: nbformat.NotebookNode) -> None:
    """Write a notebook with the Colab badge and the cell that installs miii in front."""
    badge = new_markdown_cell(f"[![Open in Colab]({BADGE})]({COLAB}/{name}.ipynb)")
    notebook.cells = [badge, new_code_cell(INSTALL), *notebook.cells]
    for i, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{i}"  # nbformat's own are random
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (HERE / f"{name}.ipynb").write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
