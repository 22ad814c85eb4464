"""The phases of a run that groks: memorisation, circuit formation, cleanup; and what its curves alone show of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

GENERALISED = 0.99  #: test accuracy at which cleanup is over


@dataclass(frozen=True)
class Phase:
    """From ``start`` to ``end``, in steps; ``end`` is the next phase's start, or the last step.

    Source: Nanda et al. 2023 (arXiv 2301.05217), section 5.2, which marks them by eye.
    """

    name: str
    start: int
    end: int


def phases(measures: "pd.DataFrame") -> tuple[Phase, ...]:
    """Mark the phases of a run by a rule.

    - memorisation: until the excluded loss is lowest. From then on the training pairs, too, are answered by the key
      frequencies, and less and less without them;
    - circuit formation: from there until the test loss has fallen to half of its peak;
    - cleanup: from there until the test accuracy first reaches 99 %;
    - afterwards: the rest.

    A phase that does not end is the last one, and one that would begin at its end is left out. Where the split is
    unknown, or nothing was excluded for want of key frequencies, there are none.

    Args:
        measures: as ``Trajectory.frame`` gives them: step, train_loss, excluded_loss, test_loss, test_accuracy; a row a
            snapshot.

    Source: own rule for the phases of Nanda et al. 2023, section 5.2.
    """
    rows = measures.dropna(subset=["test_loss", "test_accuracy"]).reset_index(drop=True)
    if rows.empty or (rows["excluded_loss"] == rows["train_loss"]).all():
        return ()
    last = len(rows) - 1
    lowest, peak = int(rows["excluded_loss"].argmin()), int(rows["test_loss"].argmax())
    halved = rows.index[(rows["test_loss"] <= rows["test_loss"].max() / 2) & (rows.index > peak)]
    generalised = rows.index[rows["test_accuracy"] >= GENERALISED]
    ends = (
        ("memorisation", lowest if lowest < last else None),
        ("circuit formation", halved[0] if len(halved) else None),
        ("cleanup", generalised[0] if len(generalised) else None),
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


def outline(measures: "pd.DataFrame", grokked_at: int | None) -> tuple[Phase, ...]:
    """What the curves of training alone tell, without a look inside: cheap enough to stand beside everything.

    - memorises: until 99 % of the training examples are right; left out where they never are, as among primes;
    - generalises: from there until the run has grokked by its task's own criterion;
    - has grokked: the rest.

    Args:
        measures: as ``Run.metrics`` gives them: step, train_accuracy; a row an evaluation.
        grokked_at: the step at which the run grokked, or None.

    Source: own rule; the curves are those of Power et al. 2022 (arXiv 2201.02177), figure 1.
    """
    rows = measures.dropna(subset=["train_accuracy"])
    if rows.empty or grokked_at is None:
        return ()
    known = rows.loc[rows["train_accuracy"] >= GENERALISED, "step"]
    first, last = int(rows["step"].iloc[0]), int(rows["step"].iloc[-1])
    memorised = min(int(known.iloc[0]), grokked_at) if len(known) else first
    found = (
        Phase("memorises", first, memorised),
        Phase("generalises", memorised, grokked_at),
        Phase("has grokked", grokked_at, last),
    )
    return tuple(phase for phase in found if phase.end > phase.start)
