"""Runs, written while they train: atomically, so that a killed one is readable and can be gone on with."""

import datetime
import json
import math
import os
import platform
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import filelock
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

import miii
from miii import hardware
from miii.config import RunConfig
from miii.errors import InputError
from miii.runs.read import LOCK, Run, open
from miii.training import Step, state_shapes, train

RESUME_EVERY = 5.0  #: seconds from one writing of resume.safetensors to the next


def follow(folder: str | Path, steps: Iterator[Step]) -> Generator[Step, None, None]:
    """Write a run while it trains, and pass each step on. Closing the generator stops the run, to be resumed or not.

    Raises:
        InputError: ``folder`` exists (and the steps do not go on from where it stands), is being written by someone
            else, or cannot be written: a full disk, no permission. What was written before stays readable.

    Source: own design.
    """
    folder = Path(folder)
    writer: _Writer | None = None
    try:
        try:
            for step in steps:
                if writer is None:
                    writer = _Writer.begin(folder, step)
                writer.write(step)
                yield step
        except GeneratorExit:
            pass
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
    """Train to the end, writing the run: ``record("runs/add-113", train(config))``.

    Raises:
        InputError: as ``follow``.

    Source: own design.
    """
    for _ in follow(folder, steps):
        pass
    return open(Path(folder).absolute())


def resume(folder: str | Path) -> Iterator[Step]:
    """The steps that a run has still to go, from where ``resume.safetensors`` was written.

    ``follow(folder, resume(folder))`` goes on writing it, to the very weights of a run that was never stopped.

    Raises:
        InputError: the run has ended, or holds no readable resume.safetensors.

    Source: own design.
    """
    run = open(folder)
    path = run.folder / "resume.safetensors"
    if not path.exists():
        raise InputError(
            f"{run.name} has nothing to resume: it has ended, or was stopped before its first few seconds."
        )
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} must be a readable safetensors file ({error}).") from None
    wanted = state_shapes(run.config)
    found = {name: tuple(value.shape) for name, value in state.items()}
    if "clock" in state and state["clock"].numel() and state["clock"][0] == 0:  # before the first step
        wanted = {name: shape for name, shape in wanted.items() if not name.startswith("stepper.optimizer.")}
    if wanted != found:
        name = next(n for n in sorted(wanted.keys() | found.keys()) if wanted.get(n) != found.get(n))
        raise InputError(
            f"{path} does not fit its config.json: {name} must be {wanted.get(name, 'absent')} "
            f"(got {found.get(name, 'nothing')})."
        )
    return train(run.config, state)


def ship(run: Run, folder: str | Path, snapshots: int = 14) -> Run:
    """Copy a run that has ended with fewer snapshots and without what resuming needs: small enough to be committed.

    Raises:
        InputError: ``folder`` exists or cannot be written, the run has not ended, or ``snapshots`` is below 2.

    Source: own design.
    """
    folder = Path(folder)
    if folder.exists():
        raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
    if run.result is None:
        raise InputError(f"{run.name} has not ended, so it cannot be shipped.")
    if snapshots < 2:
        raise InputError(f"snapshots must be at least 2, the first and the last (got {snapshots}).")
    try:
        with _made_whole(folder) as making:
            for name in ("config.json", "provenance.json", "metrics.jsonl", "result.json"):
                shutil.copy2(run.folder / name, making / name)
            for step in thin(run.steps, snapshots):
                shutil.copy2(run.folder / "snapshots" / f"{step}.safetensors", making / "snapshots")
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path]:
    """A run's new folder to be filled under another name: it appears whole, or not at all."""
    making = folder.with_name(f".{folder.name}.{os.getpid()}")
    try:
        (making / "snapshots").mkdir(parents=True)
        yield making
        making.rename(folder)
    finally:
        shutil.rmtree(making, ignore_errors=True)


def discard(run: Run) -> None:
    """Delete a run that nobody is writing.

    Raises:
        InputError: someone is writing it.

    Source: own design.
    """
    if run.running:
        raise InputError(f"{run.name} is being written: stop it first.")
    shutil.rmtree(run.folder)


def thin(steps: list[int], n: int) -> list[int]:
    """``n`` of the steps, the first and last among them, evenly spaced in their order. Source: own design."""
    if len(steps) <= n:
        return steps
    return [steps[round(i * (len(steps) - 1) / (n - 1))] for i in range(n)]


