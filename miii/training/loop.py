"""Train as a generator of steps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from miii import hardware, platform
from miii.errors import InputError
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import Task
from miii.training.batches import batches, dropout_masks
from miii.training.config import RunConfig
from miii.training.evaluation import Evaluation, Interrupted, evaluator
from miii.training.losses import loss_of
from miii.training.optim import lr_factor
from miii.training.state import Clock, Progress, begin, save_state


class Diverged(InputError):
    """The loss or a weight is not finite.

    Attributes:
        step: where it was detected; all steps yielded before have finite weights.
    """

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"training diverged: {what} at step {step} is not finite; lower lr, or raise warmup_steps.")
        self.step = step


@dataclass(frozen=True)
class Step:
    """One step of training. Step 0 is the untrained network.

    Attributes:
        seconds: wall-clock seconds since the first step, including evaluations and the consumer's work, not pauses.
        step_seconds: duration of this update.
        evaluation: every ``eval_every`` steps from 0, and at the last step; otherwise None. Also None if ``stop``
            interrupted it; this step is then the last, and resuming evaluates again.
        weights: float32 weights on the CPU, at the steps of ``snapshot_steps`` and the last; otherwise None.
        state: returns the training state as tensors by name. Call it before requesting the next step.
    """

    config: RunConfig
    step: int
    seconds: float
    step_seconds: float
    lr_factor: float
    grokked_at: int | None
    seconds_to_grok: float | None
    last: bool
    evaluation: Evaluation | None
    weights: dict[str, Tensor] | None
    state: Callable[[], dict[str, Tensor]]


def snapshot_steps(steps: int, snapshots: int) -> list[int]:
    """Return 0 and about ``snapshots`` - 1 steps up to ``steps``, evenly spaced in log step."""
    spaced = np.geomspace(1, steps, max(1, snapshots - 1)).round().astype(int)
    return sorted({0, steps, *spaced.tolist()})


def build_model(config: RunConfig, task: Task) -> Transformer:
    """Return the run's network with its initial weights, in float32 on the CPU."""
    return Transformer.of(config.model, task, seed=config.task.seed)


def train(
    config: RunConfig, state: dict[str, Tensor] | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[Step]:
    """Yield training steps, starting with the untrained network or the step of ``state``.

    Deterministic given config, device, precision and thread count. Closing the generator ends training.

    Args:
        state: a result of ``Step.state`` to resume from; resuming is bit-identical.
        stop: called before each step and within evaluations; once it returns true, the current step is the last.

    Raises:
        InputError: at the first step, if the task's split is unknown, or it has no data or fewer training examples
            than ``batch_size``.
        Diverged: a loss or a weight is not finite.

    Source: the loop of Nanda et al. 2023; the fast path is ``miii.model.fast``.
    """
    if config.task.train_fraction is None:
        raise InputError("train_fraction must be a number in (0, 1) for training (got none, which means unknown).")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    platform.keep_freed_memory()
    device, dtype = hardware.device(config.device), hardware.precision(config.precision, config.device)
    task = config.task.build()
    model = build_model(config, task).to(device, torch.float64 if dtype is torch.float64 else None)
    stepper, start = begin(model, config.optimizer, state)

    batch, masks, loss_on = batches(config, task), dropout_masks(config, device), loss_of(task, config.loss, device)
    examples, logits = fast.plan(task.tokens.to(device)), fast.logits_for(task)
    evaluate = evaluator(model, task, config.loss, config.task.scores)
    snapshots = set(snapshot_steps(config.steps, config.snapshots))
    clock, (_, _, grokked_at, seconds_to_grok) = Clock(start.seconds), start

    for step in range(start.step, config.steps + 1):
        factor = lr_factor(step, config.steps, config.warmup_steps, config.schedule) if step else 0.0
        if step > start.step:
            rows = batch(step)
            with clock.update():
                with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
                    loss = loss_on(logits(model, examples.rows(rows), masks(step, len(rows))), rows)
                if not loss.isfinite():
                    raise Diverged(step, "the training loss")
                loss.backward()
                stepper.step(factor)
        last = is_last(config, step, clock.seconds, grokked_at)
        due, kept = step % config.eval_every == 0 or last, step in snapshots
        if (due or kept) and not all(weight.isfinite().all() for weight in model.parameters()):
            raise Diverged(step, "a weight")
        try:
            evaluation = evaluate(stop) if due else None
        except Interrupted:
            evaluation, last = None, False
        stopped, seconds = stop(), clock.seconds
        if evaluation is not None and grokked_at is None and config.task.learned(evaluation.row()):
            grokked_at, seconds_to_grok = step, seconds
            last = last or config.steps_after_grok == 0
        last = last or reached(config, evaluation)
        yield Step(
            config=config,
            step=step,
            seconds=seconds,
            step_seconds=clock.step_seconds,
            lr_factor=factor,
            grokked_at=grokked_at,
            seconds_to_grok=seconds_to_grok,
            last=last,
            evaluation=evaluation,
            weights=_weights(model) if kept or last else None,
            state=partial(save_state, model, stepper, Progress(step, seconds, grokked_at, seconds_to_grok)),
        )
        if last or stopped:
            return


def is_last(config: RunConfig, step: int, seconds: float, grokked_at: int | None) -> bool:
    """Return whether the run ends at a step: by its steps, its seconds, or its steps after grokking."""
    after = config.steps_after_grok
    return (
        step == config.steps
        or (config.seconds is not None and seconds >= config.seconds)
        or (grokked_at is not None and after is not None and step >= grokked_at + after)
    )


def reached(config: RunConfig, evaluation: Evaluation | None) -> bool:
    """Return whether both accuracies of an evaluation are at least ``until_accuracy``, which ends the run."""
    until = config.until_accuracy
    if until is None or evaluation is None:
        return False
    return min(evaluation.train_accuracy, evaluation.test_accuracy) >= until


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
