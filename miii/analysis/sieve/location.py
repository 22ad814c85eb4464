"""The block that sums residues, found by interchange."""

import math
from collections.abc import Sequence

from miii.analysis.sieve.interventions import Crossing, interchange
from miii.analysis.sieve.sums import Sum, sum_of_split
from miii.model.transformer import Transformer
from miii.tasks import MIU, Primes, Task


def locate(model: Transformer, fitted: Sequence[Sum], q: int, others: tuple[int, ...] = ()) -> tuple[Crossing, ...]:
    """Interchange the sum modulo q in every block, at the last position.

    Directions come from one half of the training examples, pairs from the other half: the block can be chosen without
    looking at the test split.

    Args:
        fitted: the sums of training examples in every block.
        others: the other sieved primes. Both integers of a pair have the same residues modulo these.

    Source: interchange interventions, Geiger et al. 2021 (arXiv 2106.02997).
    """
    found = []
    for sums in fitted:
        half = len(sums.n) // 2
        found.append(interchange(model, sums.rows(slice(half)), sums.rows(slice(half, None)), q, others))
    return tuple(found)


def sums_by_block(model: Transformer, task: Task, config: Primes | MIU) -> tuple[Sum, ...]:
    """Return the sums of training examples in every block.

    Raises:
        InputError: as ``sum_of_split``.
    """
    return tuple(sum_of_split(model, task, config, train=True, layer=layer) for layer in range(len(model.blocks)))


def block_of_sum(model: Transformer, fitted: Sequence[Sum], q: int, others: tuple[int, ...] = ()) -> int:
    """Return the block whose interchange moves the evidence most often, the first of several.

    Args:
        fitted, others: as of ``locate``.
    """
    return 0 if len(fitted) == 1 else most_moved(locate(model, fitted, q, others))


def most_moved(by_block: Sequence[Crossing]) -> int:
    """Return the block whose interchange moves the evidence most often, the first of several."""
    accuracy = [-1 if math.isnan(each.accuracy) else each.accuracy for each in by_block]
    return accuracy.index(max(accuracy))