def provenance(config: RunConfig) -> dict[str, Any]:
    """Where a run comes from: versions, commit, processor, device, precision taken, threads, date in UTC.

    Source: own design.
    """
    device = hardware.device(config.device)
    return {
        "miii": miii.__version__,
        "commit": _commit(),
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
    """What a run came to: the object that ``miii train --json`` prints.

    ``seconds`` are wall clock, ``ms_per_step`` the median update without evaluation, losses are in nats.

    Source: own design.
    """
    rows = run.rows()
    last = rows[-1] if rows else {}
    return {
        "run": run.name,
        "steps": step.step,
        "stopped": not step.last,
        "grokked_at": step.grokked_at,
        "seconds_to_grok": _rounded(step.seconds_to_grok),
        "seconds": _rounded(step.seconds),
        **{name: _finite(last.get(name)) for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss")},
        "ms_per_step": _rounded(1000 * statistics.median(step_seconds)) if step_seconds else None,
    }


@dataclass
class _Writer:
    folder: Path
    lock: filelock.BaseFileLock
    step: Step
    saved_at: float = field(default_factory=time.perf_counter)
    step_seconds: list[float] = field(default_factory=list)

    @classmethod
    def begin(cls, folder: Path, first: Step) -> "_Writer":
        going_on = first.step > 0 and (folder / "resume.safetensors").exists()
        if folder.exists() and not going_on:
            raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
        if not going_on:
            with _made_whole(folder) as making:
                _write_json(making / "config.json", first.config.model_dump(mode="json"))
                _write_json(making / "provenance.json", provenance(first.config))
        # with a little patience: who only looks whether someone writes holds it for a moment (Run.running)
        lock = filelock.FileLock(folder / LOCK, timeout=0.5, poll_interval=0.01, thread_local=False)
        try:
            lock.acquire()
        except filelock.Timeout:
            raise InputError(f"{folder} is being written by another process: stop that one first.") from None
        try:
            if going_on:
                _cut_back(folder, first)
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock, first)

    def write(self, step: Step) -> None:
        self.step = step
        if step.step_seconds:
            self.step_seconds.append(step.step_seconds)
        if step.evaluation is not None:
            row = {"step": step.step, "seconds": round(step.seconds, 4), "lr_factor": round(step.lr_factor, 6)}
            with (self.folder / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(row | step.evaluation.row()) + "\n")
        if step.weights is not None:
            self._snapshot(step.weights, torch.float32 if step.last else torch.float16)
        if time.perf_counter() - self.saved_at > RESUME_EVERY and not step.last:
            self._save_state(step.state())

    def end(self) -> None:
        if self.step.last:
            (self.folder / "resume.safetensors").unlink(missing_ok=True)
        else:
            state = self.step.state()
            weights = {n.removeprefix("weights."): v for n, v in state.items() if n.startswith("weights.")}
            self._snapshot(weights, torch.float32)
            self._save_state(state)
        _write_json(self.folder / "result.json", summary(open(self.folder.absolute()), self.step, self.step_seconds))

    def _snapshot(self, weights: dict[str, Tensor], dtype: torch.dtype) -> None:
        kept = {name: value.to(dtype) for name, value in weights.items()}
        self._save(self.folder / "snapshots" / f"{self.step.step}.safetensors", kept)

    def _save_state(self, state: dict[str, Tensor]) -> None:
        self._save(self.folder / "resume.safetensors", state)
        self.saved_at = time.perf_counter()

    def _save(self, place: Path, tensors: dict[str, Tensor]) -> None:
        def write(path: Path) -> None:
            save_file(tensors, path)
            shutil.copymode(self.folder / "config.json", path)  # safetensors lets nobody but the owner read

        _write(place, write)


def _cut_back(folder: Path, first: Step) -> None:
    """Take away what a killed run wrote after its resume.safetensors; the steps from there on write it again."""
    end = first.step if first.evaluation is not None else first.step + 1
    lines = (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
    try:
        kept = [line for line in lines if line.endswith("\n") and json.loads(line)["step"] < end]
    except (ValueError, TypeError, KeyError):
        raise InputError(f"{folder / 'metrics.jsonl'} must hold one JSON object with a step on each line.") from None
    _write(folder / "metrics.jsonl", lambda path: path.write_text("".join(kept)))
    for path in (folder / "snapshots").glob("*.safetensors"):
        if int(path.stem) > first.step:
            path.unlink()
    (folder / "result.json").unlink(missing_ok=True)


def _write(path: Path, write: Callable[[Path], object]) -> None:
    beside = path.with_name(f".{path.name}.part")
    try:
        write(beside)
        beside.replace(path)
    except SafetensorError as error:  # safetensors' own wrapping of a full disk
        raise OSError(str(error)) from None
    finally:
        beside.unlink(missing_ok=True)


def _write_json(path: Path, value: dict[str, Any]) -> None:
    _write(path, lambda beside: beside.write_text(json.dumps(value, indent=2) + "\n"))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None  # JSON has no NaN


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _commit() -> str | None:
    try:
        root = Path(miii.__file__).parents[1]
        command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None if done.returncode == 0 else None
