"""Sweeps: a grid of settings and seeds as one folder of runs, trained by any number of processes.

    sweep.json          the base config, the grid, the seeds and the versions
    lr=0.01,seed=0/     an ordinary run for each setting
    .claims/            which process trains which run
    .failed/            why a run could not be trained

Every engine maps ``finish`` over the runs, so the result is the same to the bit whichever trained it. Small networks of
one shape train as one tensor program instead, equal up to rounding::

    sweep = miii.sweeps.create("runs/lr", miii.RunConfig(), {"lr": [0.01, 0.02]}, seeds=3)
    miii.sweeps.train(sweep, jobs=2)
    print(sweep.table())
"""

from miii.sweeps import phases
from miii.sweeps.bundle import ship, unpack
from miii.sweeps.engine import groups, train, work
from miii.sweeps.finish import Outcome, attempt, attempt_together, finish, retry
from miii.sweeps.folder import Sweep, create, every, is_sweep, open
from miii.sweeps.grid import MOST, choices, estimate, grid
from miii.sweeps.phases import Diagram

__all__ = [
    "MOST",
    "Diagram",
    "Outcome",
    "Sweep",
    "attempt",
    "attempt_together",
    "choices",
    "create",
    "estimate",
    "every",
    "finish",
    "grid",
    "groups",
    "is_sweep",
    "open",
    "phases",
    "retry",
    "ship",
    "train",
    "unpack",
    "work",
]
