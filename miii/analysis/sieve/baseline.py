"""What a network for primes is read beside: a table of counts and last digits, and its AUC by number of digits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from miii import metrics
from miii.analysis.sieve.factors import FEWEST, INTEGERS, LIMIT, MOST, draw_rows, evidence, sieved
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import Primes, Task
from miii.tasks.integers import residue_counts


@dataclass(frozen=True)
class Table:
    """The best guess from two facts about an integer: its digits' count vector modulo q, and its last digit.

    A network that sums residues modulo q and looks the total up knows no more.

    Attributes:
        q: the smallest prime that does not divide the base.
        cells: pairs of count vector and last digit among the training integers.
        roc_auc: of the share of primes in an integer's cell, over the same test integers as ``sieve.depth``; NaN if all
            are prime or none is.
    """

    q: int
    cells: int
    roc_auc: float

    def to_json(self) -> dict[str, Any]:
        """Return the values; None for NaN."""
        return {"q": self.q, "cells": self.cells, "roc_auc": finite(self.roc_auc)}


def count_table(task: Task, config: Primes, seed: int = 0) -> Table | None:
    """Fit the table to the training integers and score it on test integers; None if no small prime is left to sieve by.

    A test integer whose cell has no training integer gets the share of primes in training.
    """
    moduli = sieved(config, LIMIT)
    if not moduli:
        return None
    n, prime = task.facts["n"].numpy(), task.labels.numpy() == 1
    test, train = draw_rows(task, False, MOST, seed), np.flatnonzero(task.step_mask.numpy())
    cell = _cells(n[np.concatenate([train, test])], config, moduli[0])
    filled, asked = cell[: len(train)], cell[len(train) :]
    integers, primes = (np.bincount(filled, weight, cell.max() + 1) for weight in (None, prime[train]))
    share = np.where(integers > 0, primes / np.maximum(integers, 1), prime[train].mean())
    return Table(moduli[0], int((integers > 0).sum()), metrics.auc(share[asked], prime[test]))


def _cells(n: Int[np.ndarray, " integers"], config: Primes, q: int) -> Int[np.ndarray, " integers"]:
    """Return a number for each pair of count vector and last digit."""
    counts = residue_counts(n, config, q)
    _, vector = np.unique(np.ascontiguousarray(counts).view(f"V{q}")[:, 0], return_inverse=True)
    return vector * config.base + n % config.base


def auc_by_length(model: Transformer, task: Task, config: Primes, seed: int = 0) -> dict[int, dict[int, float]]:
    """Return the AUC of primes against composites by smallest factor, for test integers of each number of digits.

    Up to 10,000 integers of each length; factors with fewer than 20 composites are left out. Most integers of a range
    have the most digits, so ``sieve.depth`` says little about the others.

    Raises:
        InputError: a logit is not finite.
    """
    rows = draw_rows(task, False, len(task.labels), seed)
    length = _digits(task.facts["n"].numpy()[rows], config)
    found: dict[int, dict[int, float]] = {}
    for digits in np.unique(length).tolist():
        mine = np.random.default_rng(seed).permutation(rows[length == digits])[:INTEGERS]
        score, spf, prime = evidence(model, task.tokens[mine]), task.facts["spf"].numpy()[mine], task.labels[mine] == 1
        found[digits] = _aucs(score, spf, prime.numpy(), sieved(config, LIMIT))
    return found


def _aucs(
    score: Float[np.ndarray, " integers"], spf: np.ndarray, prime: np.ndarray, moduli: tuple[int, ...]
) -> dict[int, float]:
    against = {q: (spf == q) & ~prime for q in moduli}
    return {
        q: metrics.auc(score[prime | composites], prime[prime | composites])
        for q, composites in against.items()
        if composites.sum() >= FEWEST and prime.any()
    }


def _digits(n: Int[np.ndarray, " integers"], config: Primes) -> Int[np.ndarray, " integers"]:
    """Return the number of digits of each integer in the base; 0 has one."""
    powers = np.array([config.base**place for place in range(1, config.width)], dtype=np.int64)
    return 1 + (n[:, None] >= powers).sum(1)
