"""Score a network with a part ablated."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.activations import chunks
from miii.metrics import correct, cross_entropy
from miii.model.tap import intervene
from miii.model.transformer import Transformer
from miii.tasks import Task

ROWS = 1024  #: examples of a chunk, so that its margins stay in the processor's cache


@dataclass(frozen=True)
class Ablations:
    """Loss and accuracy with each part ablated, and of the whole network.

    Attributes:
        part: "head", "neurons" or "frequency".
        kind: the replacement: "zero", "mean", "interchange", or "removed" for a frequency.
        names: names of the parts, in the order of the values.
        loss, accuracy: mean cross-entropy in nats and accuracy with that part ablated.
        baseline_loss, baseline_accuracy: the same for the whole network.
    """

    part: str
    kind: str
    names: tuple[str, ...]
    loss: Float[Tensor, " ablated"]
    accuracy: Float[Tensor, " ablated"]
    baseline_loss: float
    baseline_accuracy: float


def score(logits: Float[Tensor, "scored d_vocab_out"], labels: Int[Tensor, " scored"]) -> tuple[float, float]:
    """Return the mean loss in nats and the accuracy."""
    return cross_entropy(logits, labels).mean().item(), correct(logits, labels).double().mean().item()


def from_scores(part: str, kind: str, names: Sequence[str], scores: Iterable[tuple[float, float]]) -> Ablations:
    """Return ``Ablations`` from the score of the whole network, then of each ablated network."""
    (baseline_loss, baseline_accuracy), *ablated = scores
    loss, accuracy = torch.tensor(ablated, dtype=torch.float64).view(-1, 2).T
    return Ablations(part, kind, tuple(names), loss, accuracy, baseline_loss, baseline_accuracy)


def from_logits(
    part: str,
    kind: str,
    names: Sequence[str],
    labels: Int[Tensor, " scored"],
    base: Float[Tensor, "scored d_vocab_out"],
    ablated: Iterable[Float[Tensor, "scored d_vocab_out"]],
) -> Ablations:
    """Return ``Ablations`` from the logits of the whole network and of each ablated network."""
    return from_scores(part, kind, names, (score(logits, labels) for logits in chain([base], ablated)))


def from_directions(
    part: str,
    kind: str,
    names: Sequence[str],
    labels: Int[Tensor, " scored"],
    base: Float[Tensor, "scored d_vocab_out"],
    amount: Float[Tensor, "scored part"],
    direction: Float[Tensor, "part d_vocab_out"],
) -> Ablations:
    """Return ``Ablations`` of many parts, if the logits without part j are base - amount[:, j] direction[j].

    Computes the loss as log(1 + sum over wrong answers of exp(logit - logit of the correct one)), which keeps the
    digits of a small loss in float32.
    """
    loss, right = torch.zeros(2, len(direction), dtype=torch.float64)
    for rows in torch.arange(len(labels)).split(ROWS):
        some, columns = labels[rows], torch.arange(len(rows))
        # answers first: sums over answers then run along examples, which are adjacent in memory
        margin = (base[rows].double() - base[rows].double().gather(1, some[:, None])).to(base.dtype).T.contiguous()
        for j, v in enumerate(direction):
            ablated = torch.addcmul(margin, v[:, None] - v[some], amount[rows, j], value=-1)
            ablated[some, columns] = -torch.inf
            highest = ablated.amax(0)
            right[j] += (highest < 0).sum() + _ties_won(ablated, highest, some)
            others = ablated.sub_(highest).exp_().sum(0).log_().add_(highest)
            loss[j] += torch.nn.functional.softplus(others).sum(dtype=torch.float64)
    baseline = score(base, labels)
    return Ablations(part, kind, tuple(names), loss / len(labels), right / len(labels), *baseline)


def _ties_won(margin: Tensor, highest: Tensor, labels: Tensor) -> int:
    """Count the examples whose correct answer ties for the highest logit and comes first."""
    tied = highest == 0
    if not tied.any():
        return 0
    first_other = (margin[:, tied] == 0).int().argmax(0)
    return int((labels[tied] < first_other).sum())


@torch.no_grad()
def last_logits_with(
    model: Transformer,
    tokens: Int[Tensor, "scored pos"],
    name: str,
    values: Float[Tensor, "scored *axes"],
) -> Float[Tensor, "scored d_vocab_out"]:
    """Return the logits at the last position with one activation replaced by ``values``."""
    return torch.cat([intervene(model, tokens[rows], {name: values[rows]})[:, -1] for rows in chunks(model, tokens)])


def scored_rows(task: Task, examples: Int[Tensor, " scored"] | None) -> Int[Tensor, " scored"]:
    """Return the indices of the examples to score: all of them if None."""
    return torch.arange(len(task.labels)) if examples is None else examples
