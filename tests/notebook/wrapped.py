"""What pages mark their shared functions by: a wrapper, whose function can be told from it."""

import functools
from collections.abc import Callable
from typing import Any


def shared(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, wrapped."""

    @functools.wraps(function)
    def once(*args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    return once
