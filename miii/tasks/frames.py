"""Sequences of integers as frames of digits and a label: predict the next integer and whether it is prime."""

import functools
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator

from miii import metrics, numbers
from miii.errors import InputError
from miii.tasks.task import GROKKED, NO_TARGET, Headline, Sizes, Task, TaskConfig, names_of

MOST = 5_000_000  #: maximum pairs of first integer and step to enumerate
TOKENS = 20_000_000  #: maximum tokens of all sequences, to fit in memory
LABELS = ("composite", "prime")  #: the first two tokens; a label equals its token


class Frames(TaskConfig):
    """Sequences of frames [condition][digits][label] of the integers n, n + d, n + 2 d, ...; the condition is d.

    The last label is hidden and predicted at the last position. If ``predict`` is "everything", every position predicts
    its next token: all labels, and the digits of every frame but the first. First digits are unpredictable and
    conditions are given, so neither is a target.

    The range is divided into blocks, split at random into train and test. A sequence belongs to a split if all its
    integers do; mixed sequences are dropped. So no integer of a test sequence occurs in training.

    Validating the config builds nothing; ``build`` raises if a split lacks primes or composites.

    Raises:
        InputError: the range is empty, too large, or too small for two blocks.

    Source: modeled on GAIA-1 (Hu et al. 2023, arXiv 2309.17080), section 2, with integers in place of images; cited in
    the draft paper.
    """

    summary = "frames: the next integer of a progression, digit by digit, and its label."
    shown = ("auc", "auc_coprime")
    examples = "last labels"
    #: Chosen by search: docs/LOG.md.
    recipes: ClassVar = {
        "fast": {
            "model": {"n_layers": 2, "d_model": 64, "d_mlp": 256, "positions": "frames"},
            "optimizer": {"name": "muon", "weight_decay": 0.01},
            "batch_size": 256,
            "steps": 500,
            "warmup_steps": 30,
            "eval_every": 25,
        }
    }

    kind: Literal["frames"] = "frames"
    low: int = Field(1_000, ge=2, le=numbers.LARGEST, description="the first integer of the range")
    high: int = Field(9_999, ge=2, le=numbers.LARGEST, description="the last integer of the range")
    base: int = Field(10, ge=2, le=1000, description="the base of the digits")
    frames: int = Field(4, ge=2, le=32, description="frames per sequence, each an integer with its label")
    largest_step: int = Field(9, ge=1, le=1000, description="consecutive integers differ by 1 up to this")
    predict: Literal["everything", "label"] = Field(
        "everything", description="predict digits and labels at every position, or the last label alone"
    )
    sample: int | None = Field(None, ge=10, le=MOST, description="number of sequences, drawn at random; none takes all")
    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the blocks of integers used for training")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the sample, the split and the initial weights")

    @model_validator(mode="after")
    def _has_sequences(self) -> "Frames":
        if self.low > self.high:
            raise InputError(
                f"low must be at most high, so that the range is not empty (got {self.low} > {self.high})."
            )
        integers = self.high - self.low + 1
        if integers * self.largest_step > MOST:
            raise InputError(
                f"low and high must hold at most {MOST // self.largest_step:,} integers, {MOST:,} / largest_step "
                f"(got {integers:,})."
            )
        if integers <= self.block:
            raise InputError(
                f"high must be at least low + {self.block}, so that there are two blocks of {self.block} integers, "
                f"4 (frames - 1) largest_step (got {self.high} with low {self.low})."
            )
        if self.max_examples * self.n_ctx > TOKENS:
            raise InputError(
                f"sample must be at most {TOKENS // self.n_ctx:,} sequences of {self.n_ctx} tokens "
                f"(got {self.max_examples:,})."
            )
        return self

    @property
    def max_examples(self) -> int:
        """Upper bound on the number of sequences, before mixed ones are dropped."""
        steps = self.largest_step
        pairs = (self.high - self.low + 1) * steps - (self.frames - 1) * steps * (steps + 1) // 2
        return pairs if self.sample is None else min(self.sample, pairs)

    @property
    def sizes(self) -> Sizes:
        """Upper bounds on the sizes of ``build()``."""
        d_vocab, everything = len(self.token_names), self.predict == "everything"
        d_vocab_out = d_vocab if everything else len(LABELS)
        return Sizes(self.max_examples, self.n_ctx, d_vocab, d_vocab_out, everywhere=everything)

    @property
    def max_train(self) -> int:
        """Upper bound on ``n_train``, without building the task."""
        return self.max_examples

    @property
    def description(self) -> str:
        """The frames, the range and the base."""
        return f"{self.frames} frames, {self.low:,} to {self.high:,} in base {self.base}"

    @property
    def milestone(self) -> str:
        """The integers, or the labels if only labels are predicted."""
        return "predicts integers" if self.predict == "everything" else "predicts labels"

    @property
    def width(self) -> int:
        """Digits per integer."""
        return numbers.width(self.high, self.base)

    @property
    def frame(self) -> int:
        """Tokens per frame."""
        return self.width + 2

    @property
    def n_ctx(self) -> int:
        """Tokens per sequence, excluding the last label."""
        return self.frames * self.frame - 1

    @property
    def block(self) -> int:
        """Integers per block: four times the longest span of a sequence."""
        return 4 * (self.frames - 1) * self.largest_step

    @property
    def n_train(self) -> int:
        """Number of training sequences; draws the split."""
        return int(parts(self)[2].sum())

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``frames-10``."""
        return f"frames-{self.base}{'-label' if self.predict == 'label' else ''}"

    @property
    def token_names(self) -> tuple[str, ...]:
        """Token names: the two labels, the digits, the conditions."""
        return (*LABELS, *names_of(self.base), *(f"+{d}" for d in range(1, self.largest_step + 1)))

    def encode(
        self, n: Int[np.ndarray, "sequences frame"], step: Int[np.ndarray, " sequences"], prime: np.ndarray
    ) -> Int[np.ndarray, "sequences frame slot"]:
        """Encode integers, their step and their primality as frames of tokens, labels included."""
        digit = numbers.digits(n.ravel(), self.base, self.width).reshape(*n.shape, self.width)
        condition = np.broadcast_to(step[:, None], n.shape) + (len(LABELS) + self.base - 1)
        return np.concatenate([condition[..., None], digit + len(LABELS), prime[..., None].astype(np.int64)], axis=-1)

    def build(self) -> Task:
        """Build the sequences, sorted by first integer and step: tokens [sequences, frames (width + 2) - 1].

        Facts: ``first``, ``last``, ``step``, and ``coprime`` (whether ``last`` is coprime to the base).
        """
        first, step, train = parts(self)
        n = first[:, None] + step[:, None] * np.arange(self.frames)
        whole = self.encode(n, step, prime_between(self.low, self.high)[n - self.low])
        flat = torch.from_numpy(whole).flatten(1)
        asked = np.zeros((self.frames, self.frame), dtype=bool)
        asked[1:, 1:-1] = asked[:, -1] = True
        following = flat.masked_fill(~torch.from_numpy(asked).flatten(), NO_TARGET)[:, 1:]
        facts = {"first": first, "step": step, "last": n[:, -1], "coprime": (np.gcd(n[:, -1], self.base) == 1) + 0}
        return Task(
            tokens=flat[:, :-1].clone(),
            labels=flat[:, -1].clone(),
            train_mask=torch.from_numpy(train.copy()),  # the cached arrays are read-only
            d_vocab=len(self.token_names),
            d_vocab_out=len(self.token_names if self.predict == "everything" else LABELS),
            token_names=self.token_names,
            name="prime",
            facts=MappingProxyType({name: torch.from_numpy(value.copy()) for name, value in facts.items()}),
            frame=self.frame,
            next_tokens=following.clone() if self.predict == "everything" else None,
        )

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return the ROC AUC of the last label, over all integers and over those coprime to the base.

        If everything is predicted, also return the accuracy of digits and of whole integers, given the true previous
        frames, from the second frame on.
        """
        last = logits if task.next_tokens is None else logits[:, -1]
        prime, coprime = task.labels.numpy()[rows] == 1, task.facts["coprime"].numpy()[rows] == 1
        score = last[:, 1] - last[:, 0]
        found = {"auc": metrics.auc(score, prime), "auc_coprime": metrics.auc(score[coprime], prime[coprime])}
        if task.next_tokens is not None and task.frame is not None:
            right = logits.argmax(-1) == task.next_tokens.numpy()[rows]
            # positions predict the next token, so a frame's digits are one slot to the left
            digits = np.pad(right, ((0, 0), (0, 1))).reshape(len(rows), -1, task.frame)[:, 1:, :-2]
            found |= {"digits": float(digits.mean()), "integers": float(digits.all(-1).mean())}
        return found

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether 99% of integers have all digits correct; for labels alone, 99% of labels."""
        return row.get("integers", row["test_accuracy"]) >= GROKKED

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the share of integers with all digits correct; for labels alone, test accuracy."""
        return Headline(row["integers"], "integers predicted") if "integers" in row else super().headline(row)


