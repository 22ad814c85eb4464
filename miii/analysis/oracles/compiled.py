"""Compile a modular sum into a network: alpha, beta and gamma determine every weight, without training."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted
from miii.errors import InputError
from miii.expression import parse
from miii.model.transformer import Transformer
from miii.numbers import centered
from miii.tasks import ModularAddition, Task

FREQUENCIES = 5  #: at most, as in trained networks; fewer for small p, so that they stand out
DRAWS = 200  #: sets of frequencies to try
MARGIN = 20.0  #: in nats: the correct answer's logit minus the next one


def modular_sum(task: ModularAddition) -> tuple[int, int, int]:
    """Return (alpha, beta, gamma) of a task with the answer alpha a + beta b + gamma modulo p. Multipliers may be 0.

    Raises:
        InputError: the answer is not such a sum.
    """
    found = task.modular_sum
    if found is None and task.expression is not None:
        found = parse(task.expression).linear(task.p)
    if found is None:
        raise InputError(
            "task must be a modular sum to be compiled, such as add, sub or the expression 3*a - b + 7 "
            f"(got {task.expression or task.operation!r})."
        )
    return found


def formula(task: ModularAddition, frequencies: Sequence[int] | None = None) -> Formula:
    """Return the sum of cos 2 pi k (alpha a + beta b + gamma - c) / p over some k, which is largest at the correct c.

    Args:
        frequencies: the k; if None, the best of 200 random sets of at most five, by the margin of the correct answer.

    Raises:
        InputError: the answer is not a modular sum, a frequency is not in 1 .. p // 2, or the frequencies do not
            separate all answers.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2: the formula of trained networks.
    """
    p, (alpha, beta, gamma) = task.p, modular_sum(task)
    chosen = _far_apart(p) if frequencies is None else tuple(sorted(set(frequencies)))
    if not chosen or not all(1 <= k <= p // 2 for k in chosen):
        raise InputError(f"frequencies must be in 1 .. {p // 2} (got {list(chosen)}).")
    gap = _gap(p, chosen)
    if gap < 1e-9:
        raise InputError(f"frequencies must have no divisor in common with each other and {p} (got {list(chosen)}).")
    amplitude = MARGIN / gap
    phases = [math.remainder(2 * math.pi * (k * gamma % p) / p, 2 * math.pi) for k in chosen]
    waves = zip(chosen, phases, strict=True)
    return Formula(p, tuple(Term(centered(alpha * k, p), centered(beta * k, p), k, amplitude, phi) for k, phi in waves))


def network(task: ModularAddition, frequencies: Sequence[int] | None = None, hinges: int = 1) -> Transformer:
    """Return a one-layer network of at most 80 ReLU neurons that is correct on every pair.

    It replaces each parabola of the planted network by an absolute value, so a neuron has one frequency and the logits
    approximate those of ``formula``; more ``hinges`` approximate better.

    Args:
        frequencies: as in ``formula``.
        hinges: kinks on either side of 0, as in ``planted.from_formula``.

    Raises:
        InputError: as ``formula``.
    """
    return planted.from_formula(formula(task, frequencies), act="relu", hinges=hinges, dtype=torch.float32)


def as_plain_addition(task: ModularAddition) -> Task:
    """Return the task with examples ordered by (alpha a + gamma, beta b) instead of (a, b), if it is a modular sum.

    A task that leaves out pairs is returned as it is.

    In that order every modular sum is plain addition, so analyses of one frequency in both operands, such as
    ``neurons``, apply. In the order of (a, b), 3 a + b has frequency 3 k in a and k in b.
    """
    built, found = task.build(), task.modular_sum
    if found is None or len(built.labels) != task.p**2:
        return built
    (alpha, beta, gamma), n = found, torch.arange(task.p)
    a = (n - gamma) * pow(alpha, -1, task.p) % task.p
    b = n * pow(beta, -1, task.p) % task.p
    order = (a[:, None] * task.p + b).flatten()
    return replace(built, tokens=built.tokens[order], labels=built.labels[order], train_mask=built.train_mask[order])


def _gap(p: int, frequencies: Sequence[int]) -> float:
    """Return sum_k cos(w_k d) at d = 0 minus its largest value elsewhere."""
    d, k = torch.arange(1, p), torch.tensor(frequencies)
    return (1 - (2 * math.pi / p * (d[:, None] * k % p).double()).cos()).sum(1).min().item()


def _far_apart(p: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(0)
    n = min(FREQUENCIES, max(2, p // 8))
    drawn = [tuple((torch.randperm(p // 2, generator=generator)[:n] + 1).tolist()) for _ in range(DRAWS)]
    best = max(drawn, key=lambda frequencies: _gap(p, frequencies))
    return tuple(sorted(best))
