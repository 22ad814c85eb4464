"""Every page of the app, exported and run: the notebook shows the very charts of the page."""

import importlib
from pathlib import Path

import pytest

import miii
from miii import runs
from miii.notebook.build import notebook

ROOT = Path(__file__).parents[2]
PAGES = sorted(path.stem for path in (ROOT / "pages").glob("*.py"))
TASKS = {
    "primes": miii.Primes(low=100, high=999),
    "residues": miii.Residues(p=11),
    "miu": miii.MIU(longest=6, longest_test=8, n=100),
    "frames": miii.Frames(low=100, high=399, frames=3, largest_step=3),
}
#: Pages that show nothing of modular arithmetic, and the runs that they show.
FITTING = [("sieve", "primes"), ("sieve", "residues"), ("sieve", "miu"), ("frames", "frames")]


@pytest.mark.slow
def test_one_notebook_of_all_pages_shows_their_charts(adds, home, charts, made, one_sentence):
    for name, task in TASKS.items():
        small = {"model": {"d_model": 8, "n_heads": 2, "d_mlp": 16}, "steps": 2, "eval_every": 1, "snapshots": 2}
        runs.record(home / name, miii.train(miii.recipe(task=task, batch_size=None, threads=1, **small)))
    record = importlib.import_module("pages._kit.headless").record
    with one_sentence("no figure"):
        record("runs", "adds")
    others = [(page, "adds") for page in PAGES if page not in ("runs", *dict(FITTING))]
    shown = [record(page, run) for page, run in (*others, *FITTING)]
    assert [page.run for page in shown[-4:]] == [run for _, run in FITTING]
    assert sum(page.run is None for page in shown) == 5  # Compare, Data, Paper, Sparse grid, Symbolic
    assert charts(notebook(shown))[1:] == [one for page in shown for one in made(page)]
