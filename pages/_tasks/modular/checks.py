"""Checks for pages that need a run on modular arithmetic; each explains what is missing and stops the page."""

from miii import ModularAddition
from miii.analysis.modular import grid
from miii.errors import InputError
from miii.runs import Run
from pages._kit.run_picker import refuse
from pages._server.settings import LIMIT
from pages._tasks.checks import run_of_kind


def modular_run() -> tuple[Run, ModularAddition]:
    """Return the chosen run and its task; for another task kind, offer two ways on and stop."""
    return run_of_kind(ModularAddition, "a run on modular arithmetic")


def all_pairs(run: Run, task: ModularAddition) -> int:
    """Return p, for a task with all pairs of Z_p."""
    small_enough(run, task)
    try:
        return grid.modulus(run.task())
    except InputError as error:
        refuse(run, str(error))


def small_enough(run: Run, task: ModularAddition) -> int:
    """Return p, if at most ``LIMIT``: the largest grid that the app shows."""
    if task.p > LIMIT:
        refuse(run, f"p must be at most {LIMIT} in the app (got {task.p}).")
    return task.p
