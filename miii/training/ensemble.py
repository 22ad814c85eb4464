"""Train many networks of one shape as one tensor program.

A step of a small network is mostly overhead: among 64, a network of p = 13 with 32 dimensions takes a sixth of the time
that it takes alone (``python -m benchmarks ensemble``). The forward pass is that of single runs, mapped over weights.

Seeds, learning rates, weight decays, training shares and initial weights may differ. Each network has the initial
weights, batches, optimizer and schedule of its single run, and agrees with it up to rounding.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from miii import platform
from miii.errors import InputError
from miii.tasks import ModularAddition
from miii.training.config import RunConfig
from miii.training.evaluation import MAX_EXAMPLES, Evaluation
from miii.training.loop import Diverged, Step, advance, snapshot_steps
from miii.training.optim import AdamW, lr_factor
from miii.training.stacked import Networks, State
from miii.training.state import Clock, Progress

#: The options that may differ between the networks of an ensemble, by part of the config.
FREE: Final = {
    "task": ("seed", "train_fraction", "balanced"),
    "model": ("init", "init_scale"),
    "optimizer": ("lr", "weight_decay"),
}
LARGEST_P: Final = 31  #: the largest p of ``is_small``
SMALL: Final = 3_000_000  #: the most multiplications of the residual stream by W_in in a step
ALIKE: Final = "modular tasks, AdamW, no dropout, no float64 and no limit in seconds"

Round = list[Step | Diverged | None]  #: of each network: its step, why it ended, or None once it has ended


def shape_of(config: RunConfig) -> str | None:
    """Return what networks must share to train together, as text; None if the config cannot be part of an ensemble."""
    task = config.task
    if (
        not isinstance(task, ModularAddition)
        or task.train_fraction is None
        or task.sizes.examples > MAX_EXAMPLES
        or type(config.optimizer) is not AdamW
        or config.dropout
        or config.precision == "float64"
        or config.seconds is not None
    ):
        return None
    values = config.model_dump(mode="json")
    for part, names in FREE.items():
        for name in names:
            del values[part][name]
    return json.dumps(values)


def is_small(config: RunConfig) -> bool:
    """Return whether networks of this shape train at least twice as fast together: up to p = 31 at 32 dimensions.

    Measured on one thread with 16 to 64 networks of 32 dimensions and 128 neurons: 6 times as fast at p = 13, 3.4 at
    23, 2.2 at 31, 1.5 at 59; with 64 dimensions and 256 neurons 2.4 at p = 13; with 128 and 512 no gain at p = 31.
    """
    rows, model = config.batch_size or config.task.n_train, config.model
    work = rows * model.n_layers * model.d_model * model.d_mlp
    return isinstance(config.task, ModularAddition) and config.task.p <= LARGEST_P and work <= SMALL


def train(
    configs: Sequence[RunConfig],
    states: Sequence[State | None] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Round]:
    """Yield the steps of all networks: one list per step, in the order of the configs.

    A network that diverges yields ``Diverged`` and leaves the others alone. ``Step.seconds`` is the time of them all;
    ``Step.step_seconds`` is divided by the networks that took the step.

    Args:
        states: results of ``Step.state`` to resume from, all of one step; None for a network that begins.
        stop: called before each step; once it returns true, the current step is the last.

    Raises:
        InputError: the configs differ in more than ``FREE``, or cannot be part of an ensemble; the states are of
            different steps.
    """
    shapes = {shape_of(config) for config in configs}
    if len(shapes) != 1 or None in shapes:
        free = ", ".join(name for names in FREE.values() for name in names)
        raise InputError(f"configs must have {ALIKE}, and differ in nothing but {free} (got {len(shapes)} shapes).")
    given = [None] * len(configs) if states is None else list(states)
    members = [_Member(i, *each) for i, each in enumerate(zip(configs, map(_progress, given), strict=True))]
    begun = {each.progress.step for each in members}
    if len(begun) > 1:
        raise InputError(f"states must be of one step (got steps {', '.join(map(str, sorted(begun)))}).")
    return _train(members, given, begun.pop(), stop)


@dataclass
class _Member:
    """A network: its place among the configs, the seconds before training began, and its progress since."""

    index: int
    config: RunConfig
    progress: Progress
    last: bool = False

    def __post_init__(self) -> None:
        self.before = self.progress.seconds

    def advance(self, step: int, seconds: float, evaluation: Evaluation | None = None) -> None:
        """Note a step and, if there is one, its evaluation."""
        progress = self.progress._replace(step=step, seconds=self.before + seconds)
        self.progress, self.last = advance(self.config, progress, evaluation)


def _progress(state: State | None) -> Progress:
    return Progress() if state is None else Progress.of(state["clock"])


def _train(
    members: list[_Member], states: Sequence[State | None], begun: int, stop: Callable[[], bool]
) -> Iterator[Round]:
    shared, size = members[0].config, len(members)
    if shared.threads is not None:
        torch.set_num_threads(shared.threads)
    platform.keep_freed_memory()
    networks = Networks.begin([each.config for each in members], states)
    snapshots, clock = set(snapshot_steps(shared.steps, shared.snapshots)), Clock(0.0)

    for step in range(begun, shared.steps + 1):
        found: Round = [None] * size
        factor = lr_factor(step, shared.steps, shared.warmup_steps, shared.schedule) if step else 0.0
        trained = len(members)
        if step > begun:
            with clock.update():
                finite = networks.update(step, factor)
            members, networks = _finite(members, networks, finite, found, step, "the training loss")
        for each in members:
            each.advance(step, clock.seconds)
        regular, kept = step % shared.eval_every == 0, step in snapshots
        due = regular or any(each.last for each in members)
        if due or kept:
            finite = networks.weights.isfinite().all(1).cpu()
            members, networks = _finite(members, networks, finite, found, step, "a weight")
        evaluations = networks.evaluate() if due and members else []
        stopped = stop()
        for i, each in enumerate(members):
            evaluation = evaluations[i] if regular or each.last else None
            each.advance(step, clock.seconds, evaluation)
            found[each.index] = Step(
                config=each.config,
                step=step,
                seconds=each.progress.seconds,
                step_seconds=clock.step_seconds / trained,
                lr_factor=factor,
                grokked_at=each.progress.grokked_at,
                seconds_to_grok=each.progress.seconds_to_grok,
                last=each.last,
                evaluation=evaluation,
                weights=networks.state_dict(i) if kept or each.last else None,
                state=_saving(networks, i, each.progress),
            )
        yield found
        left = [i for i, each in enumerate(members) if not each.last]
        if len(left) < len(members):
            members, networks = [members[i] for i in left], networks.only(torch.tensor(left, dtype=torch.long))
        if stopped or not members:
            return


def _finite(
    members: list[_Member], networks: Networks, finite: Tensor, found: Round, step: int, what: str
) -> tuple[list[_Member], Networks]:
    """Take out the networks that are not finite, and note it in the round."""
    if finite.all():
        return members, networks
    for each, is_finite in zip(members, finite.tolist(), strict=True):
        if not is_finite:
            found[each.index] = Diverged(step, what)
    left = finite.nonzero()[:, 0]
    return [members[i] for i in left.tolist()], networks.only(left)


def _saving(networks: Networks, i: int, progress: Progress) -> Callable[[], dict[str, Tensor]]:
    return lambda: networks.state(i, progress.step) | {"clock": progress.clock()}
