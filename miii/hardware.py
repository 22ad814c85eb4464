"""Detect this machine's devices, precision and memory."""

import os
import platform
from pathlib import Path
from typing import Literal

import torch

from miii.errors import InputError


def device(name: Literal["auto", "cpu", "cuda", "mps"] = "auto") -> torch.device:
    """Return the named device; "auto" picks CUDA or MPS if available.

    Raises:
        InputError: the device is not available.
    """
    has = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    if not has[name]:
        raise InputError(f"device must be one of {', '.join(k for k in has if has[k])} on this machine (got {name!r}).")
    return torch.device(name)


def precision(
    name: Literal["auto", "float32", "bfloat16", "float64"] = "auto",
    on: Literal["auto", "cpu", "cuda", "mps"] = "auto",
) -> torch.dtype:
    """Return the training precision; "auto" picks bfloat16 if the hardware multiplies it natively.

    Emulated bfloat16 is slower than float32.

    Raises:
        InputError: the device has no float64.
    """
    if name == "auto":
        return torch.bfloat16 if _bfloat16_in_hardware(device(on)) else torch.float32
    if name == "float64" and device(on).type == "mps":
        raise InputError("precision must be auto, float32 or bfloat16 on mps (got 'float64').")
    return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float64": torch.float64}[name]


def _bfloat16_in_hardware(where: torch.device) -> bool:
    if where.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if where.type != "cpu":
        return False
    # torch.cpu has no public function for this before 2.13; ARM has neither and uses float32
    return any(getattr(torch.cpu, f"_is_{kind}_supported", bool)() for kind in ("avx512_bf16", "amx_tile"))


def available_memory() -> int:
    """Return the available memory in bytes, within the container's limit.

    Source: proc(5), MemAvailable; cgroups(7), memory.max and memory.current. Without /proc, return all physical memory.
    """
    info, group = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
    if not info.exists():
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 4 << 30
    lines = (line.split() for line in info.read_text().splitlines())
    left = next(1024 * int(line[1]) for line in lines if line[0] == "MemAvailable:")
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
    except (OSError, ValueError):
        return left
    return left if limit == "max" else min(left, int(limit) - used)


def processor() -> str:
    """Return the processor's name, from /proc/cpuinfo or Python's ``platform``."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
