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
from miii.tasks.sequences.kinds import KINDS, decide
from miii.tasks.sequences.terms import LARGEST_MODULUS, Encoding, Terms
from miii.tasks.task import Headline, Sizes, Target, Task, TaskConfig

LEARNED = 0.93  #: macro F1 on held-out families at which a run has learned the kinds
AT_LEAST, AT_MOST = 12, 50  #: terms of a sequence


class Sequences(TaskConfig):
    """Name the kinds of an integer sequence, from its first terms; several kinds may hold.

    Every kind is a target with two classes. The rules of a family (a period, a base, a degree with its last difference)
    are all in training or all held out. No held-out sequence begins with the first ``shortest`` terms of one in
    training, and none repeats once but less than twice.

    A term is a token of several parts, whose rows of W_E are summed: sign, log magnitude, and its residues modulo
    2 .. ``largest_modulus``. Positions after the last term are blank; the answer is read at the last position.

    Raises:
        InputError: ``longest`` is below ``shortest``, or a split is empty.

    Source: kinds and synthetic data as in FACT, Belcak et al. 2022 (arXiv 2209.09543).
    """

    summary = "sequences: which kinds of rule made an integer sequence?"
    shown = ("macro_f1",)
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
    terms: Terms = Field(
        "residues",
        description="how a term is encoded, beside its sign and log magnitude: residues, decimal digits, or not at all",
    )
    largest_modulus: int = Field(
        24, ge=2, le=LARGEST_MODULUS, description="largest modulus of the residues, which are taken modulo 2, 3, .."
    )
    shortest: int = Field(AT_LEAST, ge=AT_LEAST, le=AT_MOST, description="fewest terms of a sequence")
    longest: int = Field(24, ge=AT_LEAST, le=400, description="most terms of a sequence")
    n: int = Field(40_000, ge=100, le=500_000, description="number of sequences")
    train_fraction: float = Field(0.75, gt=0, lt=1, description="share of the sequences, and of the rule families")
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
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        return Sizes(self.n, self.longest + 1, self.encoding.rows, 2 * len(KINDS), len(KINDS))

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
            "magnitude": "magnitudes",
        }
        return f"kinds of sequences of up to {self.longest} terms, from {given[self.terms]}"

    @property
    def milestone(self) -> str:
        """The kinds, on held-out families."""
        return "names kinds"

    @property
    def n_train(self) -> int:
        """Number of training sequences."""
        return int(self.train_fraction * self.n)

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``sequences-24``."""
        return f"sequences-{self.longest}{'' if self.terms == 'residues' else f'-{self.terms}'}"

    def build(self) -> Task:
        """Build the sequences, training first: tokens [n, longest + 1, parts]. Fact ``length``: number of terms."""
        drawn = draw(self)
        labels = [torch.from_numpy(column.astype(np.int64)) for column in labels_of(drawn).T]
        targets = [Target(name, 2, label, 1 / len(KINDS)) for name, label in zip(KINDS, labels, strict=True)]
        return Task(
            tokens=torch.from_numpy(self.encoding.encode([each.rule.terms for each in drawn], self.longest)),
            labels=labels[0],
            train_mask=torch.arange(self.n) < self.n_train,
            d_vocab=self.encoding.rows,
            d_vocab_out=2 * len(KINDS),
            token_names=self.encoding.names,
            weight=targets[0].weight,
            name=targets[0].name,
            extra_targets=tuple(targets[1:]),
            correct_if="all",
            facts=MappingProxyType({"length": torch.tensor([len(each.rule.terms) for each in drawn])}),
        )

    def encode(self, sequences: Sequence[Sequence[int]]) -> Int[np.ndarray, "sequences pos part"]:
        """Encode the first ``longest`` terms of sequences as tokens.

        Raises:
            InputError: a sequence has no terms.
        """
        if not all(sequences):
            raise InputError("sequence must have at least 1 term (got none).")
        return self.encoding.encode([terms[: self.longest] for terms in sequences], self.longest)

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return the F1 score of each kind, and their mean."""
        found = {}
        for target in task.targets:
            said = logits[:, task.logits_of(target.name)].argmax(1) == 1
            found[f"f1_{target.name}"] = f1(said, target.labels.numpy()[rows] == 1)
        return {"macro_f1": float(np.mean(list(found.values())))} | found

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether the macro F1 on held-out families is at least 0.93."""
        return row["macro_f1"] >= LEARNED

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the macro F1, on held-out families."""
        return Headline(row.get("macro_f1", float("nan")), "macro F1 on held-out families", "score")


class Drawn(NamedTuple):
    """A drawn sequence: its rule, with the rule's kind and family."""

    kind: str
    family: grammar.Family
    rule: grammar.Rule


@functools.lru_cache(maxsize=2)
def draw(config: Sequences) -> tuple[Drawn, ...]:
    """Draw a config's sequences, the training split first; kinds of rule take turns."""
    rng, found = Random(config.seed), []
    sides = {kind: _sides(kind, config) for kind in grammar.FORMS}
    known: set[tuple[int, ...]] = set()
    for i in range(config.n):
        kind = tuple(grammar.FORMS)[i % len(grammar.FORMS)]
        test = i >= config.n_train
        for _ in range(100):
            one = _draw(rng, kind, rng.choice(sides[kind][test]), config)
            key = tuple(one.rule.terms[: config.shortest])
            if not (test and key in known) and not _begins_to_repeat(one.rule.terms):
                break
        if not test:
            known.add(key)
        found.append(one)
    return tuple(found)


def _sides(kind: str, config: Sequences) -> tuple[list[grammar.Family], list[grammar.Family]]:
    """Return the families in training, and those held out."""
    held = grammar.held_out(kind, 1 - config.train_fraction, config.seed)
    families = grammar.FORMS[kind].families
    return [each for each in families if each not in held], [each for each in families if each in held]


def _draw(rng: Random, kind: str, family: grammar.Family, config: Sequences) -> Drawn:
    form = grammar.FORMS[kind]
    length = min(config.longest, max(rng.randint(config.shortest, config.longest), form.least(family.shared[0])))
    return Drawn(kind, family, form.draw(rng, family, length))


def _begins_to_repeat(terms: Sequence[int]) -> bool:
    """Return whether the last 3 to L / 2 terms repeat the first ones: a period shown less than twice is ambiguous."""
    half = len(terms) // 2
    if any(terms[p:] == terms[:-p] for p in range(1, half + 1)):
        return False
    return any(terms[p:] == terms[:-p] for p in range(half + 1, len(terms) - 2))


def labels_of(drawn: Sequence[Drawn]) -> np.ndarray:
    """Return which of ``KINDS`` hold: [sequences, kinds]."""
    found = decide([each.rule.terms for each in drawn])
    for kind in ("trigonometric", "prime"):
        found[kind] = np.array([each.kind == kind for each in drawn])
    rule = np.array([each.rule.bounded for each in drawn])
    found["bounded"] = rule | found["periodic"] | found["finite"] | found["modulo"]
    return np.stack([found[kind] for kind in KINDS], axis=1)


def f1(said: np.ndarray, true: np.ndarray) -> float:
    """Return the F1 score of yes-or-no predictions; 0 without a correct yes."""
    right = float((said & true).sum())
    return 2 * right / float(said.sum() + true.sum()) if right else 0.0
