"""Integers put to a network: which of them, and what it answers."""

import numpy as np
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii import numbers
from miii.errors import InputError
from miii.model import fast
from miii.model.transformer import Transformer
from miii.tasks import MIU, Primes, Task


def check(config: object) -> Primes | MIU:
    """The config of the task, if it is one that this package speaks of.

    Raises:
        InputError: it is another task's.
    """
    if not isinstance(config, Primes | MIU):
        raise InputError(f"task must be primes or miu for this analysis (got {getattr(config, 'name', config)}).")
    return config


def evidence(model: Transformer, tokens: Int[Tensor, "integers pos"]) -> Float[np.ndarray, " integers"]:
    """How much the network speaks for "prime": the logit of prime less that of composite.

    Raises:
        InputError: a logit is not finite: the network has fallen apart.

    Source: own design; of two classes the logits' difference is all that softmax sees.
    """
    logits = fast.answers(model, tokens)[:, :2]
    return (logits[:, 1] - logits[:, 0]).double().numpy()


def sieved(config: Primes, limit: int) -> tuple[int, ...]:
    """The primes q < ``limit`` that do not divide the base: those that the last digit does not give away."""
    return tuple(q for q in numbers.primes_below(limit) if config.base % q)


def undivided(n: Int[np.ndarray, " integers"], by: tuple[int, ...]) -> Bool[np.ndarray, " integers"]:
    """Which integers none of some primes divides: all of them, if there are no primes."""
    return np.all([n % q != 0 for q in by], axis=0) if by else np.ones(len(n), dtype=bool)


def side(task: Task, train: bool, most: int, seed: int = 0) -> Int[np.ndarray, " rows"]:
    """Up to ``most`` examples of the training side (less its validation part) or of the test side, drawn at random."""
    rows = np.flatnonzero((task.step_mask if train else ~task.train_mask).numpy())
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])
