"""Training as a generator of steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii import hardware, platform
from miii.errors import InputError
from miii.metrics import LOSSES, LossName, next_token
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import Task
from miii.training.config import RunConfig
from miii.training.evaluation import SCORES, Evaluation, Interrupted, evaluator
from miii.training.optim import lr_factor
from miii.training.stepper import Stepper


class Diverged(InputError):
    """Training met a loss or a weight that is not finite.

    Attributes:
        step: where it was met; every step yielded before has finite weights.
    """

    def __init__(self, step: int, what: str) -> None:
        super().__init__(f"training diverged: {what} at step {step} is not finite; lower lr, or raise warmup_steps.")
        self.step = step


@dataclass(frozen=True)
class Step:
    """One step of training. Step 0 is the network before it.

    Attributes:
        seconds: wall clock since the first step began, evaluations and the consumer's own work included; the time
            between stopping and resuming is not.
        step_seconds: what this update took.
        evaluation: on every ``eval_every``-th step from 0 on, and the last; None between, and where ``stop`` cut it
            short: then this is the last value, and resuming from it evaluates again.
        weights: float32 weights on the CPU, on the steps of ``snapshot_steps`` and the last; None between.
        state: all that resuming from here needs, as tensors by name. Call it before asking for the next step.

    Source: own design.
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
    """0 and about ``snapshots`` - 1 steps up to ``steps``, evenly spaced in log step. Source: own design."""
    spaced = np.geomspace(1, steps, max(1, snapshots - 1)).round().astype(int)
    return sorted({0, steps, *spaced.tolist()})


def build_model(config: RunConfig, task: Task) -> Transformer:
    """The run's network with its initial weights, in float32 on the CPU. Source: see ``Transformer``."""
    return Transformer.of(config.model, task, seed=config.task.seed)


def train(
    config: RunConfig, state: dict[str, Tensor] | None = None, stop: Callable[[], bool] = lambda: False
) -> Iterator[Step]:
    """Train, step by step; the first value is the network before training (or where ``state`` was written).

    Deterministic given config, device, precision and thread count: the batch of a step is drawn from the seed and
    the step alone. Closing the generator ends training.

    Args:
        state: what ``Step.state`` gave, to resume from there to the very same weights.
        stop: asked before each step and within evaluations; once it is true, the step it was asked in is the last.

    Raises:
        InputError: at the first step, if the task does not say which examples train, has no data, or has fewer than
            ``batch_size``.
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
    model = build_model(config, task).to(device)
    start, before, grokked_at, seconds_to_grok = 0, 0.0, None, None
    if state is not None:
        start, before, grokked_at, seconds_to_grok = _clock_from(state)
        model.load_state_dict({n: state[f"weights.{n}"] for n in model.state_dict()})
    stepper = Stepper(model, config.optimizer)
    if state is not None:
        stepper.load_state({n.removeprefix("stepper."): v for n, v in state.items() if n.startswith("stepper.")})

    examples = fast.plan(task.tokens.to(device))
    rows = task.step_mask.nonzero()[:, 0]
    if config.batch_size is not None and config.batch_size > len(rows):
        raise InputError(f"batch_size must be at most the {len(rows)} training examples (got {config.batch_size}).")
    batches = _batches(config, rows, task.chances)
    logits_of = fast.logits_for(task)
    loss_of, kept_at = _loss(task, config.loss, device), _kept(config, device)
    evaluate = evaluator(model, task, config.loss, SCORES.get(config.task.kind))
    kept = set(snapshot_steps(config.steps, config.snapshots))
    begun, step_seconds = 0.0, 0.0

    for step in range(start, config.steps + 1):
        factor = lr_factor(step, config.steps, config.warmup_steps, config.schedule) if step else 0.0
        if step > start:
            chosen = batches(step)
            step_began = time.perf_counter()
            begun = begun or step_began
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
                loss = loss_of(logits_of(model, examples.rows(chosen), kept_at(step, len(chosen))), chosen)
            if not loss.isfinite():
                raise Diverged(step, "the training loss")
            loss.backward()
            stepper.step(factor)
            step_seconds = time.perf_counter() - step_began
        seconds = before + (time.perf_counter() - begun if begun else 0.0)
        last = step == config.steps or (config.seconds is not None and seconds >= config.seconds)
        if grokked_at is not None and config.steps_after_grok is not None:
            last = last or step >= grokked_at + config.steps_after_grok
        due = step % config.eval_every == 0 or last
        if (due or step in kept) and not all(weight.isfinite().all() for weight in model.parameters()):
            raise Diverged(step, "a weight")
        try:
            evaluation = evaluate(stop) if due else None
        except Interrupted:
            evaluation, last = None, False
        stopped = stop()
        seconds = before + (time.perf_counter() - begun if begun else 0.0)
        if evaluation is not None and grokked_at is None and evaluation.grokked():
            grokked_at, seconds_to_grok = step, seconds
            last = last or config.steps_after_grok == 0
        clock = (step, seconds, grokked_at, seconds_to_grok)
        yield Step(
            config=config,
            step=step,
            seconds=seconds,
            step_seconds=step_seconds,
            lr_factor=factor,
            grokked_at=grokked_at,
            seconds_to_grok=seconds_to_grok,
            last=last,
            evaluation=evaluation,
            weights=_weights(model) if step in kept or last else None,
            state=partial(_state, model, stepper, clock),
        )
        if last or stopped:
            return


def state_shapes(config: RunConfig) -> dict[str, tuple[int, ...]]:
    """Return the names of the tensors of ``Step.state`` after a step of this config, and their shapes.

    The task is built; of network and optimizer there are only the shapes.
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
    return {name: tuple(value.shape) for name, value in tensors.items()} | {"clock": (4,)}


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _batches(
    config: RunConfig, rows: Int[Tensor, " train"], chances: Float[Tensor, " examples"] | None
) -> Callable[[int], Int[Tensor, " batch"]]:
    """The examples of a step, drawn from the seed and the step alone: none depends on the steps before.

    Evenly, each epoch is a permutation; by ``chances``, each step draws anew.
    """
    size = config.batch_size
    if chances is not None:
        heap = chances[rows].double().cumsum(0)

        def drawn(step: int) -> Tensor:
            u = torch.rand(size or len(rows), generator=_generator(config.task.seed, step), dtype=torch.float64)
            return rows[torch.searchsorted(heap, u * heap[-1]).clamp(max=len(rows) - 1)]

        return drawn
    if size is None:
        return lambda step: rows
    per_epoch = len(rows) // size

    @lru_cache(maxsize=1)
    def permuted(epoch: int) -> Tensor:
        return rows[torch.randperm(len(rows), generator=_generator(config.task.seed, epoch))]

    def batch(step: int) -> Tensor:
        epoch, i = divmod(step - 1, per_epoch)
        return permuted(epoch)[i * size : (i + 1) * size]

    return batch


