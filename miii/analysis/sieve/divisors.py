"""Networks for the gcd: which divisors they know, whether their list explains every answer, and which digits decide."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from miii.analysis.activations import last_logits
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import GCD, Task
from miii.tasks.gcd import largest_divisor, learned_divisors

if TYPE_CHECKING:
    import pandas as pd

PAIRS = 2_000  #: most pairs whose digits are swapped


class Answer(NamedTuple):
    """The answers to the test pairs of one gcd.

    Attributes:
        common, share: the most common answer, and the share of the pairs that get it.
        rule: the largest learned divisor of the gcd.
    """

    gcd: int
    pairs: int
    common: int
    share: float
    rule: int


@dataclass(frozen=True)
class Swap:
    """How answers change if pairs get the digits of other pairs, which are answered differently.

    Attributes:
        digits: how many last digits are swapped; the control swaps all others instead.
        last, leading: share of pairs that are then answered as the other pair.
        kept_last, kept_leading: share that keep their answer.
        follows: share of the pairs with other last digits whose new answer is the largest learned divisor of both
            new integers.
    """

    digits: int
    pairs: int
    last: float
    leading: float
    kept_last: float
    kept_leading: float
    follows: float


class Theory(NamedTuple):
    """How a list of learned divisors compares with what the base makes easy.

    Attributes:
        digits: the largest m for which all divisors of base^m are learned, up to the largest gcd; 0 if 1 is not.
        equal: whether exactly these are learned.
        between: whether all others that are learned divide base^(m + 1).
    """

    digits: int
    equal: bool
    between: bool


@dataclass(frozen=True)
class Divisors:
    """What a network knows of divisors, on held-out pairs.

    Attributes:
        learned: each k with at least 95% of the pairs of gcd k answered k.
        theory: the products of the base's primes, up to the largest gcd.
        follows, follows_new, follows_random: see ``GCD.scores``.
        answers: by gcd.
        swap: None if too few pairs are answered differently, or if the last digits are all digits.
    """

    learned: tuple[int, ...]
    theory: tuple[int, ...]
    accuracy: float
    natural: float
    follows: float
    follows_new: float
    follows_random: float
    predicted: Theory
    answers: tuple[Answer, ...]
    swap: Swap | None

    @property
    def missing(self) -> tuple[int, ...]:
        """The products of the base's primes that are not learned."""
        return tuple(k for k in self.theory if k not in self.learned)

    @property
    def extra(self) -> tuple[int, ...]:
        """The learned divisors that are no products of the base's primes."""
        return tuple(k for k in self.learned if k not in self.theory)

    @property
    def agreeing(self) -> int:
        """The number of gcds whose most common answer is the rule's."""
        return sum(each.common == each.rule for each in self.answers)

    def to_json(self) -> dict[str, Any]:
        """Return the values as JSON, each gcd as [most common answer, its share, the rule's answer]."""
        values = asdict(self)
        values["predicted"] = self.predicted._asdict()
        values["answers"] = {str(each.gcd): [each.common, round(each.share, 4), each.rule] for each in self.answers}
        return values | {name: list(values[name]) for name in ("learned", "theory")}


def divisors(model: Transformer, task: Task, config: GCD) -> Divisors:
    """Measure which divisors a network knows, on all test pairs.

    Source: Charton 2023 (arXiv 2308.15594), section 3.
    """
    rows = (~task.train_mask).nonzero()[:, 0]
    logits = last_logits(model, task.tokens[rows]).double().cpu().numpy()
    scores = config.scores(task, logits, rows.numpy())
    learned = learned_in(scores)
    gcd, answer = task.facts["gcd"][rows].numpy(), logits.argmax(1) + 1
    return Divisors(
        learned,
        config.theory,
        float((gcd == answer).mean()),
        natural=scores["natural"],
        follows=scores["follows"],
        follows_new=scores["follows_new"],
        follows_random=scores["follows_random"],
        predicted=compare_with_theory(learned, config.base, config.largest),
        answers=tuple(_answer(answer[gcd == k], int(k), learned) for k in np.unique(gcd)),
        swap=swap(model, task.tokens[rows], config, learned),
    )


def _answer(answer: Int[np.ndarray, " pairs"], gcd: int, learned: Sequence[int]) -> Answer:
    count = np.bincount(answer)
    common = int(count.argmax())
    return Answer(
        gcd, len(answer), common, count[common] / len(answer), largest_divisor(learned, np.array([gcd]))[0].item()
    )


