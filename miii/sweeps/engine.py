"""Engines: train all runs of a sweep by one process, local processes, a cluster, or any process that claims them."""

import contextlib
import itertools
import math
import os
import random
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

from miii.sweeps import claims, cluster
from miii.sweeps.finish import Outcome, attempt_together, fail, failure, retry
from miii.sweeps.folder import Sweep
from miii.training import ensemble
from miii.training.config import RunConfig

Changed = Callable[[str, Outcome], object]  #: called with a run's name and outcome
POLL: Final = 0.2  #: seconds between looks at the file that stops an engine's processes
AGAIN: Final = 0.5  #: seconds until the runs of other processes are looked at again
FEWEST: Final = 8  #: runs that train as one tensor program; fewer train one by one, to the same bits on every engine
TOGETHER: Final = 64  #: the most of them
SHARED_OUT: Final = 16  #: the most of them if other processes train the same sweep
KILLED: Final = "its process was killed: perhaps memory ran out."


def train(
    sweep: Sweep,
    jobs: int = 1,
    dask: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    changed: Changed = lambda name, outcome: None,
    together: bool = True,
) -> None:
    """Train what is left of a sweep; runs that failed before are tried again.

    Small networks of one shape train as one tensor program (``miii.ensemble``), if there are at least ``FEWEST``; they
    equal single runs up to rounding. All other runs are the same to the bit on every engine.

    A process that dies costs no run of another. After ``stop``, all runs can be resumed by the same call.

    Args:
        jobs: local processes; 1 trains in this one.
        dask: address of a dask scheduler whose workers share the sweep's disk, instead of local processes.
        stop: called several times a second, from another thread too.
        changed: called for each run that ends, stops or fails.
        together: whether small networks train together.

    Raises:
        InputError: the cluster does not answer, or ends while it trains.
    """
    for name in sweep.configs:
        retry(sweep.folder / name)
    with _engine(jobs, dask, sweep.base, together) as mapped, _stop_file(sweep, stop) as flag:
        left = list(sweep.configs)
        while left and not stop():
            suspects, seen = [], dict[str, Outcome]()
            try:
                for name, outcome in mapped(sweep, left, flag):
                    seen[name] = outcome
                    if outcome != "busy":
                        changed(name, outcome)
            except _broken():  # one process died, and the engine killed the others
                suspects = [name for name in left if name not in seen and claims.orphaned(sweep.folder / name)]
            for name in suspects:
                if not stop():
                    seen[name] = _alone(sweep, name, flag)
                    changed(name, seen[name])
            left = [name for name in left if seen.get(name, "busy") == "busy"]
            if left and not suspects and not stop():
                time.sleep(AGAIN)


def work(sweep: Sweep, stop: Callable[[], bool] = lambda: False, changed: Changed = lambda name, outcome: None) -> None:
    """Train the runs of a sweep that no other process has claimed, until all have ended.

    Waits for the runs of other processes, to take over those of processes that die.
    """
    left = list(sweep.configs)
    random.shuffle(left)  # or all processes ask for the same run
    while left and not stop():
        for group in groups({name: sweep.configs[name] for name in left}, SHARED_OUT):
            failed = [name for name in group if failure(sweep.folder / name) is not None]
            found = attempt_together(sweep.folder, {n: c for n, c in group.items() if n not in failed}, stop)
            for name, outcome in itertools.chain(((name, "failed") for name in failed), found):
                if outcome != "busy":
                    left.remove(name)
                    changed(name, outcome)
            if stop():
                return
        if left and not stop():
            time.sleep(AGAIN)


def groups(configs: Mapping[str, RunConfig], most: int = TOGETHER, fewest: int = FEWEST) -> list[dict[str, RunConfig]]:
    """Return the runs in groups that train as one tensor program, where that is faster; others are alone.

    Args:
        most, fewest: limits on the runs of a group.
    """
    found: dict[str, dict[str, RunConfig]] = {}
    for name, config in configs.items():
        shape = ensemble.shape_of(config) if ensemble.is_small(config) else None
        found.setdefault(shape or name, {})[name] = config
    parts: list[dict[str, RunConfig]] = []
    for group in found.values():
        size = 1 if len(group) < fewest else math.ceil(len(group) / math.ceil(len(group) / most))
        names = list(group)
        parts += [{name: group[name] for name in names[i : i + size]} for i in range(0, len(names), size)]
    return parts


Mapped = Callable[[Sweep, Sequence[str], Path], Iterator[tuple[str, Outcome]]]


