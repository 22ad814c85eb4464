"""All residues of a two-digit number at once: the task of Syrkis 2024."""

import math
import statistics
from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, model_validator

from miii import numbers
from miii.errors import InputError
from miii.tasks.primes import Primelist
from miii.tasks.task import GROKKED, Headline, Sizes, Target, Task, TaskConfig, mask_of, names_of


class Residues(TaskConfig):
    """n = x0 + p x1 as the tokens ``= x0 x1``, with n mod q as targets for every prime q < p, all at once.

    The residues are predicted at the last token: a digit, or with ``readout`` equals the "=" of ``x0 x1 =``.

    The loss of a target with q classes is divided by log q. ``masked`` targets are evaluated but not trained.

    There are two controls on the same tokens and split. ``shuffled`` gives each number the residues of another number,
    drawn at random, so there is nothing to learn: the preprint's T_basis. ``digits`` asks for the two digits, without
    a modulus.

    Raises:
        InputError: no prime is below ``p``, a masked number is not a target, or a split is empty.

    Source: Syrkis 2024's preprint, "Mechanistic interpretability on (multi-task) irreducible integers".
    """

    summary = "residues: a number modulo every prime below p."
    shown = ("accuracy_worst",)
    #: Chosen by search: docs/LOG.md.
    recipes: ClassVar = {
        "fast": {
            "model": {"d_model": 256, "d_mlp": 1024, "biases": "none", "init": "glorot"},
            "optimizer": {"name": "slow-gradient", "lr": 2e-3, "weight_decay": 1 / 3, "slow_lambda": 0.5},
            "batch_size": 1024,
            "steps": 17_000,
            "schedule": "half",
            "dropout": 0.1,
            "dropout_site": "residual",
            "dropout_shared": True,
            "eval_every": 500,
            "precision": "float32",  # bfloat16 ends lower: docs/LOG.md
        }
    }

    kind: Literal["residues"] = "residues"
    p: int = Field(113, ge=3, le=257, description="base of the two digits; every prime below it is a target")
    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the p^2 numbers used for training")
    masked: Primelist = Field((), description="primes that are not trained, such as 2,3,5,7")
    control: Literal["off", "shuffled", "digits"] = Field(
        "off",
        description="shuffled: labels in random order, with nothing to learn; digits: the two digits are the targets",
    )
    readout: Literal["digit", "equals"] = Field(
        "digit", description="token at which the answer is read: the digit x1 of = x0 x1, or the last of x0 x1 ="
    )
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the split and the initial weights")

    @model_validator(mode="after")
    def _both_sides(self) -> "Residues":
        if not 0 < self.n_train < self.p**2:
            raise InputError(
                f"train_fraction must leave at least one of the {self.p**2} numbers on each side "
                f"(got {self.train_fraction}, which trains on {self.n_train})."
            )
        if self.control == "digits" and self.masked:
            raise InputError(f"masked must be none where control is digits (got {','.join(map(str, self.masked))}).")
        primes = self.primes
        for q in self.masked:
            if q not in primes:
                raise InputError(f"masked must hold primes below p, {', '.join(map(str, primes))} (got {q}).")
        if len(set(self.masked)) >= len(primes):
            raise InputError(f"masked must leave at least one of {', '.join(map(str, primes))} to train on.")
        return self

    @property
    def primes(self) -> tuple[int, ...]:
        """The moduli, ascending; for the control ``digits``, the base of each digit."""
        return (self.p, self.p) if self.control == "digits" else numbers.primes_below(self.p)

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        return Sizes(self.p**2, 3, self.p + 1, sum(self.primes), len(self.primes))

    @property
    def trained(self) -> tuple[str, ...]:
        """The names of the trained targets."""
        if self.control == "digits":
            return ("x0", "x1")
        return tuple(f"mod {q}" for q in self.primes if q not in self.masked)

    @property
    def description(self) -> str:
        """The question and its base."""
        if self.control == "digits":
            return f"the two digits in base {self.p}"
        asked = f"residues modulo every prime below {self.p}"
        return f"{asked}, labels in random order" if self.control == "shuffled" else asked

    @property
    def milestone(self) -> str:
        """All trained targets."""
        return "answers both digits" if self.control == "digits" else "answers every residue"

    @property
    def n_train(self) -> int:
        """Number of training examples."""
        return int(self.train_fraction * self.p**2)

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``residues-113``."""
        return f"residues-{self.p}{'' if self.control == 'off' else f'-{self.control}'}"

    def build(self) -> Task:
        """Build the numbers, ascending: tokens [p^2, 3]; fact ``n``.

        A shuffled label belongs to another number.
        """
        n = torch.arange(self.p**2)
        digits, equals = (n % self.p, n // self.p), torch.full_like(n, self.p)
        generator = torch.Generator().manual_seed(self.seed)
        order = torch.randperm(len(n), generator=generator)
        if self.control == "digits":
            labels = [(f"x{i}", self.p, digit) for i, digit in enumerate(digits)]
        else:
            of = n[torch.randperm(len(n), generator=generator)] if self.control == "shuffled" else n
            labels = [(f"mod {q}", q, of % q) for q in self.primes]
        targets = [Target(name, q, answer, 0.0 if q in self.masked else 1 / math.log(q)) for name, q, answer in labels]
        return Task(
            tokens=torch.stack([*digits, equals] if self.readout == "equals" else [equals, *digits], dim=1),
            labels=targets[0].labels,
            train_mask=mask_of(order[: self.n_train], len(n)),
            d_vocab=self.p + 1,
            d_vocab_out=sum(target.size for target in targets),
            token_names=names_of(self.p, "="),
            weight=targets[0].weight,
            name=targets[0].name,
            extra_targets=tuple(targets[1:]),
            correct_if="all",
            facts=MappingProxyType({"n": n}),
        )

    @staticmethod
    def scores(
        task: Task, logits: Float[np.ndarray, "rows *pos d_vocab_out"], rows: Int[np.ndarray, " rows"]
    ) -> dict[str, float]:
        """Return the accuracy of each target, and the lowest over trained targets."""
        found, worst = {}, 1.0
        for target in task.targets:
            right = logits[:, task.logits_of(target.name)].argmax(1) == target.labels.numpy()[rows]
            found[f"accuracy_{target.name.removeprefix('mod ')}"] = float(right.mean())
            if target.weight:
                worst = min(worst, float(right.mean()))
        return {"accuracy_worst": worst} | found

    def learned(self, row: Mapping[str, float]) -> bool:
        """Return whether every trained target has 99% test accuracy."""
        return row["accuracy_worst"] >= GROKKED

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return the mean test accuracy over trained targets; ``test_accuracy`` requires all residues correct."""
        each = [row.get(f"accuracy_{name.removeprefix('mod ')}", math.nan) for name in self.trained]
        return Headline(
            statistics.fmean(each), f"mean accuracy over {'digits' if self.control == 'digits' else 'primes'}"
        )