def learned_in(row: Mapping[str, float]) -> tuple[int, ...]:
    """Return the learned divisors in the metrics of an evaluation."""
    largest = sum(name.startswith("accuracy_") for name in row)
    return learned_divisors([row[f"accuracy_{k}"] for k in range(1, largest + 1)])


def learned_over_training(metrics: "pd.DataFrame") -> dict[int, tuple[int, ...]]:
    """Return the learned divisors by step."""
    rows: list[Any] = metrics.to_dict("records")
    return {int(row["step"]): learned_in(row) for row in rows}


def compare_with_theory(learned: Sequence[int], base: int, largest: int) -> Theory:
    """Compare learned divisors with those of base^m up to ``largest``, which the last m digits decide.

    Source: our own reading of Charton 2023, section 3, where the products of the base's primes are learned first.
    """
    known = {*learned}
    if 1 not in known:
        return Theory(0, False, False)
    every = [frozenset(k for k in range(1, largest + 1) if base**m % k == 0) for m in range(largest.bit_length() + 1)]
    levels = list(dict.fromkeys(every))  # they stop growing once all products of the base's primes are there
    digits = max(m for m, level in enumerate(levels) if level <= known)
    return Theory(digits, known == levels[digits], known <= levels[min(digits + 1, len(levels) - 1)])


def last_digits(learned: Sequence[int], config: GCD) -> int:
    """Return how many last digits decide divisibility by each learned product of the base's primes; at least 1."""
    known = [k for k in learned if k in config.theory]
    return next(
        (m for m in range(1, config.width) if all(config.base**m % k == 0 for k in known)), max(1, config.width - 1)
    )


def swap(model: Transformer, tokens: Int[Tensor, "pairs pos"], config: GCD, learned: Sequence[int]) -> Swap | None:
    """Give each pair the last digits of another pair, or in the control all others, and ask again.

    Both operands are changed. Pairs and partners are drawn at random among those with different answers.

    Returns:
        None if there are no such pairs, or if the integers have one digit.
    """
    width, digits = config.width, last_digits(learned, config)
    if width == 1:
        return None
    generator = np.random.default_rng(0)
    answer = last_logits(model, tokens).argmax(1).numpy() + 1
    order, other = (generator.permutation(len(tokens)) for _ in range(2))
    different = answer[order] != answer[other]
    order, other = order[different][:PAIRS], other[different][:PAIRS]
    if not len(order):
        return None
    last = np.zeros(tokens.shape[1], dtype=bool)
    for operand in (0, 1):
        last[(operand + 1) * width - digits : (operand + 1) * width] = True
    mask = torch.from_numpy(last)
    mixed = {
        "last": torch.where(mask, tokens[other], tokens[order]),
        "leading": torch.where(mask, tokens[order], tokens[other]),
    }
    new = {name: last_logits(model, each).argmax(1).numpy() + 1 for name, each in mixed.items()}
    powers = config.base ** np.arange(width - 1, -1, -1)
    a, b = (mixed["last"][:, i * width : (i + 1) * width].numpy() @ powers for i in range(2))
    return Swap(
        digits,
        len(order),
        float((new["last"] == answer[other]).mean()),
        float((new["leading"] == answer[other]).mean()),
        float((new["last"] == answer[order]).mean()),
        float((new["leading"] == answer[order]).mean()),
        float((new["last"] == largest_divisor(learned, np.gcd(a, b))).mean()),
    )


def load_runs(path: Path) -> list[dict[str, Any]]:
    """Read runs that ``python -m benchmarks bases`` or ``gcd`` measured: settings, and what was found.

    Raises:
        InputError: the file cannot be read, or a line is not JSON.
    """
    try:
        return [json.loads(line) for line in path.read_text().splitlines()]
    except (OSError, ValueError) as error:
        raise InputError(f"{path} must hold one run a line ({error}).") from None


def answer_gcd(model: Transformer, config: GCD, a: int, b: int) -> int:
    """Return the network's answer to one pair.

    Raises:
        InputError: an integer is outside 1 .. ``high``.
    """
    tokens = torch.from_numpy(config.encode(np.array([[a, b]])))
    return int(last_logits(model, tokens).argmax()) + 1


def check_gcd(config: object) -> GCD:
    """Return the config of a task on gcds.

    Raises:
        InputError: the config is for a different task.
    """
    if not isinstance(config, GCD):
        raise InputError(f"task must be gcd for this analysis (got {getattr(config, 'name', config)}).")
    return config
