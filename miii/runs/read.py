"""Read a run, finished or still being written."""

import contextlib
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

import filelock
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.files import brief, check_result, find_json, find_text, is_number, parsed, unreadable
from miii.tasks import AnyTask, Task, TaskConfig
from miii.training.config import RunConfig

if TYPE_CHECKING:
    import pandas as pd

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

METRICS = ("step", "seconds", "lr_factor", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
SWEEP: Final = "sweep.json"  #: the file of a sweep, beside the folders of its runs
LOCK = ".lock"  #: locked while the run is written; the OS unlocks it if the writer is killed
STATE = "resume.safetensors"  #: the training state; absent from finished runs
SNAPSHOT: Final = re.compile(r"(0|[1-9][0-9]{0,17})\.safetensors")
T = TypeVar("T", bound=TaskConfig)


@dataclass(frozen=True)
class Run:
    """A run folder, opened for reading."""

    folder: Path
    config: RunConfig

    @property
    def name(self) -> str:
        """The folder's name; ``sweep/name`` for a run of a sweep."""
        beside = self.folder.parent / SWEEP
        return f"{self.folder.parent.name}/{self.folder.name}" if beside.exists() else self.folder.name

    @property
    def result(self) -> dict[str, Any] | None:
        """The content of ``result.json``, or None before the end of the run.

        Raises:
            InputError: the file cannot be read, or lacks a value of every result.
        """
        path = self.folder / "result.json"
        values = find_json(path)
        if values is not None:
            check_result(path, values)
        return values

    @property
    def report(self) -> dict[str, Any] | None:
        """Saved report on the last snapshot (``miii residues RUN --save``), or None."""
        return find_json(self.folder / "report.json")

    def report_at(self, step: int) -> dict[str, Any] | None:
        """Return the saved report if it is on this step, or None."""
        return found if (found := self.report) is not None and found.get("step") == step else None

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, processor, precision, threads and date; empty if unknown."""
        return find_json(self.folder / "provenance.json") or {}

    @property
    def steps(self) -> list[int]:
        """The steps of the snapshots, ascending.

        Raises:
            InputError: the snapshot folder cannot be read.
        """
        place = self.folder / "snapshots"
        try:
            with os.scandir(place) as entries:
                found = [(SNAPSHOT.fullmatch(entry.name), entry.path) for entry in entries]
        except FileNotFoundError:
            return []
        except OSError as error:
            raise unreadable(place, error) from None
        return sorted(int(name[1]) for name, path in found if name and os.path.isfile(path))

    @property
    def imported(self) -> bool:
        """Whether the network was imported (``create_run``), so nothing but its snapshots is known of its training."""
        return "format" in self.provenance

    @property
    def seed(self) -> int | None:
        """The seed of the split and of the initial weights; None for an imported run with an unknown split."""
        task = self.config.task
        return None if self.imported and task.train_fraction is None else task.seed

    @property
    def running(self) -> bool:
        """Whether the run is currently being written.

        Raises:
            InputError: its lock cannot be read.
        """
        return locked(self.folder)

    @property
    def has_state(self) -> bool:
        """Whether the folder has a training state to resume from."""
        return os.path.lexists(self.folder / STATE)

    @property
    def why_not_resumable(self) -> str | None:
        """Why the run cannot be resumed, as a clause; None if it can.

        It resumes from ``resume.safetensors``, or from step 0 if killed before that was written.

        Raises:
            InputError: result.json or provenance.json cannot be read.
        """
        return why_not_resumable(self.result, self.provenance, self.has_state)

    @property
    def can_resume(self) -> bool:
        """Whether the run was stopped or killed before its last step, and is not being written.

        Raises:
            InputError: see ``why_not_resumable`` and ``running``.
        """
        return self.why_not_resumable is None and not self.running

    def metrics(self) -> "pd.DataFrame":
        """Return one row for each evaluation: step, seconds, lr_factor, losses in nats, accuracies, weight_norm."""
        import pandas as pd

        rows = self.rows()
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(METRICS))

    def rows(self) -> list[dict[str, float]]:
        """Return the rows of ``metrics.jsonl``, with NaN for null and without an unfinished last line.

        Raises:
            InputError: the file cannot be read, or a line is not a JSON object of numbers that includes ``METRICS``.
        """
        path = self.folder / "metrics.jsonl"
        lines = (find_text(path) or "").rpartition("\n")[0].splitlines()
        try:
            rows = [parsed(line) for line in lines]
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} must hold one JSON object a line ({brief(error)}).") from None
        for number, row in enumerate(rows, 1):
            if not isinstance(row, dict):
                raise InputError(f"{path} must hold one JSON object a line (line {number} is not one).")
            if type(row.get("step")) is not int or not all(value is None or is_number(value) for value in row.values()):
                raise InputError(
                    f"{path} must hold an integer step and numbers by name in each line (got line {number})."
                )
            if missing := [name for name in METRICS if name not in row]:
                raise InputError(f"{path} must hold {', '.join(missing)} in each line (line {number} does not).")
        return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]

    def task(self) -> Task:
        """Return the task, with ``tokens`` [examples, pos], ``labels`` [examples] and ``train_mask`` [examples]."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        return _built(self.config.task)

    def weights(self, step: int | None = None) -> dict[str, Tensor]:
        """Return a snapshot's float32 weights by name; by default, the last snapshot's.

        Raises:
            InputError: there is no such snapshot, it cannot be read, or it does not fit the config.
        """
        steps = self.steps
        if not steps:
            raise InputError(f"{self.folder} has no snapshot yet.")
        step = steps[-1] if step is None else step
        if step not in steps:
            raise InputError(
                f"step must be one of the snapshots of {self.name}: {', '.join(map(str, steps))} (got {step})."
            )
        path = self.folder / "snapshots" / f"{step}.safetensors"
        try:
            loaded = load_file(path)
        except (SafetensorError, OSError) as error:
            raise InputError(f"{path} is not a readable safetensors file ({error}).") from None
        check_fit(path, {name: tuple(value.shape) for name, value in self._empty.state_dict().items()}, loaded)
        return {name: value.float() for name, value in loaded.items()}

    @cached_property
    def _empty(self) -> Transformer:
        task = self._task  # build before entering the meta device
        with torch.device("meta"):
            return Transformer.of(self.config.model, task)

    def model(self, step: int | None = None) -> Transformer:
        """Return a snapshot's network, in float32 on the CPU; by default, the last snapshot's.

        Raises:
            InputError: see ``weights``, or a weight is not finite because training diverged.
        """
        weights = self.weights(step)
        if not all(value.isfinite().all() for value in weights.values()):
            step = self.steps[-1] if step is None else step
            raise InputError(f"{self.name} cannot be analyzed: its weights at step {step} are not finite.")
        model = Transformer.of(self.config.model, self._task)
        model.load_state_dict(weights)
        return model.requires_grad_(False).eval()


@dataclass(frozen=True)
class RunOn(Run, Generic[T]):
    """A run with a known task kind, opened by ``runs.open(name, Primes)``."""

    @property
    def task_config(self) -> T:
        """The run's task config."""
        return cast(T, self.config.task)


def why_not_resumable(result: dict[str, Any] | None, provenance: dict[str, Any], has_state: bool) -> str | None:
    """Return why a run with these files cannot be resumed, as a clause; None if it can."""
    if "format" in provenance:
        return "it was not trained by miii"
    if result is not None and not result["stopped"]:
        return "it has ended"
    if result is not None and "diverged_at" in result:
        return "its training diverged"
    if not has_state and (result is not None or "uploaded" in provenance):
        return "this copy has no training state, which only `miii pack --resumable` includes"
    return None


def locked(folder: Path) -> bool:
    """Return whether a run's folder is locked; needs only read access.

    Raises:
        InputError: the lock cannot be read.
    """
    place = folder / LOCK
    if fcntl is None:
        try:
            with filelock.FileLock(place, timeout=0) if place.exists() else contextlib.nullcontext():
                return False
        except filelock.Timeout:
            return True
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise unreadable(place, error) from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # fails only while a writer holds its lock
    except BlockingIOError:
        return True
    except OSError as error:
        raise unreadable(place, error) from None
    finally:
        os.close(descriptor)
    return False


@lru_cache(maxsize=1)
def _built(task: AnyTask) -> Task:
    """Build a task; cache the latest one, since a million integers take 0.5 s and 120 MB."""
    return task.build()


def check_fit(path: str | Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Check that a file's tensors match the names and shapes of the run's config.

    Raises:
        InputError: a tensor does not match.
    """
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if wanted != shapes:
        name = next(n for n in sorted(wanted.keys() | shapes.keys()) if wanted.get(n) != shapes.get(n))
        raise InputError(
            f"{path} does not fit its config.json: {name} must be {wanted.get(name, 'absent')} "
            f"(got {shapes.get(name, 'nothing')})."
        )


def finite(value: float | None) -> float | None:
    """Return the value, or None if it is not finite: JSON has no NaN (RFC 8259, section 6)."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
