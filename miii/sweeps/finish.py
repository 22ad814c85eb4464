"""The unit of every engine: make this run folder finished."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from miii import runs
from miii.errors import InputError, shortened
from miii.runs.atomic import write_json
from miii.runs.files import find_json
from miii.sweeps import claims
from miii.training import Diverged, Step, train
from miii.training.config import RunConfig

#: What became of a run: ``busy`` if another process trains it, ``stopped`` if it can be resumed.
Outcome = Literal["done", "diverged", "stopped", "busy", "failed"]
FAILED: Final = ".failed"  #: folder of the reasons of failure, in a sweep's folder
DEATHS: Final = 5  #: processes that may die with a run before it counts as failed


def finish(
    place: str | Path,
    config: RunConfig,
    stop: Callable[[], bool] = lambda: False,
    seen: Callable[[Step], object] = lambda step: None,
) -> Outcome:
    """Skip, resume or train a run under its claim; the result is an ordinary run folder.

    Args:
        place: the run's folder, below the sweep's; it may be missing.
        stop: see ``train``.
        seen: called with each step.

    Returns:
        What became of it, never ``failed``.

    Raises:
        InputError: the run cannot be written or trained, or its folder holds a run with another config.
    """
    place = Path(place).absolute()
    if ended := _ended(place, config):
        return ended
    if stop():
        return "stopped"
    if os.path.lexists(place) and runs.open(place).running:  # such as by `miii resume`
        return "busy"
    with claims.claim(place) as claim:
        if claim is None:
            return "busy"
        outcome = _ended(place, config) or _train(place, config, claim, stop, seen)
    if outcome in ("done", "diverged"):
        claims.forget(place)
    return outcome


def _train(
    place: Path, config: RunConfig, claim: claims.Claim, stop: Callable[[], bool], seen: Callable[[Step], object]
) -> Outcome:
    def stopping() -> bool:
        claim.check()
        return stop()

    steps = runs.resume(place, stopping) if os.path.lexists(place) else train(config, stop=stopping)
    last = False
    try:
        for step in runs.follow(place, steps):
            seen(step)
            last = step.last
    except Diverged:
        return "diverged"
    except claims.LostError:
        return "busy"
    return "done" if last else "stopped"


def attempt(place: Path, config: RunConfig, stop: Callable[[], bool] = lambda: False) -> Outcome:
    """Finish a run; if that is impossible, write the reason and return ``failed``."""
    try:
        if claims.deaths(place) < DEATHS or claims.held(place):
            return finish(place, config, stop)
        reason = f"{DEATHS} processes died while they trained it."
    except InputError as error:
        reason = str(error)
    except Exception as error:  # one run must not end the sweep
        reason = f"{type(error).__name__}: {shortened(str(error), 300)}."
    fail(place, reason)
    return "failed"


def fail(place: Path, reason: str) -> None:
    """Write why a run failed."""
    note = place.parent / FAILED / f"{place.name}.json"
    with contextlib.suppress(OSError):  # a full disk may be the reason
        note.parent.mkdir(exist_ok=True)
        write_json(note, {"reason": reason})


def failure(place: Path) -> str | None:
    """Return why a run failed; None if it did not."""
    try:
        found = find_json(place.parent / FAILED / f"{place.name}.json")
    except InputError:
        return "its reason cannot be read."
    return None if found is None else str(found.get("reason"))


def retry(place: Path) -> None:
    """Forget that a run failed, so that it is trained again."""
    if failure(place) is not None:
        (place.parent / FAILED / f"{place.name}.json").unlink(missing_ok=True)
        if not claims.held(place):
            claims.forget(place)


def _ended(place: Path, config: RunConfig) -> Outcome | None:
    """Return the outcome of a run that has ended; None if it must be trained.

    Raises:
        InputError: the folder holds something else.
    """
    if not os.path.lexists(place):
        return None
    run = runs.open(place)
    if run.config != config:
        raise InputError(f"{place} holds a run with another config; choose another folder for this sweep.")
    result = run.result
    if result is None or (result["stopped"] and "diverged_at" not in result):
        return None
    return "diverged" if "diverged_at" in result else "done"
