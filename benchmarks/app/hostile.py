"""Attack a shared server with expensive links and uploads while another session reads.

Four are known attacks; the others are drawn at random from the configs' schema, each value within its bounds. The
reader's pages are timed and the server's memory is sampled.
"""

import contextlib
import io
import json
import random
import threading
import time
import typing
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlencode

import torch
from annotated_types import Ge, Gt, Le, Lt
from pydantic.fields import FieldInfo
from safetensors.torch import save

from benchmarks import app
from benchmarks.app.server import TIMEOUT, serving, watching
from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log, percentile
from miii import KINDS, TASKS, InputError, ModelConfig, RunConfig, cost
from miii.model.transformer import Transformer

SECONDS = 600  #: total duration
PAGE, MEMORY = 3.0, 1000  #: goals: seconds of the reader's slowest page, MB of the server
READ = ("fourier?run=add-113", "attention?run=add-113", "sieve?run=primes-10", "progress?run=add-113", "runs")
MOST = 20_000_000  #: weights of an upload: 40 MB; the server accepts 50
PAGES = ("attention", "circuits", "neurons", "fourier", "formula", "progress", "sieve", "frames", "train", "try")

LINKS = (
    "data?task=primes&preset=other&low=2&high=100000000&sample=4000000&base=1000",
    "data?task=primes&preset=other&low=1000000&high=1700000&base=2",
    "data?task=frames&low=2&high=500000&largest_step=9&frames=32&sample=400000",
    "data?task=residues&p=257",
)
CONFIGS: tuple[dict[str, Any], ...] = (
    {"task": {"kind": "primes", "low": 2, "high": 100_000_000, "sample": 4_000_000, "base": 1000}},
    {"task": {"kind": "primes", "low": 1_000_000, "high": 1_700_000, "base": 2}},
    {"task": {"kind": "primes", "residues": [q for q in range(2, 1000) if all(q % r for r in range(2, q))]}},
    {"task": {"p": 211}, "model": {"n_heads": 256, "d_model": 256, "d_mlp": 6000}},
    {"task": {"p": 211}, "model": {"n_layers": 24}},
    {"task": {"p": 211}, "model": {"d_model": 1024, "d_mlp": 4096}, "snapshots": 1000},
)


def run() -> Result:
    """Attack for ten minutes."""
    if not Path(app.CHROMIUM).exists():
        raise Unavailable(f"there is no {app.CHROMIUM}: apt-get install chromium.")
    found = attack(SECONDS)
    rows = [
        at_most(
            f"hostile: slowest page of a reader while two visitors attack for {SECONDS / 60:g} minutes "
            f"({found['links']} links, {found['uploads']} uploads, {found['starts']} runs asked for)",
            found["slowest"], PAGE, "s",
            " (median {:.2f}, p95 {:.2f}, of {})".format(
                *(percentile(found["seconds"], share) for share in (0.5, 0.95)), len(found["seconds"])
            ),
        ),
        at_most("hostile: peak resident memory of the server", found["peak_mb"], MEMORY, "MB", digits=0),
        Row("hostile: pages of the reader that broke", str(len(found["problems"])), "0", not found["problems"]),
    ]  # fmt: skip
    return Result(rows, found)


def attack(seconds: float) -> dict[str, Any]:
    """Attack a shared server from two sessions for about ``seconds`` while a third reads.

    Returns:
        ``seconds`` of each page that the reader opened, the ``slowest`` one, the reader's ``problems``; the number of
        ``links``, ``uploads`` and ``starts`` tried; ``peak_mb`` of the server.
    """
    from playwright.sync_api import sync_playwright

    found: dict[str, Any] = {"seconds": [], "problems": [], "links": 0, "uploads": 0, "starts": 0}
    end = time.monotonic() + seconds
    with serving(ROOT / "app.py", MIII_SHARED="1") as server, watching(server.pid) as peak:

        def visitor(seed: int) -> None:
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path=app.CHROMIUM, args=app.BROWSER_ARGUMENTS)
                page = browser.new_page()
                page.set_default_timeout(20_000)
                draw = random.Random(seed)
                for what, value in _attacks(draw):
                    if time.monotonic() > end:
                        break
                    try:
                        _try(page, server.url, what, value, found)
                    except Exception as error:  # a refused or disconnected visitor continues
                        log(f"hostile: visitor {seed}: {type(error).__name__}: {str(error)[:100]!r}")
                browser.close()

        visitors = [threading.Thread(target=visitor, args=(seed,)) for seed in range(2)]
        for thread in visitors:
            thread.start()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=app.CHROMIUM, args=app.BROWSER_ARGUMENTS)
            page = browser.new_page()
            page.set_default_timeout(TIMEOUT)
            for address in READ:  # compute shared results first
                _read(page, server.url, address)
            turn = 0
            while time.monotonic() < end:
                took, wrong = _read(page, server.url, READ[turn % len(READ)])
                turn += 1
                found["seconds"].append(took)
                found["problems"] += [wrong] if wrong else []
                time.sleep(1)
            browser.close()
        for thread in visitors:
            thread.join()
        found["peak_mb"] = peak()
    found["slowest"] = max(found["seconds"], default=None)
    return found


