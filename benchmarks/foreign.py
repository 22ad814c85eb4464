"""Other people's networks: ``python -m benchmarks foreign FOLDER`` prints what each file below a folder is.

For every file: layout, accuracy on all pairs, likeliest operation, key frequencies, verdict, seconds. A file that
cannot be read or analyzed gets the reason instead; no file stops the table.
"""

import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import log
from miii import InputError, foreign
from miii.analysis.modular import verdict
from miii.foreign.files import KINDS

GOAL = 3.0  #: seconds a network
COLUMNS = ("file", "layout", "settings", "accuracy", "operation", "key frequencies", "verdict", "seconds", "reason")


@dataclass
class Line:
    """What one file is, or why nobody knows."""

    file: str
    layout: str = "-"
    settings: str = "-"
    accuracy: float | None = None
    operation: str = "-"
    frequencies: tuple[int, ...] = ()
    verdict: str = "-"
    seconds: float = 0.0
    reason: str = ""


def examine(path: Path, name: str) -> Line:
    """Return what a file is; anything that goes wrong is its reason."""
    line, begun = Line(name), time.perf_counter()
    try:
        found = foreign.examine(foreign.read(path))
        recognized, best = found.recognized, found.fitness.best
        line.layout, line.accuracy, line.operation = recognized.layout, best.accuracy, best.name
        known = recognized.settings.known()
        line.settings = " ".join(f"{n}={known[n]}" for n in ("act", "n_heads", "attn_coeff") if n in recognized.sources)
        if (warning := found.fitness.warning) is not None:
            line.reason = warning
        report = verdict.analyze(recognized.model, found.task.build())
        line.frequencies, line.verdict = report.key_frequencies, report.verdict
    except InputError as error:
        line.reason = str(error)
    except Exception as error:
        line.reason = f"error of miii: {type(error).__name__} {traceback.extract_tb(error.__traceback__)[-1].name}"
    line.seconds = time.perf_counter() - begun
    return line


def files(folder: Path) -> Iterator[Path]:
    """Yield the files of weights below a folder, or the file itself."""
    if folder.is_file():
        yield folder
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in KINDS and path.is_file():
            yield path


def main(folder: Path) -> int:
    """Print a Markdown table of every file of weights below a folder; return 1 if one took longer than ``GOAL``."""
    lines: list[Line] = []
    for path in files(folder):
        log(f"{path} ...")
        lines.append(examine(path, str(path.relative_to(folder)) if path != folder else path.name))
    print("| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS))
    for line in lines:
        accuracy = "-" if line.accuracy is None else f"{line.accuracy:.2%}"
        keys = ", ".join(map(str, line.frequencies)) or "-"
        cells = (line.file, line.layout, line.settings, accuracy, line.operation, keys, line.verdict)
        print("| " + " | ".join([*cells, f"{line.seconds:.1f}", line.reason.replace("|", "/")]) + " |")
    slow = [line.file for line in lines if line.seconds > GOAL]
    print(f"\n{len(lines)} files, {len(slow)} above {GOAL:g} s.")
    return int(bool(slow))
