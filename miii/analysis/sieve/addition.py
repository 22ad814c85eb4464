"""The verdict on a network for primes or MIU: does it sum residues modulo q?"""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from miii.analysis.sieve.factors import LEAST, LIMIT, Depth, indivisible, sieved
from miii.analysis.sieve.interventions import Crossing, interchange, steer
from miii.analysis.sieve.lattice import Generalization, generalize
from miii.analysis.sieve.location import locate, most_moved, sums_by_block
from miii.analysis.sieve.residues import Explained, explained
from miii.analysis.sieve.sums import Sum, sensitivity, sum_of_split
from miii.errors import join_names
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task

if TYPE_CHECKING:
    from miii.analysis.sieve.lines import Lines

EXPLAINED, CROSSES, KEEPS = 0.9, 0.95, 0.05  #: bounds of the verdict
MODULI = 14  #: test the primes below this, and those that the network sieves by


class Condition(NamedTuple):
    """A value and its bound in the verdict, a lower bound if ``least``."""

    name: str
    value: float
    bound: float
    least: bool

    @property
    def holds(self) -> bool | None:
        """Whether the bound is met; None without enough examples."""
        if math.isnan(self.value):
            return None
        return self.value >= self.bound if self.least else self.value <= self.bound

    @property
    def text(self) -> str:
        """The name, the value and the bound, such as "steering 0.706 (at least 0.95)"."""
        return f"{self.name} {self.value:.3f} (at {'least' if self.least else 'most'} {self.bound:g})"


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
    def conditions(self) -> tuple[Condition, ...]:
        """All conditions of the verdict: explained >= 0.9, both crossings >= 0.95, all controls <= 0.05.

        Steering modulo 2 has no control, since all non-multiples have the same residue.
        """
        swapped, of = self.interchange, "interchange"
        found = [Condition("explained", self.variance_explained, EXPLAINED, True)]
        if swapped is not None:
            found += [Condition(of, swapped.accuracy, CROSSES, True)]
            found += [Condition(f"{of} control", swapped.control, KEEPS, False)]
            found += [Condition(f"{of} of everything else", swapped.rest, KEEPS, False)]
        found += [Condition("steering", self.steering.accuracy, CROSSES, True)]
        found += [] if self.q == 2 else [Condition("steering control", self.steering.control, KEEPS, False)]
        return tuple(found)

    def conditions_to_json(self) -> dict[str, Any]:
        """Return each condition's value, bound, and whether it holds; None for NaN."""
        return {each.name: [finite(each.value), each.bound, each.holds] for each in self.conditions}

    @property
    def missed(self) -> tuple[Condition, ...]:
        """The conditions that fail. Without variance there is nothing to explain, which fails too."""
        return tuple(each for each in self.conditions if each.holds is False or self._nothing_varies(each))

    def _nothing_varies(self, condition: Condition) -> bool:
        return condition.name == "explained" and math.isnan(condition.value)

    @property
    def adds(self) -> bool:
        """Whether all conditions hold."""
        return all(each.holds for each in self.conditions)

    @property
    def generalizes(self) -> bool | None:
        """Whether the network adds and is right about unseen sums too; None if this was not measured."""
        return None if self.generalization is None else self.adds and self.generalization.generalizes

    @property
    def decided(self) -> bool:
        """Whether there are enough examples to decide: all conditions hold, or one of them fails."""
        return self.adds or bool(self.missed)


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
            steering=steer(model, fitted, held_out, q, others, digits=q in seen and bool(others)),
            base=base,
            generalization=None if integers is None else generalize(model, task, integers, fitted, held_out, q, others),
            by_block=by_block,
        )

    return tuple(map(measure, moduli))


def moduli_to_test(config: Primes, found: Depth) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the moduli to test (below 14, or sieved by), and those that the network sieves by."""
    seen = tuple(factor.q for factor in found.factors if factor.low >= LEAST)
    return tuple(q for q in sieved(config, LIMIT) if q < MODULI or q in seen), seen


def verdict(added: Sequence[Addition], lines: "Sequence[Lines]" = ()) -> str:
    """Return the verdict, such as "sums residues modulo 3 and looks the total up" or "adds digits modulo 3 and 7".

    A network adds if it is right about sums that training did not show, too; otherwise it looks the total up.

    Args:
        lines: of a network that sieves by several primes.
    """
    on_lines = [str(each.q) for each in lines if each.adds]
    if not on_lines and not any(each.decided for each in added):
        return "has too few examples to tell whether it sums residues"
    adds, looks_up, sums = (
        [str(each.q) for each in added if each.adds and each.generalizes is kind] for kind in (True, False, None)
    )
    parts = [f"adds digits modulo {join_names(adds)}"] if adds else []
    parts += [f"sums residues modulo {join_names(looks_up)} and looks the total up"] if looks_up else []
    parts += [f"sums residues modulo {join_names(sums)}"] if sums else []
    parts += [f"sums residues modulo {join_names(on_lines)} on lines"] if on_lines else []
    return "; ".join(parts) or "does not sum residues modulo a prime"
