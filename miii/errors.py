"""User-facing errors: one sentence that names the field, the value received and what is valid."""

from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

LONGEST: Final = 1000  #: characters of a message; a longer one loses its middle
QUOTED: Final = 100  #: characters of a value that a message repeats


class InputError(ValueError):
    """Invalid input from the user, in one sentence that names the field and the valid values.

    A message of more than ``LONGEST`` characters loses its middle, since it may repeat a value of any size. Bytes that
    are not text, as in a file's name, are escaped.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text, LONGEST).encode(errors="backslashreplace").decode())


def shortened(text: str, most: int) -> str:
    """Return the text, or its beginning and end with an ellipsis between, at most ``most`` characters."""
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def quoted(value: object) -> str:
    """Return ``repr(value)`` for a message, at most ``QUOTED`` characters, without building a long one."""
    if isinstance(value, str | bytes) and len(value) > 2 * QUOTED:
        value = value[:QUOTED] + value[-QUOTED:]  # type: ignore[operator]
    if isinstance(value, list | tuple | dict | set | frozenset) and len(value) > QUOTED:
        return f"{type(value).__name__} of {len(value):,} items"
    if isinstance(value, int) and abs(value) >= 10**QUOTED:
        return f"an integer of {value.bit_length():,} bits"
    try:
        return shortened(repr(value), QUOTED)
    except RecursionError:
        return f"{type(value).__name__} that is too deep"


class Frozen(BaseModel):
    """A validated, immutable value: unknown keys are refused, and errors are one sentence.

    Raises:
        InputError: a field is unknown, missing or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(error, type(self))) from None


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first problem of a pydantic error as one sentence: ``p must be at least 2 and at most 9 (got 1).``

    The kinds of problem are pydantic's (``errors()[0]["type"]``).
    """
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ValueError):
        return str(inner)
    # field names are unique across a config, so the last one is enough: "p", not "task.p"; numbers are list indices
    field = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "value")
    context, kind = first.get("ctx", {}), first["type"]
    if kind == "extra_forbidden":
        field = field if field.isidentifier() and len(field) <= QUOTED else quoted(field)
        return f"{field} is not a known field; {model.__name__} has {', '.join(model.model_fields)}."
    if kind == "model_type":  # in a choice of models the last name is the choice's own
        field = str(first["loc"][0])
    if kind == "missing":
        return f"{field} is required."
    if kind == "union_tag_not_found":
        return f"{field} needs a {context['discriminator']} that says which kind it is (got {quoted(first['input'])})."
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
        return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]} (got {quoted(first['input'])})."
    return f"{field} must be {' '.join(part for part in (wanted, bounds) if part)} (got {quoted(first['input'])})."


def _bounds(model: type[BaseModel], field: str) -> str:
    words = {"ge": "at least", "gt": "greater than", "le": "at most", "lt": "less than"}
    metadata = model.model_fields[field].metadata if field in model.model_fields else []
    limits = [(name, getattr(limit, name)) for limit in metadata for name in words if hasattr(limit, name)]
    return " and ".join(f"{words[name]} {value}" for name, value in limits)
