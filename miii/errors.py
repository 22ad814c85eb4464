"""Bad input, said in one sentence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class InputError(ValueError):
    """What the user gave cannot be used; the text is one sentence that names the field and the valid values.

    Source: own design.
    """


class Frozen(BaseModel):
    """A value that checks itself: immutable, unknown keys refused, errors turned into one sentence.

    Raises:
        InputError: a field is unknown, missing or out of range.

    Source: own design, on pydantic's BaseModel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(error, type(self))) from None


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """The first problem of a pydantic error as one sentence, such as ``p must be at least 2 and at most 9 (got 1).``

    Source: own design; the kinds of problem are pydantic's (``errors()[0]["type"]``).
    """
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ValueError):
        return str(inner)
    # Field names are unique across a config, so the last one says it all: "p", not "task.p". Numbers are places in
    # a list.
    field = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "value")
    context, kind = first.get("ctx", {}), first["type"]
    if kind == "extra_forbidden":
        return f"{field} is not a known field; {model.__name__} has {', '.join(model.model_fields)}."
    if kind == "model_type":  # in a choice of models the last name is the choice's own
        field = str(first["loc"][0])
    if kind == "missing":
        return f"{field} is required."
    if kind == "union_tag_not_found":
        return f"{field} needs a {context['discriminator']} that says which kind it is (got {first['input']!r})."
    kinds = {
        "literal_error": "one of {expected}",
        "union_tag_invalid": "one of {expected_tags}",
        "int": "an integer",
        "float": "a number",
        "finite_number": "a finite number",
        "bool": "true or false",
        "string_type": "text",
    }
    wanted = kinds.get(kind, kinds.get(kind.partition("_")[0], "")).format(**context)
    bounds = _bounds(model, field)
    if not wanted and not bounds:
        return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]} (got {first['input']!r})."
    return f"{field} must be {' '.join(part for part in (wanted, bounds) if part)} (got {first['input']!r})."


def _bounds(model: type[BaseModel], field: str) -> str:
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    metadata = model.model_fields[field].metadata if field in model.model_fields else []
    limits = [(name, getattr(limit, name)) for limit in metadata for name in words if hasattr(limit, name)]
    return " and ".join(f"{words[name]} {value}" for name, value in limits)
