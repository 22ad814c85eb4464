"""A run, opened for reading, finished or still being written."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import filelock
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from miii.config import RunConfig
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import AnyTask, Task

if TYPE_CHECKING:
    import pandas as pd

METRICS = ("step", "seconds", "lr_factor", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
LOCK = ".lock"  #: held by whoever writes the run; released by the operating system if they are killed


@dataclass(frozen=True)
class Run:
    """A run folder, opened for reading.

    Source: own design.
    """

    folder: Path
    config: RunConfig

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @property
    def result(self) -> dict[str, Any] | None:
        """What the run came to, or None while it has not ended."""
        return read_json(self.folder / "result.json") if (self.folder / "result.json").exists() else None

    @property
    def report(self) -> dict[str, Any] | None:
        """What was measured of its last network (``miii residues RUN --save``), or None where nobody did."""
        path = self.folder / "report.json"
        return read_json(path) if path.exists() else None

    @property
    def provenance(self) -> dict[str, Any]:
        """Versions, processor, precision, threads and date; empty where the folder does not say."""
        path = self.folder / "provenance.json"
        return read_json(path) if path.exists() else {}

    @property
    def steps(self) -> list[int]:
        """The steps of the snapshots, ascending."""
        names = (self.folder / "snapshots").glob("*.safetensors")
        return sorted(int(path.stem) for path in names if path.stem.isdecimal())

    @property
    def imported(self) -> bool:
        """Whether the network was not trained here (``adopt``), so that there is no training to show."""
        return "format" in self.provenance

    @property
    def running(self) -> bool:
        """Whether someone is writing the run now."""
        if not (self.folder / LOCK).exists():
            return False
        try:
            with filelock.FileLock(self.folder / LOCK, timeout=0):
                return False
        except filelock.Timeout:
            return True

    @property
    def can_resume(self) -> bool:
        """Whether the run stopped before its last step, by hand or by being killed, and holds what going on needs."""
        return (self.folder / "resume.safetensors").exists() and not self.running

    def metrics(self) -> "pd.DataFrame":
        """One row an evaluation: step, seconds, lr_factor, losses in nats, accuracies, weight_norm."""
        import pandas as pd

        rows = self.rows()
        return pd.DataFrame(rows) if rows else pd.DataFrame(columns=list(METRICS))

    def rows(self) -> list[dict[str, float]]:
        """The lines of ``metrics.jsonl``, NaN for null; a last line that is still being written is left out.

        Raises:
            InputError: a line is no JSON object.
        """
        path = self.folder / "metrics.jsonl"
        if not path.exists():
            return []
        try:
            rows = [json.loads(line) for line in path.read_text().rpartition("\n")[0].splitlines()]
        except ValueError as error:
            raise InputError(f"{path} must hold one JSON object a line ({error}).") from None
        if not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path} must hold one JSON object a line.")
        return [{name: math.nan if value is None else value for name, value in row.items()} for row in rows]

    def task(self) -> Task:
        """The task with ``tokens`` [examples, pos], ``labels`` [examples] and ``train_mask`` [examples]."""
        return self._task

    @cached_property
    def _task(self) -> Task:
        return _built(self.config.task)

    def weights(self, step: int | None = None) -> dict[str, Tensor]:
        """The float32 weights at a snapshot, by name; at the last one if ``step`` is None.

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
        task = self._task  # whose tensors are built where tensors belong
        with torch.device("meta"):
            return Transformer.of(self.config.model, task)

    def model(self, step: int | None = None) -> Transformer:
        """The network at a snapshot, in float32 on the CPU; at the last one if ``step`` is None.

        Raises:
            InputError: as ``weights``, or a weight is not finite: training diverged, and nothing can be measured.
        """
        weights = self.weights(step)
        if not all(value.isfinite().all() for value in weights.values()):
            step = self.steps[-1] if step is None else step
            raise InputError(f"{self.name} cannot be analyzed: its weights at step {step} are not finite.")
        model = Transformer.of(self.config.model, self._task)
        model.load_state_dict(weights)
        return model.requires_grad_(False).eval()


@lru_cache(maxsize=1)
def _built(task: AnyTask) -> Task:
    """Kept for the next who opens the run: a million integers take half a second and 120 MB."""
    return task.build()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file.

    Raises:
        InputError: the file cannot be read, or holds anything else.

    Source: own design.
    """
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must hold a JSON object ({error}).") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object (got {type(value).__name__}).")
    return value


def check_fit(path: Path, wanted: Mapping[str, tuple[int, ...]], found: Mapping[str, Tensor]) -> None:
    """Check that the tensors of a file have the names and shapes that the run's config asks for.

    Raises:
        InputError: one of them does not.

    Source: own design.
    """
    shapes = {name: tuple(value.shape) for name, value in found.items()}
    if wanted != shapes:
        name = next(n for n in sorted(wanted.keys() | shapes.keys()) if wanted.get(n) != shapes.get(n))
        raise InputError(
            f"{path} does not fit its config.json: {name} must be {wanted.get(name, 'absent')} "
            f"(got {shapes.get(name, 'nothing')})."
        )


def finite(value: float | None) -> float | None:
    """The value, or None where it is not finite: JSON has no NaN. Source: RFC 8259, section 6."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
