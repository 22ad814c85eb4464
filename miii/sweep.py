"""Train a grid of settings sequentially; skip finished runs and resume stopped ones."""

import itertools
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from miii import runs
from miii.errors import InputError
from miii.training import Diverged, Step, flat, train
from miii.training.config import RunConfig

MOST = 10_000  #: maximum runs in a grid


def grid(base: RunConfig, choices: dict[str, Sequence[Any]]) -> dict[str, RunConfig]:
    """Return every combination of the choices (option name -> values), named like ``lr=0.01,seed=3``.

    Raises:
        InputError: an option is unknown, a value is invalid, or there are more than ``MOST`` combinations.
    """
    if not all(choices.values()):
        raise InputError("grid must give at least one value for every option.")
    # count at most MOST of each: len fails on a very long range
    if math.prod(len(values[: MOST + 1]) for values in choices.values()) > MOST:
        counted = ", ".join(f"{name}: {_many(values)}" for name, values in choices.items())
        raise InputError(f"grid must give at most {MOST:,} runs (got the product of {counted}).")
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return {
        ",".join(f"{name}={value}" for name, value in changes.items()): flat.change(base, changes)
        for changes in combinations
    }


def _many(values: Sequence[Any]) -> str:
    return f"over {MOST:,}" if len(values[: MOST + 1]) > MOST else f"{len(values):,}"


def sweep(
    folder: str | Path, configs: dict[str, RunConfig], stop: Callable[[], bool] = lambda: False
) -> Iterator[tuple[str, Step]]:
    """Train each config into ``folder / name`` and yield its steps; skip finished runs, resume stopped ones.

    If a run diverges, continue with the next.

    Args:
        stop: see ``train``.

    Raises:
        InputError: a run cannot be written, or its folder holds a run with a different config.
    """
    for name, config in configs.items():
        place = Path(folder) / name
        steps = train(config, stop=stop)
        if os.path.lexists(place):
            run = runs.open(place.absolute())
            if run.config != config:
                raise InputError(f"{place} holds a run with another config; choose another folder for this sweep.")
            if run.result is not None and (not run.result["stopped"] or "diverged_at" in run.result):
                continue
            steps = runs.resume(place.absolute(), stop)
        followed = runs.follow(place, steps)
        try:
            for step in followed:
                yield name, step
        except Diverged:
            pass
        finally:
            followed.close()
