"""What an imported network was trained on: the task that was claimed, tried against every operation."""

from collections.abc import Mapping
from typing import get_args

from miii import runs
from miii.errors import InputError
from miii.model.transformer import answer
from miii.tasks import ModularAddition, Operation

LIKELY = 0.95  #: the accuracy over all pairs below which a claim is doubted


def accuracies(run: runs.Run) -> dict[str, float]:
    """Return the share of all p^2 pairs that the network answers as each operation asks, the claimed one first.

    The controls have the seed of the claimed task. ``expr`` is tried only where it is claimed.

    Raises:
        InputError: the run is not on modular arithmetic, or has no snapshot.
    """
    claimed = run.config.task
    if not isinstance(claimed, ModularAddition):
        raise InputError(f"run must be on modular arithmetic ({run.name} is on {claimed.kind}).")
    predicted = answer(run.model(), run.task().tokens)
    found: dict[str, float] = {claimed.operation: (predicted == run.task().labels).double().mean().item()}
    for operation in get_args(Operation):
        if operation not in (claimed.operation, "expr"):
            other = ModularAddition(operation=operation, p=claimed.p, seed=claimed.seed, train_fraction=None)
            found[operation] = (predicted == other.build().labels).double().mean().item()
    return found


def likelier(found: Mapping[str, float]) -> str | None:
    """Return the operation that fits best, where it fits most pairs and is another than the claimed, first one."""
    best = max(found, key=found.__getitem__)  # the first of equals
    return None if best == next(iter(found)) or found[best] < 0.5 else best


def doubt(run: runs.Run, found: Mapping[str, float]) -> str | None:
    """Return a warning where the claimed task fits less than ``LIKELY`` of all pairs; else None.

    Args:
        found: what ``accuracies`` measured.
    """
    claimed, accuracy = next(iter(found.items()))
    if accuracy >= LIKELY:
        return None
    text = f"only {accuracy:.1%} of all pairs are answered as {claimed} asks"
    if better := likelier(found):
        text += f", and {found[better]:.1%} as {better} asks, which is the likelier reading"
    best = max(found, key=found.__getitem__)
    if found[best] < LIKELY:
        model = run.config.model
        norms = "with LayerNorms" if model.block == "pre-norm" else "without norms"
        text += (
            f"; no operation fits (the best is {best}, with {found[best]:.1%}), so the network may be another than the "
            f"one read: act {model.act}, causal {str(model.causal).lower()}, {norms}"
        )
    return f"{text}."
