"""The training loss of a task."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from miii.metrics import LOSSES, LossName, next_token
from miii.tasks import Task


def loss_of(
    task: Task, name: LossName, device: torch.device
) -> Callable[[Float[Tensor, "batch *pos logits"], Tensor], Tensor]:
    """Return a function from logits and example indices to the loss.

    The loss is the weighted sum of the targets' mean losses, or the mean over every position that has a target.
    """

    def of(logits: Tensor, labels: Tensor) -> Tensor:
        # autocast computes cross-entropy in float32, but no other loss
        return LOSSES[name](logits.float() if logits.dtype is torch.bfloat16 else logits, labels)

    if task.next_tokens is not None:
        following = task.next_tokens.to(device)
        return lambda logits, rows: next_token(of, logits, following[rows]).mean()
    sizes = [target.size for target in task.targets]
    labels = [target.labels.to(device) for target in task.targets]
    weights = [target.weight for target in task.targets]

    def loss(logits: Tensor, rows: Tensor) -> Tensor:
        # split once: its gradient is one concatenation, while slices would need a full array of zeros per target
        parts = zip(logits.split(sizes, dim=1), labels, weights, strict=True)
        losses = [weight * of(part, answers[rows]).mean() for part, answers, weight in parts if weight]
        return torch.stack(losses).sum() if len(losses) > 1 else losses[0]

    return loss
