"""A network compiled from a modular sum: no training, every weight written down from alpha, beta and gamma."""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch

from miii.analysis.modular.formula import Formula, Term
from miii.analysis.oracles import planted
from miii.errors import InputError
from miii.expression import parse
from miii.model.transformer import Transformer
from miii.numbers import centred
from miii.tasks import ModularAddition, Task

FREQUENCIES = 5  #: at most so many, as trained networks have, about; fewer where p is small, or none would stand out
DRAWS = 200  #: sets of frequencies that are tried
MARGIN = 20.0  #: in nats: how far the right answer's logit stands above the next one's


def modular_sum(task: ModularAddition) -> tuple[int, int, int]:
    """The (alpha, beta, gamma) of which the answer is alpha a + beta b + gamma modulo p; either multiplier may be 0.

    Raises:
        InputError: the answer is no such sum.
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
    """The sum of cos 2 pi k (alpha a + beta b + gamma - c) / p over some k, largest at the right c.

    Args:
        frequencies: the k; unless given, of many draws of five or fewer those that put the right answer farthest above.

    Raises:
        InputError: the answer is no modular sum, a frequency is not in 1 .. p // 2, or they cannot tell all answers
            apart.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 4.2: what trained networks were found to compute.
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
    return Formula(p, tuple(Term(centred(alpha * k, p), centred(beta * k, p), k, amplitude, phi) for k, phi in waves))


def network(task: ModularAddition, frequencies: Sequence[int] | None = None, hinges: int = 1) -> Transformer:
    """A one-layer network of 80 ReLU neurons or fewer that answers the sum at every pair.

    Each parabola of the planted network is here drawn with one kink, as an absolute value, so that a neuron keeps to
    one frequency, and the logits are those of ``formula`` only about; more ``hinges`` bring them nearer.

    Args:
        frequencies: as in ``formula``.
        hinges: kinks on either side of 0, as in ``planted.from_formula``.

    Raises:
        InputError: as ``formula``.

    Source: as ``planted.from_formula``.
    """
    return planted.from_formula(formula(task, frequencies), act="relu", hinges=hinges, dtype=torch.float32)


def plain(task: ModularAddition) -> Task:
    """The task's examples in the order of (alpha a + gamma, beta b), not of (a, b); its own order where it is no sum.

    In that order every modular sum is a plain one, of the first and the second number: an analysis that asks for one
    frequency in both operands, such as ``neurons``, finds it if it is there. Otherwise 3 a + b has 3 k in a where it
    has k in b.
    """
    built, found = task.build(), task.modular_sum
    if found is None:
        return built
    (alpha, beta, gamma), n = found, torch.arange(task.p)
    a = (n - gamma) * pow(alpha, -1, task.p) % task.p
    b = n * pow(beta, -1, task.p) % task.p
    order = (a[:, None] * task.p + b).flatten()
    return replace(built, tokens=built.tokens[order], labels=built.labels[order], train_mask=built.train_mask[order])


def _gap(p: int, frequencies: Sequence[int]) -> float:
    """How far sum_k cos(w_k d) at d = 0 stands above the next."""
    d, k = torch.arange(1, p), torch.tensor(frequencies)
    return (1 - (2 * math.pi / p * (d[:, None] * k % p).double()).cos()).sum(1).min().item()


def _far_apart(p: int) -> tuple[int, ...]:
    generator = torch.Generator().manual_seed(0)
    n = min(FREQUENCIES, max(2, p // 8))
    drawn = [tuple((torch.randperm(p // 2, generator=generator)[:n] + 1).tolist()) for _ in range(DRAWS)]
    best = max(drawn, key=lambda frequencies: _gap(p, frequencies))
    return tuple(sorted(best))
