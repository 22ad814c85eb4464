"""Checks for pages that need a run on modular arithmetic; each explains what is missing and stops the page."""

from collections.abc import Callable

from miii import ModularAddition
from miii.analysis.modular import grid
from miii.errors import InputError
from miii.runs import Run
from miii.tasks import Task
from pages._kit import write
from pages._kit.run_picker import refuse
from pages._server.settings import LIMIT
from pages._tasks.checks import run_of_kind


def modular_run() -> tuple[Run, ModularAddition]:
    """Return the chosen run and its task; for another task kind, offer two ways on and stop."""
    return run_of_kind(ModularAddition, "a run on modular arithmetic")


def positions(task: ModularAddition) -> str:
    """Return a letter for each position of the prompts: "ab=", or "a∘b=" with a token of the operation."""
    return "a" + "∘" * task.operator + "b" + "=" * task.equals


def all_pairs(run: Run, task: ModularAddition) -> None:
    """Check that the task has all pairs of Z_p."""
    _check(run, task, grid.modulus)


def some_pairs(run: Run, task: ModularAddition) -> None:
    """Check that the task has pairs of Z_p, and that p is neither too large for the app nor too small for frequencies."""
    _check(run, task, grid.least_p)


def _check(run: Run, task: ModularAddition, check: Callable[[Task], int]) -> None:
    small_enough(run, task)
    try:
        check(run.task())
    except InputError as error:
        refuse(run, str(error))


def example_of(task: Task, a: int, b: int) -> int:
    """Return the index of a pair's example; if the task leaves it out, say so and return the next one's."""
    p = task.d_vocab_out
    first, second = grid.operands(task)
    pairs = first * p + second
    found = int((pairs >= a * p + b).nonzero()[:1].sum())  # the first if none follows
    if pairs[found] != a * p + b:
        other = divmod(int(pairs[found]), p)
        write.info(f"The task leaves out the pair ({a}, {b}). The next pair is shown: ({other[0]}, {other[1]}).")
    return found


def small_enough(run: Run, task: ModularAddition) -> int:
    """Return p, if at most ``LIMIT``: the largest grid that the app shows."""
    if task.p > LIMIT:
        refuse(run, f"p must be at most {LIMIT} in the app (got {task.p}).")
    return task.p
