"""Time ``import miii`` in a fresh interpreter with a warm file cache."""

import statistics
import subprocess
import sys
import time

from benchmarks.table import ROOT, Result, Row, Unavailable, at_most, log, spread

TIMES = 7  #: interpreters per statement, alternating, after one that warms the file cache
GOAL = 2.0  #: seconds

#: Statements to time. The library must not import streamlit.
STATEMENTS = {
    "pass": "pass",
    "import torch": "import torch",
    "import miii": "import miii",
    "import miii; miii.RunConfig": "import miii; miii.RunConfig",
    "import miii; miii.train": "import miii; miii.train",
}
_GUARD = "; import sys; assert 'streamlit' not in sys.modules, 'streamlit was imported'"


def run(times: int = TIMES) -> Result:
    """Time every statement ``times`` times."""
    seconds: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for turn in range(times + 1):
        for name, code in STATEMENTS.items():
            took = _fresh(code)
            if turn:  # the first turn warms the file cache
                seconds[name].append(took)
    rows = []
    for name, values in seconds.items():
        median, note = statistics.median(values), spread(values)
        log(f"import: {name}: {median:.2f} s{note}")
        what = f'`python -c "{name}"`, wall clock, median of {times}'
        if name.startswith("import miii"):
            rows.append(at_most(f"{what}, no streamlit in sys.modules", median, GOAL, "s", note))
        else:
            rows.append(Row(f"{what} (for comparison)", f"{median:.2f} s{note}"))
    return Result(rows, {"seconds": seconds})


def _fresh(code: str) -> float:
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code + _GUARD if "miii" in code else code], cwd=ROOT, capture_output=True, text=True
    )
    took = time.perf_counter() - began
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise Unavailable(f'python -c "{code}" failed: {last[0]}')
    return took
