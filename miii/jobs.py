"""Train in background threads, independent of any user interface."""

import math
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from miii import runs
from miii.errors import InputError, quoted
from miii.training import Step, train
from miii.training.config import RunConfig
from miii.training.evaluation import Evaluation

Status = Literal["queued", "running", "pausing", "stopping", "paused", "stopped", "finished", "failed"]
FINAL: tuple[Status, ...] = ("paused", "stopped", "finished", "failed")  #: final states


@dataclass
class Job:
    """A background run. The training thread writes its attributes; other threads read them.

    Attributes:
        step: the latest step; evaluation: the latest evaluation, at most a few steps older.
        message: why it failed or hit the limit, in one sentence.
        limit: maximum wall-clock seconds; None for no limit.
    """

    folder: Path
    config: RunConfig
    status: Status = "queued"
    step: Step | None = None
    evaluation: Evaluation | None = None
    message: str = ""
    limit: float | None = None
    stop: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _until: float = math.inf
    _times: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=50))

    @property
    def name(self) -> str:
        """The run's name."""
        return runs.Run(self.folder, self.config).name

    @property
    def ended(self) -> bool:
        """Whether the job is in a final state."""
        return self.status in FINAL

    def wait(self, seconds: float) -> bool:
        """Wait up to ``seconds`` for the job to end; return whether it has."""
        end = time.monotonic() + seconds
        while not self.ended and time.monotonic() < end:
            time.sleep(0.01)
        return self.ended

    @property
    def rate(self) -> float | None:
        """Steps per second over the last fifty steps, including evaluations; None before the second step."""
        times = list(self._times)
        if len(times) < 2 or times[-1][0] == times[0][0]:
            return None
        return (times[-1][1] - times[0][1]) / (times[-1][0] - times[0][0])

    @property
    def seconds_left(self) -> float | None:
        """Seconds until the last step at the current rate; None without a rate."""
        rate = self.rate
        return None if not rate or self.step is None else (self.config.steps - self.step.step) / rate

    def stopping(self) -> bool:
        """Return whether training must stop, by request or at its limit. Evaluations call it too."""
        if not self.stop.is_set() and time.monotonic() > self._until:
            self.message = f"Stopped after {self.limit:,.0f} seconds, the limit of a run here."
            self.stop.set()
        return self.stop.is_set()

    def run(self, steps: Callable[[], Iterator[Step]]) -> None:
        """Train to the end or until ``stopping``, and write the run; errors go to ``message``."""
        self._until = math.inf if self.limit is None else time.monotonic() + self.limit
        try:
            followed = runs.follow(self.folder, steps())
            for step in followed:
                self.step = step
                self.evaluation = step.evaluation or self.evaluation
                self._times.append((time.perf_counter(), step.step))
                if self.stopping():
                    break
            followed.close()
            # free the network, optimizer and gradients that the last step holds
            self.step = self.step and replace(self.step, weights=None, state=dict)
            with self.lock:  # a concurrent stop must not overwrite the final status
                if self.step is not None and self.step.last:
                    self.status = "finished"
                else:
                    self.status = "paused" if self.status == "pausing" else "stopped"
        except Exception as error:  # the thread must not die silently
            known = isinstance(error, InputError)
            self.message = str(error) if known else f"Training failed: {type(error).__name__}: {error}."
            with self.lock:
                self.status = "failed"


class Jobs:
    """A job queue and its worker threads.

    Args:
        workers: jobs that train concurrently; more than one slows each down.
    """

    def __init__(self, workers: int = 1) -> None:
        self._lock = threading.Condition()
        self._queue: deque[tuple[Job, Callable[[], Iterator[Step]]]] = deque()
        self._jobs: dict[str, Job] = {}
        self._closed = False
        self._threads = [threading.Thread(target=self._work, daemon=True, name=f"miii-{i}") for i in range(workers)]
        for thread in self._threads:
            thread.start()

    def start(self, folder: str | Path, config: RunConfig, limit: float | None = None) -> Job:
        """Queue a new run.

        Args:
            limit: maximum wall-clock seconds; None for no limit.

            Raises:
            InputError: the folder exists, or a queued job will create it.
        """
        folder = Path(folder)
        if folder.exists():
            raise InputError(f"name must be one that no run has yet (got {folder.name!r}).")
        job = Job(folder, config, limit=limit)
        return self._submit(job, lambda: train(config, stop=job.stopping))

    def resume(self, run: runs.Run, limit: float | None = None) -> Job:
        """Queue a stopped run for resuming.

        Args:
            limit: see ``start``.

        Raises:
            InputError: the run has ended, is being written, or is queued.
        """
        if not run.can_resume:
            raise InputError(f"{run.name} has nothing to resume.")
        job = Job(run.folder, run.config, limit=limit)
        return self._submit(job, lambda: runs.resume(run.folder.absolute(), job.stopping))

    def _submit(self, job: Job, steps: Callable[[], Iterator[Step]]) -> Job:
        with self._lock:
            if job.name in self._jobs and not self._jobs[job.name].ended:
                raise InputError(f"name must be one that no job has (got {quoted(job.name)}).")
            self._jobs[job.name] = job
            self._queue.append((job, steps))
            self._lock.notify()
        return job

    def get(self, name: str) -> Job | None:
        """Return a run's latest job, or None."""
        return self._jobs.get(name)

    def all(self) -> list[Job]:
        """Return all jobs in order of submission."""
        return list(self._jobs.values())

    def ahead(self, job: Job) -> int:
        """Return the number of jobs ahead of this one; 0 once it has started."""
        with self._lock:
            waiting = [queued for queued, _ in self._queue]
            running = sum(1 for other in self._jobs.values() if other.status in ("running", "pausing", "stopping"))
            return waiting.index(job) + running if job in waiting else 0

    def stop(self, job: Job) -> None:
        """Stop a job after its current step, or remove it from the queue; a started run can be resumed."""
        with self._lock, job.lock:
            if job.status == "queued":
                self._queue = deque(item for item in self._queue if item[0] is not job)
                job.status = "stopped"
            elif not job.ended:
                job.status = "stopping"
            job.stop.set()

    def pause(self, job: Job) -> None:
        """Pause a running job after its current step, so that the next job starts; ``resume`` continues it."""
        with self._lock, job.lock:
            if job.status == "running":
                job.status = "pausing"
                job.stop.set()

    def close(self) -> None:
        """Stop all jobs and wait for them; started runs can be resumed."""
        for job in self.all():
            if not job.ended:
                self.stop(job)
        with self._lock:
            self._closed = True
            self._lock.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        lower_priority()
        while True:
            with self._lock:
                while not self._queue and not self._closed:
                    self._lock.wait()
                if not self._queue:
                    return
                job, steps = self._queue.popleft()
                if job.stop.is_set():
                    continue
                job.status = "running"
            job.run(steps)


def lower_priority() -> None:
    """Lower this thread's priority; Linux only."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 5)
