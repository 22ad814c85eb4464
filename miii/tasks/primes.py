"""Is an integer prime? Digits as tokens, one binary label."""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import BeforeValidator, Field, model_validator

from miii import metrics, numbers
from miii.errors import InputError, quoted
from miii.tasks.integers import CHUNK, TEST, TRAIN, VALIDATION, counts_of, parts, rank_of, validation_size
from miii.tasks.task import Headline, Sizes, Target, Task, TaskConfig

MOST = 5_000_000  #: maximum examples, to fit in memory
SIEVED = (0.90, 0.99)  #: ROC AUC, and AUC against multiples of 3, at which the task counts as learned

#: Ranges of the draft paper: four digits in its text, five in Table 1.
PRESETS = {"text": (1_000, 9_999), "table 1": (10_000, 99_999)}


def _listed(value: Any) -> Any:
    """Split a list from the command line: ``3,7,11``."""
    return [part for part in value.split(",") if part] if isinstance(value, str) else value


MODULI = numbers.primes_below(1000)  #: valid primes for ``residues``
Primelist = Annotated[tuple[int, ...], BeforeValidator(_listed), Field(max_length=len(MODULI))]
Withheld = Annotated[tuple[str, ...], BeforeValidator(_listed), Field(max_length=1000)]


class Primes(TaskConfig):
    """The integers of a range as digits and a final ``?``, where the network predicts prime (1) or not (0).

    ``residues`` adds targets n mod q for the given primes, which reveal factors directly.

    Validating the config builds nothing. ``build`` sieves, and raises if a split has no prime.

    Raises:
        InputError: the range is empty or too large, or the base is outside 2 .. 1000.

    Source: the draft paper, sections 2.3 and 3.1 and Table 1.
    """

    summary = "primes: is an integer prime?"
    shown = ("auc", "auc_3")
    examples = "test integers"
    #: Chosen by search: docs/LOG.md.
    recipes: ClassVar = {
        "fast": {
            "model": {"n_heads": 1},
            "optimizer": {"name": "muon", "weight_decay": 0.2},
            "precision": "float32",  # in bfloat16, one of five seeds does not sieve by 3 within 2,000 steps
            "batch_size": 1024,
            "steps": 2000,
            "warmup_steps": 30,
            "eval_every": 50,
        }
    }

    kind: Literal["primes"] = "primes"
    low: int = Field(10_000, ge=2, le=numbers.LARGEST, description="the first integer of the range")
    high: int = Field(99_999, ge=2, le=numbers.LARGEST, description="the last integer of the range")
    base: int = Field(10, ge=2, le=1000, description="the base of the digits")
    leading_zeros: bool = Field(True, description="pad short integers with zeros; otherwise with blanks")
    candidates: Literal["all", "coprime"] = Field("all", description="all integers, or those coprime to the base")
    tokens: Literal["digit", "place"] = Field(
        "digit", description="a digit is the same token at every place, or a different one at each"
    )
    sampling: Literal["uniform", "log"] = Field(
        "uniform", description="a step draws integers uniformly in n, or in log n: short integers as often as long"
    )
    sample: int | None = Field(None, ge=10, le=MOST, description="number of integers, drawn at random; none takes all")
    split: Literal["random", "range", "residue"] = Field(
        "random", description="train on random integers, on those below a bound, or on whole classes modulo 97"
    )
    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the integers used for training")
    withheld: Withheld = Field(
        (),
        description="integers with these counts are only tested, such as 1-2-2,3-1-1: how many digits contribute 0, 1, "
        "... modulo the number of entries",
    )
    residues: Primelist = Field((), description="further targets: n modulo each of these primes, such as 3,7,11")
    shuffled: bool = Field(False, description="the control: labels in random order, with nothing to learn")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the sample, the split and the initial weights")

    @model_validator(mode="after")
    def _has_integers(self) -> "Primes":
        if self.low > self.high:
            raise InputError(
                f"low must be at most high, so that the range is not empty (got {self.low} > {self.high})."
            )
        if not 10 <= self.n_examples <= MOST:
            raise InputError(
                f"low and high must hold 10 to {MOST:,} integers, or sample must say how many to draw "
                f"(got {self.n_examples:,})."
            )
        for text in self.withheld:
            counts = counts_of(text)
            if not 2 <= len(counts) <= 32 or sum(counts) != self.width:
                raise InputError(
                    f"withheld must have 2 to 32 counts that sum to the {self.width} digits, such as "
                    f"{self.width - 1}-1-0 (got {quoted(text)})."
                )
        for q in self.residues:
            if q not in MODULI:
                raise InputError(f"residues must be primes below 1000 (got {quoted(q)}).")
        if len(set(self.residues)) < len(self.residues):
            raise InputError(f"residues must name each prime once (got {','.join(map(str, self.residues))}).")
        return self

    @property
    def n_examples(self) -> int:
        """Number of integers in both splits."""
        whole = rank_of(self, self.high + 1) - rank_of(self, self.low)
        return whole if self.sample is None else min(self.sample, whole)

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        d_vocab = self.base * (self.width if self.tokens == "place" else 1) + (1 if self.leading_zeros else 2)
        d_vocab_out, validation = 2 + sum(self.residues), validation_size(int(self.train_fraction * self.n_examples))
        return Sizes(
            self.n_examples, self.width + 1, d_vocab, d_vocab_out, 1 + len(self.residues), validation=validation,
            distinct=self.base * self.width + 1,
        )  # fmt: skip

    @property
    def max_train(self) -> int:
        """Upper bound on ``n_train``, without building the task; exact unless the split is by residue or withholds."""
        side = int(self.train_fraction * self.n_examples)
        return self.n_examples if self.split == "residue" else side - validation_size(side)

    @property
    def _drawn(self) -> bool:
        """Whether the training integers must be drawn to be counted."""
        return self.split == "residue" or bool(self.withheld)

    @property
    def n_train(self) -> int:
        """Number of training integers: the training split without its validation part.

        Draws the split if it is by residue or withholds counts.
        """
        return int((parts(self)[2] == TRAIN).sum()) if self._drawn else self.max_train

    @property
    def width(self) -> int:
        """Digits per integer."""
        return numbers.width(self.high, self.base)

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``primes-10``."""
        return f"primes-{self.base}{'-shuffled' if self.shuffled else ''}"

    @property
    def description(self) -> str:
        """The question, the range and the base."""
        asked = f"prime or not, {self.low:,} to {self.high:,} in base {self.base}"
        return f"{asked}, labels in random order" if self.shuffled else asked

    @property
    def milestone(self) -> str:
        """The smallest factor that requires a digit sum to detect."""
        return "sieves by 3"

    @property
    def label_only(self) -> bool:
        """Whether only the label carries information on factors: base 10, all integers, at most half in training."""
        plain = self.base == 10 and self.candidates == "all" and not self.shuffled
        return plain and not self.residues and self.train_fraction <= 0.5

    @property
    def token_names(self) -> tuple[str, ...]:
        """Token names: the digits (of the first place, the second, ...), ``?``, and a blank."""
        shown = range(self.base)
        if self.tokens == "place":
            digits = [f"{digit}@{self.width - 1 - i}" for i in range(self.width) for digit in shown]
        else:
            digits = [str(digit) for digit in shown]
        return (*digits, "?") if self.leading_zeros else (*digits, "?", "·")

    def encode(self, n: Int[np.ndarray, " integers"]) -> Int[np.ndarray, "integers pos"]:
        """Encode integers as tokens: digits, most significant first, then ``?``.

        Raises:
            InputError: an integer has more digits than the range allows.
        """
        if len(n) and not 0 <= n.min() <= n.max() < self.base**self.width:
            raise InputError(f"n must be from 0 to {self.base**self.width - 1} (got {n.min()} to {n.max()}).")
        asked = len(self.token_names) - (1 if self.leading_zeros else 2)
        tokens = np.full((len(n), self.width + 1), asked, dtype=np.int64)
        for begin in range(0, len(n), CHUNK):
            some, shown = n[begin : begin + CHUNK], tokens[begin : begin + CHUNK, : self.width]
            shown[:] = numbers.digits(some, self.base, self.width)
            if self.tokens == "place":
                shown += self.base * np.arange(self.width)
            if not self.leading_zeros:
                shown[some[:, None] < self.base ** np.arange(self.width - 1, -1, -1)] = asked + 1
        return tokens

    def build(self) -> Task:
        """Build the integers, ascending: tokens [integers, width + 1], most significant digit first; labels 0 or 1.

        Facts: ``n`` and ``spf``, the smallest prime factor.
        """
        n, spf, part = parts(self)
        labels = (n == spf).astype(np.int64)
        if self.shuffled:
            labels = np.random.default_rng([self.seed, 2]).permutation(labels)
        whole = torch.from_numpy(n.copy())  # the cached arrays are read-only
        return Task(
            tokens=torch.from_numpy(self.encode(n)),
            labels=torch.from_numpy(labels),
            train_mask=torch.from_numpy(part < TEST),
            val_mask=torch.from_numpy(part == VALIDATION),
            d_vocab=len(self.token_names),
            d_vocab_out=2 + sum(self.residues),
            token_names=self.token_names,
            sampling_weights=torch.from_numpy(1 / n) if self.sampling == "log" else None,
            name="prime",
            extra_targets=tuple(Target(f"mod {q}", q, whole % q, 1 / math.log(q)) for q in self.residues),
            facts=MappingProxyType({"n": whole, "spf": torch.from_numpy(spf.copy())}),
        )

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return the ROC AUC of primes against all composites, and against those of smallest factor 3, 7, 11, 13."""
        prime, spf = task.labels.numpy()[rows] == 1, task.facts["spf"].numpy()[rows]
        score = logits[:, 1] - logits[:, 0]
        found = {"auc": metrics.auc(score, prime)}
        for q in (3, 7, 11, 13):
            asked = prime | (spf == q)
            found[f"auc_{q}"] = metrics.auc(score[asked], prime[asked])
        return found

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether both AUCs reach ``SIEVED``; accuracy is uninformative for a label this rare."""
        return row["auc"] >= SIEVED[0] and row["auc_3"] >= SIEVED[1]

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the ROC AUC; accuracy is uninformative for a label this rare."""
        return Headline(row.get("auc", math.nan), "ROC AUC", "score")
