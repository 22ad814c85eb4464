"""How well a network does on both sides of the split, and whether it has learned the rule."""

import math
import statistics
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from miii import metrics
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import MIU, AnyTask, Frames, Primes, Residues, Task, frames, miu, primes, residues

GROKKED = 0.99  #: test accuracy from which a run counts as having grokked
CHUNK = 1024  #: examples evaluated at a time; of those asked at every position, which need more memory each, 128
ALL = 20_000  #: up to so many examples are all evaluated
SIDE = 5_000  #: of more, so many of each side, and all that decide when to stop

EVERYWHERE = 5  #: where every position is asked, which takes longer, so many times fewer

#: Further measures by the kind of task, over the examples that decide when to stop.
SCORES: dict[str, Callable[[Task, np.ndarray, np.ndarray], dict[str, float]]] = {
    "primes": primes.scores,
    "residues": residues.scores,
    "miu": miu.scores,
    "frames": frames.scores,
}


class Interrupted(Exception):
    """An evaluation was asked to stop."""


@dataclass(frozen=True)
class Evaluation:
    """Both splits in float64: mean loss, share of right answers, and which examples are right.

    The loss is the run's own: cross-entropy in nats, unless it has another.

    Of a large task the same random part is evaluated each time. A task of several targets has the sum of their
    weighted losses.

    Attributes:
        weight_norm: the square root of the sum of all squared weights.
        rows: the examples evaluated, ascending.
        correct: which of them are right.
        scores: further measures of the task, on its validation part, or on the test split where it has none.

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
        """The numbers, without the examples."""
        names = ("train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm")
        return {name: getattr(self, name) for name in names} | self.scores

    def grokked(self) -> bool:
        """Whether the network has learned the rule; see ``grokked``."""
        return grokked(self.row())


def grokked(row: Mapping[str, float]) -> bool:
    """Whether an evaluation's numbers say that the rule is learned: 99 % test accuracy, of each target if several.

    For primes the accuracy says nothing, since "composite" is the best guess until late: there both areas under the
    ROC curve must reach ``primes.SIEVED`` on the validation part. Frames whose digits are predicted are learned when
    99 % of the integers are right in all digits: their labels never are.

    Source: 99 % as in Power et al. 2022 (arXiv 2201.02177); ``SIEVED`` is own design.
    """
    if "auc_3" in row:
        return all(row[name] >= least for name, least in zip(("auc", "auc_3"), primes.SIEVED, strict=True))
    learned = next((name for name in ("accuracy_worst", "integers") if name in row), "test_accuracy")
    return row[learned] >= GROKKED


#: What a run has reached that meets ``grokked``, by a measure that its evaluations have; without any of these it groks.
REACHED = {
    "auc_3": "sieves by 3",
    "accuracy_x0": "answers both digits",
    "accuracy_worst": "answers every residue",
    "accuracy_as_long": "tells theorems",
    "integers": "predicts integers",
    "auc_coprime": "predicts labels",
}


def reached(names: Collection[str]) -> str:
    """Return what a run has reached once an evaluation with these measures meets ``grokked``, such as "sieves by 3"."""
    return next((said for name, said in REACHED.items() if name in names), "grokked")


def accuracy(task: AnyTask, row: Mapping[str, float]) -> tuple[float, str]:
    """Return the accuracy that stands for a run in a listing, and what it is an accuracy of.

    Of residues it is the mean over the targets that are trained, which "all residues right" (``test_accuracy``) is not;
    of MIU that of the test strings longer than any in training. NaN where an evaluation lacks it.
    """
    if "accuracy" in row:
        return row["accuracy"], "all pairs"
    match task:
        case Residues():
            each = [row.get(f"accuracy_{name.removeprefix('mod ')}", math.nan) for name in task.trained]
            return statistics.fmean(each), "mean over digits" if task.basis else "mean over primes"
        case MIU() if "accuracy_longer" in row:
            return row["accuracy_longer"], "longer strings"
        case MIU():
            of = "test strings"
        case Primes():
            of = "test integers"
        case Frames():
            of = "last labels"
        case _:
            of = "test pairs"
    return row.get("test_accuracy", math.nan), of


def evaluator(
    model: Transformer,
    task: Task,
    loss: metrics.LossName = "cross-entropy",
    scores: Callable[[Task, np.ndarray, np.ndarray], dict[str, float]] | None = None,
) -> Callable[..., Evaluation]:
    """Return a function that evaluates the model as it is when called; a split without examples comes to NaN.

    The function takes ``stop``, a callable that it asks between chunks, and raises ``Interrupted`` once that is true.

    Args:
        loss: which loss is reported.
        scores: further measures, from the task, logits and the numbers of their examples; the logits at every position
            where the task asks at all of them.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.1; in float64, because losses near 1e-7 vanish in float32.
    """
    # MPS has no float64: there the evaluation runs on the CPU.
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
    judged = targets if task.judged == "all" else targets[:1]
    train, test = task.step_mask[rows].to(device), ~task.train_mask[rows].to(device)
    stopping = (test if task.val_mask is None else task.val_mask[rows].to(device)).nonzero()[:, 0]

    @torch.no_grad()
    def evaluate(stop: Callable[[], bool] = lambda: False) -> Evaluation:
        for target, source in zip(double.parameters(), model.parameters(), strict=True):
            target.copy_(source)
        found = []
        for chunk in chunks:
            if stop():
                raise Interrupted
            found.append(logits_of(double, chunk, None))
        logits = torch.cat(found)
        last = logits if following is None else logits[:, -1]
        if following is None:
            losses = [weight * metrics.LOSSES[loss](last[:, where], labels) for where, labels, weight in targets]
            each = torch.stack(losses).sum(0)
        else:
            each = metrics.next_token(metrics.LOSSES[loss], logits, following)
        right = torch.stack([metrics.correct(last[:, where], labels) for where, labels, _ in judged]).all(0)
        return Evaluation(
            train_loss=each[train].mean().item(),
            test_loss=each[test].mean().item(),
            train_accuracy=right[train].double().mean().item(),
            test_accuracy=right[test].double().mean().item(),
            weight_norm=torch.stack([weight.square().sum() for weight in double.parameters()]).sum().sqrt().item(),
            correct=right.cpu(),
            rows=rows,
            scores=scores(task, logits[stopping].cpu().numpy(), rows[stopping.cpu()].numpy()) if scores else {},
        )

    return evaluate


def evaluated(task: Task) -> Int[Tensor, " evaluated"]:
    """Return the examples that each evaluation asks, ascending: all of up to 20,000; of more, 5,000 of each side."""
    examples, share = len(task.labels), 1 if task.next_tokens is None else EVERYWHERE
    if examples <= ALL // share:
        return torch.arange(examples)
    generator = torch.Generator().manual_seed(0)
    parts = []
    for mask in (task.step_mask, ~task.train_mask):
        rows = mask.nonzero()[:, 0]
        parts.append(rows[torch.randperm(len(rows), generator=generator)[: SIDE // share]])
    if task.val_mask is not None:
        parts.append(task.val_mask.nonzero()[:, 0])
    return torch.cat(parts).sort().values
