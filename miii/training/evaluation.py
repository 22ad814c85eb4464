"""Evaluate a network on both splits."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from miii import metrics
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import Task, TaskConfig

CHUNK = 1024  #: examples evaluated at a time; 128 if every position has a target
MAX_EXAMPLES = 20_000  #: tasks with at most this many examples are evaluated in full
MAX_PER_SPLIT = 5_000  #: examples per split of a larger task, plus its whole validation part
EVERYWHERE_FACTOR = 5  #: divides both if every position has a target, or tokens have several parts


class Interrupted(Exception):
    """The evaluation was stopped."""


@dataclass(frozen=True)
class Evaluation:
    """Mean loss and accuracy of both splits in float64, and which examples are correct.

    The loss is the run's own: cross-entropy in nats by default. With several targets, it is the weighted sum. Large
    tasks are evaluated on a fixed random sample.

    Attributes:
        weight_norm: square root of the sum of all squared weights.
        rows: the evaluated examples, ascending.
        correct: whether each of them is correct.
        scores: additional task metrics, on the validation part, or on the test split without one.

    Source: Nanda et al. 2023, section 5.1.
    """

    train_loss: float
    test_loss: float
    train_accuracy: float
    test_accuracy: float
    weight_norm: float
    correct: Bool[Tensor, " evaluated"]
    rows: Int[Tensor, " evaluated"]
    scores: dict[str, float]

    def row(self) -> dict[str, float]:
        """Return the numbers, without per-example values."""
        names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
        return {name: getattr(self, name) for name in names} | self.scores


def evaluator(
    model: Transformer,
    task: Task,
    loss: metrics.LossName = "cross-entropy",
    scores: Callable[[Task, np.ndarray, np.ndarray], dict[str, float]] = TaskConfig.scores,
) -> Callable[..., Evaluation]:
    """Return a function that evaluates the model's current weights; an empty split gives NaN.

    The function takes ``stop``, calls it between chunks, and raises ``Interrupted`` once it returns true.

    Args:
        loss: the loss to report.
        scores: the task's additional metrics; see ``TaskConfig.scores``.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.1; in float64, because losses near 1e-7 vanish in float32.
    """
    # MPS has no float64, so evaluate on the CPU
    device = model.W_E.device if model.W_E.device.type != "mps" else torch.device("cpu")
    with torch.device(device):
        double = Transformer.of(model.config, task).double()
    rows = evaluated(task)
    examples = fast.plan(task.tokens.to(device)).rows(rows.to(device))
    at_once = CHUNK if task.next_tokens is None else CHUNK // 8
    chunks = [examples.rows(chunk) for chunk in torch.arange(len(rows), device=device).split(at_once)]
    logits_of = fast.logits_for(task)
    following = None if task.next_tokens is None else task.next_tokens[rows].to(device)
    targets = [
        (task.logits_of(target.name), target.labels[rows].to(device), target.weight)
        for target in task.targets
        if target.weight
    ]
    decisive = targets if task.correct_if == "all" else targets[:1]
    train, test = task.step_mask[rows].to(device), ~task.train_mask[rows].to(device)
    scored = scores is not TaskConfig.scores  # the default has no scores, so skip copying the logits
    stopping = (test if task.val_mask is None else task.val_mask[rows].to(device)).nonzero()[:, 0]

    @torch.no_grad()
    def evaluate(stop: Callable[[], bool] = lambda: False) -> Evaluation:
        for target, source in zip(double.parameters(), model.parameters(), strict=True):
            target.copy_(source)
        found = []
        for chunk in chunks:
            if stop():
                raise Interrupted
            found.append(logits_of(double, chunk, fast.NO_MASKS))
        logits = torch.cat(found)
        last = logits if following is None else logits[:, -1]
        if following is None:
            losses = [weight * metrics.LOSSES[loss](last[:, where], labels) for where, labels, weight in targets]
            each = torch.stack(losses).sum(0)
        else:
            each = metrics.next_token(metrics.LOSSES[loss], logits, following)
        right = torch.stack([metrics.correct(last[:, where], labels) for where, labels, _ in decisive]).all(0)
        return Evaluation(
            train_loss=each[train].mean().item(),
            test_loss=each[test].mean().item(),
            train_accuracy=right[train].double().mean().item(),
            test_accuracy=right[test].double().mean().item(),
            weight_norm=torch.stack([weight.square().sum() for weight in double.parameters()]).sum().sqrt().item(),
            correct=right.cpu(),
            rows=rows,
            scores=scores(task, logits[stopping].cpu().numpy(), rows[stopping.cpu()].numpy()) if scored else {},
        )

    return evaluate


def evaluated(task: Task) -> Int[Tensor, " evaluated"]:
    """Return the examples to evaluate, ascending: all if at most 20,000, else 5,000 per split."""
    examples, large = len(task.labels), task.next_tokens is not None or task.tokens.ndim == 3
    share = EVERYWHERE_FACTOR if large else 1
    if examples <= MAX_EXAMPLES // share:
        return torch.arange(examples)
    generator = torch.Generator().manual_seed(0)
    parts = []
    for mask in (task.step_mask, ~task.train_mask):
        rows = mask.nonzero()[:, 0]
        parts.append(rows[torch.randperm(len(rows), generator=generator)[: MAX_PER_SPLIT // share]])
    if task.val_mask is not None:
        parts.append(task.val_mask.nonzero()[:, 0])
    return torch.cat(parts).sort().values
