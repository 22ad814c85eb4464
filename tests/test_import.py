"""Modules that importing miii loads, each asked of a fresh interpreter."""

import importlib.metadata
import json
import subprocess
import sys

import pytest

import miii

FOR_CHARTS_AND_FORMULAS = {"altair", "pandas", "scipy", "sklearn", "streamlit", "sympy"}
HEAVY = {*FOR_CHARTS_AND_FORMULAS, "torch", "pydantic", "tyro", "rich", "safetensors", "filelock"}


def modules_after(*codes: str) -> list[set[str]]:
    """The top-level modules loaded after each of these pieces of code, which run one after another."""
    ask = "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    script = "".join(code + ask for code in codes)
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [set(json.loads(line)) for line in done.stdout.splitlines() if line.startswith("[")]


EVERYTHING = """
import importlib, pkgutil, miii
for module in pkgutil.walk_packages(miii.__path__, "miii."):
    importlib.import_module(module.name)
for name in miii.__all__:
    getattr(miii, name)
"""


def test_importing_miii_loads_nothing_heavy():
    (loaded,) = modules_after("import miii")
    assert loaded & HEAVY == set()


VERDICT = """
from miii import ModelConfig, ModularAddition, RunConfig, Transformer, analysis, capture, foreign, runs, train
model = Transformer(ModelConfig(d_model=8, n_heads=2, d_mlp=6), d_vocab=12, d_vocab_out=11, n_ctx=3, seed=0)
task = ModularAddition(p=11).build()
assert analysis.verdict.analyze(model, task).verdict == "none"
assert analysis.circuits.find(model, task, "eap").edges
"""


def test_a_verdict_loads_nothing_for_charts_and_no_module_loads_streamlit():
    verdict, everything = modules_after(VERDICT, EVERYTHING)
    assert verdict & {*FOR_CHARTS_AND_FORMULAS, "tyro", "rich"} == set()
    assert "altair" in everything  # everything was imported
    assert "streamlit" not in everything


def test_every_public_name_can_be_imported():
    for name in miii.__all__:
        assert getattr(miii, name) is not None
        assert name in dir(miii)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        miii.nothing  # noqa: B018


def test_public_names_are_the_same_objects():
    from miii.tasks import ModularAddition
    from miii.training.config import RunConfig

    assert miii.RunConfig is RunConfig
    assert miii.ModularAddition is ModularAddition


def test_the_version_is_the_installed_one():
    assert miii.__version__ == importlib.metadata.version("miii")
