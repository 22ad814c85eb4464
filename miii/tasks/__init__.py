"""The kinds of task, and the names that the command line and the app give their tasks."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from miii.tasks.frames import Frames
from miii.tasks.miu import MIU
from miii.tasks.modular import ModularAddition, Operation
from miii.tasks.primes import Primes
from miii.tasks.residues import Residues
from miii.tasks.task import Target, Task, TaskConfig


def _with_kind(value: Any) -> Any:
    # version 0.1.0 wrote no kind for modular arithmetic
    return {"kind": "modular", **value} if isinstance(value, Mapping) else value


#: Any task's config, told apart by ``kind``. This is the one list of kinds; a config without a kind is modular.
AnyTask = Annotated[
    ModularAddition | Primes | Residues | MIU | Frames,
    Field(discriminator="kind"),
    BeforeValidator(_with_kind),
]

#: The kinds of task by name, each a config that builds a ``Task``.
KINDS: dict[str, type[ModularAddition | Primes | Residues | MIU | Frames]] = {
    config.model_fields["kind"].default: config for config in get_args(get_args(AnyTask)[0])
}

#: The tasks that ``miii train`` knows, by name: the kind and the fields that the name stands for.
TASKS: dict[str, dict[str, Any]] = {
    name: {"kind": kind, **fields} for kind, config in KINDS.items() for name, fields in config.names().items()
}

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
    "TaskConfig",
]
