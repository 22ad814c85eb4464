"""Work in a thread of its own, while no run waits."""

import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from miii.errors import InputError
from miii.jobs import lower_priority
from pages._server import settings
from pages._server.jobs import waiting

PAUSE = 0.2  # seconds between looks at the queue of runs


@dataclass(kw_only=True)
class Background:
    """Work that begins at once, gives way to runs of the page Train, and ends at the server's time limit.

    Attributes:
        message: why it ended early; empty if it did not.
        stop: set to stop it.
    """

    message: str = ""
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        limit = settings.read().max_seconds
        self._until = None if limit is None else time.monotonic() + limit
        self.thread = threading.Thread(target=self._run, daemon=True, name=type(self).__name__)
        self.thread.start()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended."""
        return not self.thread.is_alive()

    def work(self) -> None:
        """Do the work, and return soon after ``stopping``."""
        raise NotImplementedError

    def give_way(self) -> None:
        """Wait while a run waits, unless the work is stopped."""
        while waiting() and not self.stop.wait(PAUSE):
            pass

    def stopping(self) -> bool:
        """Return whether the work must end, because it is stopped or has taken too long."""
        if self._until is not None and time.monotonic() > self._until and not self.stop.is_set():
            self.message = f"Stopped after {settings.read().max_seconds:,} seconds, the limit here."
            self.stop.set()
        return self.stop.is_set()

    def _run(self) -> None:
        lower_priority()
        try:
            self.work()
        except Exception as error:  # the thread must not die silently
            self.message = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}."


def close(found: Iterable[Background]) -> None:
    """Stop all, and wait for them."""
    for each in found:
        each.stop.set()
    for each in found:
        each.thread.join()
