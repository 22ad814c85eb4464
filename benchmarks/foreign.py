"""Other people's networks: ``python -m benchmarks foreign FOLDER`` prints what each file below a folder is.

For every file: layout, accuracy on all pairs, likeliest operation, key frequencies, verdict, seconds. A file that cannot
be read or analyzed gets the reason instead; no file stops the table.
"""

import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.table import Result, Row, log
from miii import InputError, foreign
from miii.analysis.modular import verdict
from miii.foreign.files import KINDS

GOAL = 3.0  #: seconds a network


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


def run(folder: Path | None) -> Result:
    """Examine every file of weights below a folder."""
    if folder is None or not folder.exists():
        return Result([Row("foreign", f"needs a folder that exists, with files of weights (got {folder})", met=False)])
    lines: list[Line] = []
    for path in files(folder):
        name = str(path.relative_to(folder)) if path != folder else path.name
        lines.append(examine(path, name))
        log(_text(lines[-1]))
    rows = [Row(f"foreign: {line.file}", _text(line), f"{GOAL:g} s", line.seconds <= GOAL) for line in lines]
    raw: dict[str, Any] = {"files": [asdict(line) for line in lines]}
    return Result(rows or [Row("foreign", f"no file of weights below {folder}")], raw)


def _text(line: Line) -> str:
    parts = [line.layout, line.settings]
    if line.accuracy is not None:
        parts.append(f"{line.accuracy:.1%} of {line.operation}")
    parts += [f"frequencies {', '.join(map(str, line.frequencies)) or 'none'}", line.verdict, f"{line.seconds:.1f} s"]
    return "; ".join([*parts, *([line.reason] if line.reason else [])])
