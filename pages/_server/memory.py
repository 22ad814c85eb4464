"""Cache results up to a size and free the rest, for a small server with 690 MB in total."""

import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch
from cachetools import LRUCache

from miii import platform


class Cache:
    """An LRU cache of results by key, bounded by its total bytes.

    A limit on the number of results is not enough: sizes differ by a factor of a thousand.
    """

    def __init__(self, nbytes: int) -> None:
        self._found: LRUCache[Hashable, Any] = LRUCache(nbytes, getsizeof=size)
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the cached result for a key, or call ``make``."""
        with self._lock:
            if key in self._found:
                return self._found[key]
        made = make()
        platform.give_back_memory()
        with self._lock, suppress(ValueError):  # too large to cache
            self._found[key] = made
        return made


def size(value: object) -> int:
    """Estimate the bytes of a result: its arrays, text and bytes, plus a little per other part."""
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
