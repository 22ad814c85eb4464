"""The greatest common divisor of two integers, from their digits."""

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from miii import numbers
from miii.errors import InputError
from miii.tasks.task import Headline, Sizes, Task, TaskConfig, names_of

MOST = 2_000_000  #: maximum pairs
TOKENS = 20_000_000  #: maximum tokens of all pairs, to fit in memory
ROOM = 100  #: ``high`` is at least this many times ``largest``: enough pairs for every answer
LEARNED = 0.95  #: share of the pairs of gcd k answered k, from which k is learned (Charton 2023, section 2)
CONTROLS = 50  #: random lists of divisors in the control

Pairs = Int[np.ndarray, "_ 2"]  #: the two integers of each pair; results have another length than arguments


class GCD(TaskConfig):
    """Two integers from 1 to ``high`` as digits ``a b =``, where the network predicts their gcd, 1 to ``largest``.

    Training pairs are drawn as ``operands`` and ``outcomes`` say; pairs of larger gcd are left out. The test has
    ``tests`` pairs of each gcd, drawn like the operands. No test pair is in training, in either order.

    Validating the config draws nothing.

    Raises:
        InputError: ``high`` is too small for ``largest``, or there are too many pairs.

    Source: Charton 2023 (arXiv 2308.15594), section 2, who trains encoder-decoders with answers of any size and a
    ``high`` of 10^6.
    """

    summary = "gcd: the greatest common divisor of two integers."
    shown = ("learned", "follows")
    examples = "test pairs, as many of each gcd"
    recipes: ClassVar = {
        "fast": {
            "model": {"d_model": 64, "n_heads": 4, "d_mlp": 256},
            "optimizer": {"name": "muon", "lr": 4e-2, "adamw_lr": 5e-3},
            "precision": "float32",
            "batch_size": 256,
            "steps": 800,
            "warmup_steps": 30,
            "schedule": "half",
            "eval_every": 50,
        }
    }

    kind: Literal["gcd"] = "gcd"
    base: int = Field(10, ge=2, le=1000, description="the base of the digits")
    high: int = Field(1_000_000, ge=ROOM, le=numbers.LARGEST, description="the largest operand")
    operands: Literal["uniform", "log"] = Field(
        "uniform", description="draw operands uniformly, or uniformly in their logarithm: small ones as often as large"
    )
    outcomes: Literal["natural", "log"] = Field(
        "natural", description="train on each gcd k as often as it occurs, about 1 / k^2, or in proportion to 1 / k"
    )
    largest: int = Field(100, ge=2, le=1000, description="the largest gcd, and the number of answers")
    pairs: int = Field(200_000, ge=100, le=MOST, description="training pairs")
    tests: int = Field(50, ge=20, le=1000, description="test pairs of each gcd")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the pairs and the initial weights")

    @model_validator(mode="after")
    def _has_pairs(self) -> "GCD":
        if self.high < ROOM * self.largest:
            raise InputError(
                f"high must be at least {ROOM * self.largest:,}, {ROOM} times largest, so that every gcd has enough "
                f"pairs (got {self.high:,})."
            )
        if self.sizes.examples * self.sizes.n_ctx > TOKENS:
            raise InputError(
                f"pairs must be at most {TOKENS // self.sizes.n_ctx - self.largest * self.tests:,} of "
                f"{self.sizes.n_ctx} tokens (got {self.pairs:,})."
            )
        return self

    @property
    def width(self) -> int:
        """Digits per integer."""
        return numbers.width(self.high, self.base)

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        distinct = 2 * self.width * self.base + 1
        examples = self.pairs + self.largest * self.tests
        return Sizes(examples, 2 * self.width + 1, self.base + 1, self.largest, distinct=distinct)

    @property
    def n_train(self) -> int:
        """Number of training pairs."""
        return self.pairs

    @property
    def train_fraction(self) -> float:
        """Share of the pairs used for training."""
        return self.pairs / self.sizes.examples

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``gcd-10``."""
        return f"gcd-{self.base}"

    @property
    def description(self) -> str:
        """The question, the operands and the base."""
        drawn = "log-uniform" if self.operands == "log" else "uniform"
        return f"gcd of {drawn} integers up to {self.high:,} in base {self.base}"

    @property
    def milestone(self) -> str:
        """The divisors that the last digits reveal."""
        return "learns the base's divisors"

    @property
    def theory(self) -> tuple[int, ...]:
        """The answers that the base makes easy: products of its primes, up to ``largest``."""
        return numbers.smooth(self.base, self.largest)

    def encode(self, pairs: Pairs) -> Int[np.ndarray, "_ pos"]:
        """Encode pairs as tokens: the digits of both, most significant first, then ``=``.

        Raises:
            InputError: an integer is outside 1 .. ``high``.
        """
        if len(pairs) and not 1 <= pairs.min() <= pairs.max() <= self.high:
            raise InputError(f"a and b must be from 1 to {self.high} (got {pairs.min()} to {pairs.max()}).")
        equals = np.full((len(pairs), 1), self.base)
        return np.hstack([*(numbers.digits(pairs[:, i], self.base, self.width) for i in range(2)), equals])

    def build(self) -> Task:
        """Draw the pairs: tokens [pairs, 2 width + 1], training first; label gcd - 1; facts ``a``, ``b``, ``gcd``."""
        generator = np.random.default_rng([self.seed, 0])
        test = np.vstack([_unique(self, generator, k) for k in range(1, self.largest + 1)])
        seen = np.sort(_keys(test))
        train = _filled(self.pairs, lambda size: _without(_training(self, generator, size), seen))
        pairs = np.vstack([train, test])
        gcd = torch.from_numpy(np.gcd(pairs[:, 0], pairs[:, 1]))
        return Task(
            tokens=torch.from_numpy(self.encode(pairs)),
            labels=gcd - 1,
            train_mask=torch.arange(len(pairs)) < len(train),
            d_vocab=self.base + 1,
            d_vocab_out=self.largest,
            token_names=names_of(self.base, "="),
            name="gcd",
            facts=MappingProxyType(
                {"a": torch.from_numpy(pairs[:, 0]), "b": torch.from_numpy(pairs[:, 1]), "gcd": gcd}
            ),
        )

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return how many divisors are learned and what follows from their list, then the accuracy of each gcd.

        ``natural``: accuracy if each gcd were as frequent as in training. ``follows``: share of pairs answered with
        the largest learned divisor of both; ``follows_new``: of pairs whose gcd is not learned; ``follows_random``:
        of these, by random lists as long. ``base``: share of the base's divisors that are learned. NaN if no pairs.
        """
        gcd, answer = task.facts["gcd"].numpy()[rows], logits.argmax(1) + 1
        count = np.bincount(gcd, minlength=task.d_vocab_out + 1)[1:]
        right = np.bincount(gcd[answer == gcd], minlength=task.d_vocab_out + 1)[1:]
        accuracy = np.divide(right, count, out=np.full(len(count), np.nan), where=count > 0)
        found = learned_divisors(accuracy)
        easy = numbers.smooth(task.d_vocab - 1, task.d_vocab_out)
        often = np.bincount(task.labels.numpy()[task.train_mask.numpy()], minlength=len(count))
        new = ~np.isin(gcd, found)
        return {
            "learned": float(len(found)),
            "base": len({*easy} & {*found}) / len(easy),
            "natural": float(np.average(np.nan_to_num(accuracy), weights=often * (count > 0))),
            "follows": share_following(gcd, answer, found),
            "follows_new": share_following(gcd[new], answer[new], found),
            "follows_random": control(gcd[new], answer[new], len(found), task.d_vocab_out),
        } | {f"accuracy_{k}": round(float(value), 3) for k, value in enumerate(accuracy, 1)}

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether all products of the base's primes are learned, up to a tenth of ``largest``."""
        found = learned_divisors([row[f"accuracy_{k}"] for k in range(1, self.largest // 10 + 1)])
        return {k for k in self.theory if k <= self.largest // 10} <= {*found}

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the number of learned divisors."""
        return Headline(row.get("learned", math.nan), "learned divisors", "count")


def learned_divisors(accuracy: Sequence[float] | np.ndarray) -> tuple[int, ...]:
    """Return the learned divisors: each k whose pairs of gcd k are answered k, for ``LEARNED`` of them.

    Args:
        accuracy: of the pairs of gcd 1, 2, ...

    Source: Charton 2023, section 2: "a GCD is considered correctly predicted" from 95%.
    """
    return tuple(k for k, value in enumerate(accuracy, 1) if value >= LEARNED)


def largest_divisor(divisors: Sequence[int], of: Int[np.ndarray, " pairs"]) -> Int[np.ndarray, " pairs"]:
    """Return the largest of ``divisors`` that divides each integer; 0 if none does.

    A number divides both operands if and only if it divides their gcd.

    Source: Charton 2023, the third of the "three rules", section 3.
    """
    found = np.zeros_like(of)
    for divisor in sorted(divisors):
        found[of % divisor == 0] = divisor
    return found


def share_following(
    gcd: Int[np.ndarray, " pairs"], answer: Int[np.ndarray, " pairs"], divisors: Sequence[int]
) -> float:
    """Return the share of pairs answered with the largest of ``divisors`` that divides both; NaN without pairs."""
    return float((answer == largest_divisor(divisors, gcd)).mean()) if len(gcd) else float("nan")


def control(gcd: Int[np.ndarray, " pairs"], answer: Int[np.ndarray, " pairs"], size: int, largest: int) -> float:
    """Return the mean of ``share_following`` over random lists: 1 and ``size`` - 1 others up to ``largest``."""
    generator, others = np.random.default_rng(0), np.arange(2, largest + 1)
    lists = [(1, *generator.choice(others, max(0, size - 1), replace=False).tolist()) for _ in range(CONTROLS)]
    return float(np.mean([share_following(gcd, answer, divisors) for divisors in lists]))


def draw(config: GCD, generator: np.random.Generator, size: int, high: int) -> Pairs:
    """Draw pairs from 1 to ``high`` as ``operands`` says.

    In the logarithm: n with probability log(1 + 1 / n) / log(1 + high).
    """
    if config.operands == "uniform":
        return generator.integers(1, high + 1, (size, 2))
    return np.minimum(np.exp(generator.random((size, 2)) * np.log(high + 1)).astype(np.int64), high)


def _training(config: GCD, generator: np.random.Generator, size: int) -> Pairs:
    """Draw up to ``size`` training pairs of gcd at most ``largest``."""
    if config.outcomes == "natural":
        found = draw(config, generator, size, config.high)
        return found[np.gcd(found[:, 0], found[:, 1]) <= config.largest]
    k = np.arange(1, config.largest + 1)
    counts = generator.multinomial(size, 1 / k / (1 / k).sum())
    drawn = [_of_gcd(config, generator, int(k), int(count)) for k, count in zip(k, counts, strict=True)]
    return generator.permutation(np.vstack(drawn))


def _of_gcd(config: GCD, generator: np.random.Generator, k: int, size: int) -> Pairs:
    """Draw pairs of gcd k: coprime pairs up to high / k, times k."""

    def coprime(size: int) -> Pairs:
        found = draw(config, generator, size, config.high // k)
        return k * found[np.gcd(found[:, 0], found[:, 1]) == 1]

    return _filled(size, coprime)


def _unique(config: GCD, generator: np.random.Generator, k: int) -> Pairs:
    """Draw the test pairs of gcd k: all different, in either order."""
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < config.tests:
        found = np.vstack([found, _of_gcd(config, generator, k, config.tests)])
        _, first = np.unique(_keys(found), return_index=True)
        found = found[np.sort(first)]
    return found[: config.tests]


def _without(pairs: Pairs, seen: Int[np.ndarray, " keys"]) -> Pairs:
    return pairs[~np.isin(_keys(pairs), seen)]


def _keys(pairs: Pairs) -> Int[np.ndarray, " keys"]:
    """Return a number for each pair, the same in both orders."""
    return pairs.min(1) * (numbers.LARGEST + 1) + pairs.max(1)


def _filled(size: int, drawn: Callable[[int], Any]) -> Pairs:
    """Draw until there are ``size`` pairs."""
    found = np.empty((0, 2), dtype=np.int64)
    while len(found) < size:
        found = np.vstack([found, drawn(2 * (size - len(found)) + 10)])
    return found[:size]
