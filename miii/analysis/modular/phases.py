"""The phases of a run that groks: memorization, circuit formation, cleanup; of other tasks, what they reached."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from miii.tasks import TaskConfig
from miii.tasks.task import GROKKED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Phase:
    """From ``start`` to ``end``, in steps; ``end`` is the next phase's start, or the last step.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.2, which marks them by eye.
    """

    name: str
    start: int
    end: int


def phases(measures: "pd.DataFrame") -> tuple[Phase, ...]:
    """Mark the phases of a run on modular arithmetic by the curves of its training.

    - memorization: until the test loss is highest;
    - circuit formation: from there until the test loss has fallen to half of that;
    - cleanup: from there until the test accuracy first reaches 99 %: until the run has grokked;
    - afterwards: the rest.

    A phase that does not end is the last one, and one that would begin at its end is left out. There are none where the
    split is unknown, or where 99 % of the training pairs are never known.

    Args:
        measures: as ``Run.metrics`` gives them: step, train_accuracy, test_loss, test_accuracy; a row an evaluation.

    Source: the phases are those of Nanda et al. 2023, section 5.2. There memorization ends where the excluded loss is
    lowest, which takes a look inside the network at every step.
    """
    rows = measures.dropna(subset=["test_loss", "test_accuracy"]).reset_index(drop=True)
    if rows.empty or not rows["train_accuracy"].max() >= GROKKED:
        return ()
    last = len(rows) - 1
    grokked = rows.index[rows["test_accuracy"] >= GROKKED]
    before = rows["test_loss"].head(int(grokked[0]) + 1 if len(grokked) else len(rows))  # what comes after is no peak
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
    """Return what is marked of a run on any task: its ``phases``, or since when it has what its task asks for.

    Other tasks than modular arithmetic have a single mark, such as "sieves by 3", from the step that reached it.

    Args:
        measures: as ``Run.metrics`` gives them; a row an evaluation.
        grokked_at: the step at which the task's own criterion was met, or None.
    """
    if task.milestone == "grokked":
        return phases(measures)
    return () if grokked_at is None else (Phase(task.milestone, grokked_at, int(measures["step"].iloc[-1])),)


def phase_at(marked: tuple[Phase, ...], step: int) -> str | None:
    """Return the name of the phase that a step is in; of two that meet there, the one that begins."""
    return next((phase.name for phase in reversed(marked) if phase.start <= step <= phase.end), None)
