"""Training as a generator of steps."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Bool
from torch import Tensor

from miii import hardware, metrics
from miii.config import RunConfig
from miii.errors import InputError
from miii.model import fast
from miii.model.transformer import Transformer
from miii.optim import Stepper, lr_factor
from miii.tasks import Task

GROKKED = 0.99  #: test accuracy from which a run counts as having grokked
CHUNK = 1024  #: examples evaluated at a time


@dataclass(frozen=True)
class Evaluation:
    """Both splits in float64: mean cross-entropy in nats, share of right answers, and which examples are right.

    ``weight_norm`` is the square root of the sum of all squared weights.

    Source: Nanda et al. 2023, section 5.1.
    """

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    weight_norm: float
    correct: Bool[Tensor, " examples"]

    def row(self) -> dict[str, float]:
        """The numbers, without the examples."""
        names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Step:
    """One step of training. Step 0 is the network before it.

    Attributes:
        seconds: wall clock since the first step began, evaluations and the consumer's own work included; the time
            between stopping and resuming is not.
        step_seconds: what this update took.
        evaluation: on every ``eval_every``-th step from 0 on, and the last; None between.
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
    return Transformer(config.model, task.d_vocab, task.d_vocab_out, task.n_ctx, seed=config.task.seed)


def train(config: RunConfig, state: dict[str, Tensor] | None = None) -> Iterator[Step]:
    """Train, step by step; the first value is the network before training (or where ``state`` was written).

    Deterministic given config, device, precision and thread count: the batch of a step is drawn from the seed and
    the step alone. Closing the generator ends training.

    Args:
        state: what ``Step.state`` gave, to go on from there to the very same weights.

    Raises:
        InputError: at the first step, if the task does not say which pairs train.

    Source: the loop of Nanda et al. 2023; the fast path is ``miii.model.fast``.
    """
    if config.task.train_fraction is None:
        raise InputError("train_fraction must be a number in (0, 1) for training (got none, which means unknown).")
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    hardware.reuse_freed_memory()
    device, dtype = hardware.device(config.device), hardware.precision(config.precision, config.device)
    task = config.task.build()
    model = build_model(config, task).to(device)
    start, before, grokked_at, seconds_to_grok = 0, 0.0, None, None
    if state is not None:
        start, before, grokked_at, seconds_to_grok = _clock_from(state)
        model.load_state_dict({n: state[f"weights.{n}"] for n in model.state_dict()})
    stepper = Stepper(model, config.optimizer, config.slow_lambda, config.slow_alpha)
    if state is not None:
        stepper.load_state({n.removeprefix("stepper."): v for n, v in state.items() if n.startswith("stepper.")})

    examples = fast.plan(task.tokens.to(device))
    train_rows = task.train_mask.nonzero()[:, 0].to(device)
    labels = task.labels.to(device)
    whole = examples.rows(train_rows), labels[train_rows]
    evaluate = evaluator(model, task)
    kept = set(snapshot_steps(config.steps, config.snapshots))
    begun, step_seconds = 0.0, 0.0

    for step in range(start, config.steps + 1):
        factor = lr_factor(step, config.steps, config.warmup_steps, config.schedule) if step else 0.0
        if step > start:
            batch, answers = whole if config.batch_size is None else _batch(config, step, examples, labels, train_rows)
            step_began = time.perf_counter()
            begun = begun or step_began
            with torch.autocast(device.type, torch.bfloat16, enabled=dtype is torch.bfloat16):
                loss = F.cross_entropy(fast.answer_logits(model, batch), answers)
            loss.backward()
            stepper.step(factor)
            step_seconds = time.perf_counter() - step_began
        last = step == config.steps
        if grokked_at is not None and config.steps_after_grok is not None:
            last = last or step >= grokked_at + config.steps_after_grok
        evaluation = evaluate() if step % config.eval_every == 0 or last else None
        seconds = before + (time.perf_counter() - begun if begun else 0.0)
        if evaluation is not None and grokked_at is None and evaluation.test_accuracy >= GROKKED:
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
        if last:
            return


def state_shapes(config: RunConfig) -> dict[str, tuple[int, ...]]:
    """The names of the tensors of ``Step.state`` after a step of this config, and their shapes. Source: own design."""
    model = build_model(config, config.task.build())
    stepper = Stepper(model, config.optimizer, config.slow_lambda, config.slow_alpha)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    stepper.step(0.0)
    return {name: tuple(value.shape) for name, value in _state(model, stepper, (1, 0.0, None, None)).items()}


def _weights(model: Transformer) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _batch(
    config: RunConfig, step: int, examples: fast.Plan, labels: Tensor, train_rows: Tensor
) -> tuple[fast.Plan, Tensor]:
    # Each epoch is a permutation drawn from (seed, epoch); a step's batch needs no memory of the steps before it.
    assert config.batch_size is not None
    per_epoch = len(train_rows) // config.batch_size
    epoch, i = divmod(step - 1, per_epoch)
    # torch's generator on the CPU heeds the lower 32 bits of a seed only, so both are mixed into those
    mixed = int(np.random.SeedSequence([config.task.seed, epoch]).generate_state(1)[0])
    generator = torch.Generator().manual_seed(mixed)
    order = torch.randperm(len(train_rows), generator=generator)[i * config.batch_size : (i + 1) * config.batch_size]
    rows = train_rows[order.to(train_rows.device)]
    return examples.rows(rows), labels[rows]


def evaluator(model: Transformer, task: Task) -> Callable[[], Evaluation]:
    """A function that evaluates the model as it is when called; a split without examples comes to NaN.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.1; in float64, because losses near 1e-7 vanish in float32.
    """
    # MPS has no float64: there the evaluation runs on the CPU.
    device = model.W_E.device if model.W_E.device.type != "mps" else torch.device("cpu")
    with torch.device(device):
        double = Transformer(model.config, task.d_vocab, task.d_vocab_out, task.n_ctx).double()
    examples = fast.plan(task.tokens.to(device))
    chunks = [examples.rows(rows) for rows in torch.arange(len(task.labels), device=device).split(CHUNK)]
    labels, train = task.labels.to(device), task.train_mask.to(device)

    @torch.no_grad()
    def evaluate() -> Evaluation:
        for target, source in zip(double.parameters(), model.parameters(), strict=True):
            target.copy_(source)
        logits = torch.cat([fast.answer_logits(double, chunk) for chunk in chunks])
        loss, right = metrics.cross_entropy(logits, labels), metrics.correct(logits, labels)
        return Evaluation(
            train_loss=loss[train].mean().item(),
            test_loss=loss[~train].mean().item(),
            train_accuracy=right[train].double().mean().item(),
            test_accuracy=right[~train].double().mean().item(),
            weight_norm=torch.stack([weight.square().sum() for weight in double.parameters()]).sum().sqrt().item(),
            correct=right.cpu(),
        )

    return evaluate


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
