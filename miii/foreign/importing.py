"""Make a run of other people's weights; write nothing unless all of it fits."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from miii import runs
from miii.errors import InputError
from miii.foreign.claim import Fitness, measure
from miii.foreign.files import read
from miii.foreign.recognize import Recognized, another, recognize
from miii.foreign.settings import Settings
from miii.foreign.unwrap import Contents
from miii.model.transformer import Transformer
from miii.tasks import ModularAddition
from miii.training.config import RunConfig


@dataclass(frozen=True)
class Claim:
    """What the network was trained on, as far as anyone says.

    Attributes:
        operation: see ``ModularAddition``; None takes the operation that it answers best.
        expression: the formula of the operation ``expr``.
        train_fraction, seed: miii's own split, if it was used; None is unknown.
    """

    operation: str | None = None
    expression: str | None = None
    train_fraction: float | None = None
    seed: int = 0


@dataclass(frozen=True)
class Found:
    """Networks as they were recognized, and how good the last one is.

    Attributes:
        task: the claimed task; without a claim, the likeliest, or addition if none is likely.
        models: the networks by step.
    """

    recognized: Recognized
    task: ModularAddition
    fitness: Fitness
    models: dict[int, Transformer]

    def lines(self) -> dict[str, str]:
        """Return what was found, in words by name."""
        found = self.recognized.lines()
        if len(self.models) > 1:
            steps = sorted(self.models)
            found["snapshots"] = f"{len(steps)}, steps {steps[0]} to {steps[-1]}"
        known = {reading.name: f"{reading.accuracy:.1%}" for reading in self.fitness.readings[:3]}
        return found | {
            "task": self.task.description,
            "accuracy": f"{self.fitness.claimed.accuracy:.2%} over all pairs",
            "best": ", ".join(f"{name} {share}" for name, share in known.items()),
        }


def examine(
    contents: Contents,
    claim: Claim = Claim(),
    given: Settings = Settings(),  # noqa: B008
    layout: str | None = None,
    limits: runs.Limits | None = None,
) -> Found:
    """Recognize the networks in a file, and test what they answer.

    Args:
        limits: bounds on the network's size, for servers.

    Raises:
        InputError: see ``recognize``; the claimed task is invalid, or a snapshot does not fit the others.
    """
    _task(claim, given.p or 113, {})  # before any work
    recognized = recognize(contents, given, layout)
    task = _task(claim, recognized.p, recognized.prompt)
    if limits is not None:
        runs.check_size(RunConfig(task=task, model=recognized.model.config), limits)
    fitness = measure(recognized.model, task, claimed=claim.operation is not None)
    if claim.operation is None and fitness.best.accuracy >= 0.5 and fitness.best.claim:
        task = task.model_copy(update=dict(fitness.best.claim))
    elif claim.operation is None:
        fitness = measure(recognized.model, task)
    last = max(contents.states)
    models = {step: another(state, recognized) for step, state in contents.states.items() if step != last}
    return Found(recognized, task, fitness, dict(sorted((models | {last: recognized.model}).items())))


def import_run(
    path: str | Path,
    out: str | Path,
    claim: Claim = Claim(),
    given: Settings = Settings(),  # noqa: B008
    layout: str | None = None,
    allow_pt: bool = True,
    limits: runs.Limits | None = None,
    found: Found | None = None,
) -> tuple[runs.Run, Found]:
    """Create a run from other people's weights: a file, a folder of snapshots, or a pattern of files.

    Args:
        out: the folder of the run.
        given: what the file does not record, as far as known.
        layout: forces a layout; see ``recognize``.
        allow_pt: see ``read``.
        limits: bounds on the network's size, for servers.
        found: what ``examine`` found in the file, if it was examined already.

    Returns:
        The run, with a snapshot for each network, and what was recognized.

    Raises:
        InputError: see ``read``, ``examine``, ``runs.check_size`` and ``runs.create_run``.
    """
    path = Path(path)
    found = found or examine(read(path, allow_pt), claim, given, layout, limits)
    last = max(found.models)
    config = RunConfig(task=found.task, model=found.recognized.model.config, steps=max(last, RunConfig().steps))
    origin = {"file": path.name, "layout": found.recognized.layout}
    if path.is_file():
        with path.open("rb") as opened:
            origin["sha256"] = hashlib.file_digest(opened, "sha256").hexdigest()
    models = found.models if len(found.models) > 1 else {0: found.models[last]}
    return runs.create_run(out, config, models, format="foreign", **origin), found


def left_out(names: tuple[str, ...]) -> str:
    """Return a sentence about what a file holds and the network does not."""
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    return f"{shown} {'was' if len(names) == 1 else 'were'} not used."


def _task(claim: Claim, p: int, prompt: dict[str, bool]) -> ModularAddition:
    values: dict[str, Any] = {"operation": claim.operation or "add", "expression": claim.expression, "p": p}
    if claim.expression is not None and claim.operation is None:
        raise InputError(f"expression needs the task expr (got {claim.expression!r} without a task).")
    return ModularAddition(**values, train_fraction=claim.train_fraction, seed=claim.seed, **prompt)
