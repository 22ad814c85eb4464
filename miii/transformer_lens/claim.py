"""Test the claimed task of an imported network against every operation."""

from collections.abc import Mapping
from typing import get_args

from miii import runs
from miii.errors import InputError
from miii.model.transformer import answer
from miii.tasks import ModularAddition, Operation

LIKELY = 0.95  #: accuracy over all pairs below which a claim is doubtful


def accuracies(run: runs.Run) -> dict[str, float]:
    """Return the accuracy on all p^2 pairs under each operation, the claimed one first.

    Controls use the claimed task's seed. ``expr`` is tried only if claimed.

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
    """Return the best operation if it fits at least half of the pairs and is not the claimed one; else None."""
    best = max(found, key=found.__getitem__)  # ties go to the first
    return None if best == next(iter(found)) or found[best] < 0.5 else best


def doubt(run: runs.Run, found: Mapping[str, float]) -> str | None:
    """Return a warning if the claimed task fits less than ``LIKELY`` of all pairs; else None.

    Args:
        found: result of ``accuracies``.
    """
    claimed, accuracy = next(iter(found.items()))
    if accuracy >= LIKELY:
        return None
    text = f"the accuracy over all pairs is only {accuracy:.1%} as {claimed}"
    if better := likelier(found):
        text += f", and {found[better]:.1%} as {better}, which is likelier"
    best = max(found, key=found.__getitem__)
    if found[best] < LIKELY:
        model = run.config.model
        norms = "with LayerNorms" if model.block == "pre-norm" else "without norms"
        text += (
            f"; no operation fits (the best is {best}, {found[best]:.1%}), so an option of the import may be wrong: "
            f"act {model.act}, causal {str(model.causal).lower()}, {norms}"
        )
    return f"{text}."
