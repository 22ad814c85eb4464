"""What a network is trained on, as a value."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.errors import Frozen

UNASKED = -1  #: in ``Task.next_tokens``, where nothing is asked


@dataclass(frozen=True)
class Target:
    """One question about every example: ``size`` logits, side by side with those of the other targets.

    ``weight`` is what its loss is multiplied by; at 0 it is asked but not trained.

    Source: own design.
    """

    name: str
    size: int
    labels: Int[Tensor, " examples"]
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """Every example of a task, in a fixed order, and which of them train.

    The answer is read at the last position.

    Attributes:
        labels: the answers to the first target, whose logits come first.
        train_mask: the training side of the split.
        val_mask: the part of that side on which training decides when to stop; no step is taken on it.
        chances: how often a step draws each example, relative to the others; None draws each once an epoch.
        weight: what the first target's loss is multiplied by.
        more: further targets, in the order of their logits.
        judged: whether an example is right when its first target is, or when all that are trained are.
        frame: how many positions a frame has, where the tokens come in frames.
        next_tokens: what is asked at every position, ``UNASKED`` where nothing is: the loss is over all of it, and the
            logits of the first target are tokens. None asks at the last position alone.
        facts: what is known of each example beside its labels and is never shown to the network, such as ``n``.

    Source: own design; see the tasks that build it for theirs.
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
        """How many positions an example has."""
        return self.tokens.shape[1]

    @property
    def split_known(self) -> bool:
        """Whether it is known which examples train: of imported weights it may not be, and none is marked then."""
        return bool(self.train_mask.any())

    @property
    def targets(self) -> tuple[Target, ...]:
        """All targets, in the order of their logits."""
        first = self.d_vocab_out - sum(target.size for target in self.more)
        return (Target(self.name, first, self.labels, self.weight), *self.more)

    @property
    def step_mask(self) -> Bool[Tensor, " examples"]:
        """The examples that steps are taken on: the training side without its validation part."""
        return self.train_mask if self.val_mask is None else self.train_mask & ~self.val_mask

    def logits_of(self, name: str) -> slice:
        """Where a target's logits stand among the ``d_vocab_out``.

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
    """How large the data of a task is, by arithmetic, before anything is built.

    Attributes:
        examples: how many there are, at most.
        targets: how many answers each example has.
        everywhere: whether the network is asked at every position.
        validation: how many examples of the training side training decides on when to stop.
        distinct: how many pairs of a token and a position occur; 0 where any token stands at any position.
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
    """What every task's config answers without building its data."""

    @property
    def sizes(self) -> Sizes:
        """Upper bounds of the sizes of ``build()``."""
        raise NotImplementedError

    @property
    def n_train(self) -> int:
        """How many examples steps are taken on; a split may have to be drawn for it."""
        raise NotImplementedError

    @property
    def most_train(self) -> int:
        """An upper bound of ``n_train``, by arithmetic alone."""
        return self.n_train


def names_of(symbols: int, *further: str) -> tuple[str, ...]:
    """The names of the tokens 0 .. symbols - 1, and of those after them. Source: own design."""
    return (*map(str, range(symbols)), *further)


def mask_of(rows: Int[Tensor, " rows"], examples: int) -> Bool[Tensor, " examples"]:
    """True at the given rows. Source: own design."""
    mask = torch.zeros(examples, dtype=torch.bool)
    mask[rows] = True
    return mask
