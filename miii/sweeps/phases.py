"""Phase diagrams: the learning phase of each setting of two options; large ones are refined where neighbors differ."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from miii import runs
from miii.errors import InputError, quoted
from miii.model.config import ModelConfig
from miii.sweeps.finish import failure
from miii.sweeps.folder import ENDED, Sweep
from miii.tasks import ModularAddition
from miii.training import flat
from miii.training.config import RunConfig
from miii.training.optim import AdamW

if TYPE_CHECKING:
    import pandas as pd

Phase = Literal["comprehension", "grokking", "memorization", "confusion"]
PHASES: Final[tuple[Phase, ...]] = ("comprehension", "grokking", "memorization", "confusion")
REACHED: Final = 0.9  #: accuracy at which a split counts as learned
AXES: Final = ("lr", "weight_decay", "train_fraction", "d_model", "init_scale")  #: options of the page's axes
AT_ONCE: Final = 64  #: the most cells of a diagram that is trained in one round
COARSE: Final = 3  #: least intervals of the first lattice along the longer axis

Cell = tuple[int, int]  #: index of the value of x, and of y, in ascending order


def phase_of(rows: Sequence[Mapping[str, float]], delay: int) -> Phase | None:
    """Return the learning phase of a run; None before its first evaluation.

    Confusion: training accuracy never reaches 90%. Memorization: it does, and test accuracy does not. Both do in
    comprehension, with test accuracy at most ``delay`` steps later, and in grokking, where it takes longer.

    Args:
        rows: a run's evaluations (``Run.rows``).

    Source: Liu et al. 2022 (arXiv 2205.10343), table 1, with 10^5 steps and a delay of 10^3.
    """
    if not rows:
        return None
    train, test = (_first(rows, f"{split}_accuracy") for split in ("train", "test"))
    if train is None:
        return "confusion"
    if test is None:
        return "memorization"
    return "comprehension" if test - train <= delay else "grokking"


def _first(rows: Sequence[Mapping[str, float]], accuracy: str) -> int | None:
    return next((int(row["step"]) for row in rows if row[accuracy] >= REACHED), None)


def base(p: int = 13, **changes: Any) -> RunConfig:
    """Return the config that a small diagram varies: a network that groks addition within 1,000 steps.

    It stops once both accuracies reach 90%, which decides its phase.

    Args:
        changes: options by name, as in ``flat.change``.

    Raises:
        InputError: an option is unknown or out of range.
    """
    small = RunConfig(
        task=ModularAddition(p=p, train_fraction=0.8),
        model=ModelConfig(d_model=32, d_mlp=128),
        optimizer=AdamW(lr=0.01, weight_decay=1.0),
        steps=1000,
        until_accuracy=REACHED,
        schedule="constant",
        eval_every=20,
        snapshots=2,
        precision="float32",
        threads=1,
    )
    return flat.change(small, changes)


def spaced(option: str, low: float, high: float, count: int) -> list[float]:
    """Return evenly spaced values of an axis, to three digits: the training share linearly, other options in log.

    Widths are rounded to multiples of the four heads, each once.

    Raises:
        InputError: the option is not one of ``AXES``, the bounds or the count are invalid, or all values are the same.
    """
    if option not in AXES:
        raise InputError(f"axis must be one of {', '.join(AXES)} (got {quoted(option)}).")
    linear = option == "train_fraction"
    if not (-math.inf if linear else 0) < low < high < math.inf:
        above = "" if linear else "above 0 and "
        raise InputError(f"{option} must run from a low value {above}below the high one (got {low:g} to {high:g}).")
    if count < 2:
        raise InputError(f"axes must have at least 2 values each (got {count}).")
    shares = [i / (count - 1) for i in range(count)]
    values = [low + share * (high - low) if linear else low * (high / low) ** share for share in shares]
    wide = option == "d_model"
    found = sorted({max(4, 4 * round(value / 4)) if wide else float(f"{value:.3g}") for value in values})
    if len(found) < 2:
        steps = "multiples of 4" if wide else "values of three digits"
        raise InputError(f"{option} must run over at least two {steps} (got {low:g} to {high:g}).")
    return list(found)


def refine(shape: tuple[int, int], known: Mapping[Cell, Any]) -> tuple[list[Cell], dict[Cell, Any]]:
    """Return the cells to compute next, and the values of the others: known, or those of neighbors that agree.

    A coarse lattice comes first, with the last row and column. Each finer lattice takes the value of the four coarse
    cells around a cell if they agree; a cell is computed if they do not, or if it differs from a cell beside it.

    Args:
        shape: number of values of x and of y.
        known: values computed so far.
    """
    stride = 2 ** max(0, math.floor(math.log2(max(1, (max(shape) - 1) / COARSE))))
    values: dict[Cell, Any] = {}
    before: list[list[int]] | None = None
    while True:
        axes = [sorted({*range(0, size, stride), size - 1}) for size in shape]
        lattice = list(itertools.product(*axes))
        for cell in lattice:
            if cell in known:
                values[cell] = known[cell]
            elif before is not None and cell not in values:
                around = {values[corner] for corner in _corners(cell, before)}
                if len(around) == 1:
                    values[cell] = around.pop()
        needed = [cell for cell in lattice if cell not in known and _differs(cell, values, axes)]
        if needed or stride == 1:
            return needed, {cell: value for cell, value in values.items() if cell not in needed}
        before, stride = axes, stride // 2


def _corners(cell: Cell, axes: Sequence[Sequence[int]]) -> Iterator[Cell]:
    """Return the cells of a coarser lattice around a cell."""
    ends = [
        (max(i for i in axis if i <= at), min(i for i in axis if i >= at)) for at, axis in zip(cell, axes, strict=True)
    ]
    return itertools.product(*ends)  # type: ignore[return-value]


def _differs(cell: Cell, values: Mapping[Cell, Any], axes: Sequence[Sequence[int]]) -> bool:
    """Return whether a cell has no value, or another one than a cell beside it."""
    if cell not in values:
        return True
    x, y = (axis.index(at) for axis, at in zip(axes, cell, strict=True))
    beside = [(axes[0][i], cell[1]) for i in (x - 1, x + 1) if 0 <= i < len(axes[0])]
    beside += [(cell[0], axes[1][i]) for i in (y - 1, y + 1) if 0 <= i < len(axes[1])]
    return any(other in values and values[other] != values[cell] for other in beside)


class Diagram:
    """The phases of a sweep over two options, as far as its runs have ended.

    Args:
        x, y: options of the grid.
        delay: steps between training and test accuracy up to which a run comprehends, by default steps / 20.

    Raises:
        InputError: an option is not of the grid, or its values are not numbers.
    """

    def __init__(self, sweep: Sweep, x: str, y: str, delay: int | None = None) -> None:
        self.sweep, self.x, self.y = sweep, x, y
        self.delay = sweep.base.steps // 20 if delay is None else delay
        options = {name: flat.values(config) for name, config in sweep.configs.items()}
        for name in (x, y):
            if name not in sweep.grid or x == y:
                raise InputError(f"axes must be two options of the grid {', '.join(sweep.grid)} (got {quoted(name)}).")
            if not all(isinstance(each[name], int | float) for each in options.values()):
                raise InputError(f"axes must be options whose values are numbers (got {quoted(name)}).")
        self.values = tuple(sorted({each[name] for each in options.values()}) for name in (x, y))
        self.runs: dict[Cell, list[str]] = {}
        for name, each in options.items():
            cell = (self.values[0].index(each[x]), self.values[1].index(each[y]))
            self.runs.setdefault(cell, []).append(name)

    def next(self) -> dict[str, RunConfig]:
        """Return the runs to train next, which is none once the diagram is complete.

        A small diagram begins with all cells. A step of a program costs as much as several of its networks, so fewer
        networks in more rounds would take longer.
        """
        known = self._known()
        needed = refine(self._shape, known)[0] if known or len(self.runs) > AT_ONCE else list(self.runs)
        left = [name for cell in needed for name in self.runs[cell] if self._row(name) is None]
        return {name: self.sweep.configs[name] for name in left}

    def rows(self) -> list[dict[str, Any]]:
        """Return one dict per cell: the options, phase (None if it is unknown), learned_at, run and inferred.

        ``learned_at`` is the first evaluated step with a test accuracy of 90%.

        Of several runs in a cell, the phase is the most frequent one, and the run is the first with it. An inferred
        cell has the phase of its neighbors, and no run.
        """
        known, found = self._known(), []
        _, values = refine(self._shape, known)
        for cell in sorted(self.runs):
            row = dict(zip((self.x, self.y), (v[i] for v, i in zip(self.values, cell, strict=True)), strict=True))
            phase = values.get(cell)
            told = [self._row(name) or {} for name in self.runs[cell]] if cell in known else []
            first = next((each for each in told if each["phase"] == phase), {})
            row |= {"phase": phase, "learned_at": first.get("learned_at"), "run": first.get("run")}
            found.append(row | {"inferred": phase is not None and cell not in known})
        return found

    def table(self) -> "pd.DataFrame":
        """Return ``rows`` as a data frame."""
        import pandas as pd

        return pd.DataFrame(self.rows(), columns=[self.x, self.y, "phase", "learned_at", "run", "inferred"])

    @property
    def _shape(self) -> tuple[int, int]:
        return len(self.values[0]), len(self.values[1])

    def _known(self) -> dict[Cell, str]:
        """Return the phases of the cells whose runs have all ended."""
        found = {}
        for cell, names in self.runs.items():
            told = [self._row(name) for name in names]
            phases = [each["phase"] for each in told if each is not None]
            if len(phases) == len(names):
                found[cell] = max(phases, key=phases.count)
        return found

    def _row(self, name: str) -> dict[str, Any] | None:
        """Return the phase of a run and when it grokked; None until it has ended."""
        place = self.sweep.folder / name
        try:
            stamp = (place / "result.json").stat().st_mtime_ns
        except OSError:
            return None if failure(place) is None else {"run": name, "phase": "failed", "learned_at": None}
        return _ended(place, stamp, self.delay)


@lru_cache(maxsize=20_000)
def _ended(place: Path, stamp: int, delay: int) -> dict[str, Any] | None:
    run = runs.open(place.absolute())
    if runs.row(run)["status"] not in ENDED:
        return None
    rows = run.rows()
    return {"run": place.name, "phase": phase_of(rows, delay), "learned_at": _first(rows, "test_accuracy")}
