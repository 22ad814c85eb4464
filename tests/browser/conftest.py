"""A real server and a real browser: Debian's chromium, driven by Playwright."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from browsing import serving
from playwright.sync_api import Browser, sync_playwright
from safetensors.torch import save_file

import miii
from miii import runs

CHROMIUM = os.environ.get("MIII_CHROMIUM", "/usr/bin/chromium")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if not Path(CHROMIUM).exists():
        if os.environ.get("MIII_REQUIRE_BROWSER"):
            pytest.fail(f"{CHROMIUM} is required and is not there")
        pytest.skip(f"{CHROMIUM} is not there")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def small(small_config, adder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of small runs: one that adds modulo 11 at its last step, one on primes, one on frames."""
    home = tmp_path_factory.mktemp("small")
    shape = {"d_model": 8, "n_heads": 2, "d_mlp": 6, "act": "relu", "biases": "none"}
    runs.record(home / "eleven", miii.train(small_config(task={"p": 11}, model=shape, steps=30)))
    weights = adder(11, (2, 3), n_heads=2, scale=3.0).state_dict()
    save_file(weights, home / "eleven" / "snapshots" / "30.safetensors")
    tasks = {
        "primes": miii.Primes(low=1000, high=2999),
        "frames": miii.Frames(low=100, high=399, frames=3, largest_step=3),
    }
    for name, task in tasks.items():
        few = {"model": {"d_model": 8, "n_heads": 2, "d_mlp": 16}, "steps": 4, "eval_every": 2, "snapshots": 3}
        runs.record(home / name, miii.train(miii.recipe(task=task, batch_size=None, threads=1, **few)))
    return {folder.name: folder for folder in home.iterdir()}


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a cold server with these runs of its own; its address."""
    with ExitStack() as servers:
        yield lambda *runs: servers.enter_context(serving(tmp_path / "runs", runs))


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory, small: dict[str, Path]) -> Iterator[str]:
    """The address of one server for all files, which has the small runs beside the shipped ones."""
    *others, eleven = sorted(small.values(), key=lambda folder: folder.name == "eleven")
    with serving(tmp_path_factory.mktemp("server") / "runs", (*others, eleven)) as address:
        yield address
