"""Roll-outs: a network generates the next frames (integers and labels), compared with the truth."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import metrics, numbers
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.model.wiring import LAST
from miii.runs.read import finite
from miii.tasks import Frames, Task, frames
from miii.training import evaluation

SEQUENCES = 1000  #: held-out first frames of a report
CHUNK = 100  #: sequences to generate at once
MANY = 1000  #: sequences to run at once

#: From tokens [batch, pos] and ``LAST`` to logits [batch, 1, d_vocab]: a network or a stand-in.
Network = Callable[..., Tensor]


@dataclass(frozen=True)
class Rollout:
    """The frames after a first one: the truth, and those that a network generated. Conditions are given.

    Attributes:
        n: the true integers.
        truth: their frames: condition, digits, label.
        generated: the network's frames, decoded greedily; the condition is the true one.
        integers: the integers in ``generated``, -1 if a digit's slot holds another token.
        score: logit of prime minus logit of composite, after the network's own frames.
        score_true: the same after the true frames.

    Source: in the style of Hu et al. 2023 (arXiv 2309.17080), section 2.4, but greedy.
    """

    config: Frames
    n: Int[np.ndarray, "sequences frame"]
    truth: Int[np.ndarray, "sequences frame slot"]
    generated: Int[np.ndarray, "sequences frame slot"]
    integers: Int[np.ndarray, "sequences frame"]
    score: Float[np.ndarray, "sequences frame"]
    score_true: Float[np.ndarray, "sequences frame"]


@torch.no_grad()
def roll(
    model: Network,
    config: Frames,
    first: Int[np.ndarray, " sequences"],
    step: Int[np.ndarray, " sequences"],
    ahead: int | None = None,
) -> Rollout:
    """Generate ``ahead`` frames after the first; by default as many as in the task's sequences.

    Beyond the context, the window slides: it drops the oldest frame.

    Raises:
        InputError: ``ahead`` is below 1, a first integer is below 2, a step is not the task's, a last integer has more
            digits than the range, or the network predicts labels only.

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
    parts = [_generate(model, config, chunk) for chunk in whole.split(CHUNK)]
    generated, score, score_true = (torch.cat(part).numpy() for part in zip(*parts, strict=True))
    return Rollout(config, n[:, 1:], whole[:, 1:].numpy(), generated, _integers(config, generated), score, score_true)


def roll_one(model: Network, config: Frames, n: int, step: int, ahead: int | None = None) -> Rollout:
    """Return the roll-out of a single first integer.

    Raises:
        InputError: as ``roll``.
    """
    return roll(model, config, np.array([n]), np.array([step]), ahead)


def _generate(
    model: Network, config: Frames, whole: Int[Tensor, "batch all slot"]
) -> tuple[Tensor, Float[Tensor, "batch frame"], Float[Tensor, "batch frame"]]:
    generated, score, score_true = whole[:, :1], [], []
    for i in range(1, whole.shape[1]):
        begin = max(0, i + 1 - config.frames)
        window = torch.cat([generated[:, begin:].flatten(1), whole[:, i, :1]], dim=1)
        for _ in range(config.frame - 1):
            logits = model(window, at=LAST)[:, -1]
            window = torch.cat([window, logits.argmax(-1, keepdim=True)], dim=1)
        score.append(logits[:, 1] - logits[:, 0])
        generated = torch.cat([generated, window[:, None, -config.frame :]], dim=1)
        logits = model(whole[:, begin : i + 1].flatten(1)[:, :-1], at=LAST)[:, -1]
        score_true.append(logits[:, 1] - logits[:, 0])
    return generated[:, 1:], torch.stack(score, 1), torch.stack(score_true, 1)


def _integers(config: Frames, generated: Int[np.ndarray, "sequences frame slot"]) -> Int[np.ndarray, "sequences frame"]:
    digits = generated[..., 1:-1] - len(frames.LABELS)
    value = digits @ config.base ** np.arange(config.width - 1, -1, -1)
    return np.where(((digits >= 0) & (digits < config.base)).all(-1), value, -1)


def copied(rolled: Rollout, first: Int[np.ndarray, " sequences"]) -> Float[np.ndarray, "frame slot"]:
    """Return the share of correct digits by frame and slot for a control that repeats the first frame."""
    config = rolled.config
    digits = numbers.digits(first, config.base, config.width) + len(frames.LABELS)
    return (digits[:, None] == rolled.truth[..., 1:-1]).mean(0)


def carries(n: Int[np.ndarray, " integers"], step: Int[np.ndarray, " integers"], base: int) -> np.ndarray:
    """Return the number of carries of n + step: (s(n) + s(step) - s(n + step)) / (base - 1), s the digit sum.

    Source: Kummer 1852, by Legendre's formula.
    """

    def sums(m: np.ndarray) -> np.ndarray:
        return numbers.digits(m, base, numbers.width(int(m.max(initial=0)), base)).sum(1)

    return (sums(n) + sums(step) - sums(n + step)) // (base - 1)


def unseen(config: Frames, n: Int[np.ndarray, "*integers"]) -> Bool[np.ndarray, "*integers"]:
    """Return which integers are in no training block."""
    inside = (n >= config.low) & (n <= config.high)
    return ~(frames.trains(config)[np.where(inside, n - config.low, 0)] & inside)


