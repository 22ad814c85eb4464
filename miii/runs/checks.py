"""Check every value and size of an untrusted run, before anything is built."""

import math
import re
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor

from miii import cost
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.runs.files import parsed
from miii.runs.read import METRICS
from miii.tasks import ModularAddition, Residues, Task
from miii.training.config import RunConfig

KINDS = (torch.float32, torch.float16, torch.bfloat16, torch.float64)  #: valid dtypes of weights
DEEPEST = 12  #: maximum nesting of objects and lists
COLUMN = re.compile(r"[A-Za-z0-9_]{1,60}")  #: a valid metric name


@dataclass(frozen=True)
class Limits:
    """Limits of an untrusted run.

    Attributes:
        files: number of files; nbytes: total bytes, unpacked; json_bytes: bytes per JSON file.
        p: largest modulus; memory: maximum bytes that a page of the run needs.
    """

    files: int = 1100
    nbytes: int = 200_000_000
    json_bytes: int = 10_000_000
    p: int = 1024
    memory: int = 4_000_000_000


LIMITS = Limits()


def check_size(config: RunConfig, limits: Limits = LIMITS) -> None:
    """Check that a run is small enough for the app, without building the task or the network.

    Raises:
        InputError: the modulus is too large, or a page would need too much memory.
    """
    task = config.task
    if isinstance(task, ModularAddition | Residues) and task.p > limits.p:
        raise InputError(f"p must be at most {limits.p} here (got {task.p}).")
    page, needs = max(cost.pages(config).items(), key=lambda item: item[1].nbytes)
    if needs.nbytes > limits.memory:
        raise InputError(
            f"task and model must be small enough for {limits.memory / 1e6:,.0f} MB of memory (got about "
            f"{needs.nbytes / 1e6:,.0f} MB for {page})."
        )


def shapes(config: RunConfig, task: Task) -> dict[str, tuple[int, ...]]:
    """Return the names and shapes of the network's tensors, without building it."""
    with torch.device("meta"):
        model = Transformer.of(config.model, task)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def read_object(name: str, data: bytes) -> dict[str, Any]:
    """Return the JSON object in a file, with finite numbers and at most ``DEEPEST`` levels.

    Raises:
        InputError: the file is anything else.

    Source: RFC 8259.
    """
    try:
        value = parsed(data.decode(), parse_float=_finite, parse_constant=_finite)
        if isinstance(value, dict) and not _deep(value, DEEPEST):
            return value
    except (ValueError, RecursionError):
        pass
    raise InputError(f"{name} must hold a JSON object of finite numbers with at most {DEEPEST} levels.")


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(text)
    return value


def _deep(value: Any, left: int) -> bool:
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return left < 0 or any(_deep(item, left - 1) for item in inside)


def read_config(data: bytes) -> RunConfig:
    """Return the config of a run.

    Raises:
        InputError: the config is invalid.
    """
    values = read_object("config.json", data)
    try:
        return RunConfig(**values)
    except InputError as error:
        raise InputError(f"config.json is not a run's config: {error}") from None
    except (TypeError, ValueError, RecursionError, OverflowError):  # a hostile value may raise anything
        raise InputError("config.json is not a run's config.") from None


def read_rows(data: bytes, config: RunConfig) -> list[dict[str, Any]]:
    """Return the rows of ``metrics.jsonl``, without an unfinished last line.

    Raises:
        InputError: a row is not an object with a valid, increasing integer step and the numbers that the app shows.
    """
    needed = {*METRICS, *config.task.shown}
    needed |= {"accuracy", "loss"} if config.task.train_fraction is None else set()
    rows: list[dict[str, Any]] = []
    for i, line in enumerate(data.rpartition(b"\n")[0].split(b"\n") if data else []):
        row = read_object(f"metrics.jsonl, line {i + 1},", line)
        for name, value in row.items():
            if not COLUMN.fullmatch(name) or not (value is None or _number(value)):
                raise InputError(f"metrics.jsonl must hold numbers by name (line {i + 1} does not).")
        if missing := sorted(needed - row.keys()):
            raise InputError(f"metrics.jsonl must have {', '.join(missing)} in each row (line {i + 1} does not).")
        if not _is_integer(row["step"], config.steps) or (rows and row["step"] <= rows[-1]["step"]):
            raise InputError(
                f"metrics.jsonl must have an integer step in each row, ascending and at most {config.steps} "
                f"(line {i + 1} does not)."
            )
        rows.append(row)
    return rows


