"""Checks of the pages that need a run on modular arithmetic; each says what is missing and stops the page."""

from miii import ModularAddition
from miii.analysis.modular import grid
from miii.errors import InputError
from miii.runs import Run
from pages._kit.run_picker import refuse
from pages._server.settings import LIMIT
from pages._tasks.checks import run_on


def modular_run(shows: str) -> tuple[Run, ModularAddition]:
    """Return the chosen run and its task.

    Args:
        shows: what the page shows, as in "This page shows ... of a network".
    """
    return run_on(ModularAddition, f"{shows} of a network that calculates with pairs of numbers modulo p")


def all_pairs(run: Run, task: ModularAddition) -> int:
    """Return the p of a task that is made of all pairs of Z_p."""
    small_enough(run, task)
    try:
        return grid.modulus(run.task())
    except InputError as error:
        refuse(run, str(error))


def small_enough(run: Run, task: ModularAddition) -> int:
    """Return the p of a run; the app shows the grid of all pairs up to ``LIMIT``."""
    if task.p > LIMIT:
        refuse(run, f"p must be at most {LIMIT} in the app (got {task.p}).")
    return task.p
