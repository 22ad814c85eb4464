"""Modular arithmetic on two operands: every pair (a, b) of Z_p with the answer c."""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, ClassVar, Literal, get_args

import torch
from jaxtyping import Int, Shaped
from pydantic import Field, model_validator
from torch import Tensor

from miii.errors import InputError
from miii.expression import EXAMPLE, MASKED, MISSING, parse
from miii.numbers import primes_below
from miii.tasks.task import Headline, Sizes, Task, TaskConfig

#: Formulas of the answer c by operation; expr has its own expression.
SUMS = {
    "add": "a + b mod {p}",
    "sub": "a − b mod {p}",
    "mul": "a · b mod {p}",
    "div": "a / b mod {p}, where b ≠ 0",
    "quadratic": "a² + ab + b² mod {p}",
    "shuffled": "a + b mod {p}, answers in random order",
    "relabeled": "a + b mod {p}, numbers renamed",
}

#: Operations that memorize at the defaults of addition, with easier fields. Where a and b play different parts, b has
#: tokens of its own: with shared ones, networks grok later and lose waves of the difference (docs/LOG.md).
EASIER: dict[str, dict[str, Any]] = {
    operation: {"p": 59, "train_fraction": 0.7, "separate": separate}
    for operation, separate in (("sub", True), ("mul", False), ("div", True), ("quadratic", False), ("expr", True))
}
SLOWER: dict[str, Any] = {"optimizer": {"name": "adamw", "lr": 6e-3}, "steps": 1000}  #: their recipe ``fast``

Operation = Literal["add", "sub", "mul", "div", "quadratic", "shuffled", "relabeled", "expr"]


