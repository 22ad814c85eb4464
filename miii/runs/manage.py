"""Create runs from external networks, and small copies of runs to ship."""

import copy
import json
import math
import os
import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.atomic import atomic_folder, write_atomically, write_json
from miii.runs.find import open
from miii.runs.read import Run, finite
from miii.runs.write import provenance
from miii.training.config import RunConfig
from miii.training.evaluation import Evaluation, evaluator

SPLIT = ("train_accuracy", "test_accuracy", "train_loss", "test_loss")  #: metrics that need a known split


def create_run(
    folder: str | Path, config: RunConfig, models: Transformer | Mapping[int, Transformer], format: str, **origin: str
) -> Run:
    """Create a run from external networks: a snapshot and an evaluation of each.

    If the split is unknown, ``metrics.jsonl`` has null for both splits, plus ``loss`` and ``accuracy`` over all pairs.

    Args:
        config: the networks' task and model; other fields are unknown and not shown.
        models: the networks by step; a single one is at step 0.
        format: the format of the weights, such as ``"foreign"``; written to ``provenance.json``.
        origin: additional entries of ``provenance.json``.

    Raises:
        InputError: ``folder`` exists or cannot be written, or a network does not match ``config``.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
    models = {0: models} if isinstance(models, Transformer) else dict(sorted(models.items()))
    task = config.task.build()
    for model in models.values():
        sizes = {"d_vocab": model.W_E.shape[0], "d_vocab_out": model.W_U.shape[1], "n_ctx": model.n_ctx}
        if model.config != config.model or any(size != getattr(task, name) for name, size in sizes.items()):
            raise InputError(f"config must have the network's own model and sizes (got {model.config!r} and {sizes}).")
    current = copy.deepcopy(next(iter(models.values())))
    evaluate, rows = evaluator(current, task, scores=config.task.scores), []
    for step, model in models.items():
        current.load_state_dict(model.state_dict())
        numbers = _numbers(evaluate(), task.split_known)
        rows.append({"step": step, "seconds": None, "lr_factor": None, **numbers})
    whole = provenance(config)
    here = {name: whole[name] for name in ("miii", "commit", "torch", "python", "system", "date")}
    result: dict[str, Any] = {"run": folder.name, "steps": rows[-1]["step"], "stopped": False}
    result |= dict.fromkeys(("grokked_at", "seconds_to_grok", "seconds"))
    learned = (row["step"] for row in rows if task.split_known and config.task.learned(_finite(row)))
    result["grokked_at"] = next(learned, None) if len(rows) > 1 else None
    result |= {name: finite(rows[-1][name]) for name in SPLIT} | {"ms_per_step": None}
    try:
        with atomic_folder(folder) as making:
            write_json(making / "config.json", config.model_dump(mode="json"))
            write_json(making / "provenance.json", here | {"format": format} | origin)
            (making / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
            for step, model in models.items():
                snapshot = making / "snapshots" / f"{step}.safetensors"
                write_atomically(snapshot, partial(save_file, _weights(model)))
                shutil.copymode(making / "config.json", snapshot)  # safetensors files are readable by the owner only
            write_json(making / "result.json", result)
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


def _finite(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in row.items()}


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().cpu().float().contiguous() for name, value in model.state_dict().items()}


def _numbers(evaluation: Evaluation, split_known: bool) -> dict[str, float | None]:
    if split_known:
        return {name: finite(value) for name, value in evaluation.row().items()}
    overall = {"loss": evaluation.test_loss, "accuracy": evaluation.test_accuracy}  # all pairs are test
    return dict.fromkeys(SPLIT) | {"weight_norm": evaluation.weight_norm} | overall


def ship(run: Run, folder: str | Path, snapshots: int = 14) -> Run:
    """Copy a finished run with fewer snapshots and without training state, small enough to commit.

    Args:
        snapshots: number to keep; 1 keeps the last, 0 only the metrics.

    Raises:
        InputError: ``folder`` exists or cannot be written, the run has not ended, or ``snapshots`` is below 0.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise InputError(f"out must be a folder that does not exist yet (got {str(folder)!r}).")
    if run.result is None:
        raise InputError(f"{run.name} has not ended, so it cannot be shipped.")
    if snapshots < 0:
        raise InputError(f"snapshots must be at least 0 (got {snapshots}).")
    try:
        with atomic_folder(folder) as making:
            for name in ("config.json", "provenance.json", "metrics.jsonl", "result.json", "report.json"):
                if name != "report.json" or run.report is not None:
                    shutil.copy2(run.folder / name, making / name)
            for step in thin(run.steps, snapshots):
                shutil.copy2(run.folder / "snapshots" / f"{step}.safetensors", making / "snapshots")
    except OSError as error:
        raise InputError(f"{folder} could not be written: {error.strerror or error}.") from None
    return open(folder.absolute())


def thin(steps: list[int], n: int) -> list[int]:
    """Return ``n`` of the steps, evenly spaced by index; keep the last, then the first."""
    if len(steps) <= n or n < 2:
        return steps[len(steps) - n :] if n < len(steps) else steps
    return [steps[round(i * (len(steps) - 1) / (n - 1))] for i in range(n)]
