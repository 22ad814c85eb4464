"""All that is measured of a network that was asked for primes, and the verdict: does it sum the digits' residues?"""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch

from miii import runs
from miii.analysis.sieve import circuit, depth, digits, interchange, numbers, probes, steering
from miii.analysis.sieve.digits import Explained
from miii.analysis.sieve.interchange import Crossing
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.read import finite
from miii.tasks import MIU, Primes, Task
from miii.training import build_model

EXPLAINED, CROSSES, KEEPS = 0.9, 0.95, 0.05  #: the bounds of the verdict's rule
MODULI = 14  #: a sum of residues is looked for modulo the primes below it, and those that the network sieves by

#: What the verdict leaves open: few digits have few totals, so a table of them would pass the rule as well.
OPEN = "Whether it has found the rule or a table of totals is open."


@dataclass(frozen=True)
class Addition:
    """The three measures of a sum of residues modulo q.

    Source: own design; see the three modules.
    """

    q: int
    explained: Explained
    interchange: Crossing
    steering: Crossing
    base: int | None

    @property
    def variance_explained(self) -> float:
        """The share of the contributions' variance that residues explain; the pooled one where q is at least the base.

        There each digit has a residue of its own, so the share by place is 1 for any network.
        """
        by_place = self.base is None or self.q < self.base
        return self.explained.share if by_place else self.explained.pooled

    @property
    def adds(self) -> bool:
        """The verdict's rule: explained >= .9, both crossings >= .95, both controls <= .05, and all are measured."""
        accuracies = self.interchange.accuracy, self.steering.accuracy
        return (
            self.variance_explained >= EXPLAINED
            and all(accuracy >= CROSSES for accuracy in accuracies)
            and all(control <= KEEPS for control in self._controls)
        )

    @property
    def told(self) -> bool:
        """Whether the rule decides: it holds, or a bound is missed, rather than too few examples to measure."""
        missed = any(accuracy < CROSSES for accuracy in (self.interchange.accuracy, self.steering.accuracy))
        missed = missed or any(control > KEEPS for control in self._controls)
        return self.adds or missed or not self.variance_explained >= EXPLAINED

    @property
    def _controls(self) -> tuple[float, ...]:
        """Modulo 2 steering has none: there is one kind of non-multiple."""
        return (self.interchange.control, self.steering.control)[: 1 if self.q == 2 else 2]


def addition(
    model: Transformer,
    task: Task,
    config: Primes | MIU,
    moduli: Sequence[int],
    seen: Collection[int] = (),
) -> tuple[Addition, ...]:
    """Measure the sum of residues modulo each of some primes.

    Args:
        seen: the primes that the network sieves by; the others of them are kept out of each measurement.

    Raises:
        InputError: as ``digits.of_side``.
    """
    fitted, held_out = (digits.of_side(model, task, config, side) for side in (True, False))
    base = config.base if isinstance(config, Primes) else None
    return tuple(_measure(model, fitted, held_out, q, tuple(p for p in seen if p != q), base) for q in moduli)


def _measure(
    model: Transformer,
    fitted: digits.Sum,
    held_out: digits.Sum,
    q: int,
    others: tuple[int, ...],
    base: int | None,
) -> Addition:
    free = fitted.resid[torch.from_numpy(numbers.undivided(fitted.n, others))]
    return Addition(
        q=q,
        explained=digits.explained(held_out, digits.metric(model, free), q),
        interchange=interchange.interchange(model, fitted, held_out, q, others),
        steering=steering.steer(model, fitted, held_out, q, others),
        base=base,
    )


def asked(config: Primes, found: depth.Depth) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The moduli by which a sum of residues is looked for, those below 14 and those sieved by, and the latter alone."""
    seen = tuple(factor.q for factor in found.factors if factor.low >= depth.LEAST)
    return tuple(q for q in numbers.sieved(config, depth.LIMIT) if q < MODULI or q in seen), seen


def report(
    run: runs.Run,
    step: int | None = None,
    shuffled: runs.Run | None = None,
    progress: Callable[[int, int, str], None] | None = None,
) -> dict[str, Any]:
    """What ``miii residues RUN --json`` prints of a run on primes or on MIU. Shares are in 0 .. 1, moduli are text.

    Args:
        shuffled: a run on the same examples with shuffled labels, as the probes' second control.
        progress: told how many parts are done, of how many, and what is measured next.

    Of a network whose blocks add nothing up before their neurons, or are not plain, addition and circuits stay empty.
    A question that all examples answer alike has no circuit.
    None stands for what there are too few examples to measure.

    Raises:
        InputError: a run's task is another.
    """
    config = numbers.check(run.config.task)
    model, task = run.model(step), run.task()
    tell = progress or (lambda done, todo, what: None)
    tell(0, 1, "depth of sieve")
    values: dict[str, Any] = {"run": run.name, "step": run.steps[-1] if step is None else step}
    moduli: tuple[int, ...] = (3,)
    seen: tuple[int, ...] = ()
    if isinstance(config, Primes):
        found = depth.depth(model, task, config)
        moduli, seen = asked(config, found)
        values |= {"label_only": config.label_only} | found.to_json()
    questions = ("base", *map(str, seen)) if isinstance(config, Primes) else ("3",)
    if not model.config.plain:  # circuits need parts that add up
        questions = ()
    networks = {"trained": model, "untrained": build_model(run.config, task).requires_grad_(False)}
    if shuffled is not None:
        networks["shuffled"] = shuffled.model()
    todo = 2 + len(networks) + len(questions)
    tell(1, todo, "addition")
    try:
        added = addition(model, task, config, moduli, seen)
    except InputError:  # what its blocks write is no sum, or no integer of a side is coprime to the base
        added = ()
    read: dict[str, Any] = {"shuffled": None}
    for done, (name, network) in enumerate(networks.items(), 2):
        tell(done, todo, f"probes, {name}")
        best = probes.probe(network, task, moduli)
        read[name] = {str(q): best.best(q) for q in moduli}
    found_circuits = {}
    for done, name in enumerate(questions, 2 + len(networks)):
        tell(done, todo, f"circuit of {name}")
        with suppress(InputError):  # all examples have the same answer, so there is nothing to ask
            found_circuits[name] = circuit.find(model, task, config, name).to_json()
    tell(todo, todo, "done")
    return values | {
        "probe_r2": read,
        "digit_variance_explained": {str(a.q): finite(a.variance_explained) for a in added},
        "digit_variance_chance": {str(a.q): finite(a.explained.chance) for a in added},
        "interchange_accuracy": {str(a.q): finite(a.interchange.accuracy) for a in added},
        "interchange_control": {str(a.q): finite(a.interchange.control) for a in added},
        "steering_accuracy": {str(a.q): finite(a.steering.accuracy) for a in added},
        "steering_control": {str(a.q): finite(a.steering.control) for a in added},
        "circuits": found_circuits,
        "verdict": verdict(added) if added or digits.splits(model) else "cannot be split by digits",
    }


def verdict(added: tuple[Addition, ...]) -> str:
    """Return "sums residues modulo 3 and 7", "does not sum residues modulo a prime", or that too few examples tell.


    The sum is what is shown; see ``OPEN``.
    """
    passed = [str(each.q) for each in added if each.adds]
    if not any(each.told for each in added):
        return "has too few examples to tell whether it sums residues"
    if not passed:
        return "does not sum residues modulo a prime"
    listed = passed[0] if len(passed) == 1 else f"{', '.join(passed[:-1])} and {passed[-1]}"
    return f"sums residues modulo {listed}"