def read_result(data: bytes, config: RunConfig) -> dict[str, Any]:
    """Return the object of ``result.json``.

    Raises:
        InputError: a required value is missing or invalid, or a value is not plain.
    """
    result = read_object("result.json", data)
    _check_plain("result.json", result)
    named = ("stopped", "steps", "grokked_at", "seconds_to_grok", "ms_per_step")
    if missing := [name for name in named if name not in result]:
        raise InputError(f"result.json must have {', '.join(missing)}.")
    if not isinstance(result["stopped"], bool):
        raise InputError("stopped must be true or false in result.json.")
    if not _is_integer(result["steps"], config.steps):
        raise InputError(f"steps must be an integer of at most {config.steps} in result.json.")
    if result["grokked_at"] is not None and not _is_integer(result["grokked_at"], config.steps):
        raise InputError(f"grokked_at must be an integer of at most {config.steps}, or null, in result.json.")
    for name in ("seconds_to_grok", "ms_per_step"):
        if result[name] is not None and not _number(result[name]):
            raise InputError(f"{name} must be a number, or null, in result.json.")
    return result


def read_provenance(data: bytes) -> dict[str, Any]:
    """Return the object of ``provenance.json``.

    Raises:
        InputError: a value is not plain.
    """
    found = read_object("provenance.json", data)
    _check_plain("provenance.json", found)
    return found


def read_report(data: bytes, config: RunConfig) -> dict[str, Any]:
    """Return the object of ``report.json``; for a residues run, check the frequency power that the app reads.

    Raises:
        InputError: it is not an object, or ``frequency_power`` of a residues run is not a list of numbers per step.
    """
    report = read_object("report.json", data)
    if not isinstance(config.task, Residues):  # their frequency_power is one number
        return report
    power = report.get("frequency_power", {})
    if not isinstance(power, dict) or not all(
        step.isdecimal() and isinstance(values, list) and all(map(_number, values)) for step, values in power.items()
    ):
        raise InputError("frequency_power must be a list of numbers for each step in report.json.")
    if len({len(values) for values in power.values()}) > 1:
        raise InputError("frequency_power must have the same length at each step in report.json.")
    return report


def read_snapshot(name: str, data: bytes, wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return the tensors of a snapshot, checked against the config's names and shapes.

    Raises:
        InputError: the file is not a readable safetensors file, or holds other tensors.
    """
    try:
        found = safetensors.torch.load(data)
    except Exception:  # a hostile header may raise anything
        raise InputError(f"{name} must be a readable safetensors file.") from None
    for weight in sorted(wanted.keys() | found.keys()):
        if weight not in wanted:
            raise InputError(f"{name} must hold only the tensors of its config.json (got another one).")
        got = tuple(found[weight].shape) if weight in found else "nothing"
        if got != wanted[weight]:
            raise InputError(f"{name} does not fit its config.json: {weight} must be {wanted[weight]} (got {got}).")
        if found[weight].dtype not in KINDS:
            raise InputError(f"{weight} must hold floating-point numbers in {name} (got {found[weight].dtype}).")
    return found


def _check_plain(name: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, dict | list) or len(key) > 100 or (isinstance(value, str) and len(value) > 500):
            raise InputError(f"{name} must hold plain values by name: short text, numbers, true, false and null.")


def _is_integer(value: Any, most: int) -> bool:
    return type(value) is int and 0 <= value <= most


def _number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**63)
