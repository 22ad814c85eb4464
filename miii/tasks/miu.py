"""Hofstadter's MIU puzzle: which strings can be derived? Arithmetic modulo 3 in a puzzle about letters."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from miii.errors import InputError
from miii.tasks.task import Headline, Sizes, Task, TaskConfig

NAMES = ("I", "U", "M", "?", "·")  #: the tokens; the last is a blank
LETTER_I, LETTER_U, AXIOM, ASK, BLANK = range(5)


class MIU(TaskConfig):
    """Decide whether M followed by a string over {I, U} is a theorem of the MIU system. Tokens: M, letters, ``?``.

    Letters keep their order and take random positions with blanks between, so training covers every position and longer
    strings can be tested. A model with ``positions`` "none" does not see positions.

    A string is a theorem if 3 does not divide its number of I's. Half of the strings of every length are theorems, so
    neither syntax nor length reveals the answer. The number of I's is drawn uniformly, then their positions.

    Training strings have up to ``longest`` letters. Each longer length up to ``longest_test`` adds ``n`` / 20 test
    strings. Copies of a string are all in training or all in the test split.

    Raises:
        InputError: ``longest_test`` is below ``longest``, or a split is empty.

    Source: Hofstadter 1979, chapters I and IX; the draft paper, section 2.3. Randomized positions: Ruoss et al. 2023
    (arXiv 2305.16843).
    """

    summary = "miu: is a string a theorem of Hofstadter's puzzle?"
    shown = ("accuracy_as_long",)
    examples = "test strings"
    #: Chosen by search: docs/LOG.md.
    recipes: ClassVar = {
        "fast": {
            "model": {"positions": "none"},
            "optimizer": {"name": "muon", "weight_decay": 0.01},
            "batch_size": 512,
            "steps": 3000,
            "warmup_steps": 30,
            "eval_every": 50,
        }
    }

    kind: Literal["miu"] = "miu"
    longest: int = Field(24, ge=3, le=200, description="letters after M in the longest training string")
    longest_test: int = Field(36, ge=3, le=400, description="letters after M in the longest test string")
    n: int = Field(20_000, ge=100, le=500_000, description="number of strings up to the training length")
    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the strings up to the training length")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the strings, the split and the initial weights")

    @model_validator(mode="after")
    def _longer(self) -> "MIU":
        if self.longest_test < self.longest:
            raise InputError(
                f"longest_test must be at least longest, {self.longest} letters (got {self.longest_test})."
            )
        if not 0 < self.n_train < self.n:
            raise InputError(
                f"train_fraction must leave at least one of the {self.n} strings on each side "
                f"(got {self.train_fraction}, which trains on {self.n_train})."
            )
        return self

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        longer = (self.longest_test - self.longest) * max(1, self.n // 20)
        return Sizes(self.n + longer, self.longest_test + 2, len(NAMES), 2)

    @property
    def description(self) -> str:
        """The question and the longest training string."""
        return f"theorems of MIU, up to {self.longest} letters"

    @property
    def milestone(self) -> str:
        """The rule, on strings of every length."""
        return "recognizes theorems"

    @property
    def n_train(self) -> int:
        """Number of training strings; a split may have fewer where short strings have many copies."""
        return int(self.train_fraction * self.n)

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``miu-24``."""
        return f"miu-{self.longest}"

    def build(self) -> Task:
        """Build strings in random order, longer ones last: tokens [strings, longest_test + 2], label 1 for theorems.

        Facts: ``length`` (letters after M) and ``I`` (number of I's).
        """
        generator = np.random.default_rng([self.seed, 0])
        shorter = generator.integers(1, self.longest + 1, self.n)
        longer = np.repeat(np.arange(self.longest + 1, self.longest_test + 1), max(1, self.n // 20))
        length = np.concatenate([shorter, longer])
        theorem = generator.random(len(length)) < 0.5
        count = _counts(length, theorem, generator)
        tokens = tape(length, count, self.longest_test, generator)
        train = np.zeros(len(length), dtype=bool)
        train[: self.n] = _split(tokens[: self.n], self.n_train, generator)
        return Task(
            tokens=torch.from_numpy(tokens),
            labels=torch.from_numpy(theorem.astype(np.int64)),
            train_mask=torch.from_numpy(train),
            d_vocab=len(NAMES),
            d_vocab_out=2,
            token_names=NAMES,
            name="theorem",
            facts=MappingProxyType({"length": torch.from_numpy(length), "I": torch.from_numpy(count)}),
        )

    def encode(self, string: str) -> Int[np.ndarray, " pos"]:
        """Encode a string as tokens, with random letter positions that depend only on its length.

        Raises:
            InputError: the string is not M followed by letters I and U, or has too few or too many letters.
        """
        body = string[1:]
        if string[:1] != "M" or not set(body) <= {"I", "U"} or not 1 <= len(body) <= self.longest_test:
            raise InputError(
                f"string must be M followed by 1 to {self.longest_test} letters, each I or U (got {string!r})."
            )
        tape = np.full(self.longest_test + 2, BLANK, dtype=np.int64)
        tape[0], tape[-1] = AXIOM, ASK
        places = np.random.default_rng(len(body)).choice(self.longest_test, len(body), replace=False)
        tape[1 + np.sort(places)] = [NAMES.index(letter) for letter in body]
        return tape

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return test accuracy on strings of training length, and on longer ones."""
        right = logits.argmax(1) == task.labels.numpy()[rows]
        length = task.facts["length"].numpy()
        longer = length[rows] > length[task.train_mask.numpy()].max()
        found = {"accuracy_as_long": float(right[~longer].mean())}
        return found | ({"accuracy_longer": float(right[longer].mean())} if longer.any() else {})

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return test accuracy on strings longer than any in training, if there are any."""
        if "accuracy_longer" in row:
            return Headline(row["accuracy_longer"], "accuracy on longer strings")
        return super().headline(row)


def is_theorem(string: str) -> bool:
    """Return whether a string is derivable, from its number of I's.

    Source: Hofstadter 1979, chapter IX. ``derivable`` applies the rules instead.
    """
    return string[:1] == "M" and set(string[1:]) <= {"I", "U"} and string.count("I") % 3 != 0


def derivable(longest: int) -> frozenset[str]:
    """Return all theorems of up to ``longest`` letters after M, by applying the four rules to the axiom MI.

    Derivations of theorems of up to l symbols need strings of up to 2 l + 1 symbols.

    Source: Hofstadter 1979, chapter I: xI -> xIU, Mx -> Mxx, III -> U, UU -> nothing.
    """
    most = 2 * longest + 2
    found, edge = {"MI"}, ["MI"]
    while edge:
        made = {step.string for string in edge for step in rewrites(string)}
        edge = sorted(new for new in made - found if len(new) <= most + 1)
        found |= set(edge)
    return frozenset(string for string in found if len(string) <= longest + 1)


class Step(NamedTuple):
    """A string of a derivation, and the rule that made it: I to IV, or "axiom"."""

    rule: str
    string: str


def rewrites(string: str) -> list[Step]:
    """Return every string that one rule application produces. Source: Hofstadter 1979, chapter I."""
    body = string[1:]
    found = [Step("I", f"{string}U")] if body.endswith("I") else []
    found.append(Step("II", f"M{body}{body}"))
    for rule, old, new in (("III", "III", "U"), ("IV", "UU", "")):
        at = string.find(old)
        while at >= 0:
            found.append(Step(rule, string[:at] + new + string[at + len(old) :]))
            at = string.find(old, at + 1)
    return found


def _split(tokens: np.ndarray, n_train: int, generator: np.random.Generator) -> np.ndarray:
    """Return which strings are for training: whole groups of copies in random order, as long as they fit."""
    body = tokens[:, 1:-1]
    letters = np.take_along_axis(body, np.argsort(body == BLANK, axis=1, kind="stable"), axis=1)
    _, group, copies = np.unique(letters, axis=0, return_inverse=True, return_counts=True)
    chosen, room = np.zeros(len(copies), dtype=bool), n_train
    for one in generator.permutation(len(copies)):
        if copies[one] <= room:
            chosen[one], room = True, room - copies[one]
    if room == n_train:  # no group fits
        chosen[copies.argmin()] = True
    return chosen[group.ravel()]


def _counts(length: np.ndarray, theorem: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Draw each string's number of I's uniformly among the counts that fit its length and label."""
    none = length // 3 + 1  # the multiples of 3 in 0 .. length
    multiple = 3 * generator.integers(0, none)
    k = generator.integers(0, length + 1 - none)
    return np.where(theorem, k // 2 * 3 + k % 2 + 1, multiple)


def tape(
    length: Int[np.ndarray, " strings"], count: Int[np.ndarray, " strings"], places: int, generator: np.random.Generator
) -> Int[np.ndarray, "strings pos"]:
    """Return the tokens of strings with ``length`` letters, ``count`` of them I: M, letters at random positions, ?.

    Source: randomized positions, Ruoss et al. 2023 (arXiv 2305.16843).
    """
    strings = len(length)
    # which of a string's letters are I
    drawn = np.where(np.arange(places) < length[:, None], generator.random((strings, places)), 2)
    rank = np.argsort(np.argsort(drawn))
    letters = np.where(rank < count[:, None], LETTER_I, LETTER_U)
    # which positions hold a letter
    taken = np.argsort(np.argsort(generator.random((strings, places)))) < length[:, None]
    which = np.cumsum(taken, axis=1) - 1
    body = np.where(taken, np.take_along_axis(letters, np.maximum(which, 0), axis=1), BLANK)
    ends = np.full((strings, 1), AXIOM), np.full((strings, 1), ASK)
    return np.hstack([ends[0], body, ends[1]]).astype(np.int64)
