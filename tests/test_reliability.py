"""The short form of ``python -m benchmarks reliability``: nothing is lost to kills, full disks and hostile input."""

import json
import subprocess
import sys
from pathlib import Path


def test_nothing_is_lost_to_kills_full_disks_resumers_and_hostile_input(tmp_path):
    """In a process of its own, which forks, and in which no shapes are checked: that would take most of the time."""
    command = [sys.executable, "-m", "benchmarks", "reliability", "--short", "--json", str(tmp_path / "found.json")]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "found.json").read_text())["reliability"]["found"]
    assert {what: one["lost"] for what, one in found.items() if one["lost"]} == {}
    counts = {what: one["counts"] for what, one in found.items()}
    trained = counts["kills of training"]
    assert trained["tasks"] == trained["optimizers"] == trained["runs"] == 5
    assert trained["kills"] >= 3
    assert counts["four processes resume a run at once"] == {"times": 1, "refused": 3}
    assert counts["kills of commands on files"]["kills"] >= 1
    full = counts["system calls that find the disk full"]
    assert min(full["commands"], full["runs"]) >= 10
    hostile = [one for what, one in counts.items() if what.startswith("hostile")]
    assert len(hostile) == 6
    for one in hostile:
        assert one["inputs"] == 300
        assert 0 < one["refused"] < 300