@contextmanager
def _engine(jobs: int, dask: str | None, base: RunConfig, together: bool) -> Iterator[Mapped]:
    def split(configs: Mapping[str, RunConfig]) -> list[dict[str, RunConfig]]:
        if not together:
            return [{name: config} for name, config in configs.items()]
        return groups(configs, SHARED_OUT if dask is not None else min(TOGETHER, math.ceil(len(configs) / jobs)))

    if dask is None and jobs == 1:
        yield partial(_here, split)
        return
    if dask is None:
        import joblib

        options: dict[str, Any] = {"backend": "loky", "inner_max_num_threads": base.threads or 1}
        with joblib.parallel_config(**options, n_jobs=jobs):
            yield partial(_mapped, split)
        return
    client = cluster.connect(dask)
    try:
        yield partial(_on_cluster, client, dask, split)
    finally:
        client.close()


Split = Callable[[Mapping[str, RunConfig]], list[dict[str, RunConfig]]]


def _here(split: Split, sweep: Sweep, names: Sequence[str], flag: Path) -> Iterator[tuple[str, Outcome]]:
    stop = _stopping(flag)
    for group in split({name: sweep.configs[name] for name in names}):
        yield from attempt_together(sweep.folder.absolute(), group, stop)


def _mapped(split: Split, sweep: Sweep, names: Sequence[str], flag: Path) -> Iterator[tuple[str, Outcome]]:
    import joblib

    folder = sweep.folder.absolute()
    tasks = (joblib.delayed(_task)(folder, group, flag) for group in split({n: sweep.configs[n] for n in names}))
    for found in joblib.Parallel(return_as="generator_unordered", batch_size=1)(tasks):
        yield from found


def _on_cluster(
    client: Any, address: str, split: Split, sweep: Sweep, names: Sequence[str], flag: Path
) -> Iterator[tuple[str, Outcome]]:
    """Map without joblib, whose backend would train in this process if the cluster has one thread only."""
    from distributed import as_completed

    folder, parts = sweep.folder.absolute(), split({n: sweep.configs[n] for n in names})
    with cluster.watched(client, address, flag, _broken()):
        tasks = [client.submit(_task, folder, part, flag, pure=False) for part in parts]
        for task in as_completed(tasks, loop=client.loop):
            yield from task.result()


def _task(folder: Path, configs: Mapping[str, RunConfig], flag: Path) -> list[tuple[str, Outcome]]:
    """Finish a group of runs in a worker process, which Ctrl-C reaches by the flag only."""
    with contextlib.suppress(ValueError):  # in a cluster's worker, tasks have threads of their own
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    return list(attempt_together(folder, configs, _stopping(flag)))


def _alone(sweep: Sweep, name: str, flag: Path) -> Outcome:
    """Finish a run that was trained when a process died, in a process of its own: if that dies too, the run failed."""
    from joblib.externals.loky import ProcessPoolExecutor

    place = sweep.folder.absolute() / name
    with ProcessPoolExecutor(max_workers=1) as pool:
        try:
            return pool.submit(_task, place.parent, {name: sweep.configs[name]}, flag).result()[0][1]
        except _broken():
            fail(place, KILLED)
            return "failed"


def _broken() -> tuple[type[BaseException], ...]:
    """Return the errors of engines whose process died."""
    from joblib.externals.loky.process_executor import BrokenProcessPool

    try:
        from distributed.scheduler import KilledWorker
    except ImportError:
        return (BrokenProcessPool,)
    return (BrokenProcessPool, KilledWorker)


@contextmanager
def _stop_file(sweep: Sweep, stop: Callable[[], bool]) -> Iterator[Path]:
    """Yield a path that exists once ``stop`` is true: the processes of an engine share a disk and nothing else."""
    flag = sweep.folder.absolute() / f".stop.{uuid.uuid4().hex}"
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL / 2):
            if stop():
                with contextlib.suppress(OSError):
                    flag.touch()
                return

    thread = threading.Thread(target=watch, daemon=True, name="sweep-stop")
    thread.start()
    try:
        yield flag
    finally:
        ended.set()
        thread.join()
        flag.unlink(missing_ok=True)


def _stopping(flag: Path) -> Callable[[], bool]:
    """Return a function that tells whether the flag exists, and looks at the disk at most every ``POLL`` seconds."""
    looked, found = 0.0, False

    def stop() -> bool:
        nonlocal looked, found
        if not found and time.monotonic() - looked > POLL:
            looked, found = time.monotonic(), os.path.exists(flag)
        return found

    return stop
