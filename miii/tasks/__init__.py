"""The tasks, by the names that the command line and the app give them."""

from collections.abc import Callable
from functools import partial
from typing import get_args

from miii.tasks.modular import ModularAddition, Operation
from miii.tasks.task import Task

TASKS: dict[str, Callable[..., ModularAddition]] = {
    operation: partial(ModularAddition, operation=operation) for operation in get_args(Operation)
}

__all__ = ["TASKS", "ModularAddition", "Operation", "Task"]
