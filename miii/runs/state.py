"""Read and check the training state of a stopped run, ``resume.safetensors``."""

import math
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from miii.errors import InputError
from miii.runs.read import STATE, Run, check_fit
from miii.training import state_shapes
from miii.training.config import RunConfig


def load_state(run: Run) -> dict[str, Tensor] | None:
    """Return the training state of a run, or None if it has none.

    Raises:
        InputError: the state cannot be read; also see ``check_state``.
    """
    path = run.folder / STATE
    if not run.has_state:
        return None
    try:
        if not path.is_file():  # opening a pipe would block
            raise OSError("it must be a file")
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise InputError(f"{path} must be a readable safetensors file ({error}).") from None
    check_state(path, state, run.config)
    return state


def check_state(path: str | Path, state: dict[str, Tensor], config: RunConfig) -> None:
    """Check that tensors are a config's training state: names, shapes, dtypes and clock.

    Builds the task, so call ``check_size`` first for an untrusted config.

    Raises:
        InputError: a tensor does not match.
    """
    clock = state.get("clock", torch.empty(0))
    if clock.dtype is not torch.float64 or clock.shape != (4,) or not _runs(clock.tolist(), config.steps):
        raise InputError(f"{path} must have a clock with a step of at most {config.steps:,} and finite seconds.")
    wanted = state_shapes(config)
    if clock[0] == 0:  # before the first step the optimizer has no state
        later = ("stepper.optimizer.", "stepper.slow.")
        wanted = {name: shape for name, shape in wanted.items() if not name.startswith(later)}
    check_fit(path, wanted, state)
    for name, value in state.items():
        single = config.precision != "float64" or name.endswith(".step")
        if name != "clock" and value.dtype is not (torch.float32 if single else torch.float64):
            raise InputError(f"{name} must be {'float32' if single else 'float64'} in {path} (got {value.dtype}).")
        if name.endswith(".step") and value != clock[0]:
            raise InputError(f"{name} must be the step of the clock, {clock[0]:.0f}, in {path} (got {value:g}).")


def _runs(clock: list[float], steps: int) -> bool:
    """Return whether a clock's step and seconds are valid; those of grokking may be NaN."""
    step, seconds, grokked_at, seconds_to_grok = clock
    if not (0 <= step <= steps and step.is_integer() and 0 <= seconds < math.inf):
        return False
    if math.isnan(grokked_at):
        return math.isnan(seconds_to_grok)
    return 0 <= grokked_at <= step and grokked_at.is_integer() and 0 <= seconds_to_grok < math.inf
