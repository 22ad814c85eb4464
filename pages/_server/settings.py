"""Server settings from environment variables: whether the server is shared, and its limits."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from miii import RunConfig, cost, runs
from miii.errors import InputError, quoted

LIMIT = 211  #: the largest p with a responsive p x p grid (44,521 cells) in a browser
CLOUD = Path("/mount/src")  # app folder on Streamlit Community Cloud, where anyone may open the app
MB = 1_000_000
STEP = 5  #: maximum seconds per step on a shared server; Stop waits for it


@dataclass(frozen=True)
class Settings:
    """Limits of this server; None means no limit. Each is set by an environment variable, ``MIII_`` plus its name.

    Attributes:
        shared: whether several users share this server.
        max_steps: steps per run.
        max_seconds: wall-clock seconds per run.
        max_jobs, max_own_jobs: runs that train or wait, per server and per session.
        max_memory: MB for training a run or showing a page of it, on top of the idle server.
        max_disk: MB of all runs trained or uploaded here.
        max_sweep: runs of a sweep trained here.
    """

    shared: bool
    max_steps: int | None
    max_seconds: int | None
    max_jobs: int | None
    max_own_jobs: int | None
    max_memory: int | None
    max_disk: int | None
    max_sweep: int | None

    def sentence(self) -> str:
        """Return the training limits in words; empty without limits."""
        of_run, of_jobs = [], []
        if self.max_steps is not None:
            of_run.append(f"have at most {self.max_steps:,} steps")
        if self.max_seconds is not None:
            of_run.append(f"train for at most {self.max_seconds:,} seconds")
        if self.max_jobs is not None:
            several = "run" if self.max_jobs == 1 else "runs"
            of_jobs.append(f"at most {self.max_jobs} {several} may train or wait at a time")
        if self.max_own_jobs is not None:
            of_jobs.append(
                f"at most {self.max_own_jobs} of {'them' if of_jobs else 'the runs that train or wait'} may be yours"
            )
        parts = ([f"a run may {' and '.join(of_run)}"] if of_run else []) + ([", ".join(of_jobs)] if of_jobs else [])
        return f"On this server {'; '.join(parts)}. The command line has no such limit." if parts else ""


#: Default limits of a shared server.
SHARED = {
    "max_steps": 3000,
    "max_seconds": 600,
    "max_jobs": 3,
    "max_own_jobs": 2,
    "max_memory": 250,
    "max_disk": 2000,
    "max_sweep": 64,  # a phase diagram of 8 x 8
}


def read() -> Settings:
    """Read the settings from the environment.

    Raises:
        InputError: ``MIII_SHARED`` is neither 1 nor 0, or a limit is not an integer of at least 1.
    """
    given = os.environ.get("MIII_SHARED", "")
    if given not in ("", "0", "1"):
        raise InputError(f"MIII_SHARED must be 1 or 0 (got {quoted(given)}).")
    shared = given == "1" if given else Path(__file__).resolve().is_relative_to(CLOUD)
    return Settings(shared, **{name: _number(f"MIII_{name.upper()}", most, shared) for name, most in SHARED.items()})


def _number(name: str, default: int, shared: bool) -> int | None:
    given = os.environ.get(name, "")
    if not given:
        return default if shared else None
    if not (given.isascii() and given.isdecimal() and int(given)):
        raise InputError(f"{name} must be a whole number of at least 1 (got {quoted(given)}).")
    return int(given)


def upload() -> runs.Limits:
    """Return the limits of an uploaded run."""
    found = read()
    memory = runs.LIMITS.memory if found.max_memory is None else found.max_memory * MB
    return replace(runs.LIMITS, p=LIMIT, nbytes=100 * MB, memory=memory)


def prepare() -> None:
    """Put runs in a temporary folder on a shared server without ``MIII_RUNS``."""
    if read().shared and not os.environ.get("MIII_RUNS"):
        folder = Path(tempfile.gettempdir()) / "miii-runs"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ["MIII_RUNS"] = str(folder)


def is_persistent() -> bool:
    """Return whether written files persist: a temporary folder may be emptied at any time."""
    return not runs.homes()[0].resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())


def check_start(config: RunConfig, busy: int, own: int) -> None:
    """Check that another run may be trained.

    Args:
        busy: number of runs that train or wait; own: how many are this session's.

    Raises:
        InputError: there are too many runs, or the run is too large for this server.
    """
    found = read()
    check_run(config)
    check_disk(cost.training(config).disk)
    for most, given, whose in ((found.max_jobs, busy, "runs"), (found.max_own_jobs, own, "your runs")):
        if most is not None and given >= most:
            raise InputError(
                f"{whose} that train or wait must be at most {most} on this server: wait until one has ended "
                f"(got {given + 1})."
            )


def check_run(config: RunConfig) -> None:
    """Check that a run is small enough for this server.

    Raises:
        InputError: it exceeds the limits on steps, memory, time per step or disk.
    """
    found = read()
    if found.max_steps is not None and config.steps > found.max_steps:
        raise InputError(f"steps must be at most {found.max_steps:,} on this server (got {config.steps:,}).")
    needs = cost.training(config)
    if found.max_memory is not None and needs.nbytes > found.max_memory * MB:
        raise InputError(
            f"training must need at most {found.max_memory:,} MB of memory here: lower batch_size, task or model sizes "
            f"(got about {needs.nbytes / MB:,.0f} MB)."
        )
    if found.shared and needs.step_seconds > STEP:
        raise InputError(
            f"a training step must take at most {STEP} seconds here: lower batch_size, task or model sizes "
            f"(got about {needs.step_seconds:.0f} seconds)."
        )


def check_disk(more: int) -> None:
    """Check that there is disk space for a run.

    Args:
        more: its size in bytes.

    Raises:
        InputError: the server's runs would exceed ``max_disk``.
    """
    most = read().max_disk
    if most is None:
        return
    used = runs.nbytes(runs.homes()[0])
    if used + more > most * MB:
        raise InputError(
            f"runs must take at most {most:,} MB here, and {used / MB:,.0f} MB are taken: lower snapshots, or delete a run "
            f"(got {more / MB:,.0f} MB more)."
        )
