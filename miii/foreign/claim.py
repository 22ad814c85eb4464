"""Test what a network answers against every operation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, get_args

from jaxtyping import Int
from torch import Tensor

from miii.errors import InputError
from miii.expression import MISSING
from miii.model.transformer import Transformer, answer
from miii.tasks import ModularAddition, Operation
from miii.tasks.modular import grid_of

LIKELY: Final = 0.95  #: accuracy over all pairs below which a claim is doubtful
CONTROLS: Final = ("shuffled", "relabeled")  #: tried only if claimed
PROMPT: Final = ("equals", "separate", "operator")  #: the fields of ``ModularAddition`` that describe the prompt
#: Formulas beyond miii's operations.
FORMULAS: Final = (
    "b - a", "b / a", "a**2 + b**2", "a**2 + a*b + b**2 + a", "a**3 + a*b", "a**3 + a*b**2 + b",
)  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """An operation, and how often the network answers it.

    Attributes:
        name: the operation or formula, such as "a + b".
        claim: the options that claim it: ``{"operation": "add"}``; empty if there are none.
        accuracy: share of the pairs that it has an answer for, such as those with b != 0.
    """

    name: str
    claim: Mapping[str, str]
    accuracy: float

    @property
    def option(self) -> str:
        """The command-line option that claims it."""
        text = f"--task {self.claim['operation']}" if self.claim else ""
        return f'{text} --expression "{self.claim["expression"]}"' if "expression" in self.claim else text


@dataclass(frozen=True)
class Fitness:
    """How well a network fits its claimed task.

    Attributes:
        readings: all operations, the best first.
        claimed: the task that was claimed, or the best if none was.
    """

    claimed: Reading
    readings: tuple[Reading, ...]

    @property
    def best(self) -> Reading:
        """The operation that fits the most pairs."""
        return self.readings[0]

    @property
    def likelier(self) -> Reading | None:
        """The best operation if it fits at least half of the pairs and more than the claimed one."""
        return self.best if self.best.accuracy > self.claimed.accuracy and self.best.accuracy >= 0.5 else None

    @property
    def warning(self) -> str | None:
        """A sentence if the claimed task fits less than ``LIKELY`` of all pairs; otherwise None."""
        if self.claimed.accuracy >= LIKELY:
            return None
        text = f"the network answers {self.claimed.accuracy:.1%} of {self.claimed.name}"
        if other := self.likelier:
            text += f", {other.accuracy:.1%} of {other.name}"
            if other.accuracy >= LIKELY:
                return f"{text}: did you mean {other.option}?" if other.claim else f"{text}."
        return f"{text}; no operation fits (the best is {self.best.name}, {self.best.accuracy:.1%})."


def formulas(p: int) -> dict[str, dict[str, str]]:
    """Return the options that claim each reading, by its name."""
    found = {}
    for operation in get_args(Operation):
        if operation not in (*CONTROLS, "expr") and (operation != "div" or _prime(p)):
            found[_named(operation)] = {"operation": operation}
    for text in FORMULAS:
        if "/ a" not in text or _prime(p):
            masked = f"{text} where a != 0" if "/ a" in text else text
            found.setdefault(text, {"operation": "expr", "expression": masked})
    return found


@lru_cache(maxsize=4)
def tables(p: int) -> Mapping[str, Int[Tensor, " pairs"]]:
    """Return the answers to all pairs, in the order a * p + b, by reading; ``MISSING`` where it has none."""
    found = {}
    for name, claim in formulas(p).items():
        try:
            found[name] = _table(ModularAddition(**{"p": p, "train_fraction": None, **claim}))
        except InputError:  # not defined, or constant, for this p
            continue
    return found


def measure(model: Transformer, task: ModularAddition, claimed: bool = True) -> Fitness:
    """Return the accuracy over all pairs under the claimed task and every other reading.

    Args:
        claimed: False if the task's operation was not chosen by anyone.
    """
    prompt = {name: getattr(task, name) for name in PROMPT}
    every = ModularAddition(p=task.p, train_fraction=None, **prompt)
    predicted = answer(model, every.build().tokens)
    options = formulas(task.p)
    found = [Reading(name, options[name], best_of(predicted, [labels])[1]) for name, labels in tables(task.p).items()]
    found.sort(key=lambda reading: -reading.accuracy)
    if not claimed:
        return Fitness(found[0], tuple(found))
    own: dict[str, Any] = {"operation": task.operation}
    own |= {} if task.expression is None else {"expression": task.expression}
    name = task.expression or _named(task.operation)
    return Fitness(Reading(name, own, best_of(predicted, [_table(task)])[1]), tuple(found))


def _table(task: ModularAddition) -> Int[Tensor, " pairs"]:
    """Return the answers to all pairs, in the order a * p + b."""
    built = task.build()
    return grid_of(built, built.labels, task.p).flatten()


def _named(operation: str) -> str:
    """Return an operation as a formula, such as "a + b"; its name if it has none here."""
    known = {"add": "a + b", "sub": "a - b", "mul": "a * b", "div": "a / b", "quadratic": "a**2 + a*b + b**2"}
    return known.get(operation, operation)


def _prime(p: int) -> bool:
    return p > 1 and all(p % n for n in range(2, math.isqrt(p) + 1))


def best_of(predicted: Int[Tensor, " pairs"], labels: Sequence[Int[Tensor, " pairs"]]) -> tuple[int, float]:
    """Return the index of the best of several tables of answers, and its accuracy where they are not ``MISSING``."""
    shares = [(predicted == each)[each != MISSING].double().mean().item() for each in labels]
    index = max(range(len(shares)), key=shares.__getitem__)
    return index, shares[index]
