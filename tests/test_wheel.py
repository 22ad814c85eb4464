"""The built wheel, installed outside a checkout."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
USE = """
import json
import miii
assert "installed" in miii.__file__, miii.__file__
config = miii.RunConfig(task={"p": 11}, model={"d_model": 8, "n_heads": 2, "d_mlp": 16}, steps=3, device="cpu")
run = miii.runs.record("runs/mine", miii.train(config))
found = {"commit": run.provenance["commit"], "verdict": miii.analysis.verdict.analyze(run.model(), run.task()).verdict}
for name in miii.__all__:
    getattr(miii, name)
for name in ("open", "shipped"):
    try:
        getattr(miii.runs, name)("add-113")
    except miii.InputError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def run(*command: str | Path, cwd: Path, fails: bool = False, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=os.environ | more)
    assert bool(done.returncode) == fails, done.stderr
    return done


@pytest.mark.slow
def test_an_installed_wheel_trains_analyzes_and_exports(tmp_path):
    source, installed, place = tmp_path / "source", tmp_path / "installed", tmp_path / "elsewhere"
    place.mkdir()
    shutil.copytree(ROOT / "miii", source / "miii", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-deps", "-w", tmp_path / "wheel", source, cwd=place)
    run(*pip, "install", "--no-deps", "--target", installed, *(tmp_path / "wheel").iterdir(), cwd=place)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)  # not miii's: its commit must not be recorded
    path = {"PYTHONPATH": str(installed)}

    found = json.loads(run(sys.executable, "-c", USE, cwd=place, **path).stdout)
    assert found["commit"] is None
    assert found["verdict"] == "none"
    for name in ("open", "shipped"):
        assert "checkpoints/ of https://github.com/syrkis/miii" in found[name]
    miii = [sys.executable, "-m", "miii.cli"]
    run(*miii, "analyze", "mine", cwd=place, **path)
    run(*miii, "export-weights", "mine", "--out", "mine.safetensors", cwd=place, **path)
    failed = run(*miii, "export", "mine", "--to", "html", "--out", "mine.html", cwd=place, fails=True, **path)
    assert "run it in a checkout of https://github.com/syrkis/miii" in failed.stderr