def scores(rolled: Rollout) -> list[dict[str, Any]]:
    """Return the scores of each frame, nearest first.

    ``integers`` and ``digits`` are the shares correct in all digits and by slot. Labels are scored on integers outside
    training: ``label_accuracy`` and ``label_auc`` after the network's own frames, for its own integer; ``..._true``
    after the true frames. ``composite`` is the accuracy of always predicting composite. ``seen`` is the share of the
    true integers that are in training blocks: 0 within the length of a sequence, more beyond it. None if there is
    nothing to score.
    """
    found = []
    for i in range(rolled.n.shape[1]):
        n, integers = rolled.n[:, i], rolled.integers[:, i]
        generated, truth = rolled.generated[:, i], rolled.truth[:, i]
        fresh = unseen(rolled.config, n)
        own = (integers >= 0) & unseen(rolled.config, integers)
        prime, own_prime = truth[fresh, -1] == 1, numbers.is_prime(integers[own])
        score_true = rolled.score_true[fresh, i]
        found.append(
            {
                "ahead": i + 1,
                "integers": float((integers == n).mean()),
                "digits": (generated == truth)[:, 1:-1].mean(0).tolist(),
                "label_accuracy": _mean(generated[own, -1] == own_prime),
                "label_auc": _auc(rolled.score[own, i], own_prime),
                "label_accuracy_true": _mean((score_true > 0) == prime),
                "label_auc_true": _auc(score_true, prime),
                "composite": _mean(~prime),
                "seen": float(1 - fresh.mean()),
            }
        )
    return found


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _auc(score: np.ndarray, prime: np.ndarray) -> float | None:
    return finite(metrics.auc(score, prime))


def starts(
    config: Frames, ahead: int, sequences: int | None = SEQUENCES
) -> tuple[Int[np.ndarray, " sequences"], Int[np.ndarray, " sequences"]]:
    """Draw first integers and steps of held-out sequences with ``ahead`` more frames of the same width.

    Args:
        sequences: most to draw; None takes all.

    Raises:
        InputError: there is no such sequence.
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
    """Return the cosine similarities between vectors, such as those of W_step or W_slot."""
    units = torch.nn.functional.normalize(vectors.double(), dim=1)
    return units @ units.T


def check(config: object) -> Frames:
    """Return the config of a task on frames with all tokens predicted.

    Raises:
        InputError: the config is for a different task, or predicts labels only.
    """
    if not isinstance(config, Frames):
        kind = getattr(config, "kind", config)
        raise InputError(f"run must be on frames for a roll-out (its task is {kind}).")
    if config.predict != "everything":
        raise InputError("predict must be everything for a roll-out (this network predicts labels only).")
    return config


def held_out(model: Transformer, task: Task) -> dict[str, float | None]:
    """Return the task's scores on the held-out sequences that training evaluates."""
    found = evaluation.evaluator(model, task, scores=Frames.scores)().scores
    return {name: finite(value) for name, value in found.items()}


@torch.no_grad()
def by_carries(model: Callable[[Tensor], Tensor], config: Frames) -> list[dict[str, float]]:
    """Return the share of correct integers one frame ahead of all held-out first frames, by the number of carries.

    Many carries are rare: a sample has few of them. An integer is decoded correctly if every digit is, after the true
    digits before it.

    Args:
        model: from tokens [batch, pos] to logits [batch, pos, d_vocab].

    Raises:
        InputError: no held-out sequence has another frame of the same width.
    """
    first, step = starts(config, 1, None)
    n = np.stack([first, first + step], axis=1)
    whole = config.encode(n, step, numbers.is_prime(n.ravel()).reshape(n.shape))
    tokens = torch.from_numpy(whole).flatten(1)[:, :-1]
    slots = slice(config.frame, tokens.shape[1] - 1)  # each predicts the digit to its right
    parts = [model(chunk)[:, slots].argmax(-1) == chunk[:, config.frame + 1 :] for chunk in tokens.split(MANY)]
    count, right = carries(first, step, config.base), torch.cat(parts).all(1).numpy()
    return [
        {"carries": int(c), "sequences": int((count == c).sum()), "integers": float(right[count == c].mean())}
        for c in np.unique(count)
    ]


def auc_from_context(task: Task, base: int) -> dict[str, float | None]:
    """Return the ROC AUC on held-out frames of labels predicted from context alone, without the integer.

    ``digit`` predicts the training share of primes with the same last digit. ``labels`` also uses the step and the
    earlier frames' labels, which can reveal whether 3 divides the last integer. ``..._coprime`` counts only integers
    coprime to the base.
    """
    assert task.frame is not None
    label, train = task.labels.numpy(), task.train_mask.numpy()
    held, coprime = ~train, task.facts["coprime"].numpy() == 1
    digit = task.facts["last"].numpy() % base
    before = task.tokens[:, task.frame - 1 :: task.frame].numpy()
    keys = {"digit": digit[:, None], "labels": np.column_stack([digit, task.facts["step"].numpy(), before])}
    found = {}
    for name, key in keys.items():
        which = np.unique(key, axis=0, return_inverse=True)[1].ravel()
        count = np.bincount(which[train], minlength=which.max() + 1)
        primes = np.bincount(which[train], label[train], minlength=which.max() + 1)
        share = ((primes + label[train].mean()) / (count + 1))[which]  # the overall share for keys absent from training
        found[name] = finite(metrics.auc(share[held], label[held] == 1))
        found[f"{name}_coprime"] = finite(metrics.auc(share[held & coprime], label[held & coprime] == 1))
    return found