@functools.lru_cache(maxsize=4)
def prime_between(low: int, high: int) -> Bool[np.ndarray, " integers"]:
    """Return whether each integer from ``low`` to ``high`` is prime; read-only."""
    found = numbers.is_prime(np.arange(low, high + 1))
    found.flags.writeable = False
    return found


def trains(config: Frames) -> Bool[np.ndarray, " integers"]:
    """Return whether each integer of the range is in a training block, drawn from the seed."""
    integers = config.high - config.low + 1
    blocks = -(-integers // config.block)
    chosen = np.zeros(blocks, dtype=bool)
    wanted = min(max(1, round(config.train_fraction * blocks)), blocks - 1)
    chosen[np.random.default_rng([config.seed, 0]).permutation(blocks)[:wanted]] = True
    return np.repeat(chosen, config.block)[:integers]


@functools.lru_cache(maxsize=2)
def parts(config: Frames) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return each sequence's first integer, step and whether it is in training; sorted, read-only.

    Raises:
        InputError: a split lacks sequences that end in a prime, or in a composite.
    """
    side = trains(config).astype(np.int8)
    found = []
    for step in range(1, config.largest_step + 1):
        first = np.arange(len(side) - (config.frames - 1) * step)
        count = np.sum([side[first + i * step] for i in range(config.frames)], axis=0)
        whole = first[(count == 0) | (count == config.frames)]
        found.append(np.stack([whole + config.low, np.full(len(whole), step), side[whole]]))
    first, step, train = np.concatenate(found, axis=1)
    order = np.lexsort((step, first))
    if config.sample is not None and config.sample < len(order):
        order = order[numbers.sample(np.random.default_rng([config.seed, 1]), len(order), config.sample)]
    arrays = first[order], step[order], train[order] == 1
    _check_sides(config, *arrays)
    for array in arrays:
        array.flags.writeable = False
    return arrays


def _check_sides(config: Frames, first: np.ndarray, step: np.ndarray, train: np.ndarray) -> None:
    prime = prime_between(config.low, config.high)[first + (config.frames - 1) * step - config.low]
    for side, mask in (("training", train), ("test", ~train)):
        for label, ends in zip(LABELS, (~prime, prime), strict=True):
            if not (mask & ends).any():
                raise InputError(
                    f"train_fraction must leave sequences that end in primes and in composites on each side (got "
                    f"{config.train_fraction}, which leaves none that ends in a {label} for {side})."
                )
