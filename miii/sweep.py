"""A grid of settings, trained one after the other: skips what is finished, and survives being stopped."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from miii import flat, runs
from miii.config import RunConfig
from miii.errors import InputError
from miii.training import Step, train


def grid(base: RunConfig, choices: dict[str, Sequence[Any]]) -> dict[str, RunConfig]:
    """Every combination of the choices (option name -> values), named like ``lr=0.01,seed=3``.

    Raises:
        InputError: an option is unknown or a value does not fit; nothing has been trained then.

    Source: own design.
    """
    if not all(choices.values()):
        raise InputError("grid must give at least one value for every option.")
    combinations = [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]
    return {
        ",".join(f"{name}={value}" for name, value in changes.items()): flat.change(base, changes)
        for changes in combinations
    }


def sweep(folder: str | Path, configs: dict[str, RunConfig]) -> Iterator[tuple[str, Step]]:
    """Train each config into ``folder / name`` and pass its steps on; a finished run is skipped, a stopped one resumed.

    Raises:
        InputError: a run cannot be written, or a folder of that name holds a run with another config.

    Source: own design.
    """
    for name, config in configs.items():
        place = Path(folder) / name
        steps = train(config)
        if place.exists():
            run = runs.open(place.absolute())
            if run.config != config:
                raise InputError(f"{place} holds a run with another config; choose another folder for this sweep.")
            if run.result is not None and not run.result["stopped"]:
                continue
            if run.can_resume:
                steps = runs.resume(place.absolute())
            else:  # killed before its first few seconds: nothing to go on from
                runs.discard(run)
        followed = runs.follow(place, steps)
        try:
            for step in followed:
                yield name, step
        finally:
            followed.close()
