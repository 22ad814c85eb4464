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

NO_TARGET = -1  #: in ``Task.next_tokens``: the position has no target
GROKKED = 0.99  #: test accuracy at which a run has grokked (Power et al. 2022, arXiv 2201.02177)


@dataclass(frozen=True)
class Target:
    """A label of every example, with ``size`` logits of its own.

    Its loss is multiplied by ``weight``; a target with weight 0 is evaluated but not trained.
    """

    name: str
    size: int
    labels: Int[Tensor, " examples"]
    weight: float = 1.0


@dataclass(frozen=True)
class Task:
    """All examples of a task in a fixed order, with the train/test split.

    The network predicts at the last position, unless ``next_tokens`` is set.

    Attributes:
        tokens: with parts, a token is several rows of W_E, which are summed; row 0 adds nothing.
        labels: labels of the first target; its logits come first.
        train_mask: the training split.
        val_mask: validation part of the training split; decides when to stop, and is never trained on.
        sampling_weights: relative sampling weight of each example; None draws each once per epoch.
        weight: factor of the first target's loss.
        extra_targets: additional targets, in the order of their logits.
        correct_if: an example is correct if its first target is, or if all trained targets are.
        frame: positions per frame, for tasks made of frames.
        next_tokens: target token of each position, ``NO_TARGET`` for none. The loss covers all targets, and the first
            target's logits are tokens. None predicts at the last position only.
        facts: per-example values hidden from the network, such as ``n``.
    """

    tokens: Int[Tensor, "examples pos *part"]
    labels: Int[Tensor, " examples"]
    train_mask: Bool[Tensor, " examples"]
    d_vocab: int
    d_vocab_out: int
    token_names: tuple[str, ...]
    val_mask: Bool[Tensor, " examples"] | None = None
    sampling_weights: Float[Tensor, " examples"] | None = None
    weight: float = 1.0
    name: str = "answer"
    extra_targets: tuple[Target, ...] = ()
    correct_if: Literal["first", "all"] = "first"
    frame: int | None = None
    next_tokens: Int[Tensor, "examples pos *part"] | None = None
    facts: Mapping[str, Int[Tensor, " examples"]] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def n_ctx(self) -> int:
        """Return the number of positions per example."""
        return self.tokens.shape[1]

    @property
    def split_known(self) -> bool:
        """Return whether the split is known; imported weights may lack one."""
        return bool(self.train_mask.any())

    @property
    def targets(self) -> tuple[Target, ...]:
        """Return all targets, in the order of their logits."""
        first = self.d_vocab_out - sum(target.size for target in self.extra_targets)
        return (Target(self.name, first, self.labels, self.weight), *self.extra_targets)

    @property
    def step_mask(self) -> Bool[Tensor, " examples"]:
        """Return the mask of training examples: the training split without its validation part."""
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
    """Sizes of a task's data, computed without building it.

    Attributes:
        examples: upper bound on the number of examples.
        targets: labels per example.
        everywhere: the network predicts at every position.
        validation: examples of the training split held out to decide when to stop.
        distinct: distinct (token, position) pairs; 0 if any token may take any position.
    """

    examples: int
    n_ctx: int
    d_vocab: int
    d_vocab_out: int
    targets: int = 1
    everywhere: bool = False
    validation: int = 0
    distinct: int = 0


class Headline(NamedTuple):
    """The one metric that stands for a run wherever runs are listed or compared.

    Attributes:
        value: NaN if missing.
        name: such as "accuracy on test pairs".
        unit: a share is written as a percentage, a score with three decimals, a count as it is.
    """

    value: float
    name: str
    unit: Literal["share", "score", "count"] = "share"

    @property
    def text(self) -> str:
        """The value as text; a dash if missing."""
        if math.isnan(self.value):
            return "–"
        return format(self.value, {"share": ".1%", "score": ".3f", "count": ",.0f"}[self.unit])


class TaskConfig(Frozen):
    """Base config of a task kind: everything that does not need the data.

    A subclass adds the field ``kind``, its options, ``sizes``, ``n_train``, ``name`` and ``build``, and overrides what
    differs from plain classification.
    """

    summary: ClassVar[str] = ""  #: one sentence for help texts
    recipes: ClassVar[Mapping[str, Mapping[str, Any]]] = {"fast": {}}  #: ``RunConfig`` fields by recipe name
    shown: ClassVar[tuple[str, ...]] = ()  #: ``scores`` that the app shows; imported metrics must have them
    examples: ClassVar[str] = "test examples"  #: what test accuracy is measured on

    @classmethod
    def names(cls) -> dict[str, dict[str, Any]]:
        """Return this kind's task names for ``miii train``, with the fields each sets."""
        return {cls.model_fields["kind"].default: {}}

    def recipe_fields(self, name: str) -> dict[str, Any]:
        """Return the ``RunConfig`` fields that a recipe changes for this task."""
        return dict(self.recipes[name])

    @property
    def task_name(self) -> str:
        """This task's name in ``names``."""
        return type(self).model_fields["kind"].default

    @property
    def description(self) -> str:
        """A short description of the task."""
        return self.task_name

    @property
    def sizes(self) -> Sizes:
        """Upper bounds on the sizes of ``build()``."""
        raise NotImplementedError

    @property
    def n_train(self) -> int:
        """Number of training examples; may draw the split."""
        raise NotImplementedError

    @property
    def max_train(self) -> int:
        """Upper bound on ``n_train``, without building the task."""
        return self.n_train

    @property
    def frame(self) -> int | None:
        """Tokens per frame; None for tasks without frames."""
        return None

    @property
    def milestone(self) -> str:
        """What a run achieves once ``learned`` holds, such as "sieves by 3"."""
        return "grokked"

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return additional metrics of an evaluation.

        Args:
            logits: of the validation examples, or of the test split without validation; at every position if the task
                predicts at all of them.
            rows: indices of these examples.
        """
        return {}

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether the rule is learned: by default, 99% test accuracy."""
        return row["test_accuracy"] >= GROKKED

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the headline metric of an evaluation: by default, test accuracy."""
        return Headline(row.get("test_accuracy", math.nan), f"accuracy on {self.examples}")


def names_of(symbols: int, *further: str) -> tuple[str, ...]:
    """Return token names: 0 .. symbols - 1, then ``further``."""
    return (*map(str, range(symbols)), *further)


def mask_of(rows: Int[Tensor, " rows"], examples: int) -> Bool[Tensor, " examples"]:
    """Return a mask that is True at the given rows."""
    mask = torch.zeros(examples, dtype=torch.bool)
    mask[rows] = True
    return mask
