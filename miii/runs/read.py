"""Runs, opened for reading: by name or by folder, finished or still being written."""

import contextlib
import json
import math
import os
from collections.abc import Collection, Mapping
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


def homes() -> tuple[Path, Path]:
    """Where a name is looked up: ``runs`` below the working folder, then the shipped ``checkpoints``.

    ``MIII_RUNS`` names another place for the first. Source: own design.
    """
    return Path(os.environ.get("MIII_RUNS", "runs")), Path(__file__).parents[2] / "checkpoints"


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
            InputError: as ``weights``.
        """
        weights = self.weights(step)
        model = Transformer.of(self.config.model, self._task)
        model.load_state_dict(weights)
        return model.requires_grad_(False).eval()


@lru_cache(maxsize=1)
def _built(task: AnyTask) -> Task:
    """Kept for the next who opens the run: a million integers take half a second and 120 MB."""
    return task.build()


def open(name_or_folder: str | Path) -> Run:
    """Open a run by name (in ``runs``, then in ``checkpoints``) or by folder.

    Raises:
        InputError: there is no such run, or its config cannot be read.

    Source: own design.
    """
    given = Path(name_or_folder)
    places = [given] if given.is_absolute() or len(given.parts) > 1 else [home / given for home in homes()] + [given]
    for folder in places:
        if (folder / "config.json").is_file():
            return Run(folder, _read_config(folder / "config.json"))
    if any(folder.is_dir() for folder in places):
        raise InputError(f"{name_or_folder} is a folder without a config.json, so not a run, or not yet one.")
    names = sorted({run.name for run in every()})
    raise InputError(
        f"run must be one of {', '.join(names) or '(there is none yet)'}, or a folder (got {str(given)!r})."
    )


def shipped(name: str) -> Run:
    """Open a run that came with miii, whatever runs of that name there are besides: ``seeds/primes-10-seed1``.

    Raises:
        InputError: there is no such run, or its config cannot be read.

    Source: own design.
    """
    return open(homes()[1] / name)


def every() -> list[Run]:
    """All runs that can be opened in ``runs``, the newest first, and then those in ``checkpoints``, by name.

    A name in ``runs`` hides the same in ``checkpoints``. Source: own design.
    """
    found: dict[str, Run] = {}
    own, shipped = homes()
    for home in (own, shipped):
        configs = sorted(home.glob("*/config.json"))
        if home == own:  # what a checkout wrote last says nothing
            configs.sort(key=lambda path: -path.stat().st_mtime)
        for path in configs:
            if path.parent.name not in found and not path.parent.name.startswith("."):
                with contextlib.suppress(InputError):
                    found[path.parent.name] = Run(path.parent, _read_config(path))
    return list(found.values())


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


def _read_config(path: Path) -> RunConfig:
    values = read_json(path)
    try:
        return RunConfig(**values)
    except InputError as error:
        raise InputError(f"{path} is not a run's config: {error}") from None


def new_folder(config: RunConfig, taken: Collection[str] = ()) -> Path:
    """A folder in ``runs`` that does not exist yet, named after the task and seed.

    Args:
        taken: further names to avoid, such as those of waiting jobs.

    Source: own design.
    """
    return free_folder(f"{config.task.name}-seed{config.task.seed}", taken)


def free_folder(stem: str, taken: Collection[str] = ()) -> Path:
    """A folder in ``runs`` that does not exist yet, of this name or, where that is taken, with a number behind it.

    Args:
        taken: as of ``new_folder``.

    Source: own design.
    """
    taken = {*taken, *(path.name for place in homes() for path in place.glob(f"{stem}*"))}
    name = next(n for n in (stem, *(f"{stem}-{i}" for i in range(2, len(taken) + 3))) if n not in taken)
    return homes()[0] / name


def row(run: Run) -> dict[str, Any]:
    """A run as a row of a listing: name, task, where it stands, and how well it does. Source: own design."""
    try:
        rows, result = run.rows(), run.result
        ended = "imported" if run.imported else "done"
        status = "unfinished" if result is None else "stopped" if result["stopped"] else ended
    except InputError:  # one spoilt run must not hide the others
        rows, result, status = [], None, "spoilt"
    last = rows[-1] if rows else {}
    return {
        "run": run.name,
        "task": run.config.task.name,
        "seed": run.config.task.seed,
        "status": "running" if run.running else status,
        "steps": last.get("step"),
        "grokked_at": result and result["grokked_at"],
        "test_accuracy": finite(last.get("test_accuracy")),
        "seconds": finite(last.get("seconds")),
        "folder": str(run.folder),
    }
