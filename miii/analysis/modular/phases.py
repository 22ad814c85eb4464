"""The phases of a run that groks: memorization, circuit formation, cleanup. Other tasks have one mark."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from miii.tasks import TaskConfig
from miii.tasks.task import GROKKED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Phase:
    """A phase from ``start`` to ``end``, in steps; ``end`` is the next phase's start, or the last step.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.2, who mark them by eye.
    """

    name: str
    start: int
    end: int


def mark(measures: "pd.DataFrame") -> tuple[Phase, ...]:
    """Mark the phases of a run on modular arithmetic from its training curves.

    - memorization: until the test loss is highest;
    - circuit formation: until the test loss has fallen to half of that;
    - cleanup: until the test accuracy first reaches 99% (the run has grokked);
    - afterwards: the rest.

    A phase that does not end is the last one; phases of zero length are left out. Returns no phases if the split is
    unknown or the training accuracy never reaches 99%.

    Args:
        measures: from ``Run.metrics``, one row per evaluation: step, train_accuracy, test_loss, test_accuracy.

    Source: Nanda et al. 2023, section 5.2. They end memorization at the lowest excluded loss, which would need the
    weights of every step.
    """
    rows = measures.dropna(subset=["test_loss", "test_accuracy"]).reset_index(drop=True)
    if rows.empty or not rows["train_accuracy"].max() >= GROKKED:
        return ()
    last = len(rows) - 1
    grokked = rows.index[rows["test_accuracy"] >= GROKKED]
    before = rows["test_loss"].head(int(grokked[0]) + 1 if len(grokked) else len(rows))
    peak = int(before.argmax())
    halved = rows.index[(rows["test_loss"] <= before.max() / 2) & (rows.index > peak)]
    ends = (
        ("memorization", peak if peak < last else None),
        ("circuit formation", halved[0] if len(halved) else None),
        ("cleanup", grokked[0] if len(grokked) else None),
    )
    found: list[Phase] = []
    steps, start = [int(step) for step in rows["step"]], 0
    for name, end in ends:
        if end is None or end > start:
            found.append(Phase(name, steps[start], steps[last if end is None else end]))
            start = last if end is None else int(end)
        if start == last:
            return tuple(found)
    return (*found, Phase("afterwards", steps[start], steps[last]))


def outline(task: TaskConfig, measures: "pd.DataFrame", grokked_at: int | None) -> tuple[Phase, ...]:
    """Return the marks of a run on any task: its phases, or one mark from the step that met the task's criterion.

    Tasks other than modular arithmetic have one mark, such as "sieves by 3".

    Args:
        measures: from ``Run.metrics``, one row per evaluation.
        grokked_at: the step that met the task's criterion, or None.
    """
    if task.milestone == "grokked":
        return mark(measures)
    return () if grokked_at is None else (Phase(task.milestone, grokked_at, int(measures["step"].iloc[-1])),)


def phase_at(marked: tuple[Phase, ...], step: int) -> str | None:
    """Return the name of the phase at a step; at a boundary, the later phase."""
    return next((phase.name for phase in reversed(marked) if phase.start <= step <= phase.end), None)
