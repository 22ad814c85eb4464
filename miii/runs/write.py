"""Write runs while they train, atomically: a killed run is readable and can be resumed."""

import datetime
import json
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import filelock
import torch
from safetensors.torch import save_file
from torch import Tensor

import miii
from miii import hardware
from miii.errors import InputError
from miii.runs.atomic import atomic_folder, remove_leftovers, write_atomically, write_json
from miii.runs.files import find_text
from miii.runs.find import open
from miii.runs.read import LOCK, METRICS, STATE, Run, finite
from miii.runs.state import load_state
from miii.training import Diverged, Step, train
from miii.training.config import RunConfig

RESUME_EVERY = 5.0  #: seconds between writes of resume.safetensors
DESCRIBE_EVERY = 10.0  #: seconds for which a commit is remembered: an ensemble begins many runs at once


def follow(folder: str | Path, steps: Iterator[Step], resume_every: float | None = None) -> Generator[Step, None, None]:
    """Write a run while it trains, and yield each step. Closing the generator stops the run; it can be resumed.

    Args:
        resume_every: seconds between writes of ``resume.safetensors``; None takes ``RESUME_EVERY``.

    Raises:
        InputError: ``folder`` exists (unless the steps resume it), is being written by another process, or cannot be
            written: a full disk, no permission. Earlier files stay readable.
        Diverged: see ``train``; ``result.json`` records ``diverged_at``, and the last snapshot is finite.
    """
    folder = Path(folder)
    writer: _Writer | None = None
    try:
        try:
            for step in steps:
                if writer is None:
                    writer = _Writer.begin(folder, step, RESUME_EVERY if resume_every is None else resume_every)
                writer.write(step)
                yield step
        except GeneratorExit:
            pass
        except Diverged as error:
            if writer is not None:
                writer.end(error.step)
            raise
        if writer is not None:
            writer.end()
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    finally:
        if writer is not None:
            writer.lock.release()
        if isinstance(steps, Generator):
            steps.close()


def record(folder: str | Path, steps: Iterator[Step]) -> Run:
    """Train to the end and write the run: ``record("runs/add-113", train(config))``.

    Raises:
        InputError: see ``follow``.
    """
    for _ in follow(folder, steps):
        pass
    return open(Path(folder).absolute())


def resume(folder: str | Path, stop: Callable[[], bool] = lambda: False) -> Iterator[Step]:
    """Return the remaining steps of a run, from its ``resume.safetensors``.

    Without that file, the run restarts at step 0. ``follow(folder, resume(folder))`` is bit-identical to a run that
    was never stopped.

    Raises:
        InputError: the run has ended, is a copy without training state, or cannot be read.
    """
    run = open(folder)
    if why := run.why_not_resumable:
        raise InputError(f"{run.name} has nothing to resume: {why}.")
    return map(resumed, train(run.config, load_state(run), stop))


def resumed(step: Step) -> Step:
    """Mark a step as one of a run whose folder exists."""
    return _Resumed(**vars(step))


class _Resumed(Step):
    """A step of a resumed run; the folder already exists."""


