"""The unit of every engine: make this run folder finished."""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from miii import runs
from miii.errors import InputError, shortened
from miii.runs.atomic import write_json
from miii.runs.files import find_json
from miii.runs.state import load_state
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


def attempt(
    place: Path,
    config: RunConfig,
    stop: Callable[[], bool] = lambda: False,
    seen: Callable[[Step], object] = lambda step: None,
) -> Outcome:
    """Finish a run; if that is impossible, write the reason and return ``failed``."""
    try:
        if claims.deaths(place) < DEATHS or claims.held(place):
            return finish(place, config, stop, seen)
        error: Exception = InputError(f"{DEATHS} processes died while they trained it.")
    except Exception as raised:  # one run must not end the sweep
        error = raised
    return _outcome(place, error)


def attempt_together(
    folder: Path,
    configs: Mapping[str, RunConfig],
    stop: Callable[[], bool] = lambda: False,
    seen: Callable[[Step], object] = lambda step: None,
) -> Iterator[tuple[str, Outcome]]:
    """Finish runs of one ``ensemble.shape_of`` as one tensor program; yield each name and outcome as it ends.

    Runs that stopped at different steps are trained one group after the other. A run alone is trained as ever.

    Args:
        seen: called with each step of each run.
    """
    if len(configs) == 1:
        for name, config in configs.items():
            yield name, attempt(folder / name, config, stop, seen)
        return
    folder, groups = folder.absolute(), dict[int, dict[str, claims.Claim]]()
    with contextlib.ExitStack() as held:
        for name, config in configs.items():
            step = _begins_at(folder / name, config)
            claim = None if step is None or stop() else held.enter_context(claims.claim(folder / name))
            if step is None or claim is None or _begins_at(folder / name, config) != step:
                yield name, attempt(folder / name, config, stop, seen)  # it has ended, or another process trains it
            else:
                groups.setdefault(step, {})[name] = claim
        for group in groups.values():
            yield from _train_together(folder, {name: configs[name] for name in group}, group, stop, seen)


def _train_together(
    folder: Path,
    configs: Mapping[str, RunConfig],
    held: Mapping[str, claims.Claim],
    stop: Callable[[], bool],
    seen: Callable[[Step], object],
) -> Iterator[tuple[str, Outcome]]:
    """Train runs that this process holds, from one step on."""
    left = dict(configs)
    try:
        places = {folder / name: config for name, config in configs.items()}
        for place, found in runs.follow_together(places, stop, check=lambda place: held[place.name].check()):
            if isinstance(found, Step):
                seen(found)
                if not found.last:
                    continue
            del left[place.name]
            outcome: Outcome = "done"
            if not isinstance(found, Step):
                outcome = _outcome(place, found)
            if outcome in ("done", "diverged"):
                claims.forget(place)
            yield place.name, outcome
    except Exception as error:  # what ends them all must not end the sweep
        for name in left:
            yield name, _outcome(folder / name, error)
    else:
        for name in left:
            yield name, "stopped"


def _outcome(place: Path, error: Exception) -> Outcome:
    """Return what became of a run that ended with an error; write the reason if it failed."""
    if isinstance(error, Diverged):
        return "diverged"
    if isinstance(error, claims.LostError):
        return "busy"
    fail(
        place, str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {shortened(str(error), 300)}."
    )
    return "failed"


def _begins_at(place: Path, config: RunConfig) -> int | None:
    """Return the step at which a run begins or resumes; None if it does neither."""
    try:
        if claims.deaths(place) >= DEATHS:
            return None
        if not os.path.lexists(place):
            return 0
        if _ended(place, config) or not runs.open(place).can_resume:
            return None
        state = load_state(runs.open(place))
    except InputError:
        return None
    return 0 if state is None else int(state["clock"][0])


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
