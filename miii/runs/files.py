"""Read the small files of a run's folder, which may be missing, partial, huge or not files at all."""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from miii.errors import QUOTED, InputError, quoted, shortened

LARGEST: Final = 200_000_000  #: maximum bytes of a JSON file


def read_json(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file.

    Raises:
        InputError: the file cannot be read, or holds anything else.
    """
    value = find_json(path)
    if value is None:
        raise InputError(f"{path} must hold a JSON object (there is no such file).")
    return value


def find_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in a file, or None if the file is missing.

    Raises:
        InputError: see ``read_json``.
    """
    text = find_text(path)
    if text is None:
        return None
    try:
        value = parsed(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} must hold a JSON object ({brief(error)}).") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold a JSON object (got {type(value).__name__}).")
    return value


def parsed(text: str, **options: Any) -> Any:
    """Parse a JSON text, with the options of ``json.loads``.

    Raises:
        ValueError: the text is not JSON, or a string has an unpaired surrogate, which cannot be printed.
        RecursionError: the text is nested too deeply.
    """
    value = json.loads(text, **options)
    if "\\ud" in text.lower():  # only an escape can encode an unpaired surrogate
        json.dumps(value, ensure_ascii=False).encode()
    return value


def nbytes(folder: Path) -> int:
    """Return the bytes in all files below a folder; what vanishes meanwhile counts as nothing."""
    found = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                found += os.lstat(os.path.join(parent, name)).st_size
    return found


def find_text(path: Path) -> str | None:
    """Return the text of a file, or None if the file is missing.

    Raises:
        InputError: the file is a pipe or a device, cannot be read, exceeds ``LARGEST`` bytes, or is not UTF-8.
    """
    try:
        found = path.stat()
        plain = stat.S_ISREG(found.st_mode)
        data = path.read_bytes() if plain and found.st_size <= LARGEST else b""
    except (FileNotFoundError, NotADirectoryError) as error:
        if path.is_symlink():
            raise unreadable(path, error) from None
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise unreadable(path, error) from None
    except ValueError:  # a name with a null character
        return None
    if not plain:
        raise InputError(f"{path} must be a file, not a folder, a pipe or a device.")
    if found.st_size > LARGEST:
        raise InputError(f"{path} must have at most {LARGEST:,} bytes (got {found.st_size:,}).")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be text in UTF-8 ({brief(error)}).") from None


def unreadable(path: Path, error: OSError) -> InputError:
    """Return the error for a path that the system cannot read."""
    return InputError(f"{path} cannot be read ({error.strerror or error}).")


def brief(error: Exception) -> str:
    """Return the reason for a parse error, in one line."""
    return "too deep" if isinstance(error, RecursionError) else shortened(str(error).replace("\n", " "), QUOTED)


def check_result(path: Path, values: dict[str, Any]) -> None:
    """Check that ``result.json`` has all required values.

    Raises:
        InputError: a value is missing or has the wrong type.
    """
    for name, fits, wanted in RESULT:
        if name not in values:
            raise InputError(f"{path} must have {name}.")
        if not fits(values[name]):
            raise InputError(f"{name} must be {wanted} in {path} (got {quoted(values[name])}).")


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number that fits 64 bits; NaN is one."""
    return type(value) is float or (type(value) is int and abs(value) < 2**63)


def _is_integer(value: Any) -> bool:
    return type(value) is int and is_number(value)


#: The required values of a result: name, check, and valid values in words.
RESULT: Final[tuple[tuple[str, Callable[[Any], bool], str], ...]] = (
    ("stopped", lambda value: isinstance(value, bool), "true or false"),
    ("steps", _is_integer, "an integer"),
    ("grokked_at", lambda value: value is None or _is_integer(value), "an integer or null"),
    ("seconds_to_grok", lambda value: value is None or is_number(value), "a number or null"),
    ("ms_per_step", lambda value: value is None or is_number(value), "a number or null"),
)
