"""Start, watch and stop a Streamlit server for benchmarks."""

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import Unavailable

TIMEOUT = 60_000  #: milliseconds after which a missing element or server counts as broken


@dataclass(frozen=True)
class Server:
    """A running Streamlit server, and when its process was spawned (``time.perf_counter``)."""

    url: str
    pid: int
    began: float


@contextmanager
def serving(app: Path, **environment: str) -> Iterator[Server]:
    """Run ``streamlit run`` on a free port and wait until it answers; end its process group afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"server.headless": "true", "server.port": port, "server.address": "127.0.0.1"}
    flags = [str(part) for name, value in options.items() for part in (f"--{name}", value)]
    with tempfile.TemporaryDirectory() as runs, tempfile.TemporaryFile() as log:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "streamlit", "run", str(app), *flags],
            cwd=app.parent,
            env={**os.environ, **environment, "MIII_RUNS": runs},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            while not _answers(port):
                if process.poll() is not None or time.perf_counter() - began > TIMEOUT / 1000:
                    raise Unavailable("the server does not start.")
                time.sleep(0.01)
            yield Server(f"http://127.0.0.1:{port}/", process.pid, began)
        except Exception as error:
            log.seek(0)
            state = "still runs" if process.poll() is None else f"has ended with exit code {process.returncode}"
            output = " ".join(log.read().decode(errors="replace").split())[-300:]
            raise Unavailable(f"{' '.join(str(error).split())[:300]} (the server {state}: {output})") from error
        finally:
            with suppress(ProcessLookupError):  # the group has already ended
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@contextmanager
def watching(pid: int, every: float = 0.2) -> Iterator[Any]:
    """Watch a process and its descendants; yield a function that returns their peak memory in MB."""
    sums, ended = [0.0], threading.Event()

    def watch() -> None:
        while not ended.wait(every):
            sums[0] = max(sums[0], megabytes(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield lambda: sums[0]
    finally:
        ended.set()
        thread.join()


def megabytes(pid: int, which: str = "VmRSS") -> float:
    """Return the resident memory of a process tree in MB (10^6 bytes): ``VmRSS`` now, ``VmHWM`` the peaks."""
    return sum(_kilobytes(member, which) for member in family(pid)) * 1024 / 1e6


def _kilobytes(pid: int, which: str) -> int:
    try:
        found = re.search(rf"^{which}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    except OSError:  # the process has ended
        return 0
    return int(found[1]) if found else 0


def family(pid: int) -> list[int]:
    """Return the process and its living descendants, from /proc."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:  # "pid (name) state parent ...", where the name may contain anything
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    members = [pid]
    for member in members:  # grows during the loop
        members += [child for child, parent in parents.items() if parent == member]
    return members
