"""Grids of settings: every combination of values and seeds, as configs by name."""

import hashlib
import itertools
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from miii import cost
from miii.errors import InputError, quoted
from miii.training import flat
from miii.training.config import RunConfig

MOST = 1_000_000  #: maximum runs in a grid
SAMPLE = 60  #: settings whose cost is estimated; the others cost as much on average
LEAST = 0.04, 0.001  #: seconds of a run and of a step of the smallest network, beside its operations
LONGEST = 150  #: characters of a run's name; a longer one is cut and gets a hash


def grid(base: RunConfig, choices: Mapping[str, Sequence[Any]]) -> dict[str, RunConfig]:
    """Return every combination of the choices (option name -> values), named like ``lr=0.01,seed=3``.

    Raises:
        InputError: an option is unknown, a value is invalid, or there are more than ``MOST`` combinations.
    """
    count(choices)
    found = {}
    for values in itertools.product(*choices.values()):
        changes = dict(zip(choices, values, strict=True))
        found[run_name(changes)] = flat.change(base, changes)
    return found


def count(choices: Mapping[str, Sequence[Any]]) -> int:
    """Return the number of combinations.

    Raises:
        InputError: an option has no value, or there are more than ``MOST`` combinations.
    """
    if not all(choices.values()):
        raise InputError("grid must give at least one value for every option.")
    # count at most MOST of each: len fails on a very long range
    found = math.prod(len(values[: MOST + 1]) for values in choices.values())
    if found > MOST:
        counted = ", ".join(f"{name}: {_many(values)}" for name, values in choices.items())
        raise InputError(f"grid must give at most {MOST:,} runs (got the product of {counted}).")
    return found


def estimate(base: RunConfig, choices: Mapping[str, Sequence[Any]]) -> tuple[int, cost.Cost]:
    """Return the number of runs and their estimated cost: the largest memory, and the sums of operations and disk.

    Only ``SAMPLE`` settings are built, evenly spaced over the grid; a sweep of a million runs is estimated at once.

    Raises:
        InputError: see ``grid``.
    """
    runs, sizes = count(choices), [len(values) for values in choices.values()]
    needs = []
    for index in sorted({i * runs // SAMPLE for i in range(SAMPLE)} | {runs - 1}):
        values = []
        for given, size in zip(reversed(list(choices.values())), reversed(sizes), strict=True):
            values.append(given[index % size])
            index //= size
        config = flat.change(base, dict(zip(choices, reversed(values), strict=True)))
        need, least = cost.training(config), LEAST[0] + LEAST[1] * config.steps
        needs.append(replace(need, flops=need.flops + least * cost.RATE))
    share = runs / len(needs)
    return runs, cost.Cost(
        max(each.nbytes for each in needs),
        share * sum(each.flops for each in needs),
        round(share * sum(each.disk for each in needs)),
    )


def choices(texts: Sequence[str]) -> dict[str, list[Any]]:
    """Return the choices in texts such as ``lr=0.01,0.02``; the configs validate them.

    Raises:
        InputError: an option is the seed or is given twice, or a text has no option or no value.
    """
    found: dict[str, list[Any]] = {}
    for text in texts:
        name, _, listed = text.partition("=")
        if not name or not listed.strip(","):
            raise InputError(f"grid must be settings such as lr=0.01,0.02 (got {quoted(text)}).")
        if name == "seed":
            raise InputError("grid must not contain seed: use --seeds.")
        if name in found:
            raise InputError(f"grid must give each option once (got {quoted(name)} twice).")
        found[name] = [flat.from_text(name, value) for value in listed.split(",") if value]
    return found


def run_name(changes: Mapping[str, Any]) -> str:
    """Return the name of a setting's run, which is the name of its folder."""
    whole = ",".join(f"{name}={value}" for name, value in changes.items())
    safe = re.sub(r"[^\w.,=+-]", "_", whole)
    if safe == whole and len(whole) <= LONGEST and not whole.startswith("."):
        return whole
    return f"{safe[:LONGEST].lstrip('.')}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _many(values: Sequence[Any]) -> str:
    return f"over {MOST:,}" if len(values[: MOST + 1]) > MOST else f"{len(values):,}"
