"""Name the kinds of an integer sequence: the data, drawn from families of rules."""

import functools
from collections.abc import Mapping, Sequence
from random import Random
from types import MappingProxyType
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from miii.errors import InputError
from miii.tasks.sequences import grammar
from miii.tasks.sequences.goals import GOALS, Goal, GoalName, guess_blocks
from miii.tasks.sequences.goals import labels_of as labels_of
from miii.tasks.sequences.kinds import KINDS
from miii.tasks.sequences.terms import LARGEST_MODULUS, Encoding, Terms
from miii.tasks.sequences.typed import check_terms
from miii.tasks.task import Headline, Sizes, Task, TaskConfig

LEARNED = 0.93  #: macro F1 on held-out families at which a run has learned the kinds
ANSWERED = 0.9  #: accuracy on held-out families at which it has learned another target
AT_LEAST, AT_MOST = 12, 50  #: terms of a sequence


class Sequences(TaskConfig):
    """Answer a question about an integer sequence, from its first terms: by default, which kinds of rule made it.

    Every kind is a target with two classes; several may hold. The rules of a family (a period, a base, a degree with
    its last difference) are all in training or all held out. No held-out sequence begins with the first ``shortest``
    terms of one in training, and none repeats once but less than twice.

    A term is a token of several parts, whose rows of W_E are summed: sign, log magnitude, and its residues modulo
    2 .. ``largest_modulus``. Positions after the last term are blank; the answer is read at the last position.
    For the target "continuation", tokens are the guesses of simple rules at a place: see ``goals.guess_tokens``.

    Raises:
        InputError: ``longest`` is below ``shortest``, or a split is empty.

    Source: kinds and synthetic data as in FACT, Belcak et al. 2022 (arXiv 2209.09543).
    """

    summary = "sequences: which kinds of rule made an integer sequence?"
    examples = "held-out rule families"
    #: Chosen by search: docs/LOG.md.
    recipes: ClassVar = {
        "fast": {
            "model": {"n_layers": 2, "d_model": 64, "d_mlp": 128},
            "optimizer": {"name": "muon", "adamw_lr": 3e-3},
            "batch_size": 128,
            "steps": 1250,
            "warmup_steps": 50,
            "eval_every": 250,
        }
    }

    kind: Literal["sequences"] = "sequences"
    target: GoalName = Field(
        "kinds",
        description="the question: kinds; whether two sequences share a family; whether the second half follows; the "
        "next term, at one modulus at a time or by size; sign and residues of a hidden term",
    )
    terms: Terms = Field(
        "residues",
        description="how a term is encoded, beside its sign and log magnitude: residues, with or without differences; "
        "decimal digits; or not at all",
    )
    largest_modulus: int = Field(
        24, ge=2, le=LARGEST_MODULUS, description="largest modulus of the residues, which are taken modulo 2, 3, .."
    )
    shortest: int = Field(AT_LEAST, ge=AT_LEAST, le=AT_MOST, description="fewest terms of a sequence")
    longest: int = Field(24, ge=AT_LEAST, le=400, description="most terms of a sequence")
    n: int = Field(40_000, ge=100, le=500_000, description="number of sequences")
    train_fraction: float = Field(0.75, gt=0, lt=1, description="share of the sequences, and of the rule families")
    validation: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="share of the training families held out to choose settings and to decide when to stop",
    )
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the sequences, the split and the initial weights")

    @model_validator(mode="after")
    def _fits(self) -> "Sequences":
        if not self.shortest <= self.longest <= AT_MOST:
            raise InputError(
                f"longest must be from shortest, {self.shortest}, to {AT_MOST} terms (got {self.longest})."
            )
        if not len(grammar.FORMS) <= self.n_train <= self.n - len(grammar.FORMS):
            raise InputError(
                f"train_fraction must leave at least {len(grammar.FORMS)} of the {self.n} sequences on each side "
                f"(got {self.train_fraction}, which trains on {self.n_train})."
            )
        return self

    @property
    def goal(self) -> Goal:
        """What is asked."""
        return GOALS[self.target]

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        outputs, targets = self.goal.outputs(self.encoding)
        return Sizes(self.n, self.goal.positions(self.longest), self.d_vocab, outputs, targets, validation=self.n_val)

    @property
    def d_vocab(self) -> int:
        """Number of rows of W_E."""
        if self.target == "continuation":
            return max(block.stop for block in guess_blocks(self.largest_modulus).values())
        return self.encoding.rows

    @property
    def encoding(self) -> Encoding:
        """How terms become tokens."""
        return Encoding(self.terms, self.largest_modulus)

    @property
    def description(self) -> str:
        """The question and the longest sequence."""
        given = {
            "residues": f"residues modulo 2 to {self.largest_modulus}",
            "digits": "digits",
            "differences": f"differences and residues modulo 2 to {self.largest_modulus}",
            "magnitude": "magnitudes",
        }
        if self.target == "continuation":
            given["residues"] = f"guesses modulo 2 to {self.largest_modulus}"
        asked = self.goal.about
        return f"{asked} sequences of up to {self.longest} terms, from {given[self.terms]}"

    @property
    def milestone(self) -> str:
        """The goal, on held-out families."""
        return self.goal.milestone

    @property
    def n_train(self) -> int:
        """Number of training sequences."""
        return int(self.train_fraction * self.n)

    @property
    def n_val(self) -> int:
        """Number of training sequences that validate: the last of them, of families of their own."""
        return int(self.validation * self.n_train)

    @property
    def parts(self) -> tuple[tuple[int, int], ...]:
        """First and last example (exclusive) for training, validation and test."""
        step = self.n_train - self.n_val
        return (0, step), (step, self.n_train), (self.n_train, self.n)

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``sequences-24``."""
        target = "" if self.target == "kinds" else f"-{self.target}"
        return f"sequences-{self.longest}{target}{'' if self.terms == 'residues' else f'-{self.terms}'}"

    def build(self) -> Task:
        """Build the examples, training first: tokens [n, pos, parts]. Fact ``length``: number of terms."""
        drawn = draw(self)
        made, sizes = self.goal.build(self, drawn), self.sizes
        first, *others = made.targets
        place = torch.arange(self.n)
        return Task(
            tokens=torch.from_numpy(made.tokens),
            labels=first.labels,
            train_mask=place < self.n_train,
            val_mask=(place < self.n_train) & (place >= self.n_train - self.n_val) if self.n_val else None,
            d_vocab=self.d_vocab,
            d_vocab_out=sizes.d_vocab_out,
            token_names=self._token_names(),
            weight=first.weight,
            name=first.name,
            extra_targets=tuple(others),
            correct_if="all",
            facts=MappingProxyType({"length": torch.tensor([len(each.rule.terms) for each in drawn])}),
        )

    def _token_names(self) -> tuple[str, ...]:
        if self.target != "continuation":
            return self.encoding.names
        blocks = guess_blocks(self.largest_modulus)
        names = (f"{name}: {i}" for name, block in blocks.items() for i in range(block.stop - block.start))
        return ("blank", "no guess", "?", *names)

    def encode(self, sequences: Sequence[Sequence[int]]) -> Int[np.ndarray, "sequences pos part"]:
        """Encode the first ``longest`` terms of sequences as tokens.

        Raises:
            InputError: a sequence has no terms, or one that is no integer.
        """
        for terms in sequences:
            check_terms(terms)
        return self.encoding.encode([terms[: self.longest] for terms in sequences], self.longest)

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return the F1 score of each kind and their mean; of other targets with several answers, their accuracies."""
        found = {}
        for target in task.targets:
            answers, true = logits[:, task.logits_of(target.name)].argmax(1), target.labels.numpy()[rows]
            if task.name in KINDS:
                found[f"f1_{target.name}"] = f1(answers == 1, true == 1)
            elif task.extra_targets:
                found[f"accuracy_{target.name}"] = float((answers == true).mean())
        return ({"macro_f1": float(np.mean(list(found.values())))} if task.name in KINDS else {}) | found

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether the macro F1 on held-out families is at least 0.93; for other targets, the accuracy 0.9."""
        return row["macro_f1"] >= LEARNED if self.target == "kinds" else row["test_accuracy"] >= ANSWERED

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the macro F1, or for other targets the accuracy, on held-out families."""
        if self.target != "kinds":
            return super().headline(row)
        return Headline(row.get("macro_f1", float("nan")), "macro F1 on held-out families", "score")


