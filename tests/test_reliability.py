"""Kills, full disks and hostile input lose nothing: ``python -m benchmarks reliability``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest


def run(*command, seconds):
    """In a process of its own, which forks, and which checks no shapes: that would take most of the time."""
    root = Path(__file__).parents[1]
    done = subprocess.run([sys.executable, *command], cwd=root, capture_output=True, text=True, timeout=seconds)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_nothing_is_lost_to_kills_full_disks_resumers_and_hostile_input(tmp_path):
    run("-m", "benchmarks", "reliability", "--short", "--json", str(tmp_path / "found.json"), seconds=900)
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
