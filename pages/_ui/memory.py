"""What an analysis no longer needs goes back to the machine, which on a small server has 690 MB for everything."""

import ctypes
import sys
from functools import cache

ARENAS = -8  # M_ARENA_MAX of malloc.h


@cache
def _libc() -> ctypes.CDLL | None:
    """The C library where it is glibc, which alone knows these two functions."""
    if sys.platform != "linux":
        return None
    found = ctypes.CDLL(None)
    return found if hasattr(found, "malloc_trim") and hasattr(found, "mallopt") else None


def few_arenas() -> None:
    """Every session runs in threads of its own, and each could get a heap of its own, with holes of its own."""
    if libc := _libc():
        libc.mallopt(ARENAS, 2)


def give_back() -> None:
    """Freed tensors stay with glibc, which hopes for more of the same size: after an analysis there are none."""
    if libc := _libc():
        libc.malloc_trim(0)