def provenance(config: RunConfig) -> dict[str, Any]:
    """Return the provenance of a run: versions, commit, processor, device, precision, threads, date in UTC."""
    device = hardware.device(config.device)
    return {
        "miii": miii.__version__,
        "commit": commit(),
        "torch": torch.__version__,
        "python": platform.python_version(),
        "system": platform.system(),
        "processor": hardware.processor(),
        "device": device.type,
        "precision": str(hardware.precision(config.precision, config.device)).removeprefix("torch."),
        "threads": config.threads or torch.get_num_threads(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def summary(run: Run, step: Step, step_seconds: list[float]) -> dict[str, Any]:
    """Return the result of a run, which ``miii train --json`` prints.

    ``seconds`` is wall-clock time; ``ms_per_step`` is the median update time, without evaluation; losses are in nats.
    """
    rows = run.rows()
    last = rows[-1] if rows else {}
    return {
        "run": os.fsencode(run.folder.name).decode(errors="backslashreplace"),  # file names may not be valid text
        "steps": step.step,
        "stopped": not step.last,
        "grokked_at": step.grokked_at,
        "seconds_to_grok": _rounded(step.seconds_to_grok),
        "seconds": _rounded(step.seconds),
        **{name: finite(last.get(name)) for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss")},
        **{name: finite(value) for name, value in last.items() if name not in METRICS},
        "ms_per_step": _rounded(1000 * statistics.median(step_seconds)) if step_seconds else None,
    }


def save_report(run: Run, report: dict[str, Any]) -> None:
    """Write a report on a run's last snapshot to ``report.json``, with null for NaN and without the run's name.

    Raises:
        InputError: the run's folder cannot be written.
    """
    try:
        write_json(
            run.folder / "report.json", _without_nan({key: value for key, value in report.items() if key != "run"})
        )
    except OSError as error:
        raise InputError(f"{run.folder} could not be written: {error.strerror or error}.") from None


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return finite(value) if isinstance(value, float) else value


@dataclass
class _Writer:
    folder: Path
    lock: filelock.BaseFileLock
    step: Step
    resume_every: float
    saved_at: float = field(default_factory=time.perf_counter)
    step_seconds: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, folder: Path, first: Step, resume_every: float) -> "_Writer":
        remove_leftovers(folder.parent)
        resumed = isinstance(first, _Resumed)
        if resumed:
            open(folder.absolute())
        elif os.path.lexists(folder):
            raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
        else:
            with atomic_folder(folder) as making:
                write_json(making / "config.json", first.config.model_dump(mode="json"))
                write_json(making / "provenance.json", provenance(first.config))
        # Run.running holds the lock briefly, so retry
        lock = filelock.FileLock(folder / LOCK, timeout=0.5, poll_interval=0.01, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(f"{folder} is being written by another process: stop that one first.") from None
        try:
            if resumed:
                _truncate(open(folder.absolute()), first)
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock, first, resume_every)

    def write(self, step: Step) -> None:
        self.step = step
        if step.step_seconds:
            self.step_seconds.append(step.step_seconds)
        if step.evaluation is not None:
            row = {"step": step.step, "seconds": round(step.seconds, 4), "lr_factor": round(step.lr_factor, 6)}
            row |= step.evaluation.row()
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps({name: finite(value) for name, value in row.items()}) + "\n")
        if step.weights is not None:
            self._snapshot(step.weights, torch.float32 if step.last else torch.float16)
        if time.perf_counter() - self.saved_at > self.resume_every and not step.last:
            self._save_state(step.state())

    def end(self, diverged_at: int | None = None) -> None:
        """Finish writing the run; a diverged run keeps its snapshots and cannot be resumed."""
        if not self.step.last and diverged_at is None:
            state = self.step.state()
            weights = {n.removeprefix("weights."): v for n, v in state.items() if n.startswith("weights.")}
            self._snapshot(weights, torch.float32)
            self._save_state(state)
        result = summary(open(self.folder.absolute()), self.step, self.step_seconds)
        write_json(self.folder / "result.json", result | ({} if diverged_at is None else {"diverged_at": diverged_at}))
        if self.step.last or diverged_at is not None:  # after the result: a kill in between leaves a finished run
            (self.folder / STATE).unlink(missing_ok=True)

    def _snapshot(self, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        kept = {name: value.to(dtype) for name, value in weights.items()}
        if not all(value.isfinite().all() for value in kept.values()):  # a weight is beyond float16's range
            kept = weights
        self._save(self.folder / "snapshots" / f"{self.step.step}.safetensors", kept)

    def _save_state(self, state: dict[str, Tensor]) -> None:
        self._save(self.folder / STATE, state)
        self.saved_at = time.perf_counter()

    def _save(self, place: Path, tensors: dict[str, Tensor]) -> None:
        def write(path: Path) -> None:
            save_file(tensors, path)
            shutil.copymode(self.folder / "config.json", path)  # safetensors files are readable by the owner only

        write_atomically(place, write)


def _truncate(run: Run, first: Step) -> None:
    """Remove what a killed run wrote after its resume.safetensors; training rewrites it.

    Raises:
        InputError: the run cannot resume at this step, or its metrics cannot be read.
    """
    if (why := run.why_not_resumable) or run.config != first.config:
        raise InputError(
            f"out must be a folder that does not exist yet, or a run to resume (got {str(run.folder)!r}: "
            f"{why or 'it has another config'})."
        )
    end = first.step if first.evaluation is not None else first.step + 1
    metrics = run.folder / "metrics.jsonl"
    lines = (find_text(metrics) or "").splitlines(keepends=True)
    try:
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < end]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"{metrics} must hold one JSON object with a step on each line.") from None
    if lines:
        write_atomically(metrics, lambda path: path.write_text("".join(kept)))
    for step in run.steps:
        if step > first.step:
            (run.folder / "snapshots" / f"{step}.safetensors").unlink()
    (run.folder / "result.json").unlink(missing_ok=True)
    remove_leftovers(run.folder)
    remove_leftovers(run.folder / "snapshots")


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def commit() -> str | None:
    """Return the commit of miii's checkout, with -dirty if changed; None outside a checkout."""
    root = Path(miii.__file__).parents[1]
    if not (root / ".git").exists():  # an installed package may be inside another repository
        return None
    return _described(root, int(time.monotonic() // DESCRIBE_EVERY))


@lru_cache(maxsize=1)
def _described(root: Path, moment: int) -> str | None:
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
