"""Bad input, said in one sentence."""

from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class InputError(ValueError):
    """What the user gave cannot be used; the text is one sentence that names the field and the valid values."""


class Frozen(BaseModel):
    """A value that checks itself: immutable, unknown keys refused, errors turned into one sentence.

    Raises:
        InputError: a field is unknown, missing or out of range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(sentence(error)) from None


def sentence(error: ValidationError) -> str:
    """The first problem of a pydantic error as one sentence, such as ``p must be at least 2 (got 1).``

    Source: own design; the constraint names are pydantic's (``errors()[0]["type"]`` and ``["ctx"]``).
    """
    first = error.errors()[0]
    inner = first.get("ctx", {}).get("error")
    if isinstance(inner, ValueError):
        return str(inner)
    field = ".".join(str(part) for part in first["loc"]) or "value"
    context, kind = first.get("ctx", {}), first["type"]
    if kind == "extra_forbidden":
        return f"{field} is not a known field of {error.title}."
    if kind == "missing":
        return f"{field} is required."
    wanted = {
        "greater_than_equal": "at least {ge}",
        "greater_than": "greater than {gt}",
        "less_than_equal": "at most {le}",
        "less_than": "less than {lt}",
        "literal_error": "one of {expected}",
        "union_tag_invalid": "one of {expected_tags}",
        "int_parsing": "an integer",
        "int_type": "an integer",
        "int_from_float": "an integer",
        "float_parsing": "a number",
        "float_type": "a number",
        "finite_number": "a finite number",
        "bool_parsing": "true or false",
        "string_type": "text",
    }.get(kind)
    if wanted is None:
        return f"{field}: {first['msg'][0].lower()}{first['msg'][1:]} (got {first['input']!r})."
    return f"{field} must be {wanted.format(**context)} (got {first['input']!r})."
