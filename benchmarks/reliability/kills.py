"""Kill training at random moments, and resume it in several processes at once.

All functions work in ``runs.homes()[0]``: point ``MIII_RUNS`` at an empty folder. They fork, which is cheap after
torch is imported; set torch to one thread first.
"""

import json
import os
import random
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from miii import OPTIMIZERS, InputError, RunConfig, runs, train
from miii.model.wiring import pairs
from miii.runs import write

TASKS: dict[str, dict[str, Any]] = {
    "modular": {"p": 7, "train_fraction": 0.5},
    "primes": {"kind": "primes", "low": 100, "high": 399},
    "residues": {"kind": "residues", "p": 7},
    "miu": {"kind": "miu", "longest": 5, "longest_test": 8, "n": 100},
    "frames": {"kind": "frames", "low": 100, "high": 399, "frames": 3, "largest_step": 3},
}
STATE_EVERY = 0.02  #: seconds between writes of the training state, for runs of less than a second
DONE, BROKEN, REFUSED = 0, 1, 2  #: exit codes of a process that was not killed; BROKEN is a bug


@dataclass
class Found:
    """Counts of attempts, and a description of each loss."""

    counts: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)

    def check(self, right: bool, otherwise: str) -> None:
        """Record a loss unless ``right``."""
        if not right:
            self.lost.append(otherwise)


@dataclass(frozen=True)
class Ended:
    """How a process ended: exit code (minus the signal if killed), output, seconds."""

    code: int
    text: str
    seconds: float


@dataclass(frozen=True)
class Child:
    """A started process, and the pipe that returns its outcome."""

    pid: int
    pipe: int
    began: float

    def end(self, kill_after: float | None = None) -> Ended:
        """Wait for the process, or kill it after ``kill_after`` seconds."""
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(self.pid, signal.SIGKILL)
        with os.fdopen(self.pipe, "rb") as pipe:
            text = pipe.read().decode(errors="backslashreplace")
        _, status = os.waitpid(self.pid, 0)
        return Ended(os.waitstatus_to_exitcode(status), text, time.perf_counter() - self.began)


def start(work: Callable[[], object]) -> Child:
    """Run ``work`` in a forked process."""
    pipe, into = os.pipe()
    if pid := os.fork():
        os.close(into)
        os.read(pipe, 1)
        return Child(pid, pipe, time.perf_counter())
    code = BROKEN
    try:
        os.write(into, b".")
        work()
        code = DONE
    except InputError as error:
        code = REFUSED
        os.write(into, str(error).encode())
    except BaseException:
        os.write(into, traceback.format_exc().encode())
    finally:
        os._exit(code)


def configs(draw: random.Random) -> Iterator[RunConfig]:
    """Yield small configs that cycle through all tasks, blocks, mixers and optimizers."""
    wirings = [(block, mixer) for block, row in pairs().items() for mixer, why in row.items() if why is None]
    every = [list(TASKS.values()), wirings, list(OPTIMIZERS)]
    shuffled = (_shuffled(values, draw) for values in every)
    for seed, (task, (block, mixer), optimizer) in enumerate(zip(*shuffled, strict=True)):
        yield RunConfig(
            task={**task, "seed": seed},
            model={"d_model": 8, "n_heads": 2, "d_mlp": 16, "block": block, "mixer": mixer},
            optimizer={"name": optimizer, "lr": 0.003},
            steps=draw.randint(15, 60),
            batch_size=draw.choice([None, 16]),
            dropout=draw.choice([0.0, 0.2]),
            schedule=draw.choice(["constant", "cosine", "trapezoid"]),
            precision=draw.choice(["float32", "bfloat16"]),
            eval_every=draw.randint(1, 20),
            snapshots=draw.randint(1, 20),
            device="cpu",
            threads=1,
        )


def _shuffled(values: list[Any], draw: random.Random) -> Iterator[Any]:
    while True:
        yield from draw.sample(values, len(values))


def warm() -> None:
    """Import what training needs, so forked processes need not."""
    torch.set_num_threads(1)
    for _, config in zip(range(len(TASKS) * len(OPTIMIZERS)), configs(random.Random(0)), strict=False):
        for _ in train(config.model_copy(update={"steps": 1})):
            pass


def go_on(folder: Path, config: RunConfig, state_every: float = STATE_EVERY) -> None:
    """Start or resume a run and train to its end."""
    write.RESUME_EVERY = state_every
    if os.path.lexists(folder) and runs.open(folder).why_not_resumable == "it has ended":
        return
    for _ in runs.follow(folder, runs.resume(folder) if os.path.lexists(folder) else train(config)):
        pass


