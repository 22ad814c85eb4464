"""Run the sides of a comparison in separate processes, in turn, with JSON lines on stdin and stdout.

Uses only the standard library: a side may run in another virtual environment.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks.table import Unavailable

Request = dict[str, Any]
Answer = dict[str, Any]
Prepared = tuple[Answer, Callable[[Request], Answer]]  #: facts about a side, and one repetition of it


def serve(prepare: Callable[[], Prepared]) -> None:
    """Prepare, report ready, then answer each request with one repetition until stdin ends. Runs in the worker.

    Stdout is for answers only. ``prepare`` also imports, so anything that a library prints goes to stderr.
    """
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        ready, repetition = prepare()
        print(json.dumps(ready), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(repetition(json.loads(line))), file=answers, flush=True)


class Worker:
    """The parent's handle on a worker. ``ready`` has the facts that the worker sent."""

    def __init__(self, name: str, process: "subprocess.Popen[str]") -> None:
        self.name, self.process = name, process
        self.ready = self._answer()

    def ask(self, request: Request) -> Answer:
        """Run one repetition."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # reading the answer then raises
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
        return self._answer()

    def _answer(self) -> Answer:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise Unavailable(f"{self.name} ended with exit code {self.process.wait()}; see stderr.")
        answer: Answer = json.loads(line)
        return answer


@contextmanager
def worker(
    python: str | Path, module: str, *arguments: str, cwd: Path, env: dict[str, str] | None = None
) -> Iterator[Worker]:
    """Start ``python -m module arguments`` as a worker, and kill it on leaving the block."""
    process = subprocess.Popen(
        [str(python), "-m", module, *arguments],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Worker(module, process)
    finally:
        process.kill()
        process.wait()
