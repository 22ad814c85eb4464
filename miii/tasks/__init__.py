"""The tasks, by the names that the command line and the app give them."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Discriminator, Tag

from miii.tasks.frames import Frames
from miii.tasks.miu import MIU
from miii.tasks.modular import ModularAddition, Operation
from miii.tasks.primes import Primes
from miii.tasks.residues import Residues
from miii.tasks.task import Target, Task


def _kind(value: Any) -> Any:
    # configs from before there were other tasks do not name theirs
    return value.get("kind", "modular") if isinstance(value, Mapping) else getattr(value, "kind", "modular")


#: Any task's config; ``kind`` says which, and is absent for modular arithmetic.
AnyTask = Annotated[
    Annotated[ModularAddition, Tag("modular")]
    | Annotated[Primes, Tag("primes")]
    | Annotated[Residues, Tag("residues")]
    | Annotated[MIU, Tag("miu")]
    | Annotated[Frames, Tag("frames")],
    Discriminator(_kind),
]

#: The kinds of task, each a config that builds a ``Task``.
KINDS: dict[str, type[ModularAddition] | type[Primes] | type[Residues] | type[MIU] | type[Frames]] = {
    "modular": ModularAddition,
    "primes": Primes,
    "residues": Residues,
    "miu": MIU,
    "frames": Frames,
}

#: What ``miii train`` can be asked to learn: the operations of modular arithmetic, and the other kinds.
TASKS: dict[str, dict[str, Any]] = {
    **{operation: {"operation": operation} for operation in get_args(Operation)},
    **{kind: {"kind": kind} for kind in KINDS if kind != "modular"},
}


def named(name: str) -> str:
    """The kind of a task by its name in ``TASKS``. Source: own design."""
    return TASKS[name].get("kind", "modular")


def name_of(task: ModularAddition | Primes | Residues | MIU | Frames) -> str:
    """The name in ``TASKS`` of a task's config. Source: own design."""
    return task.operation if isinstance(task, ModularAddition) else task.kind


__all__ = [
    "KINDS",
    "MIU",
    "TASKS",
    "AnyTask",
    "Frames",
    "ModularAddition",
    "Operation",
    "Primes",
    "Residues",
    "Target",
    "Task",
    "name_of",
    "named",
]