class ModularAddition(TaskConfig):
    """All p^2 pairs as the tokens ``a b =``, or ``a b`` without ``equals``; the answer is predicted at the last.

    With ``operator`` the prompt is ``a op b =``, as in Power et al.; the operation's token comes before that of "=".

    ``div`` leaves out b = 0 and needs a prime p; an expression may leave out pairs by ``where``.

    Two operations are controls: ``shuffled`` permutes addition's labels, so there is nothing to learn; ``relabeled``
    permutes addition's tokens, which hides it from analyses of token order. ``expr`` computes ``expression``; see
    ``miii.expression``.

    ``train_fraction`` is None if the split is unknown, as for imported weights. Such a task cannot be trained.

    Raises:
        InputError: ``p`` below 2, or not prime for ``div``; ``train_fraction`` outside (0, 1), an empty split, or an
            expression that is missing, unused or invalid. ``build`` raises if it is constant or undefined at a pair.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 3; the operations are Power et al.'s (arXiv 2201.02177).
    """

    summary = (
        "add, sub, mul, div, quadratic: modular arithmetic; shuffled and relabeled are its controls; expr is a formula "
        "of your own."
    )
    examples = "test pairs"
    recipes: ClassVar = {
        # Groks in seconds; the cosine schedule then completes cleanup. Chosen by search: docs/LOG.md.
        "fast": {},
        # Nanda et al. 2023 (arXiv 2301.05217), section 3 and appendix A, exactly.
        "literature": {
            "optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1.0, "beta1": 0.9, "beta2": 0.98},
            "steps": 40_000,
            "schedule": "constant",
            "warmup_steps": 10,
            "eval_every": 100,
            "precision": "float32",
        },
    }

    kind: Literal["modular"] = "modular"
    operation: Operation = Field("add", description="formula of c: a + b, a - b, a * b, a / b, ..., or a control")
    p: int = Field(113, ge=2, le=1024, description="the modulus; operands and answers are 0 .. p - 1")
    train_fraction: float | None = Field(0.3, gt=0, lt=1, description="share of the pairs used for training")
    balanced: bool = Field(False, description="train on the same number of pairs for every answer, within one")
    seed: int = Field(0, ge=0, lt=2**31, description="fixes the split and the initial weights")
    equals: bool = Field(True, description='whether the prompt ends in "=", where the answer is read; else at b')
    separate: bool = Field(False, description="whether b has tokens of its own, p .. 2p - 1")
    operator: bool = Field(False, description="whether a token of the operation stands between a and b")
    expression: str | None = Field(
        None, description=f"formula of c in a, b and p for the task expr, such as {EXAMPLE} or {MASKED}"
    )

    @model_validator(mode="after")
    def _its_expression(self) -> "ModularAddition":
        if self.operation == "expr":
            if self.expression is None:
                raise InputError(f"expression is required for the task expr: a formula such as {EXAMPLE}.")
            parse(self.expression)
        elif self.expression is not None:
            raise InputError(
                f"expression must be none for the task {self.operation}, for expr is the one that has it "
                f"(got {self.expression!r})."
            )
        if self.operation == "div" and self.p not in primes_below(self.p + 1):
            raise InputError(f"p must be prime for the task div, so that every b but 0 has an inverse (got {self.p}).")
        return self

    @model_validator(mode="after")
    def _its_prompt(self) -> "ModularAddition":
        if self.operator and not self.equals:
            raise InputError("operator must be false without equals (got true).")
        return self

    @model_validator(mode="after")
    def _both_sides(self) -> "ModularAddition":
        if self.train_fraction is not None and not 0 < self.n_train < self.n_pairs:
            raise InputError(
                f"train_fraction must leave at least one of the {self.n_pairs} pairs on each side "
                f"(got {self.train_fraction}, which trains on {self.n_train})."
            )
        return self

    @classmethod
    def names(cls) -> dict[str, dict[str, Any]]:
        """Return the operations; each is a separate task on the command line, some with easier defaults."""
        return {operation: {"operation": operation} | EASIER.get(operation, {}) for operation in get_args(Operation)}

    def recipe_fields(self, name: str) -> dict[str, Any]:
        """Return the fields of a recipe; ``fast`` is slower for operations that are harder than addition."""
        slower = name == "fast" and self.operation in EASIER
        return super().recipe_fields(name) | (SLOWER if slower else {})

    @property
    def task_name(self) -> str:
        """The operation."""
        return self.operation

    @property
    def description(self) -> str:
        """The answer as a formula."""
        if self.operation == "expr":
            assert self.expression is not None
            return parse(self.expression).words(self.p)
        return SUMS[self.operation].format(p=self.p)

    @property
    def sizes(self) -> Sizes:
        """The sizes of ``build()``."""
        tokens = self.p * (1 + self.separate) + self.operator + self.equals
        return Sizes(self.n_pairs, 2 + self.operator + self.equals, tokens, self.p)

    @property
    def n_pairs(self) -> int:
        """Number of pairs: p^2 without those that the operation leaves out."""
        if self.operation == "div":
            return self.p * (self.p - 1)
        return self.p**2 if self.expression is None else _kept(self.expression, self.p)

    @property
    def n_train(self) -> int:
        """Number of known training pairs."""
        return 0 if self.train_fraction is None else int(self.train_fraction * self.n_pairs)

    @property
    def modular_sum(self) -> tuple[int, int, int] | None:
        """(alpha, beta, gamma) if the answer is alpha a + beta b + gamma modulo p, alpha and beta invertible.

        None for controls and for other answers.
        """
        if self.expression is not None:
            found = parse(self.expression).linear(self.p)
            return (
                found if found is not None and math.gcd(found[0], self.p) == math.gcd(found[1], self.p) == 1 else None
            )
        return {"add": (1, 1, 0), "sub": (1, -1, 0)}.get(self.operation)

    @property
    def multipliers(self) -> tuple[int, int]:
        """The alpha and beta that analyses test for: those of ``modular_sum``, or (1, 1)."""
        return (1, 1) if self.modular_sum is None else self.modular_sum[:2]

    @property
    def name(self) -> str:
        """A short name for titles and folders, such as ``add-113``."""
        return f"{self.operation}-{self.p}"

    def headline(self, row: Mapping[str, float]) -> Headline:
        """Return test accuracy, or accuracy on all pairs if the split is unknown."""
        return Headline(row["accuracy"], "accuracy on all pairs") if "accuracy" in row else super().headline(row)

    def build(self) -> Task:
        """Build the pairs in the order a * p + b: tokens [n_pairs, 2 to 4], labels [n_pairs], train_mask [n_pairs]."""
        p = self.p
        generator = torch.Generator().manual_seed(self.seed)
        a, b = torch.arange(p).repeat_interleave(p), torch.arange(p).repeat(p)
        order = torch.randperm(self.n_pairs, generator=generator)
        labels = answers(self.operation, a, b, p, generator, self.expression)
        kept = labels != MISSING
        a, b, labels = a[kept], b[kept], labels[kept]
        if self.balanced:
            order = _in_turn(order, labels)
        train_mask = torch.zeros(len(labels), dtype=torch.bool)
        train_mask[order[: self.n_train]] = True
        names = [*map(str, range(p)), *(f"b{n}" for n in range(p * self.separate))]
        names += ["op"] * self.operator + ["="] * self.equals
        return Task(
            tokens=prompts(a, b, p, self.equals, self.separate, self.operator),
            labels=labels,
            train_mask=train_mask,
            d_vocab=len(names),
            d_vocab_out=p,
            token_names=tuple(names),
        )


