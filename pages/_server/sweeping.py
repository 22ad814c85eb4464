"""Sweeps that this server trains: one run at a time, while no single run waits."""

import math
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import streamlit as st

from miii import RunConfig, Step, cost, sweeps
from miii.errors import InputError
from miii.jobs import lower_priority
from pages._server import settings
from pages._server.background import PAUSE, Background, close

WORKERS = 2  # threads of a phase diagram, each with its share of the networks


@dataclass(kw_only=True)
class Training(Background):
    """A sweep. Its runs give way to single runs of the page Train.

    Attributes:
        diagram: the phase diagram that chooses which runs to train; without it, all are.
        group: number of runs that train as one program.
        share: part of their steps that is done.
        seconds_left: at most, until they end; None at their beginning.
    """

    sweep: sweeps.Sweep
    diagram: sweeps.Diagram | None = None
    group: int = 0
    share: float = 0.0
    seconds_left: float | None = None

    def work(self) -> None:
        """Train the runs that are left, group by group."""
        workers = 1 if settings.read().shared else min(WORKERS, os.cpu_count() or 1)
        for left in self._rounds():
            if self.diagram is None:
                for group in sweeps.groups(left):
                    self._train(group)
            else:
                most = math.ceil(len(left) / workers)
                with ThreadPoolExecutor(workers, initializer=lower_priority) as pool:
                    list(pool.map(self._train, sweeps.groups(left, most, fewest=2)))
            if self.stop.is_set():
                return

    def _rounds(self) -> Iterator[Mapping[str, RunConfig]]:
        """Return the runs to train: all, or what the diagram asks for until it is complete."""
        if self.diagram is None:
            yield self.sweep.configs
            return
        while left := self.diagram.next():
            yield left
            if self.diagram.next().keys() == left.keys() and self.stop.wait(PAUSE):  # another process trains them
                return

    def _train(self, group: Mapping[str, RunConfig]) -> None:
        self.give_way()
        if self.stop.is_set():
            return
        for name in group:
            sweeps.retry(self.sweep.folder.absolute() / name)
        self.group, self.share, self.seconds_left = len(group), 0.0, None
        begun = (time.monotonic(), 0)

        def seen(step: Step) -> None:
            nonlocal begun
            if self.share == 0.0:
                begun = (time.monotonic(), step.step)
            elif step.step > begun[1]:
                pace = (time.monotonic() - begun[0]) / (step.step - begun[1])
                self.seconds_left = pace * (step.config.steps - step.step)
            self.share = max(1e-9, step.step / step.config.steps)

        for _ in sweeps.attempt_together(self.sweep.folder, group, self.stopping, seen):
            pass


def _close_all(found: dict[str, Training]) -> None:
    close(found.values())


@st.cache_resource(show_spinner=False, on_release=_close_all)
def _registry() -> dict[str, Training]:
    return {}


def get(name: str) -> Training | None:
    """Return the latest training of a sweep on this server."""
    return _registry().get(name)


def start(sweep: sweeps.Sweep, diagram: sweeps.Diagram | None = None) -> None:
    """Train what is left of a sweep, or of a phase diagram.

    Raises:
        InputError: another sweep trains, or this one is too large for this server.
    """
    check(sweep)
    busy = [each.sweep.name for each in _registry().values() if not each.ended]
    if busy:
        raise InputError(f"one sweep trains at a time: stop {busy[0]} first.")
    _registry()[sweep.name] = Training(sweep=sweep, diagram=diagram)


def stop(name: str) -> None:
    """Stop a sweep after the current step of its run; it can be continued."""
    found = get(name)
    if found is not None:
        found.stop.set()
        found.thread.join(1.0)


def check(sweep: sweeps.Sweep) -> None:
    """Check that a sweep is small enough for this server.

    Raises:
        InputError: it has too many runs, or a run is too large.
    """
    most = settings.read().max_sweep
    if most is not None and len(sweep.configs) > most:
        raise InputError(f"sweep must have at most {most} runs on this server (got {len(sweep.configs):,}).")
    left = [config for name, config in sweep.configs.items() if not (sweep.folder / name).exists()]
    for config in left:
        settings.check_run(config)
    settings.check_disk(sum(cost.training(config).disk for config in left))
