"""What this program does about torch, the C library and Vega beyond their documented use, and what each of it saves.

Training keeps freed memory, since the next step takes it again; the app gives it back after an analysis, since the next
one takes other sizes. A process that does both, such as the app, keeps up to 128 MB between two returns.
"""

import ctypes
import inspect
import subprocess
import sys
from collections.abc import Sequence
from functools import cache

import torch

MMAP_THRESHOLD, TRIM_THRESHOLD, ARENAS = -3, -1, -8  #: the options of mallopt(3), from malloc.h


@cache
def _glibc() -> ctypes.CDLL | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def keep_freed_memory() -> None:
    """Let the C library keep up to 128 MB of freed memory; by default it maps and clears large arrays anew each time.

    Saves 1,000 to 3,000 page faults a step of the default recipe, up to a fifth of its time. glibc only.
    """
    if libc := _glibc():
        libc.mallopt(MMAP_THRESHOLD, 32 << 20)
        libc.mallopt(TRIM_THRESHOLD, 128 << 20)


def limit_arenas() -> None:
    """Let all threads share two heaps: the app's sessions have threads, and each would get a heap. glibc only."""
    if libc := _glibc():
        libc.mallopt(ARENAS, 2)


def give_back_memory() -> None:
    """Return freed memory to the system, which a server of 690 MB needs between two analyses. glibc only."""
    if libc := _glibc():
        libc.malloc_trim(0)


def run_apart(script: str, arguments: Sequence[str], text: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a Python script in a process of its own, with the text as its input.

    For libraries that never return their memory: Vega takes 100 MB to draw one chart.
    """
    return subprocess.run([sys.executable, "-c", script, *arguments], input=text.encode(), capture_output=True)


def update(optimizer: torch.optim.Optimizer) -> None:
    """Take an optimizer's step without torch's wrappers around it, which import its compiler. Call under ``no_grad``.

    Saves 2.4 s and 75 MB at the first step, together with ``_without_compiler``.
    """
    inspect.unwrap(type(optimizer).step)(optimizer)


def _without_compiler() -> None:
    """Give the optimizers' other methods the attribute that each looks for, and imports the compiler to make."""
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        bare = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        vars(bare).setdefault("__dynamo_disable", bare)


_without_compiler()
