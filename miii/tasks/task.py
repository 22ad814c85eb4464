"""The data that a network trains on, and the config that builds it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.errors import Frozen

UNASKED = -1  #: in ``Task.next_tokens``: the position has no target
GROKKED = 0.99  #: test accuracy from which a run counts as having grokked (Power et al. 2022, arXiv 2201.02177)


@dataclass(frozen=True)
class Target:
    """One label of every example, with ``size`` logits of its own beside those of the other targets.

    Its loss is multiplied by ``weight``; a target of weight 0 is evaluated and not trained.
    """

    name: str
    size: int
    labels: Int[Tensor, " examples"]
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """All examples of a task in a fixed order, with the train/test split.

    The answer is read at the last position.

    Attributes:
        labels: labels of the first target; its logits come first.
        train_mask: the training split.
        val_mask: the validation part of the training split. It decides when to stop and takes no step.
        chances: relative sampling weight of each example; None draws each once an epoch.
        weight: factor of the first target's loss.
        more: further targets, in the order of their logits.
        judged: an example is correct if its first target is, or if all trained targets are.
        frame: positions per frame, for tasks made of frames.
        next_tokens: the target token of every position, ``UNASKED`` for none. The loss covers all of them, and the
            first target's logits are tokens. None predicts at the last position alone.
        facts: values known of each example that the network never sees, such as ``n``.
    """

    tokens: Int[Tensor, "examples pos"]
    labels: Int[Tensor, " examples"]
    train_mask: Bool[Tensor, " examples"]
    d_vocab: int
    d_vocab_out: int
    token_names: tuple[str, ...]
    val_mask: Bool[Tensor, " examples"] | None = None
    chances: Float[Tensor, " examples"] | None = None
    weight: float = 1.0
    name: str = "answer"
    more: tuple[Target, ...] = ()
    judged: Literal["first", "all"] = "first"
    frame: int | None = None
    next_tokens: Int[Tensor, "examples pos"] | None = None
    facts: Mapping[str, Int[Tensor, " examples"]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def n_ctx(self) -> int:
        """Return the positions of an example."""
        return self.tokens.shape[1]

    @property
    def split_known(self) -> bool:
        """Return whether the split is known. Imported weights may lack one; then no example is marked."""
        return bool(self.train_mask.any())

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return all targets, in the order of their logits."""
        first = self.d_vocab_out - sum(target.size for target in self.more)
        return (Target(self.name, first, self.labels, self.weight), *self.more)

    @property
    def step_mask(self) -> Bool[Tensor, " examples"]:
        """Return the examples that steps are taken on: the training split without its validation part."""
        return self.train_mask if self.val_mask is None else self.train_mask & ~self.val_mask

    def logits_of(self, name: str) -> slice:
        """Return the slice of a target's logits within ``d_vocab_out``.

        Raises:
            KeyError: the task has no such target.
        """
        begin = 0
        for target in self.targets:
            if target.name == name:
                return slice(begin, begin + target.size)
            begin += target.size
        raise KeyError(name)


class Sizes(NamedTuple):
    """Size of a task's data, computed by arithmetic before anything is built.

    Attributes:
        examples: upper bound of their number.
        targets: labels of each example.
        everywhere: the network predicts at every position.
        validation: examples of the training split that decide when to stop.
        distinct: distinct pairs of token and position; 0 if any token may stand at any position.
    """

    examples: int
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    targets: int = 1
    everywhere: bool = False
    validation: int = 0
    distinct: int = 0


class TaskConfig(Frozen):
    """Config of a kind of task: all that depends on the kind and does not need the data.

    A kind adds a field ``kind``, its options, ``sizes``, ``n_train``, ``name`` and ``build``, and overrides what is
    different from an ordinary classification task.
    """

    summary: ClassVar[str] = ""  #: one sentence for help texts
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"fast": {}}  #: fields of ``RunConfig`` by the recipe's name
    shown: ClassVar[tuple[str, ...]] = ()  #: names of ``scores`` that the app shows; imported metrics must have them
    examples: ClassVar[str] = "test examples"  #: what ``accuracy`` is measured on

    @classmethod
    def names(cls) -> dict[str, dict[str, Any]]:
        """Return the names that ``miii train`` knows tasks of this kind by, with the fields each name sets."""
        return {cls.model_fields["kind"].default: {}}

    @property
    def task_name(self) -> str:
        """The name in ``names`` of this task."""
        return type(self).model_fields["kind"].default

    @property
    def description(self) -> str:
        """What the network is trained on, in a few words."""
        return self.task_name

    @property
    def sizes(self) -> Sizes:
        """Upper bounds of the sizes of ``build()``."""
        raise NotImplementedError

    @property
    def n_train(self) -> int:
        """Examples that steps are taken on. A split may have to be drawn for it."""
        raise NotImplementedError

    @property
    def most_train(self) -> int:
        """An upper bound of ``n_train``, by arithmetic alone."""
        return self.n_train

    @property
    def frame(self) -> int | None:
        """Tokens per frame; None if the tokens do not come in frames."""
        return None

    @property
    def milestone(self) -> str:
        """What a run has reached once ``learned`` holds, such as "sieves by 3"."""
        return "grokked"

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return further measures of an evaluation.

        Args:
            logits: of the validation examples, or of the test split if there is no validation; at every position if
                the task predicts at all of them.
            rows: their numbers.
        """
        return {}

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether an evaluation shows that the rule is learned: 99% test accuracy unless the kind says else."""
        return row["test_accuracy"] >= GROKKED

    def accuracy(self, row: Mapping[str, float]) -> tuple[float, str]:
        """Return the accuracy that represents a run in a table, and what it is measured on; NaN if it is missing."""
        return row.get("test_accuracy", math.nan), self.examples


def names_of(symbols: int, *further: str) -> tuple[str, ...]:
    """Return the names of the tokens 0 .. symbols - 1 and of those after them."""
    return (*map(str, range(symbols)), *further)


def mask_of(rows: Int[Tensor, " rows"], examples: int) -> Bool[Tensor, " examples"]:
    """Return a mask that is True at the given rows."""
    mask = torch.zeros(examples, dtype=torch.bool)
    mask[rows] = True
    return mask
