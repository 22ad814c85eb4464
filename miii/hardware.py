"""What this machine computes on, and in which precision."""

import os
import platform
from pathlib import Path
from typing import Literal

import torch

from miii.errors import InputError


def device(name: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> torch.device:
    """The device of that name; "auto" takes CUDA or MPS where there is one.

    Raises:
        InputError: this machine has no such device.

    Source: own design.
    """
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    if not has[name]:
        raise InputError(f"device must be one of {', '.join(k for k in has if has[k])} on this machine (got {name!r}).")
    return torch.device(name)


def precision(
    name: Literal["auto", "float32", "bfloat16"] = "auto", on: Literal["auto", "cpu", "cuda", "mps"] = "auto"
) -> torch.dtype:
    """The precision of the training step; "auto" takes bfloat16 where the processor multiplies it in hardware.

    Elsewhere bfloat16 is emulated, and slower than float32.

    Source: own design.
    """
    if name == "auto":
        return torch.bfloat16 if _bfloat16_in_hardware(device(on)) else torch.float32
    return torch.bfloat16 if name == "bfloat16" else torch.float32


def _bfloat16_in_hardware(where: torch.device) -> bool:
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type != "cpu":
        return False
    # torch.cpu has no public question for this before 2.13; both of these are absent on ARM, which then takes float32
    return any(getattr(torch.cpu, f"_is_{kind}_supported", bool)() for kind in ("avx512_bf16", "amx_tile"))


def available_memory() -> int:
    """Return how many bytes a new computation may take: what the system has left, within its container's limit.

    Source: proc(5), MemAvailable; cgroups(7), memory.max and memory.current. Elsewhere all physical memory.
    """
    info, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if not info.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4 << 30
    lines = (line.split() for line in info.read_text().splitlines())
    left = next(1024 * int(line[1]) for line in lines if line[0] == "MemAvailable:")
    try:
        most = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return left
    return left if most == "max" else min(left, int(most) - used)


def processor() -> str:
    """The processor's name, as the operating system tells it. Source: /proc/cpuinfo, or Python's platform."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
