"""The block that sums residues, found by interchange."""

import math

from miii.analysis.sieve.interventions import Crossing, interchange
from miii.analysis.sieve.sums import sum_of_split
from miii.model.transformer import Transformer
from miii.tasks import MIU, Primes, Task


def locate(
    model: Transformer, task: Task, config: Primes | MIU, q: int, others: tuple[int, ...] = ()
) -> tuple[Crossing, ...]:
    """Interchange the sum modulo q in every block, at the last position.

    Directions come from one half of the training examples, pairs from the other half: the block can be chosen without
    looking at the test split.

    Args:
        others: the other sieved primes. Both integers of a pair have the same residues modulo these.

    Raises:
        InputError: as ``sum_of_split``.

    Source: interchange interventions, Geiger et al. 2021 (arXiv 2106.02997).
    """
    found = []
    for layer in range(len(model.blocks)):
        sums = sum_of_split(model, task, config, train=True, layer=layer)
        half = len(sums.n) // 2
        found.append(interchange(model, sums.rows(slice(half)), sums.rows(slice(half, None)), q, others))
    return tuple(found)


def block_of_sum(model: Transformer, task: Task, config: Primes | MIU, q: int, others: tuple[int, ...] = ()) -> int:
    """Return the block whose interchange moves the evidence most often, the first of several.

    Raises:
        InputError: as ``locate``.
    """
    if len(model.blocks) == 1:
        return 0
    accuracy = [each.accuracy for each in locate(model, task, config, q, others)]
    return max(range(len(accuracy)), key=lambda layer: -1 if math.isnan(accuracy[layer]) else accuracy[layer])