def training(draw: random.Random, turns: Iterable[int]) -> Found:
    """Kill training at random moments, resume it, and compare the result with an uninterrupted run."""
    found, home = Found(), runs.homes()[0]
    seen: dict[str, set[str]] = {name: set() for name in ("tasks", "blocks", "mixers", "optimizers")}
    neighbor = runs.record(home / "neighbor", train(next(configs(draw)))).name
    for turn, config in zip(turns, configs(draw), strict=False):
        once, folder = home / f"once-{turn}", home / f"killed-{turn}"
        what = f"run {turn}, {config.model_dump_json()}"
        whole = start(lambda: go_on(once, config)).end()  # noqa: B023
        found.check(whole.code == DONE, f"{what}: {whole.text}")
        if whole.code != DONE:
            continue
        found.counts["runs"] += 1
        parts = (config.task.kind, config.model.block, config.model.mixer, config.optimizer.name)
        for values, part in zip(seen.values(), parts, strict=True):
            values.add(part)
        for _ in range(draw.choice([1, 1, 2, 3, 5])):
            after = draw.uniform(0, whole.seconds) * draw.choice([0.05, 1, 1])  # some before the first write
            ended = start(lambda: go_on(folder, config)).end(after)  # noqa: B023
            found.check(ended.code in (DONE, -signal.SIGKILL), f"{what}: {ended.text}")
            found.counts["kills"] += ended.code == -signal.SIGKILL
            found.counts["before the first write"] += not os.path.lexists(folder)
            for wrong in unreadable({neighbor, once.name}):
                found.check(False, f"{what}: {wrong}")
        ended = start(lambda: go_on(folder, config)).end()  # noqa: B023
        found.check(ended.code == DONE, f"{what}: {ended.text}")
        for wrong in difference(once, folder) + hidden(home):
            found.check(False, f"{what}: {wrong}")
        for place in (once, folder):
            shutil.rmtree(place, ignore_errors=True)
    found.counts.update({name: len(values) for name, values in seen.items()})
    return found


def unreadable(names: set[str]) -> list[str]:
    """Return the problems of the list of runs, which must contain ``names``."""
    wrong = [f"{one.name}: {one.reason}" for one in runs.broken()]
    rows = [runs.row(run) for run in runs.every() if run.folder.parent == runs.homes()[0]]
    wrong += [f"{row['run']}: {row['reason']}" for row in rows if row["status"] == "corrupt"]
    return wrong + [f"{name} is hidden" for name in sorted(names - {row["run"] for row in rows})]


def difference(one: Path, other: Path) -> list[str]:
    """Return the differences between two runs of a config, except times: snapshots to the bit, metrics, result."""
    try:
        a, b = runs.open(one), runs.open(other)
        if a.steps != b.steps:
            return [f"snapshots at {b.steps}, not {a.steps}"]
        wrong = []
        for step in a.steps:
            pair = [load_file(run.folder / "snapshots" / f"{step}.safetensors") for run in (a, b)]
            if not _same(*pair):
                wrong.append(f"other weights at step {step}")
        wrong += ["other metrics"] * ([_timeless(r) for r in a.rows()] != [_timeless(r) for r in b.rows()])
        return wrong + ["another result"] * (_timeless(a.result or {}) != _timeless(b.result or {}))
    except InputError as error:
        return [str(error)]


def _same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(a[n].dtype == b[n].dtype and torch.equal(a[n], b[n]) for n in a)


def _timeless(values: dict[str, Any]) -> str:
    clock = ("seconds", "seconds_to_grok", "ms_per_step", "run")
    return json.dumps({name: value for name, value in values.items() if name not in clock})


def hidden(*folders: Path) -> list[str]:
    """Return partial files anywhere below the folders."""
    paths = (path for folder in folders for path in folder.rglob(".*"))
    return [f"{path} is left" for path in paths if path.name not in (".lock", ".deleted")]


def resumers(draw: random.Random, turns: Iterable[int], processes: int = 4) -> Found:
    """Resume a run in several processes at once: one must train it to the same end, the others refuse."""
    found, home = Found(), runs.homes()[0]
    for turn, config in zip(turns, configs(draw), strict=False):
        once, folder = home / f"once-{turn}", home / f"shared-{turn}"
        whole = start(lambda: go_on(once, config)).end()  # noqa: B023
        found.check(whole.code == DONE, f"resumers {turn}: {whole.text}")
        if whole.code != DONE:
            continue
        while not os.path.lexists(folder) or not runs.open(folder).can_resume:
            shutil.rmtree(folder, ignore_errors=True)
            start(lambda: go_on(folder, config)).end(draw.uniform(0, whole.seconds))  # noqa: B023
        begin = time.time() + 0.05

        def resume(folder: Path = folder, begin: float = begin) -> None:
            time.sleep(max(0.0, begin - time.time()))
            write.RESUME_EVERY = STATE_EVERY
            for _ in runs.follow(folder, runs.resume(folder)):
                pass

        ended = [child.end() for child in [start(resume) for _ in range(processes)]]
        found.counts["times"] += 1
        found.counts["refused"] += sum(one.code == REFUSED for one in ended)
        codes = Counter(one.code for one in ended)
        said = "; ".join(one.text for one in ended if one.text)
        found.check(codes == {DONE: 1, REFUSED: processes - 1}, f"resumers {turn}: {dict(codes)}: {said}")
        found.check(all(sentence(one.text) for one in ended if one.code == REFUSED), f"resumers {turn}: {said}")
        for wrong in difference(once, folder) + hidden(home):
            found.check(False, f"resumers {turn}: {wrong}")
        for place in (once, folder):
            shutil.rmtree(place, ignore_errors=True)
    return found


def sentence(text: str) -> bool:
    """Return whether a message is one line of at most 1,000 characters that ends in a period."""
    return 0 < len(text) <= 1000 and text.endswith(".") and "\n" not in text
