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
    clock, progress = Clock(start.seconds), start

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
        progress, last = advance(config, progress._replace(step=step, seconds=clock.seconds))
        due, kept = step % config.eval_every == 0 or last, step in snapshots
        if (due or kept) and not all(weight.isfinite().all() for weight in model.parameters()):
            raise Diverged(step, "a weight")
        evaluation = None
        try:
            if due:
                evaluation = evaluate(stop)
                progress, last = advance(config, progress._replace(seconds=clock.seconds), evaluation)
        except Interrupted:
            last = False
        stopped = stop()
        yield Step(
            config=config,
            step=step,
            seconds=progress.seconds,
            step_seconds=clock.step_seconds,
            lr_factor=factor,
            grokked_at=progress.grokked_at,
            seconds_to_grok=progress.seconds_to_grok,
            last=last,
            evaluation=evaluation,
            weights=_weights(model) if kept or last else None,
            state=partial(save_state, model, stepper, progress),
        )
        if last or stopped:
            return


def advance(config: RunConfig, progress: Progress, evaluation: Evaluation | None = None) -> tuple[Progress, bool]:
    """Return the progress with the step of grokking, and whether the run ends at its step.

    A run ends by its steps, its seconds, its steps after grokking, or its accuracies. Asked without an evaluation,
    this tells whether the step must be evaluated as the last.
    """
    after, until = config.steps_after_grok, config.until_accuracy
    if evaluation is not None and progress.grokked_at is None and config.task.learned(evaluation.row()):
        progress = progress._replace(grokked_at=progress.step, seconds_to_grok=progress.seconds)
    step, seconds, grokked_at, _ = progress
    last = (
        step == config.steps
        or (config.seconds is not None and seconds >= config.seconds)
        or (grokked_at is not None and after is not None and step >= grokked_at + after)
    )
    if until is not None and evaluation is not None:
        last = last or min(evaluation.train_accuracy, evaluation.test_accuracy) >= until
    return progress, last


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