def prompts(
    a: Int[Tensor, " pairs"], b: Int[Tensor, " pairs"], p: int, equals: bool, separate: bool, operator: bool
) -> Int[Tensor, "pairs pos"]:
    """Return the tokens of pairs; see ``ModularAddition`` for the options."""
    first = p * (1 + separate)
    signs = [torch.full_like(a, first)] * operator
    return torch.stack([a, *signs, b + p * separate, *[torch.full_like(a, first + operator)] * equals], dim=1)


def operands(task: Task) -> tuple[Int[Tensor, " examples"], Int[Tensor, " examples"]]:
    """Return the tokens of a and b of every example; in a prompt of four tokens, b is the third."""
    return task.tokens[:, 0], task.tokens[:, 2 if task.n_ctx == 4 else 1]


@lru_cache(maxsize=64)
def _kept(expression: str, p: int) -> int:
    return int(parse(expression).kept(p).sum())


def grid_of(
    task: Task, values: Shaped[Tensor, " examples"], p: int, missing: float = MISSING, columns: int | None = None
) -> Shaped[Tensor, "p columns"]:
    """Return a value of every example as a table, rows a and columns b, with ``missing`` for pairs left out.

    Args:
        p: number of rows, and of columns without ``columns``. Tokens of b may start at 0 or at p.
    """
    columns = p if columns is None else columns
    if len(values) == p * columns:
        return values.view(p, columns)
    table = torch.full((p, columns), missing, dtype=values.dtype)
    a, b = operands(task)
    table[a, b - p * (b >= p)] = values
    return table


def _in_turn(order: Int[Tensor, " pairs"], labels: Int[Tensor, " pairs"]) -> Int[Tensor, " pairs"]:
    """Interleave the pairs by answer: the first pair of each answer, then the second, and so on."""
    by_answer = torch.argsort(labels[order], stable=True)
    counts = torch.bincount(labels)
    starts = torch.repeat_interleave(counts.cumsum(0) - counts, counts)
    turn = torch.empty_like(order)
    turn[by_answer] = torch.arange(len(order)) - starts  # a pair's index among those of its answer
    return order[torch.argsort(turn, stable=True)]


def answers(
    operation: Operation,
    a: Int[Tensor, " pairs"],
    b: Int[Tensor, " pairs"],
    p: int,
    generator: torch.Generator,
    expression: str | None = None,
) -> Int[Tensor, " pairs"]:
    """Return the answer c of each pair, in 0 .. p - 1, or ``MISSING`` for a pair that the operation leaves out.

    ``generator`` draws the permutations of ``shuffled`` and ``relabeled``; ``expression`` is for ``expr``.

    Raises:
        InputError: ``operation`` is unknown; also see ``miii.expression``.

    Source: Power et al. 2022 (arXiv 2201.02177), appendix A.1.
    """
    match operation:
        case "add":
            return (a + b) % p
        case "sub":
            return (a - b) % p
        case "mul":
            return (a * b) % p
        case "div":
            inverse = torch.tensor([0, *(pow(n, -1, p) for n in range(1, p))])
            return torch.where(b == 0, MISSING, a * inverse[b] % p)
        case "quadratic":
            return (a * a + a * b + b * b) % p
        case "shuffled":
            return ((a + b) % p)[torch.randperm(len(a), generator=generator)]
        case "relabeled":
            name = torch.randperm(p, generator=generator)
            number = torch.argsort(name)
            return name[(number[a] + number[b]) % p]
        case "expr" if expression is not None:
            return torch.tensor(parse(expression).table(p))[a, b]
    raise InputError(f"operation must be one of {', '.join(get_args(Operation))} (got {operation!r}).")
