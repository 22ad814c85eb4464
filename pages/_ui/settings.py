"""What the environment says of this server: whether strangers share it, and how much may be trained on it."""

import os
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from miii import RunConfig, runs
from miii.errors import InputError
from pages._ui.form import LIMIT

CLOUD = Path("/mount/src")  # where Streamlit Community Cloud puts an app, which anyone may open then
SHARED_STEPS, SHARED_JOBS = 3000, 3  # what a shared server allows unless it is told otherwise

#: How large a run may be that comes from elsewhere, or that is trained on a shared server.
UPLOAD = replace(runs.LIMITS, p=LIMIT, nbytes=100_000_000)


@dataclass(frozen=True)
class Settings:
    """Attributes: shared, whether strangers use this server; the limits of training, None where there is none."""

    shared: bool
    max_steps: int | None
    max_jobs: int | None

    def sentence(self) -> str:
        """The limits in words; empty where there is none."""
        parts = []
        if self.max_steps is not None:
            parts.append(f"a run may have at most {self.max_steps:,} steps")
        if self.max_jobs is not None:
            parts.append(
                f"at most {self.max_jobs} {'run' if self.max_jobs == 1 else 'runs'} may train or wait at a time"
            )
        return f"On this server {' and '.join(parts)}. The command line has no such limit." if parts else ""


def read() -> Settings:
    """The settings of the environment.

    Raises:
        InputError: ``MIII_SHARED`` is neither 1 nor 0, or ``MIII_MAX_STEPS`` or ``MIII_MAX_JOBS`` no whole number.
    """
    said = os.environ.get("MIII_SHARED", "")
    if said not in ("", "0", "1"):
        raise InputError(f"MIII_SHARED must be 1 or 0 (got {said!r}).")
    shared = said == "1" if said else Path(__file__).resolve().is_relative_to(CLOUD)
    return Settings(
        shared,
        _number("MIII_MAX_STEPS", SHARED_STEPS if shared else None),
        _number("MIII_MAX_JOBS", SHARED_JOBS if shared else None),
    )


def _number(name: str, default: int | None) -> int | None:
    said = os.environ.get(name, "")
    if not said:
        return default
    if not (said.isascii() and said.isdecimal() and int(said)):
        raise InputError(f"{name} must be a whole number of at least 1 (got {said!r}).")
    return int(said)


def prepare() -> None:
    """On a shared server that does not say where runs belong, they go to a temporary folder."""
    if read().shared and not os.environ.get("MIII_RUNS"):
        folder = Path(tempfile.gettempdir()) / "miii-runs"
        folder.mkdir(mode=0o700, exist_ok=True)
        os.environ["MIII_RUNS"] = str(folder)


def lasting() -> bool:
    """Whether what is written stays: a temporary folder may be emptied at any time."""
    return not runs.homes()[0].resolve().is_relative_to(Path(tempfile.gettempdir()).resolve())


def check_start(config: RunConfig, busy: int) -> None:
    """Check that one more run may be trained.

    Args:
        busy: how many runs train or wait already.

    Raises:
        InputError: it has too many steps, there are too many already, or it is too large for a shared server.
    """
    found = read()
    check_steps(config)
    if found.shared:
        runs.check_size(config, UPLOAD)
    if found.max_jobs is not None and busy >= found.max_jobs:
        raise InputError(
            f"runs that train or wait must be at most {found.max_jobs} on this server: start another one when one of "
            f"them has ended (got {busy + 1})."
        )


def check_steps(config: RunConfig) -> None:
    """Check that a run is short enough for this server.

    Raises:
        InputError: it is not.
    """
    most = read().max_steps
    if most is not None and config.steps > most:
        raise InputError(f"steps must be at most {most:,} on this server (got {config.steps:,}).")
