"""A RunConfig as a flat list of options: the command line and the app's form are made from it.

Every field of the task, model, optimiser and run has a name of its own, so the nesting can be dropped. The options of
the optimisers are laid side by side; one that the chosen optimiser does not have is refused.
"""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic.fields import FieldInfo

from miii.config import RunConfig
from miii.errors import InputError
from miii.model.transformer import ModelConfig
from miii.optim import OPTIMIZERS
from miii.tasks import ModularAddition


@dataclass(frozen=True)
class Option:
    """One option: its name, the part of the config that it lives in, its type, and a sentence for help texts.

    Source: own design.
    """

    name: str
    part: Literal["task", "model", "optimizer", "run"]
    annotation: Any
    description: str


def options() -> list[Option]:
    """All options of a run, in the order task, model, optimizer, run. Source: the fields of ``RunConfig``."""
    found = [_option(name, "task", field) for name, field in ModularAddition.model_fields.items()]
    found += [_option(name, "model", field) for name, field in ModelConfig.model_fields.items()]
    names = Literal[tuple(OPTIMIZERS)]  # type: ignore[valid-type]
    found.append(Option("optimizer", "optimizer", names, "how gradients become steps"))
    seen = {"name"}
    for kind in OPTIMIZERS.values():
        for name, field in kind.model_fields.items():
            if name not in seen:
                found.append(_option(name, "optimizer", field))
                seen.add(name)
    nested = ("task", "model", "optimizer")
    return found + [_option(name, "run", field) for name, field in RunConfig.model_fields.items() if name not in nested]


def values(config: RunConfig) -> dict[str, Any]:
    """The config's values by option name; options of other optimisers are absent. Source: own design."""
    dumped = config.model_dump()
    task, model, optimizer = dumped.pop("task"), dumped.pop("model"), dumped.pop("optimizer")
    return {**task, **model, "optimizer": optimizer.pop("name"), **optimizer, **dumped}


def change(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    """The config with some options changed by name; a change of optimiser takes up the new one's defaults.

    Raises:
        InputError: an option is unknown, out of range, or not one of the chosen optimiser's.

    Source: own design.
    """
    part_of = {option.name: option.part for option in options()}
    dumped = config.model_dump()
    kind = changes.get("optimizer", dumped["optimizer"]["name"])
    if kind not in OPTIMIZERS:
        raise InputError(f"optimizer must be one of {', '.join(OPTIMIZERS)} (got {kind!r}).")
    if kind != dumped["optimizer"]["name"]:
        dumped["optimizer"] = {"name": kind}
    for name, value in changes.items():
        if name not in part_of:
            raise InputError(f"{name} is not an option of a run; the options are {', '.join(part_of)}.")
        if name == "optimizer":
            continue
        part = part_of[name]
        if part == "optimizer" and name not in OPTIMIZERS[kind].model_fields:
            has = [field for field in OPTIMIZERS[kind].model_fields if field != "name"]
            raise InputError(f"{name} is not an option of the optimizer {kind}, which has {', '.join(has)}.")
        (dumped if part == "run" else dumped[part])[name] = value
    return RunConfig(**dumped)


def _option(name: str, part: Literal["task", "model", "optimizer", "run"], field: FieldInfo) -> Option:
    return Option(name, part, field.annotation, field.description or "")