class Drawn(NamedTuple):
    """A drawn sequence: its rule, with the rule's kind and family."""

    kind: str
    family: grammar.Family
    rule: grammar.Rule


@functools.lru_cache(maxsize=2)
def _drawn(
    longest: int, shortest: int, parts: tuple[tuple[int, int], ...], shares: tuple[float, float], seed: int
) -> tuple[Drawn, ...]:
    """Draw sequences for training, validation and test; kinds of rule take turns."""
    rng, found = Random(seed), []
    sides = {kind: _sides(kind, *shares, seed) for kind in grammar.FORMS}
    known: set[tuple[int, ...]] = set()
    for i in range(parts[-1][1]):
        kind = tuple(grammar.FORMS)[i % len(grammar.FORMS)]
        part = next(j for j, (begin, end) in enumerate(parts) if begin <= i < end)
        for _ in range(100):
            one = _draw(rng, kind, rng.choice(sides[kind][part]), shortest, longest)
            key = tuple(one.rule.terms[:shortest])
            if not (part and key in known) and not _begins_to_repeat(one.rule.terms):
                break
        if part < 2:
            known.add(key)
        found.append(one)
    return tuple(found)


def draw(config: Sequences) -> tuple[Drawn, ...]:
    """Draw a config's sequences, the training split first, its validation part last; kinds of rule take turns."""
    shares = (1 - config.train_fraction, config.validation)
    return _drawn(config.longest, config.shortest, config.parts, shares, config.seed)


def _sides(kind: str, test: float, validation: float, seed: int) -> tuple[list[grammar.Family], ...]:
    """Return the families in training, those that validate, and those held out."""
    held = grammar.held_out(kind, test, seed)
    both = grammar.held_out(kind, test + (1 - test) * validation, seed) if validation else held
    if validation and both == held:
        both = grammar.held_out(kind, (len(held) + 1) / len(grammar.FORMS[kind].families), seed)
    families = grammar.FORMS[kind].families
    return (
        [each for each in families if each not in both],
        [each for each in families if each in both - held],
        [each for each in families if each in held],
    )


def _draw(rng: Random, kind: str, family: grammar.Family, shortest: int, longest: int) -> Drawn:
    form = grammar.FORMS[kind]
    length = min(longest, max(rng.randint(shortest, longest), form.least(family.shared[0])))
    return Drawn(kind, family, form.draw(rng, family, length))


def _begins_to_repeat(terms: Sequence[int]) -> bool:
    """Return whether the last 3 to L / 2 terms repeat the first ones: a period shown less than twice is ambiguous."""
    half = len(terms) // 2
    if any(terms[p:] == terms[:-p] for p in range(1, half + 1)):
        return False
    return any(terms[p:] == terms[:-p] for p in range(half + 1, len(terms) - 2))


def f1(said: np.ndarray, true: np.ndarray) -> float:
    """Return the F1 score of yes-or-no predictions; 0 without a correct yes."""
    right = float((said & true).sum())
    return 2 * right / float(said.sum() + true.sum()) if right else 0.0
