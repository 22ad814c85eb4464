"""Flatten a RunConfig into options for the command line and the app's form.

Field names of task, model, optimizer and run are distinct, so the nesting can be dropped. The list has the options of
all task kinds and all optimizers; options that the chosen ones lack are rejected.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from miii.errors import InputError
from miii.model.config import ModelConfig
from miii.tasks import KINDS, TASKS
from miii.training.config import RunConfig, recipe
from miii.training.optim import OPTIMIZERS


@dataclass(frozen=True)
class Option:
    """An option of a run: name, part of the config, type and help text."""

    name: str
    part: Literal["task", "model", "optimizer", "run"]
    annotation: Any
    description: str


#: Config parts with several models, by option: the discriminator field, the models and a help text.
CHOICES: dict[str, tuple[str, Mapping[str, type[BaseModel]], str]] = {
    "task": ("kind", KINDS, "what kind of task is learned"),
    "optimizer": ("name", OPTIMIZERS, "how gradients become steps"),
}


def options() -> list[Option]:
    """Return all options of a run, in the order task, model, optimizer, run."""
    found = _chosen("task")
    found += [_option(name, "model", field) for name, field in ModelConfig.model_fields.items()]
    found += _chosen("optimizer")
    nested = ("task", "model", "optimizer")
    return found + [_option(name, "run", field) for name, field in RunConfig.model_fields.items() if name not in nested]


def _chosen(part: Literal["task", "optimizer"]) -> list[Option]:
    tag, kinds, description = CHOICES[part]
    names = Literal[tuple(kinds)]  # type: ignore[valid-type]
    found: dict[str, Option] = {part: Option(part, part, names, description)}
    for kind in kinds.values():
        for name, field in kind.model_fields.items():
            if name != tag:
                found.setdefault(name, _option(name, part, field))
    return list(found.values())


def values(config: RunConfig) -> dict[str, Any]:
    """Return the config's values by option name; options of other tasks and optimizers are absent."""
    dumped = config.model_dump()
    task, model, optimizer = dumped.pop("task"), dumped.pop("model"), dumped.pop("optimizer")
    return {"task": task.pop("kind"), **task, **model, "optimizer": optimizer.pop("name"), **optimizer, **dumped}


def defaults(kind: str) -> dict[str, Any]:
    """Return the values of a kind's ``fast`` recipe by option name, without building a task."""
    fast = dict(KINDS[kind].recipes["fast"])
    model, optimizer = ModelConfig(**fast.pop("model", {})), fast.pop("optimizer", {"name": "adamw"})
    chosen = OPTIMIZERS[optimizer["name"]](**optimizer)
    task = KINDS[kind].model_construct()
    return values(RunConfig.model_construct(task=task, model=model, optimizer=chosen, **fast))


def text(value: Any) -> str:
    """Format a value as the command line parses it."""
    return (",".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value).lower()


def from_text(name: str, text: str) -> Any:
    """Return the value of an option as the command line parses it; its config validates it."""
    if text != "none" or name in ("biases", "positions"):  # "none" is a valid choice
        return text
    return () if name in ("residues", "masked") else None


def change(config: RunConfig, changes: dict[str, Any]) -> RunConfig:
    """Return the config with options changed by name; a new task kind or optimizer starts from its defaults.

    Raises:
        InputError: an option is unknown, out of range, or does not belong to the chosen task or optimizer.
    """
    part_of = {option.name: option.part for option in options()}
    dumped = config.model_dump()
    now = {"task": config.task.kind, "optimizer": config.optimizer.name}
    kinds: dict[str, str] = {}
    for part, (tag, known, _) in CHOICES.items():
        kind = changes.get(part, now[part])
        if kind not in known:
            raise InputError(f"{part} must be one of {', '.join(known)} (got {kind!r}).")
        if kind != now[part]:
            dumped[part] = {tag: kind}
        kinds[part] = kind
    for name, value in changes.items():
        if name not in part_of:
            raise InputError(f"{name} is not an option of a run; the options are {', '.join(part_of)}.")
        if name in CHOICES:
            continue
        part = part_of[name]
        if part in CHOICES:
            tag, known, _ = CHOICES[part]
            has = [field for field in known[kinds[part]].model_fields if field != tag]
            if name not in has:
                raise InputError(f"{name} is not an option of the {part} {kinds[part]}, which has {', '.join(has)}.")
        (dumped if part == "run" else dumped[part])[name] = value
    return RunConfig(**dumped)


def build_config(name: str, task: str, changes: dict[str, Any]) -> RunConfig:
    """Return a recipe's config for a task named in ``TASKS``, with options changed by name.

    Raises:
        InputError: the recipe or the task is unknown; also see ``change``.
    """
    if task not in TASKS:
        raise InputError(f"task must be one of {', '.join(TASKS)} (got {task!r}).")
    kind = TASKS[task]["kind"]
    known = KINDS[kind].model_fields
    own = {field: value for field, value in (TASKS[task] | changes).items() if field in known}
    # the task first: a recipe's batch depends on it
    return change(recipe(name, task=KINDS[kind](**own)), changes)


def _option(name: str, part: Literal["task", "model", "optimizer", "run"], field: FieldInfo) -> Option:
    return Option(name, part, field.annotation, field.description or "")
