"""Memory of a small server, which has 690 MB for everything: results are kept up to a size, the rest is given back."""

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache

from miii import platform


class Kept:
    """Results by key, the least recently used of which go when all together are larger than so many bytes.

    A number of results is no bound where one may be a thousand times as large as another.
    """

    def __init__(self, nbytes: int) -> None:
        self._found: LRUCache[Hashable, Any] = LRUCache(nbytes, getsizeof=size)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what ``make`` gave for this key, which is called where it is not kept."""
        with self._lock:
            if key in self._found:
                return self._found[key]
        made = make()
        platform.give_back_memory()
        with self._lock, suppress(ValueError):  # too large to be kept at all
            self._found[key] = made
        return made


def size(value: object) -> int:
    """Return about how many bytes a result holds: its arrays, text and bytes, and a little for each other part."""
    if isinstance(value, torch.Tensor):
        return value.untyped_storage().nbytes()
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, str | bytes):
        return len(value) + 50
    if isinstance(value, dict):
        return 100 + sum(size(key) + size(item) for key, item in value.items())
    if isinstance(value, list | tuple | set | frozenset):
        return 60 + sum(map(size, value))
    if is_dataclass(value):
        return 60 + sum(size(getattr(value, field.name)) for field in fields(value))
    return int(value.memory_usage(deep=True).sum()) if hasattr(value, "memory_usage") else 60
