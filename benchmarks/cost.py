"""What training and each page really cost, beside what ``miii.cost`` predicts: peak memory, operations, disk.

Every measurement is a process of its own, whose peak is counted from after the imports.
"""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def measured(what: str, config: dict[str, Any], seconds: float = 300) -> dict[str, Any]:
    """Return ``nbytes``, ``flops``, ``disk`` and ``seconds`` of one thing done in a process of its own.

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


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return 1024 * int(line.split()[1])
    raise RuntimeError("no VmRSS")


@contextlib.contextmanager
def _peak(found: dict[str, Any]) -> Any:
    """Note the peak of resident memory beyond what is resident now, and the time."""
    before, peak, stop = _resident(), 0, threading.Event()
    Path("/proc/self/clear_refs").write_text("5")
    began = time.perf_counter()
    try:
        yield
    finally:
        found["seconds"] = time.perf_counter() - began
        stop.set()
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                peak = 1024 * int(line.split()[1])
        found["nbytes"] = peak - before


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
    miii.runs.record(find.homes()[0] / "warm", miii.train(tiny))  # what is imported at the first step
    folder = find.homes()[0] / "run"
    followed = miii.runs.follow(folder, miii.train(config))
    with _peak(found):
        for step in followed:
            if step.step == config.steps - 1:  # what a stopped run keeps to be resumed is the most that it ever holds
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

    def counted(shown: StreamlitPage) -> None:  # operations are counted in the thread that does them
        with FlopCounterMode(display=False) as counter:
            run_page(shown)
        found["flops"] = counter.get_total_flops()

    run_page, StreamlitPage.run = StreamlitPage.run, counted  # type: ignore[method-assign]

    def visit(name: str) -> None:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        at.switch_page(f"pages/{page}.py")
        at.query_params["run"] = name
        at.run()
        messages = [element.value for kind in (at.error, at.info, at.warning) for element in kind]
        if at.exception:
            raise RuntimeError(at.exception[0].value)
        found["says"] = messages[:3]

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
    """Measure one thing, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what")
    parser.add_argument("config")
    options = parser.parse_args()
    values = json.loads(options.config)
    print(json.dumps(_train(values) if options.what == "train" else _page(options.what, values)))


if __name__ == "__main__":
    main()
