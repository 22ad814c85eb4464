"""Checks that the tests of the command line share."""

import json
from typing import Any


def sentence(code: int, out: str, err: str) -> str:
    """Return the error, after checking that nothing else was printed: no progress bar, no trace, nothing on stdout."""
    assert (code, out) == (2, "")
    assert err.startswith("miii: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1, err
    return err.removeprefix("miii: ")


def strict_json(text: str) -> Any:
    """Parse JSON by its standard, without Python's NaN and Infinity."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)
