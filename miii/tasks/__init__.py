"""Task kinds, and task names for the command line and the app."""

from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import BeforeValidator, Field

from miii.tasks.frames import Frames
from miii.tasks.gcd import GCD
from miii.tasks.miu import MIU
from miii.tasks.modular import ModularAddition, Operation
from miii.tasks.primes import Primes
from miii.tasks.residues import Residues
from miii.tasks.sequences import Sequences
from miii.tasks.table import Table
from miii.tasks.task import Headline, Target, Task, TaskConfig


def _current(value: Any) -> Any:
    """Return a config in today's fields: version 0.1.0 has no kind for addition, and ``basis`` was a control's name."""
    if not isinstance(value, Mapping):
        return value
    value = {"kind": "modular", **value}
    if value["kind"] == "residues" and isinstance(value.get("basis"), bool):
        value["control"] = "digits" if value.pop("basis") else "off"
    return value


#: Any task config, discriminated by ``kind``. This is the only list of kinds; a missing kind means modular.
AnyTask = Annotated[
    ModularAddition | Primes | Residues | GCD | MIU | Frames | Sequences | Table,
    Field(discriminator="kind"),
    BeforeValidator(_current),
]

#: Task kinds by name; each config builds a ``Task``.
KINDS: dict[str, type[ModularAddition | Primes | Residues | GCD | MIU | Frames | Sequences | Table]] = {
    config.model_fields["kind"].default: config for config in get_args(get_args(AnyTask)[0])
}

#: Tasks of ``miii train`` by name: the kind and the fields that the name sets.
TASKS: dict[str, dict[str, Any]] = {
    name: {"kind": kind, **fields} for kind, config in KINDS.items() for name, fields in config.names().items()
}

__all__ = [
    "GCD",
    "KINDS",
    "MIU",
    "TASKS",
    "AnyTask",
    "Frames",
    "Headline",
    "ModularAddition",
    "Operation",
    "Primes",
    "Residues",
    "Sequences",
    "Table",
    "Target",
    "Task",
    "TaskConfig",
]
