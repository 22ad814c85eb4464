"""Frames that a network writes itself: from a first frame the next integers and their labels, beside the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics, numbers
from miii.analysis import context
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.model.wiring import LAST
from miii.runs import Run
from miii.runs.read import finite
from miii.tasks import Frames, Task, frames
from miii.training import build_model, evaluation

SEQUENCES = 1000  #: held-out first frames that a report begins with
CHUNK = 100  #: of them at a time

#: Tokens [batch, pos] and ``LAST`` to logits [batch, 1, d_vocab]: a network, or anything that answers like one.
Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Rollout:
    """The frames after a first one, as they are and as a network wrote them; the conditions are given.

    Attributes:
        n: the true integers.
        truth: their frames: condition, digits, label.
        made: what the network wrote, each token the likeliest after those before it; the condition is the true one.
        said: the integers that the digits of ``made`` come to, -1 where one of them is no digit.
        score: logit of prime minus that of composite, after the network's own frames.
        told: the same after the true frames.

    Source: in the style of Hu et al. 2023 (arXiv 2309.17080), section 2.4, but greedy.
    """

    config: Frames
    n: Int[np.ndarray, "sequences frame"]
    truth: Int[np.ndarray, "sequences frame slot"]
    made: Int[np.ndarray, "sequences frame slot"]
    said: Int[np.ndarray, "sequences frame"]
    score: Float[np.ndarray, "sequences frame"]
    told: Float[np.ndarray, "sequences frame"]


@torch.no_grad()
def roll(
    model: Network,
    config: Frames,
    first: Int[np.ndarray, " sequences"],
    step: Int[np.ndarray, " sequences"],
    ahead: int | None = None,
) -> Rollout:
    """Write the ``ahead`` frames after the first; by default as many as a sequence of the task has.

    Beyond that the window slides: the oldest frame is forgotten, and the others are seen one step earlier.

    Raises:
        InputError: ``ahead`` is below 1, a first integer below 2, a step none of the task's, a last integer longer than
            those of the range, or the network was asked for labels alone.

    Source: in the style of Hu et al. 2023 (arXiv 2309.17080), section 2.4.
    """
    check(config)
    ahead = config.frames - 1 if ahead is None else ahead
    if ahead < 1:
        raise InputError(f"ahead must be at least 1 (got {ahead}).")
    if first.min(initial=2) < 2:
        raise InputError(f"first must be at least 2 (got {first.min()}).")
    if not ((step >= 1) & (step <= config.largest_step)).all():
        wrong = step[(step < 1) | (step > config.largest_step)][0]
        raise InputError(f"step must be at least 1 and at most {config.largest_step} (got {wrong}).")
    largest, most = int((first + ahead * step).max(initial=0)), config.base**config.width - 1
    if largest > most:
        raise InputError(f"first + ahead step must be at most {most}, which has {config.width} digits (got {largest}).")
    n = first[:, None] + step[:, None] * np.arange(ahead + 1)
    whole = torch.from_numpy(config.encode(n, step, numbers.is_prime(n.ravel()).reshape(n.shape)))
    parts = [_written(model, config, chunk) for chunk in whole.split(CHUNK)]
    made, score, told = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Rollout(config, n[:, 1:], whole[:, 1:].numpy(), made, _integers(config, made), score, told)


def roll_one(model: Network, config: Frames, n: int, step: int, ahead: int | None = None) -> Rollout:
    """The roll-out of a single first integer.

    Raises:
        InputError: as ``roll``.

    Source: as ``roll``.
    """
    return roll(model, config, np.array([n]), np.array([step]), ahead)


def _written(
    model: Network, config: Frames, whole: Int[Tensor, "batch all slot"]
) -> tuple[Tensor, Float[Tensor, "batch frame"], Float[Tensor, "batch frame"]]:
    made, score, told = whole[:, :1], [], []
    for i in range(1, whole.shape[1]):
        begin = max(0, i + 1 - config.frames)
        window = torch.cat([made[:, begin:].flatten(1), whole[:, i, :1]], dim=1)
        for _ in range(config.frame - 1):
            logits = model(window, at=LAST)[:, -1]
            window = torch.cat([window, logits.argmax(-1, keepdim=True)], dim=1)
        score.append(logits[:, 1] - logits[:, 0])
        made = torch.cat([made, window[:, None, -config.frame :]], dim=1)
        logits = model(whole[:, begin : i + 1].flatten(1)[:, :-1], at=LAST)[:, -1]
        told.append(logits[:, 1] - logits[:, 0])
    return made[:, 1:], torch.stack(score, 1), torch.stack(told, 1)


def _integers(config: Frames, made: Int[np.ndarray, "sequences frame slot"]) -> Int[np.ndarray, "sequences frame"]:
    digits = made[..., 1:-1] - len(frames.LABELS)
    value = digits @ config.base ** np.arange(config.width - 1, -1, -1)
    return np.where(((digits >= 0) & (digits < config.base)).all(-1), value, -1)


def copied(rolled: Rollout, first: Int[np.ndarray, " sequences"]) -> Float[np.ndarray, "frame slot"]:
    """The control that has learned nothing but to repeat the first frame: share of right digits by frame and slot.

    Source: own design.
    """
    config = rolled.config
    digits = numbers.digits(first, config.base, config.width) + len(frames.LABELS)
    return (digits[:, None] == rolled.truth[..., 1:-1]).mean(0)


def carries(n: Int[np.ndarray, " integers"], step: Int[np.ndarray, " integers"], base: int) -> np.ndarray:
    """How often adding ``step`` carries: (s(n) + s(step) - s(n + step)) / (base - 1), s the sum of the digits.

    Source: Kummer 1852, by Legendre's formula.
    """

    def sums(m: np.ndarray) -> np.ndarray:
        return numbers.digits(m, base, numbers.width(int(m.max(initial=0)), base)).sum(1)

    return (sums(n) + sums(step) - sums(n + step)) // (base - 1)


def unseen(config: Frames, n: Int[np.ndarray, "*integers"]) -> Bool[np.ndarray, "*integers"]:
    """Whether integers stand in no block that trains. Source: ``Frames``."""
    inside = (n >= config.low) & (n <= config.high)
    return ~(frames.trains(config)[np.where(inside, n - config.low, 0)] & inside)


def scores(rolled: Rollout) -> list[dict[str, Any]]:
    """How right each frame is, the first ahead first.

    ``integers`` and ``digits``: shares right, in all digits and by slot. Labels are scored on integers that no training
    sequence has: ``label_accuracy`` and ``label_auc`` after the network's own frames, against the truth about the
    integer that it wrote; ``..._true`` after the true frames. ``composite`` is the accuracy of saying composite always.
    None where there is nothing to score.

    Source: own design.
    """
    found = []
    for i in range(rolled.n.shape[1]):
        n, said, made, truth = rolled.n[:, i], rolled.said[:, i], rolled.made[:, i], rolled.truth[:, i]
        fresh = unseen(rolled.config, n)
        own = (said >= 0) & unseen(rolled.config, said)
        prime, own_prime = truth[fresh, -1] == 1, numbers.is_prime(said[own])
        told = rolled.told[fresh, i]
        found.append(
            {
                "ahead": i + 1,
                "integers": float((said == n).mean()),
                "digits": (made == truth)[:, 1:-1].mean(0).tolist(),
                "label_accuracy": _mean(made[own, -1] == own_prime),
                "label_auc": _auc(rolled.score[own, i], own_prime),
                "label_accuracy_true": _mean((told > 0) == prime),
                "label_auc_true": _auc(told, prime),
                "composite": _mean(~prime),
            }
        )
    return found


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _auc(score: np.ndarray, prime: np.ndarray) -> float | None:
    return finite(metrics.auc(score, prime))


def starts(
    config: Frames, ahead: int, sequences: int = SEQUENCES
) -> tuple[Int[np.ndarray, " sequences"], Int[np.ndarray, " sequences"]]:
    """First integers and steps of held-out sequences, drawn at random, from which ``ahead`` frames keep their width.

    Raises:
        InputError: there is none.

    Source: own design; the draw is from the task's seed.
    """
    first, step, train = frames.parts(config)
    rows = np.flatnonzero(~train & (first + ahead * step < config.base**config.width))
    if not len(rows):
        raise InputError(
            f"ahead must leave a held-out sequence whose integers keep {config.width} digits (got {ahead})."
        )
    rows = np.random.default_rng([config.seed, 2]).permutation(rows)[:sequences]
    return first[rows], step[rows]


def similarity(vectors: Float[Tensor, "vectors d_model"]) -> Float[Tensor, "vectors vectors"]:
    """The cosines between vectors, such as W_step's or W_slot's. Source: own design."""
    return (
        torch.nn.functional.normalize(vectors.double(), dim=1)
        @ torch.nn.functional.normalize(vectors.double(), dim=1).T
    )


def check(config: object) -> Frames:
    """The config, if it is one whose next frames a network has learned to write.

    Raises:
        InputError: it is another.

    Source: own design.
    """
    if not isinstance(config, Frames):
        kind = getattr(config, "kind", config)
        raise InputError(f"run must be one on frames for a roll-out (its task is {kind}).")
    if config.predict != "everything":
        raise InputError("predict must be everything for a roll-out: this network was asked for labels alone.")
    return config


def report(run: Run, step: int | None = None, ahead: int | None = None) -> dict[str, Any]:
    """What ``miii rollout RUN --json`` prints: scores by frame ahead, of the network, an untrained one, and a copy.

    ``held_out`` are the scores on all held-out sequences given the true frames, ``by_carries`` the share of integers
    right one frame ahead by how often adding the step carries, ``context`` what could be told of labels by context.

    Raises:
        InputError: as ``roll``, or the run has no such step.

    Source: own design.
    """
    config = check(run.config.task)
    task, model = run.task(), run.model(step)
    untrained = build_model(run.config, task).requires_grad_(False)
    ahead = config.frames - 1 if ahead is None else ahead
    first, steps = starts(config, ahead)
    rolled = roll(model, config, first, steps, ahead)
    return {
        "run": run.name,
        "step": run.steps[-1] if step is None else step,
        "sequences": len(first),
        "held_out": held_out(model, task),
        "context": context.context(task, config.base),
        "by_carries": by_carries(rolled, first, steps),
        "rollout": scores(rolled),
        "untrained": scores(roll(untrained, config, first, steps, ahead)),
        "copy": copied(rolled, first).tolist(),
    }


def held_out(model: Transformer, task: Task) -> dict[str, float | None]:
    """The task's scores of the held-out sequences that training evaluates. See ``Frames.scores``."""
    found = evaluation.evaluator(model, task, scores=Frames.scores)().scores
    return {name: finite(value) for name, value in found.items()}


def by_carries(
    rolled: Rollout, first: Int[np.ndarray, " sequences"], step: Int[np.ndarray, " sequences"]
) -> list[dict[str, float]]:
    """Share of integers right one frame ahead, by how often adding the step carries. Source: own design."""
    count, right = carries(first, step, rolled.config.base), rolled.said[:, 0] == rolled.n[:, 0]
    return [
        {"carries": int(c), "sequences": int((count == c).sum()), "integers": float(right[count == c].mean())}
        for c in np.unique(count)
    ]
