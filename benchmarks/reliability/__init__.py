"""Try to lose runs: kills, full disks, concurrent processes and hostile input."""

import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.reliability import fuzz, interrupted, kills
from benchmarks.reliability.kills import Found
from benchmarks.table import Result, Row, log

SHARES = {"training": 0.4, "resumers": 0.1, "commands": 0.2, "inputs": 0.3 / len(fuzz.INPUTS)}  #: shares of the time
SHORT = {"training": 5, "resumers": 1, "commands": 18, "inputs": 300}  #: repetitions in the short form
SHORT_DISK = ("unpack", "rename")  #: its commands on a full disk


def run(minutes: float, short: bool = False, seed: int = 0) -> Result:
    """Run all experiments for about ``minutes``, or ``SHORT`` repetitions; the seed determines all draws."""
    kills.warm()
    log(f"reliability: seed {seed}")
    found = {}

    def often(name: str) -> Iterable[int]:
        return range(SHORT[name]) if short else turns(60 * minutes * SHARES[name])

    for what, each in tried(often, seed, short):
        log(f"reliability: {what}: {dict(each.counts)}, {len(each.lost)} lost")
        found[what] = each
        for one in each.lost[:20]:
            log(f"reliability: {what}: {one[:2000]}")
    return Result([row(what, each) for what, each in found.items()], {"seed": seed, "found": _plain(found)})


def row(what: str, found: Found) -> Row:
    """Return the row of an experiment; the goal is no loss."""
    counts = ", ".join(f"{count:,} {name}" for name, count in found.counts.items())
    met = not found.lost and found.counts.total() > 0
    return Row(f"reliability: {what}", f"{len(found.lost)} lost ({counts})", "0 lost", met)


def _plain(found: dict[str, Found]) -> dict[str, Any]:
    return {what: {"counts": dict(each.counts), "lost": each.lost} for what, each in found.items()}


def tried(often: Callable[[str], Iterable[int]], seed: int, short: bool) -> Iterator[tuple[str, Found]]:
    """Yield each experiment's name and result."""
    draw = random.Random(seed)
    with at_home():
        yield "kills of training", kills.training(draw, often("training"))
        yield "four processes resume a run at once", kills.resumers(draw, often("resumers"))
    with at_home() as place:
        interrupted.prepare(place)
        yield "kills of commands on files", interrupted.commands(draw, often("commands"))
        names = SHORT_DISK if short else tuple(interrupted.COMMANDS)
        yield "system calls that find the disk full", interrupted.full_disk(draw, range(1 if short else 5), names=names)
        for kind in fuzz.INPUTS:
            yield f"hostile {kind}", fuzz.fuzz(kind, seed, often("inputs"))
    if short:
        return
    with interrupted.small_disk(2) as disk:
        if disk is not None:
            with at_home(disk):
                interrupted.prepare(disk)
                yield "a full disk of 2 MB", interrupted.full_disk(draw, range(2), mounted=True)


def turns(seconds: float) -> Iterator[int]:
    """Count until the seconds have passed."""
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        yield turn
        turn += 1


@contextmanager
def at_home(place: Path | None = None) -> Iterator[Path]:
    """Look up runs in ``place/runs``, or in a temporary folder."""
    before = os.environ.get("MIII_RUNS")
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / "place" if place is None else place
        (place / "runs").mkdir(parents=True)
        os.environ["MIII_RUNS"] = str(place / "runs")
        try:
            yield place
        finally:
            del os.environ["MIII_RUNS"]
            if before is not None:
                os.environ["MIII_RUNS"] = before