def _kept(config: RunConfig, device: torch.device) -> Callable[[int, int], Float[Tensor, "batch d_mlp"] | None]:
    """Dropout's mask of a step, drawn from the seed and the step alone: 0, or what makes up for those that are 0."""
    share, until = 1 - config.dropout, config.steps if config.dropout_steps is None else config.dropout_steps

    def kept(step: int, examples: int) -> Tensor | None:
        if share == 1 or step > until:
            return None
        mask = torch.empty(examples, config.model.d_mlp)
        return mask.bernoulli_(share, generator=_generator(config.task.seed, step, 1)).div_(share).to(device)

    return kept


def _generator(*numbers: int) -> torch.Generator:
    # torch's generator on the CPU heeds the lower 32 bits of a seed only, so all are mixed into those
    mixed = int(np.random.SeedSequence(numbers).generate_state(1)[0])
    return torch.Generator().manual_seed(mixed)


def _loss(
    task: Task, name: LossName, device: torch.device
) -> Callable[[Float[Tensor, "batch *pos logits"], Tensor], Tensor]:
    """The sum of the targets' mean losses, each times its weight; of a task that asks at every position, the mean."""

    def of(logits: Tensor, labels: Tensor) -> Tensor:
        # autocast knows that cross-entropy needs more than bfloat16, and knows no other loss
        return LOSSES[name](logits.float() if logits.dtype is torch.bfloat16 else logits, labels)

    if task.next_tokens is not None:
        following = task.next_tokens.to(device)
        return lambda logits, rows: next_token(of, logits, following[rows]).mean()
    sizes = [target.size for target in task.targets]
    labels = [target.labels.to(device) for target in task.targets]
    weights = [target.weight for target in task.targets]

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        # one split, whose gradient is one concatenation: a slice's would be a whole array of zeros for each target
        asked = zip(logits.split(sizes, dim=1), labels, weights, strict=True)
        parts = [weight * of(part, answers[rows]).mean() for part, answers, weight in asked if weight]
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    return loss


def _state(
    model: Transformer, stepper: Stepper, clock: tuple[int, float, int | None, float | None]
) -> dict[str, Tensor]:
    state = {f"weights.{name}": value for name, value in model.state_dict().items()}
    state |= {f"stepper.{name}": value for name, value in stepper.state().items()}
    numbers = [float("nan") if value is None else float(value) for value in clock]
    state["clock"] = torch.tensor(numbers, dtype=torch.float64)
    return {name: value.detach().cpu().clone() for name, value in state.items()}


def _clock_from(state: dict[str, Tensor]) -> tuple[int, float, int | None, float | None]:
    step, seconds, grokked_at, seconds_to_grok = state["clock"].tolist()
    if grokked_at != grokked_at:  # NaN: not yet
        return int(step), seconds, None, None
    return int(step), seconds, int(grokked_at), seconds_to_grok
