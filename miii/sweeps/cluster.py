"""A dask cluster as an engine's processes: connect within seconds, and end in one sentence if it is lost."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from miii.errors import InputError, quoted, shortened

CONNECT: Final = 5  #: seconds for a cluster to answer
LOOK: Final = 0.5  #: seconds between looks at the file that stops an engine


def connect(address: str) -> Any:
    """Return the client of a dask scheduler that has a worker.

    Raises:
        InputError: it does not answer or has no worker, or distributed is not installed.
    """
    try:
        from distributed import Client
    except ImportError:
        raise InputError("dask needs the package distributed: pip install 'miii[cluster]'.") from None
    for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
        logging.getLogger(name).setLevel(logging.CRITICAL)  # a lost cluster is one sentence, not a traceback
    # in a thread, since distributed waits forever for a server that accepts and is silent
    client = _in_thread(lambda: Client(address, timeout=CONNECT, set_as_default=False)) if address else None
    if client is None:
        raise InputError(
            "dask must be the address of a running scheduler, such as tcp://host:8786 "
            f"(got {quoted(address)}: no scheduler answers there)."
        )
    try:
        client.wait_for_workers(1, timeout=CONNECT / 2)
    except TimeoutError:
        client.close()
        raise InputError(f"dask must be a scheduler with at least one worker (got {quoted(address)}).") from None
    return client


def _in_thread(function: Callable[[], Any]) -> Any:
    """Return a function's value; None if it raises, or takes longer than ``CONNECT``."""
    found: list[Any] = []

    def call() -> None:
        with contextlib.suppress(Exception):  # the answer of a server of another kind may raise anything
            found.append(function())

    thread = threading.Thread(target=call, daemon=True, name="sweep-connect")
    thread.start()
    thread.join(CONNECT)
    return found[0] if found else None


@contextmanager
def watched(client: Any, address: str, flag: Path, broken: tuple[type[BaseException], ...]) -> Iterator[None]:
    """Run a map over a cluster: a lost cluster is an ``InputError``, and a stop ends one whose workers have all died.

    Args:
        flag: exists once the engine stops.
        broken: errors of a worker's death, which the engine handles.

    Raises:
        InputError: the cluster is lost.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK):
            with contextlib.suppress(Exception):
                if flag.exists() and not client.nthreads():
                    client.close()
                    return

    threading.Thread(target=watch, daemon=True, name="sweep-cluster").start()
    try:
        yield
    except broken:
        raise
    except Exception as error:  # a run that fails does not raise
        if not flag.exists():
            reason = shortened(f"{type(error).__name__}: {str(error).partition(chr(10))[0]}", 200)
            raise InputError(
                f"dask must be a cluster that runs until the sweep ends (got {quoted(address)}, lost by {reason}); "
                "the same command resumes the sweep."
            ) from None
    finally:
        ended.set()
