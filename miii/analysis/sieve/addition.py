"""The verdict on a network for primes or MIU: does it sum residues modulo q?"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache

from miii.analysis.sieve.factors import LEAST, LIMIT, Depth, indivisible, sieved
from miii.analysis.sieve.interventions import Crossing, interchange, steer
from miii.analysis.sieve.lattice import Generalization, generalize
from miii.analysis.sieve.location import locate, most_moved, sums_by_block
from miii.analysis.sieve.residues import Explained, explained
from miii.analysis.sieve.sums import Sum, sensitivity, sum_of_split
from miii.errors import join_names
from miii.model.transformer import Transformer
from miii.tasks import MIU, Primes, Task

EXPLAINED, CROSSES, KEEPS = 0.9, 0.95, 0.05  #: bounds of the verdict
MODULI = 14  #: test the primes below this, and those that the network sieves by


@dataclass(frozen=True)
class Addition:
    """Three measures of a sum of residues modulo q: variance explained, interchange and steering.

    Attributes:
        layer: the block whose attention makes the sum.
        interchange: None if q is at least the base. Then each digit has its own residue, their q - 1 directions hold
            all of the sum, and interchange succeeds in any network.
        generalization: whether the network is right about sums that training did not show; None for MIU.
        by_block: interchange in every block, on training examples, which chose ``layer``; empty for a single block.
    """

    q: int
    layer: int
    explained: Explained
    interchange: Crossing | None
    steering: Crossing
    base: int | None
    generalization: Generalization | None = None
    by_block: tuple[Crossing, ...] = ()

    @property
    def variance_explained(self) -> float:
        """The share of variance that residues explain; the pooled share if q is at least the base.

        In that case each digit has its own residue, so the share by place is 1 for any network.
        """
        return self.explained.share if below(self.q, self.base) else self.explained.pooled

    @property
    def adds(self) -> bool:
        """Whether all measures pass: explained >= 0.9, both crossings >= 0.95, all controls <= 0.05."""
        return (
            self.variance_explained >= EXPLAINED
            and all(accuracy >= CROSSES for accuracy in self._accuracies)
            and all(control <= KEEPS for control in self._controls)
        )

    @property
    def generalizes(self) -> bool | None:
        """Whether the network adds and is right about unseen sums too; None if this was not measured."""
        return None if self.generalization is None else self.adds and self.generalization.generalizes

    @property
    def decided(self) -> bool:
        """Whether there are enough examples to decide: all measures pass, or one of them fails."""
        missed = any(accuracy < CROSSES for accuracy in self._accuracies)
        missed = missed or any(control > KEEPS for control in self._controls)
        return self.adds or missed or not self.variance_explained >= EXPLAINED

    @property
    def _accuracies(self) -> tuple[float, ...]:
        swapped = () if self.interchange is None else (self.interchange.accuracy,)
        return (*swapped, self.steering.accuracy)

    @property
    def _controls(self) -> tuple[float, ...]:
        """Return the controls. Steering modulo 2 has none, since all non-multiples have the same residue."""
        swapped = () if self.interchange is None else (self.interchange.control, self.interchange.rest)
        return swapped if self.q == 2 else (*swapped, self.steering.control)


def below(q: int, base: int | None) -> bool:
    """Return whether residues modulo q say less than the digits: q is below the base, or there is none."""
    return base is None or q < base


def measure_addition(
    model: Transformer, task: Task, config: Primes | MIU, moduli: Sequence[int], seen: Collection[int] = ()
) -> tuple[Addition, ...]:
    """Measure the sum of residues modulo each of some primes, in the block that makes it.

    With several blocks, that is the block whose interchange at the last position moves most (``locate``).

    Args:
        seen: primes that the network sieves by. Each measurement leaves out multiples of the others.

    Raises:
        InputError: as ``sum_of_split``.
    """
    integers = config if isinstance(config, Primes) else None

    base = None if integers is None else integers.base
    in_blocks = sums_by_block(model, task, config)

    @cache
    def tested(layer: int) -> Sum:
        return sum_of_split(model, task, config, train=False, layer=layer)

    def measure(q: int) -> Addition:
        others = tuple(p for p in seen if p != q)
        by_block = locate(model, in_blocks, q, others) if len(in_blocks) > 1 else ()
        layer = most_moved(by_block) if by_block else 0
        fitted, held_out = in_blocks[layer], tested(layer)
        free = fitted.rows(indivisible(fitted.n, others))
        return Addition(
            q=q,
            layer=layer,
            explained=explained(held_out, sensitivity(model, free), q),
            interchange=interchange(model, fitted, held_out, q, others) if below(q, base) else None,
            steering=steer(model, fitted, held_out, q, others),
            base=base,
            generalization=None if integers is None else generalize(model, task, integers, fitted, held_out, q, others),
            by_block=by_block,
        )

    return tuple(map(measure, moduli))


def moduli_to_test(config: Primes, found: Depth) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the moduli to test (below 14, or sieved by), and those that the network sieves by."""
    seen = tuple(factor.q for factor in found.factors if factor.low >= LEAST)
    return tuple(q for q in sieved(config, LIMIT) if q < MODULI or q in seen), seen


def verdict(added: tuple[Addition, ...]) -> str:
    """Return the verdict, such as "sums residues modulo 3 and looks the total up" or "adds digits modulo 3 and 7".

    A network adds if it is right about sums that training did not show, too; otherwise it looks the total up.
    """
    if not any(each.decided for each in added):
        return "has too few examples to tell whether it sums residues"
    adds, looks_up, sums = (
        [str(each.q) for each in added if each.adds and each.generalizes is kind] for kind in (True, False, None)
    )
    parts = [f"adds digits modulo {join_names(adds)}"] if adds else []
    parts += [f"sums residues modulo {join_names(looks_up)} and looks the total up"] if looks_up else []
    parts += [f"sums residues modulo {join_names(sums)}"] if sums else []
    return "; ".join(parts) or "does not sum residues modulo a prime"
