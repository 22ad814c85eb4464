"""Training state for resuming, as tensors by name."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from miii.model.transformer import Transformer
from miii.training.config import RunConfig
from miii.training.optim import AnyOptimizer
from miii.training.stepper import Stepper


class Progress(NamedTuple):
    """Progress of a run: its step and seconds so far, and the step and seconds of grokking, if any."""

    step: int = 0
    seconds: float = 0.0
    grokked_at: int | None = None
    seconds_to_grok: float | None = None

    @classmethod
    def of(cls, clock: Tensor) -> "Progress":
        """Return the progress that a training state's ``clock`` holds."""
        step, seconds, grokked_at, seconds_to_grok = clock.tolist()
        if math.isnan(grokked_at):
            return cls(int(step), seconds)
        return cls(int(step), seconds, int(grokked_at), seconds_to_grok)

    def clock(self) -> Tensor:
        """Return the progress as a tensor, with NaN for None."""
        numbers = [math.nan if value is None else float(value) for value in self]
        return torch.tensor(numbers, dtype=torch.float64)


class Clock:
    """Measure a run's seconds from its first update, excluding pauses.

    Attributes:
        step_seconds: duration of the latest update.
    """

    def __init__(self, before: float) -> None:
        self.before, self.step_seconds = before, 0.0
        self.began: float | None = None

    @property
    def seconds(self) -> float:
        """Seconds of the run so far."""
        return self.before + (0.0 if self.began is None else time.perf_counter() - self.began)

    @contextmanager
    def update(self) -> Iterator[None]:
        """Measure one update."""
        began = time.perf_counter()
        self.began = began if self.began is None else self.began
        yield
        self.step_seconds = time.perf_counter() - began


def save_state(model: Transformer, stepper: Stepper, progress: Progress) -> dict[str, Tensor]:
    """Return CPU copies of the training state: ``weights.*``, ``stepper.*`` and ``clock``."""
    state = {f"weights.{name}": value for name, value in model.state_dict().items()}
    state |= {f"stepper.{name}": value for name, value in stepper.state().items()}
    state["clock"] = progress.clock()
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def begin(model: Transformer, optimizer: AnyOptimizer, state: dict[str, Tensor] | None) -> tuple[Stepper, Progress]:
    """Load a saved state, if any, and return the optimizer and the run's progress."""
    if state is None:
        return Stepper(model, optimizer), Progress()
    model.load_state_dict({name: state[f"weights.{name}"] for name in model.state_dict()})
    stepper = Stepper(model, optimizer)  # after the weights: it copies the matrices
    stepper.load_state({n.removeprefix("stepper."): v for n, v in state.items() if n.startswith("stepper.")})
    return stepper, Progress.of(state["clock"])


def state_shapes(config: RunConfig) -> dict[str, tuple[int, ...]]:
    """Return the tensor names and shapes of this config's training state after a step.

    Builds the task, but neither network nor optimizer.
    """
    task = config.task.build()
    with torch.device("meta"):
        model = Transformer.of(config.model, task)
        stepper = Stepper(model, config.optimizer)
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        stepper.step(0.0)
    tensors = {f"weights.{name}": value for name, value in model.state_dict().items()}
    tensors |= {f"stepper.{name}": value for name, value in stepper.state().items()}
    return {name: tuple(value.shape) for name, value in tensors.items()} | {"clock": (len(Progress()),)}
