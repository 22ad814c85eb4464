"""Relabel operands and answers so that a task is a sum in Z_m: a * b is the sum of discrete logarithms."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii import numbers
from miii.analysis.modular import grid
from miii.errors import InputError
from miii.tasks import Task

NONE = -1  #: label of an operand that is left out, or of an answer that no sum has
POWERS = 12  #: largest exponent that is named


@dataclass(frozen=True)
class Relabelling:
    """The examples of a task as pairs (u, v) of Z_m, and its answers as elements of Z_m.

    Attributes:
        m: order of the group: p, or p - 1 for logarithms.
        rows: index of each pair's example, ordered by u * m + v.
        u, v: the operands' labels.
        answers: index of the logit of each element of Z_m.
        names: u and v in words, such as ("log a", "log b").
        base: base of the logarithms, or None.
        left_out: number of examples without labels, such as those with a factor 0.
    """

    m: int
    rows: Int[Tensor, " pairs"]
    u: Int[Tensor, " pairs"]
    v: Int[Tensor, " pairs"]
    answers: Int[Tensor, " m"]
    names: tuple[str, str] = ("a", "b")
    base: int | None = None
    left_out: int = 0

    @property
    def natural(self) -> bool:
        """Whether operands and answers keep their own numbers."""
        return self.names == ("a", "b")

    @property
    def answer(self) -> str:
        """The label of answer c in words, such as "log c" or "c - 7"."""
        constant = int(self.answers[0]) - (self.base is not None)
        name = f"c - {constant}" if constant else "c"
        return name if self.base is None else f"log({name})" if constant else "log c"

    @property
    def full(self) -> bool:
        """Whether every pair of Z_m occurs once, in the order u * m + v."""
        return len(self.rows) == self.m**2 and bool((self.u * self.m + self.v == torch.arange(self.m**2)).all())

    def logits(self, logits: Float[Tensor, "examples p"]) -> Float[Tensor, "pairs m"]:
        """Return the relabelled logits, minus their mean over the answers of Z_m."""
        if self.natural and torch.equal(self.rows, torch.arange(len(logits))):
            return logits
        found = logits[self.rows][:, self.answers]
        return found - found.mean(1, keepdim=True)

    def others(self, logits: Float[Tensor, "examples p"]) -> Float[Tensor, "pairs rest"]:
        """Return the logits of the answers outside Z_m, minus the mean that ``logits`` subtracts."""
        found, rest = logits[self.rows], torch.ones(logits.shape[1], dtype=torch.bool)
        rest[self.answers] = False
        return found[:, rest] - found[:, self.answers].mean(1, keepdim=True)

    def labels(self, labels: Int[Tensor, " examples"]) -> Int[Tensor, " pairs"]:
        """Return the relabelled answers, in 0 .. m - 1."""
        table = torch.full((int(max(self.answers.max(), labels.max())) + 1,), NONE).scatter(
            0, self.answers, torch.arange(self.m)
        )
        return table[labels[self.rows]]

    def sum(self, multipliers: tuple[int, int]) -> Int[Tensor, " pairs"]:
        """Return (alpha u + beta v) mod m of every pair."""
        return (multipliers[0] * self.u + multipliers[1] * self.v) % self.m

    def scaled(self, multipliers: tuple[int, int]) -> "Relabelling":
        """Return the labels alpha u and beta v, whose sum is the same: there, waves have one frequency in both.

        Unchanged if both multipliers are 1 or -1, or if one has no inverse modulo m.
        """
        alpha, beta = multipliers
        if {abs(alpha), abs(beta)} == {1} or math.gcd(alpha * beta, self.m) != 1:
            return self
        u, v = alpha * self.u % self.m, beta * self.v % self.m
        order = torch.argsort(u * self.m + v, stable=True)
        first, second = self._terms(multipliers)
        return replace(self, rows=self.rows[order], u=u[order], v=v[order], names=(first, second))

    def tokens(self, task: Task) -> Int[Tensor, " m"] | None:
        """Return the token of the first operand with each label 0 .. m - 1; None if it is not one-to-one."""
        return task.tokens[self.rows[:: self.m], 0] if self.full else None

    def words(self, multipliers: tuple[int, int]) -> str:
        """Return the sum in words, such as "3a - b" or "log a + log b"."""
        text = ""
        for term in self._terms(multipliers):
            text = text + f" {term[0]} {term[1:]}" if text and term[0] == "-" else text + (" + " if text else "") + term
        return text or "0"

    def name(self, multipliers: tuple[int, int]) -> str:
        """Return what a network that adds u and v with these multipliers computes: the verdict."""
        if self.natural and {abs(k) for k in multipliers} == {1}:
            return "modular addition"
        if self.names == ("log a", "log b") and multipliers == (1, 1):
            return f"multiplication as addition of logarithms to base {self.base}"
        if self.names == ("log a", "log b") and multipliers == (1, -1):
            return f"division as subtraction of logarithms to base {self.base}"
        name = f"modular addition of ({', '.join(self._terms(multipliers))})"
        return name if self.base is None else f"{name}, logarithms to base {self.base}"

    def _terms(self, multipliers: tuple[int, int]) -> list[str]:
        terms = []
        for k, name in zip(multipliers, self.names, strict=True):
            number = "" if abs(k) == 1 else f"{abs(k)}" + (" " if name.startswith("log") or name[0].isdigit() else "")
            terms += [("-" if k < 0 else "") + number + name] if k else []
        return terms


def natural(task: Task) -> Relabelling:
    """Return the operands and answers as they are."""
    p, (a, b) = task.d_vocab_out, grid.operands(task)
    rows = torch.argsort(a * p + b, stable=True)
    return Relabelling(p, rows, a[rows], b[rows], torch.arange(p))


def candidates(task: Task) -> tuple[tuple[Relabelling, ...], str]:
    """Return the relabellings under which a network may add, the task's own first, and why it has none of its own.

    The task's own comes from its answers: f(a) + g(b) is a sum as it is, or after a is replaced by f(a) and b by g(b);
    f(a) g(b) plus a constant, modulo a prime, is a sum of discrete logarithms where neither factor is 0. The second is
    the numbers as they are, in case the network computes another sum than the task.

    Raises:
        InputError: the examples are not pairs of Z_p.
    """
    p, (a, b) = grid.check_pairs(task), grid.operands(task)
    table = torch.full((p, p), NONE)
    table[a, b] = task.labels
    own, plain = _added(task, table) or _multiplied(task, table), natural(task)
    if own is None:
        return (plain,), f"the answer is neither f(a) + g(b) nor f(a) * g(b) + constant modulo {p}"
    return ((own,) if own.natural else (own, plain)), ""


def _added(task: Task, table: Int[Tensor, "p p"]) -> Relabelling | None:
    """Return u = f(a), v = g(b) if the answer is f(a) + g(b) + constant; a and b as they are if both are multiples."""
    p = len(table)
    constant, n = int(table[0, 0]), torch.arange(p)
    f, g = (table[:, 0] - constant) % p, (table[0] - constant) % p
    if (table == NONE).any() or not ((f[:, None] + g + constant) % p == table).all() or not f.any() or not g.any():
        return None
    if all(torch.equal(values, values[1] * n % p) for values in (f, g)):
        return natural(task)
    return _of_maps(task, p, f, g, (n + constant) % p, (_power(f, "a"), _power(g, "b")))


def _multiplied(task: Task, table: Int[Tensor, "p p"]) -> Relabelling | None:
    """Return the logarithms of f(a) and g(b) if the answer is f(a) g(b) + constant, modulo a prime."""
    p = len(table)
    if p < 5 or p not in numbers.primes_below(p + 1):
        return None
    known = table != NONE
    rows, columns = known.any(1), known.any(0)
    # where a factor is 0 the answer is the constant; without such a row or column, try all
    lines = [line[line != NONE] for half in (table, table.T) for line in half]
    constants = {int(line[0]) for line in lines if len(line) > 1 and (line == line[0]).all()}
    for constant in sorted(constants) or range(p):
        rest = torch.where(known, (table - constant) % p, 0)
        in_a, in_b = rows & (rest != 0).any(1), columns & (rest != 0).any(0)
        block = rest[in_a][:, in_b]
        if block.numel() == 0 or (block == 0).any():
            continue
        log, base = _logarithms(p)
        logs = log[block]
        f, g = logs[:, 0], logs[0] - logs[0, 0]
        if not ((f[:, None] + g) % (p - 1) == logs).all() or not (f != f[0]).any() or not g.any():
            continue
        u, first = _linear_log(f - f[0], in_a, log, "a")
        v, second = _linear_log(g, in_b, log, "b")
        powers = torch.empty(p - 1, dtype=torch.long).scatter(0, log[1:], torch.arange(1, p))
        return _of_maps(task, p - 1, u, v, (powers + constant) % p, (first, second), base)
    return None


def _of_maps(
    task: Task,
    m: int,
    of_a: Int[Tensor, " p"],
    of_b: Int[Tensor, " p"],
    answers: Int[Tensor, " m"],
    names: tuple[str, str],
    base: int | None = None,
) -> Relabelling:
    a, b = grid.operands(task)
    u, v = of_a[a], of_b[b]
    kept = ((u != NONE) & (v != NONE)).nonzero()[:, 0]
    rows = kept[torch.argsort(u[kept] * m + v[kept], stable=True)]
    return Relabelling(m, rows, u[rows], v[rows], answers, names, base, len(a) - len(rows))


def _power(values: Int[Tensor, " p"], name: str) -> str:
    """Return "3a^2" for the values 3 a^2, or "f(a)" without such a name."""
    p = len(values)
    for n in range(1, POWERS + 1):
        if torch.equal(values, torch.tensor([int(values[1]) * pow(a, n, p) % p for a in range(p)])):
            factor = numbers.centered(int(values[1]), p)
            return ("" if factor == 1 else "-" if factor == -1 else str(factor)) + (name if n == 1 else f"{name}^{n}")
    return f"{'f' if name == 'a' else 'g'}({name})"


def _linear_log(
    logs: Int[Tensor, " kept"], kept: torch.Tensor, log: Int[Tensor, " p"], name: str
) -> tuple[Int[Tensor, " p"], str]:
    """Return the label of every operand: log(a + shift) if the factor is a power of a + shift, otherwise its own log.

    A power is a multiple of the logarithm, so the label is one-to-one and the multiplier is left to the formula.
    """
    p = len(log)
    labels = torch.full((p,), NONE)
    dropped = (~kept).nonzero()[:, 0]
    if len(dropped) == 1:
        shift = -int(dropped[0]) % p
        plain = log[(torch.arange(p) + shift) % p][kept]
        relative = (logs - logs[plain == 0]) % (p - 1)
        if torch.equal(relative[plain == 1] * plain % (p - 1), relative):
            labels[kept] = plain
            return labels, f"log {name}" if not shift else f"log({name} + {shift})"
    labels[kept] = logs % (p - 1)
    return labels, f"log {'f' if name == 'a' else 'g'}({name})"


def _logarithms(p: int) -> tuple[Int[Tensor, " p"], int]:
    """Return the discrete logarithms of 1 .. p - 1 to the smallest primitive root (``NONE`` for 0), and that root."""
    for base in range(1, p):
        powers = [1]
        while (value := powers[-1] * base % p) != 1:
            powers.append(value)
        if len(powers) == p - 1:
            return torch.full((p,), NONE).scatter(0, torch.tensor(powers), torch.arange(p - 1)), base
    raise InputError(f"p must be prime to have logarithms (got {p}).")
