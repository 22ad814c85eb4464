"""The network's answers with something changed in it, and how good they are."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.metrics import correct, cross_entropy
from miii.model import fast
from miii.model.tap import capture, intervene
from miii.model.transformer import Transformer
from miii.tasks import Task

CHUNK = 1024  #: examples run at a time


@dataclass(frozen=True)
class Ablations:
    """How well the network answers with each part silenced, beside the whole network.

    Attributes:
        part: "head", "neurons" or "frequency".
        kind: what stood in for the part: "zero", "mean", "interchange", or "removed" for a frequency.
        names: of the parts, in the order of the values.
        loss, accuracy: mean cross-entropy in nats and share of right answers with that part silenced.
        baseline_loss, baseline_accuracy: the same of the whole network.
    """

    part: str
    kind: str
    names: tuple[str, ...]
    loss: Float[Tensor, " ablated"]
    accuracy: Float[Tensor, " ablated"]
    baseline_loss: float
    baseline_accuracy: float


def score(logits: Float[Tensor, "scored d_vocab_out"], labels: Int[Tensor, " scored"]) -> tuple[float, float]:
    """Mean loss in nats, and share of right answers. Source: ``miii.metrics``."""
    return cross_entropy(logits, labels).mean().item(), correct(logits, labels).double().mean().item()


def collected(part: str, kind: str, names: Sequence[str], scores: Iterable[tuple[float, float]]) -> Ablations:
    """Put scores together: the whole network's, then that with each part silenced."""
    (baseline_loss, baseline_accuracy), *ablated = scores
    loss, accuracy = torch.tensor(ablated, dtype=torch.float64).view(-1, 2).T
    return Ablations(part, kind, tuple(names), loss, accuracy, baseline_loss, baseline_accuracy)


def scored(
    part: str,
    kind: str,
    names: Sequence[str],
    labels: Int[Tensor, " scored"],
    base: Float[Tensor, "scored d_vocab_out"],
    ablated: Iterable[Float[Tensor, "scored d_vocab_out"]],
) -> Ablations:
    """``collected`` from the logits of the whole network and of that with each part silenced."""
    return collected(part, kind, names, (score(logits, labels) for logits in chain([base], ablated)))


def scored_along(
    part: str,
    kind: str,
    names: Sequence[str],
    labels: Int[Tensor, " scored"],
    base: Float[Tensor, "scored d_vocab_out"],
    amount: Float[Tensor, "scored part"],
    direction: Float[Tensor, "part d_vocab_out"],
) -> Ablations:
    """As ``scored``, where the logits without part j are base - amount[:, j] direction[j], for many parts.

    The loss is log(1 + sum over wrong answers of exp(logit - logit of the right one)), which keeps its digits in
    float32 where it is small.
    """
    loss, right = torch.zeros(2, len(direction), dtype=torch.float64)
    for rows in torch.arange(len(labels)).split(CHUNK):
        some, columns = labels[rows], torch.arange(len(rows))
        # answers first, so that sums over them run along the examples, which lie side by side in memory
        margin = (base[rows].double() - base[rows].double().gather(1, some[:, None])).to(base.dtype).T.contiguous()
        for j, v in enumerate(direction):
            left = torch.addcmul(margin, v[:, None] - v[some], amount[rows, j], value=-1)
            left[some, columns] = -torch.inf
            highest = left.amax(0)
            right[j] += (highest < 0).sum() + _ties_won(left, highest, some)
            others = left.sub_(highest).exp_().sum(0).log_().add_(highest)
            loss[j] += torch.nn.functional.softplus(others).sum(dtype=torch.float64)
    whole = score(base, labels)
    return Ablations(part, kind, tuple(names), loss / len(labels), right / len(labels), *whole)


def _ties_won(left: Tensor, highest: Tensor, labels: Tensor) -> int:
    """Of the examples whose right answer has the highest logit, but not alone, how many have it as the first."""
    tied = highest == 0
    if not tied.any():
        return 0
    first_other = (left[:, tied] == 0).int().argmax(0)
    return int((labels[tied] < first_other).sum())


def answers(model: Transformer, task: Task, examples: Int[Tensor, " scored"]) -> Float[Tensor, "scored d_vocab_out"]:
    """The network's logits where the answer is read."""
    with torch.no_grad():
        plan = fast.plan(task.tokens)
        return torch.cat([fast.answer_logits(model, plan.rows(rows)) for rows in examples.split(CHUNK)])


def answers_with(
    model: Transformer,
    tokens: Int[Tensor, "scored pos"],
    name: str,
    values: Float[Tensor, "scored *axes"],
) -> Float[Tensor, "scored d_vocab_out"]:
    """The same with one activation replaced by ``values``."""
    with torch.no_grad():
        parts = zip(tokens.split(CHUNK), values.split(CHUNK), strict=True)
        return torch.cat([intervene(model, some, {name: value})[:, -1] for some, value in parts])


def activation(model: Transformer, task: Task, name: str, *, at_end: bool = False) -> Float[Tensor, "examples *axes"]:
    """An activation of every example, at all positions or (``at_end``) at the last one."""
    with torch.no_grad():
        chunks = (capture(model, some, {name})[name] for some in task.tokens.split(CHUNK))
        return torch.cat([chunk[:, -1] if at_end else chunk for chunk in chunks])


def every_example(task: Task, examples: Int[Tensor, " scored"] | None) -> Int[Tensor, " scored"]:
    """The indices of the examples to score: all of them unless given."""
    return torch.arange(len(task.labels)) if examples is None else examples
