"""Compare the measured cost of training and pages with ``miii.cost``: peak memory, operations, disk.

Each measurement runs in a separate process. Its peak memory excludes imports.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.table import ROOT, Result, Row, log
from miii import RunConfig, cost

FACTOR = 2.0  #: goal: largest ratio between estimate and measurement, either way


def _modular(p: int = 113, **more: Any) -> dict[str, Any]:
    return {"task": {"p": p}, "steps": 2, "eval_every": 2, **more}


def _of(kind: str, model: dict[str, Any] | None = None, batch: int | None = 1024, **task: Any) -> dict[str, Any]:
    run = {"steps": 2, "eval_every": 2, "batch_size": batch, "model": model or {}}
    return {"task": {"kind": kind, **task}, **run}


#: What to measure, and with which config. The test suite measures the first two.
CASES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("train", _modular(113, model={"n_layers": 2})),
    ("fourier", _modular(211)),
    ("train", _modular(211)),
    ("train", _modular(113, model={"d_mlp": 4096})),
    ("train", _modular(113, model={"d_model": 512, "d_mlp": 2048, "n_heads": 8})),
    ("train", _modular(113, model={"block": "pre-norm", "n_layers": 4, "d_model": 64, "d_mlp": 256})),
    ("train", _modular(113, model={"mixer": "gru"}, batch_size=1024)),
    ("train", _modular(163, model={"mixer": "convolution"}, optimizer={"name": "muon"})),
    ("train", _of("primes", batch=None)),
    ("train", _of("primes", batch=None, base=2)),
    ("train", _of("primes", low=2, high=1_000_000, residues=[3, 5, 7, 11, 13])),
    ("train", _of("primes", low=2, high=100_000_000, sample=1_000_000)),
    ("train", _of("primes", {"n_layers": 6, "d_model": 64, "d_mlp": 256}, 4096)),
    ("train", _of("residues", p=113)),
    ("train", _of("residues", p=211)),
    ("train", _of("miu", batch=None)),
    ("train", _of("miu", batch=512, longest=100, longest_test=200, n=5000)),
    ("train", _of("frames", {"positions": "frames", "n_layers": 2, "d_model": 64, "d_mlp": 256}, 256)),
    ("attention", _modular(113, model={"n_heads": 32})),
    ("attention", _modular(163, model={"n_heads": 64})),
    ("attention", _modular(113, model={"d_mlp": 2048})),
    ("fourier", _modular(113, model={"n_layers": 3})),
    ("neurons", _modular(113)),
    ("neurons", _modular(113, model={"d_mlp": 2048})),
    ("circuits", _modular(59)),
    ("circuits", _modular(113)),
    ("formula", _modular(113, model={"d_mlp": 2048})),
    ("progress", _modular(113)),
    ("sieve", _of("primes", {"n_heads": 1})),
    ("sieve", _of("primes", {"n_heads": 4}, low=2, high=1_000_000)),
    ("sieve", _of("residues", p=211)),
    ("sieve", _of("miu", longest=60, longest_test=100, n=5000)),
    ("frames", _of("frames", {"positions": "frames", "n_layers": 2, "d_model": 64, "d_mlp": 256}, 256)),
)


def run() -> Result:
    """Measure every case and compare it with its estimate."""
    rows, raw = [], []
    for what, config in CASES:
        found, told = measured(what, config), estimated(what, config)
        ratios = {name: getattr(told, name) / found[name] for name in ("nbytes", "disk", "flops") if found.get(name)}
        log(f"cost: {what} {json.dumps(config)}: {', '.join(f'{name} {ratio:.2f}' for name, ratio in ratios.items())}")
        raw.append({"what": what, "config": config, "found": found, "ratios": ratios})
    for name, words in (("nbytes", "peak memory"), ("flops", "operations"), ("disk", "disk")):
        ratios = [case["ratios"][name] for case in raw if name in case["ratios"] and case["ratios"][name]]
        low, high = min(ratios), max(ratios)
        what = f"cost: {words} told from the config, times what {len(ratios)} runs and pages took"
        within = low >= 1 / FACTOR and high <= FACTOR
        rows.append(Row(what, f"{low:.2f} to {high:.2f}", f"{1 / FACTOR:g} to {FACTOR:g}", within))
    return Result(rows, {"cases": raw})


def estimated(what: str, config: dict[str, Any]) -> cost.Cost:
    """Return the estimate for one case."""
    given = RunConfig(**config)
    return cost.training(given) if what == "train" else cost.pages(given)[what]


def measured(what: str, config: dict[str, Any], seconds: float = 300) -> dict[str, Any]:
    """Measure ``nbytes``, ``flops``, ``disk`` and ``seconds`` of one case in a separate process.

    Args:
        what: "train", or the name of a page.
        config: the run's config as JSON; training takes at most two of its steps.
    """
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MIII_RUNS": folder, "OMP_NUM_THREADS": "1", "MIII_SHARED": "0"}
        command = [sys.executable, "-m", "benchmarks.cost", what, json.dumps(config)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=seconds)
    if done.returncode:
        raise RuntimeError(f"{what} {config}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _resident(which: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(which))


@contextlib.contextmanager
def _peak(found: dict[str, Any]) -> Iterator[None]:
    """Record the seconds, and the peak resident memory above the current level."""
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # reset the peak: proc(5)
    began = time.perf_counter()
    yield
    found["seconds"] = time.perf_counter() - began
    found["nbytes"] = _resident("VmHWM") - before


def _train(values: dict[str, Any]) -> dict[str, Any]:
    import numpy as np
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    import miii
    from miii import metrics
    from miii.runs import find

    torch.set_num_threads(1)
    config = miii.RunConfig(**values)
    found: dict[str, Any] = {}
    metrics.auc(np.arange(4.0), np.arange(4) > 1)  # imports scikit-learn
    tiny = miii.recipe(task=miii.ModularAddition(p=5), steps=1)
    miii.runs.record(find.homes()[0] / "warm", miii.train(tiny))  # import everything that the first step needs
    folder = find.homes()[0] / "run"
    followed = miii.runs.follow(folder, miii.train(config))
    with _peak(found):
        for step in followed:
            if step.step == config.steps - 1:  # stop before the end: the training state is then on disk
                break
        followed.close()
    found["disk"] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with FlopCounterMode(display=False) as counter:
        for _ in miii.train(config):
            pass
    found["flops"] = counter.get_total_flops()
    return found


def _page(page: str, values: dict[str, Any]) -> dict[str, Any]:
    import torch
    from streamlit.navigation.page import StreamlitPage
    from streamlit.testing.v1 import AppTest
    from torch.utils.flop_counter import FlopCounterMode

    import miii
    from miii.runs import find

    torch.set_num_threads(1)
    config = miii.RunConfig(**values | {"steps": 1, "eval_every": 1, "batch_size": 1})
    miii.runs.record(find.homes()[0] / "run", miii.train(config))

    def counted(shown: StreamlitPage) -> None:  # count in the thread that runs the page
        with FlopCounterMode(display=False) as counter:
            run_page(shown)
        found["flops"] = counter.get_total_flops()

    run_page, StreamlitPage.run = StreamlitPage.run, counted  # type: ignore[method-assign]

    def visit(name: str) -> None:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        at.switch_page(f"pages/{page}.py")
        at.query_params["run"] = name
        at.session_state["gate"] = True  # skip the question about cost
        at.run()
        if at.exception:
            raise RuntimeError(at.exception[0].value)

    found: dict[str, Any] = {}
    small = {"modular": "add-113", "primes": "primes-10", "residues": "residues-113", "miu": "miu-24"}
    warm = miii.recipe(task=miii.ModularAddition(p=11), steps=1) if config.task.kind == "modular" else None
    if warm is not None:
        miii.runs.record(find.homes()[0] / "warm", miii.train(warm))
    visit("warm" if warm is not None else small.get(config.task.kind, "frames-10"))
    with _peak(found):
        visit("run")
    return found


def main() -> None:
    """Measure one case and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what")
    parser.add_argument("config")
    options = parser.parse_args()
    values = json.loads(options.config)
    print(json.dumps(_train(values) if options.what == "train" else _page(options.what, values)))


if __name__ == "__main__":
    main()
