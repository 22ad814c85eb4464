"""Claims: the exclusive right of one process to train a run, on any number of machines that share a disk.

The claim on a run is the newest of its numbered files ``.claims/RUN.0``, ``RUN.1``, ... A process takes a run by
creating the next file exclusively, so two never succeed. A claim is over if its file's time is 0 (released), if its
process has ended (on the same machine: its lock is free), or if its heartbeat, the file's time, is ``STALE`` seconds
old by the disk's own clock.

Assumptions: the disk creates files exclusively (local disks, NFS 3 and later, Lustre, BeeGFS), and shows a changed file
time within ``STALE`` seconds. A process that was frozen for longer notices at its next step that it has lost its run,
and leaves it without writing.
"""

import contextlib
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

CLAIMS: Final = ".claims"  #: folder of the claims, in a sweep's folder
CLOCK: Final = ".clock"  #: file whose time is the disk's clock
BEAT, STALE = 5.0, 60.0  #: seconds between heartbeats, and until a claim without one is over


class LostError(Exception):
    """Another process has taken the run over, since this one was frozen for too long."""


def _machine() -> str:
    """Identify the running system: processes that see the same one see each other's file locks."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    if fcntl is None:
        return ""
    return boot.read_text().strip() if boot.exists() else platform.node()


class Claim:
    """A claim held by this process, with its heartbeat."""

    def __init__(self, place: Path, number: int, descriptor: int) -> None:
        self.number = number
        self._next, self._descriptor = _file(place, number + 1), descriptor
        self._beaten, self._lost, self._ended = time.time(), False, threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name=f"claim-{place.name}")
        self._thread.start()

    def check(self) -> None:
        """Check that the run is still this process's own; costs a file lookup only after a pause.

        Raises:
            LostError: another process has taken it over.
        """
        if time.time() - self._beaten > STALE / 2:
            self._lost = self._lost or self._next.exists()
        if self._lost:
            raise LostError

    def release(self) -> None:
        """End the claim: another process may take the run at once."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            os.utime(self._descriptor, (0, 0))
        os.close(self._descriptor)

    def _beat(self) -> None:
        while not self._ended.wait(BEAT):
            with contextlib.suppress(OSError):  # a disk that is away for a moment
                if self._next.exists():
                    self._lost = True
                    return
                os.utime(self._descriptor)
                self._beaten = time.time()


@contextmanager
def claim(place: Path) -> Iterator[Claim | None]:
    """Yield the claim on the run in ``place``; None if another process holds it."""
    found = _take(place)
    try:
        yield found
    finally:
        if found is not None:
            found.release()


def held(place: Path) -> bool:
    """Return whether a process that is alive holds the claim on a run."""
    number = _newest(place)
    return number is not None and not _over(place, number)


def running(folder: Path) -> int:
    """Return the number of runs of a sweep that are held, without a look at the others."""
    try:
        names = {name.rpartition(".")[0] for name in os.listdir(folder / CLAIMS)}
    except OSError:
        return 0
    return sum(held(folder / name) for name in names if name)


def orphaned(place: Path) -> bool:
    """Return whether the process that held the claim on a run died."""
    number = _newest(place)
    return number is not None and _mtime(_file(place, number)) != 0 and _over(place, number)


def deaths(place: Path) -> int:
    """Return how many processes died, or froze for too long, while they trained a run. Not counted while it is held."""
    number = _newest(place)
    return sum(_mtime(_file(place, i)) not in (0, None) for i in range(0 if number is None else number + 1))


def forget(place: Path) -> None:
    """Remove the claims on a run that has ended, newest first."""
    number = _newest(place)
    for i in reversed(range(0 if number is None else number + 1)):
        _file(place, i).unlink(missing_ok=True)


def _take(place: Path) -> Claim | None:
    number = _newest(place)
    if number is not None and not _over(place, number):
        return None
    number = 0 if number is None else number + 1
    path = _file(place, number)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    except FileExistsError:  # another process was faster
        return None
    with contextlib.suppress(OSError):  # a disk without locks: the heartbeat alone must do
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.write(descriptor, _machine().encode())  # after the lock, so that readers can rely on it
    return Claim(place, number, descriptor)


def _over(place: Path, number: int) -> bool:
    """Return whether a claim was released, or its process died."""
    path = _file(place, number)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:  # forgotten meanwhile: the run has ended
        return True
    try:
        changed = os.fstat(descriptor).st_mtime
        if changed == 0 or _now(path.parent) - changed > STALE:
            return True
        if fcntl is None or os.read(descriptor, 200).decode(errors="replace") != _machine():
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        return True
    finally:
        os.close(descriptor)


def _now(folder: Path) -> float:
    """Return the time by the clock of the disk; those of machines differ."""
    clock = folder / CLOCK
    try:
        clock.touch()
        return clock.stat().st_mtime
    except OSError:  # a folder that can only be read
        return time.time()


def _newest(place: Path) -> int | None:
    number = -1
    while _file(place, number + 1).exists():
        number += 1
    return None if number < 0 else number


def _mtime(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _file(place: Path, number: int) -> Path:
    return place.parent / CLAIMS / f"{place.name}.{number}"