def _read(page: Any, url: str, address: str) -> tuple[float, str]:
    began = time.perf_counter()
    page.goto(f"{url}{address}")
    page.wait_for_selector(app.HEADING)
    page.wait_for_selector(app.IDLE)
    broken = page.locator('[data-testid="stException"]').count()
    return time.perf_counter() - began, f"there was an exception at {address}" if broken else ""


def _attacks(draw: random.Random) -> Iterator[tuple[str, Any]]:
    """Yield the known attacks, each once per visitor at the same time, then random ones."""
    yield from (("link", link) for link in LINKS)
    yield from (("upload", config) for config in CONFIGS)
    while True:
        kind = draw.choice(["link", "upload", "start"])
        yield kind, _link(draw) if kind == "link" else _config(draw)


def _try(page: Any, url: str, what: str, value: Any, found: dict[str, Any]) -> None:
    found[f"{what}s"] += 1
    if what == "link":
        _open(page, f"{url}{value}")
    elif what == "upload":
        _open(page, f"{url}runs")
        page.locator('input[type="file"]').first.set_input_files(
            {"name": "run.zip", "mimeType": "application/zip", "buffer": packed(value)}
        )
        page.get_by_role("button", name="Add to the runs").first.click()
        page.wait_for_selector(app.IDLE)
        run = page.url.partition("run=")[2].partition("&")[0]
        for name in PAGES:
            _open(page, f"{url}{name}?run={run}")
    else:
        task = value["task"]
        query = {name: item for name, item in task.items() if name != "kind"}
        _open(page, f"{url}train?{urlencode({'task': task.get('operation', task.get('kind', 'add')), **query})}")
        button = page.get_by_role("button", name="Start", exact=True)
        if button.is_enabled():
            button.click()
            page.wait_for_selector(app.IDLE)


def _open(page: Any, address: str) -> None:
    page.goto(address)
    page.wait_for_selector(app.HEADING)
    page.wait_for_timeout(300)
    page.wait_for_selector(app.IDLE)


def packed(config: dict[str, Any]) -> bytes:
    """Return a zip file of a run with this config and a snapshot of zeros, which compress to almost nothing."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("run/config.json", json.dumps(config))
        with contextlib.suppress(InputError):
            run = RunConfig(**config)
            if cost.parameters(run) < MOST:
                archive.writestr("run/snapshots/0.safetensors", save(_zeros(run)))
    return file.getvalue()


def _zeros(run: RunConfig) -> dict[str, torch.Tensor]:
    sizes = run.task.sizes
    with torch.device("meta"):
        model = Transformer(
            run.model, sizes.d_vocab, sizes.d_vocab_out, sizes.n_ctx, frame=getattr(run.task, "frame", None)
        )
    return {name: torch.zeros(value.shape, dtype=torch.float16) for name, value in model.state_dict().items()}


def _link(draw: random.Random) -> str:
    name = draw.choice(list(TASKS))
    fields = _values(draw, KINDS[TASKS[name]["kind"]].model_fields)
    return f"data?{urlencode({'task': name, 'preset': 'other', **fields})}"


def _config(draw: random.Random) -> dict[str, Any]:
    kind = draw.choice(list(KINDS))
    task = _values(draw, KINDS[kind].model_fields) | {"kind": kind}
    model = _values(draw, ModelConfig.model_fields)
    width = model.get("d_model", 128)
    if width % model.get("n_heads", 4):
        model["n_heads"] = 1
    return {"task": task, "model": model, "steps": draw.choice([1, 100, 3000]), "snapshots": draw.choice([1, 40, 1000])}


def _values(draw: random.Random, fields: dict[str, FieldInfo]) -> dict[str, Any]:
    """Draw values within bounds for about half of the fields; integers are log-uniform."""
    found: dict[str, Any] = {}
    for name, field in fields.items():
        if draw.random() < 0.5 or name in ("kind", "operation", "expression"):
            continue
        annotation = field.annotation
        if typing.get_origin(annotation) is Literal:
            found[name] = draw.choice(typing.get_args(annotation))
        elif annotation is bool:
            found[name] = draw.random() < 0.5
        elif annotation is float:
            found[name] = round(draw.uniform(0.01, 0.99), 2)
        elif annotation in (int, int | None):
            low = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), 0)
            low = next((bound.gt + 1 for bound in field.metadata if isinstance(bound, Gt)), low)
            high = next((bound.le for bound in field.metadata if isinstance(bound, Le)), 10**6)
            high = next((bound.lt - 1 for bound in field.metadata if isinstance(bound, Lt)), high)
            found[name] = round(max(low, 1) * (high / max(low, 1)) ** draw.random())  # type: ignore[operator]
    return found
