"""The documentation: the site builds, README is short and its script runs, links lead somewhere, examples execute."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from miii import cli
from pages._kit import headless

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
EXAMPLES = sorted((ROOT / "examples").glob("*.ipynb"))


@pytest.mark.slow
def test_the_site_builds_strictly_and_covers_every_command(tmp_path):
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "--strict", "--site-dir", tmp_path]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    commands = (tmp_path / "reference" / "cli" / "index.html").read_text(encoding="utf-8")
    for name, (options, _) in cli.COMMANDS.items():
        assert f'id="miii-{name}"' in commands
        assert options.__doc__.partition("\n")[0][:40] in commands
    api = (tmp_path / "reference" / "api" / "analysis" / "index.html").read_text(encoding="utf-8")
    assert 'id="miii.analysis' in api
    for page in tmp_path.rglob("*.html"):  # nothing is loaded from another server
        assert not re.search(
            r'<(?:script|link rel="stylesheet"|img)[^>]* (?:src|href)="https?:', page.read_text("utf-8")
        )


def test_readme_is_short_and_names_every_page():
    assert len(README.encode()) <= 6 * 1024
    titles = re.findall(r"^\| ([A-Z][\w ]+) \|", README, re.MULTILINE)
    assert len(titles) == len(headless.pages())


def test_links_in_markdown_lead_to_files():
    for file in (*ROOT.glob("*.md"), ROOT / "examples" / "README.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", file.read_text(encoding="utf-8")):
            assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_the_script_in_readme_runs(tmp_path, monkeypatch, capsys):
    (script,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    quick = script.replace("p=113, seed=1)", "p=23), steps=20")  # whether it groks is tested elsewhere
    exec(quick, {})
    assert capsys.readouterr().out.count("\n") == 1
    assert (tmp_path / "spectrum.html").exists()


def test_examples_open_on_colab_without_outputs():
    assert len(EXAMPLES) == 3
    for file in EXAMPLES:
        notebook = nbformat.read(file, as_version=4)
        nbformat.validate(notebook)
        assert (
            f"colab.research.google.com/github/syrkis/miii/blob/main/examples/{file.name}" in notebook.cells[0].source
        )
        assert "%pip install" in notebook.cells[1].source
        assert not any(cell.get("outputs") for cell in notebook.cells)
        assert "localhost" not in str(notebook)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["train", "formula", "sieve"])
def test_an_example_runs(tmp_path, monkeypatch, name):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(ROOT / "examples" / f"{name}.ipynb", as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert any("vega" in str(output) for cell in notebook.cells for output in cell.get("outputs", ()))
    if name == "train":
        texts = [output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", ())]
        assert any(text.startswith("modular addition") for text in texts)
        assert "modular addition" not in notebook.cells[-1].outputs[0].data["text/plain"]
