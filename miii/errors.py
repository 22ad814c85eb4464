"""User-facing errors: one sentence that names the field, the value received and what is valid."""

from collections.abc import Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, ValidationError

LONGEST: Final = 1000  #: maximum characters of a message; longer ones are cut in the middle
QUOTED: Final = 100  #: maximum characters of a value quoted in a message


class InputError(ValueError):
    """Invalid user input, described in one sentence that names the field and the valid values.

    Messages longer than ``LONGEST`` characters are cut in the middle. Undecodable bytes, as in a file name, are
    escaped.
    """

    def __init__(self, text: str) -> None:
        super().__init__(shortened(text, LONGEST).encode(errors="backslashreplace").decode())


def shortened(text: str, length: int) -> str:
    """Return the text, cut in the middle to at most ``length`` characters."""
    if len(text) <= length:
        return text
    head = (length - 1) // 2
    return f"{text[:head]}…{text[len(text) - (length - 1 - head) :]}"


def quoted(value: object) -> str:
    """Return ``repr(value)`` cut to ``QUOTED`` characters, without building a long string."""
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
    """Validated, immutable model that rejects unknown keys and reports errors in one sentence.

    Raises:
        InputError: a field is unknown, missing or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(error, type(self))) from None


def join_names(names: Sequence[str]) -> str:
    """Join names as in a sentence: ``3, 7 and 11``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """Return the first pydantic error as one sentence: ``p must be at least 2 and at most 9 (got 1).``

    Error types are pydantic's (``errors()[0]["type"]``).
    """
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ValueError):
        return str(inner)
    # field names are unique across a config, so use the last: "p", not "task.p"; integers are list indices
    field = next((part for part in reversed(first["loc"]) if isinstance(part, str)), "value")
    context, kind = first.get("ctx", {}), first["type"]
    if kind == "extra_forbidden":
        field = field if field.isidentifier() and len(field) <= QUOTED else quoted(field)
        return f"{field} is not a known field; {model.__name__} has {', '.join(model.model_fields)}."
    if kind == "model_type":  # in a union of models, the last name is the union's
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
