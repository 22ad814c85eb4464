"""Files and folders appear whole; unfinished files of killed processes are removed."""

import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import miii
from miii import runs
from miii.runs import atomic
from miii.training import train

DEAD = 2**22 + 1  #: more than the largest number of a process


def hidden(folder):
    return sorted(path.name for path in folder.rglob(".*") if path.name != ".lock")


KILLED = """
import pathlib, sys, time
from miii.runs import atomic
here = pathlib.Path(sys.argv[1])
def write(path):
    path.with_name(".tmpAbC123").touch()  # as safetensors does
    path.write_text("half")
    print(flush=True), time.sleep(60)
with atomic.atomic_folder(here / "folder" / "made") as making:
    (making / "config.json").write_text("{}")
    atomic.write_atomically(here / "file" / "made.json", write)
"""


def test_a_sweep_removes_files_of_a_killed_process_only(tmp_path):
    folders = [tmp_path / "folder", tmp_path / "file"]
    for here in folders:
        here.mkdir()
    child = subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        child.stdout.readline()
        for here in folders:
            before = hidden(here)
            assert before
            atomic.remove_leftovers(here)
            assert hidden(here) == before  # its owner lives
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
    atomic.write_json(folders[1] / "next", {})  # the next write sweeps, even in a folder with other hidden files
    with atomic.atomic_folder(folders[0] / "next"):
        pass
    assert [path.name for here in folders for path in here.iterdir()] == ["next", "next"]


def test_a_sweep_keeps_files_of_live_processes(tmp_path):
    me, other, here = threading.get_ident(), os.getppid(), atomic.HOST
    ancient, recent = time.time() - atomic.FOREIGN - 1, time.time() - atomic.FOREIGN + 60
    left = {  # left over, and since when
        f".run.{here}.{DEAD}.1": None,
        f".run.{here}.{os.getpid()}.1": None,  # a thread that ended
        f".run.00000000.{other}.1": ancient,  # another computer's
    }
    kept = {
        f".run.{here}.{other}.1": ancient,
        f".run.{here}.{os.getpid()}.{me}": ancient,
        f".run.00000000.{DEAD}.1": recent,
        ".deleted": ancient,
        ".lock": ancient,
        f"run.{here}.{DEAD}.1": ancient,
    }
    for i, (name, since) in enumerate({**left, **kept}.items()):
        (tmp_path / name).mkdir() if i % 2 else (tmp_path / name).touch()
        if since is not None:
            os.utime(tmp_path / name, (since, since))
    atomic.remove_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == kept.keys()
    atomic.remove_leftovers(tmp_path / "nowhere")


def test_a_sweep_follows_no_link(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "kept").touch()
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / f".run.{atomic.HOST}.{DEAD}.1").symlink_to(tmp_path / "mine")
    atomic.remove_leftovers(tmp_path / "home")
    assert list((tmp_path / "home").iterdir()) == []
    assert (tmp_path / "mine" / "kept").exists()


def test_temporary_names_tell_their_owner(tmp_path):
    for name in ("run", "x" * 80, "a.b", "1.2.3", "lr=0.1,seed=3", "é" * 100):
        with atomic.atomic_folder(tmp_path / name):
            (made,) = hidden(tmp_path)
            owner = re.fullmatch(atomic.OWNED, made)
            assert owner is not None
            assert (owner[1], int(owner[2]), int(owner[3])) == (atomic.HOST, os.getpid(), threading.get_ident())
    assert hidden(tmp_path) == []


def test_writing_a_run_sweeps_its_folder_and_its_parent(stopped_copy, small_config, home):
    for folder in (home, stopped_copy, stopped_copy / "snapshots"):
        (folder / f".x.{atomic.HOST}.{DEAD}.1").mkdir()
    runs.record(home / "run", train(small_config(steps=1)))
    assert hidden(home) == []
    for _ in runs.follow(stopped_copy, runs.resume(stopped_copy)):
        pass
    assert hidden(stopped_copy) == []


def test_remove_unfinished_skips_runs_being_written(small_config, home):
    runs.record(home / "ended", train(small_config(steps=1)))
    writing = runs.follow(home / "written", train(small_config()))
    next(writing)
    for name in ("ended", "written"):
        (home / name / "snapshots" / f".x.{atomic.HOST}.{DEAD}.1").mkdir()
    (home / f".x.{atomic.HOST}.{DEAD}.1").mkdir()
    runs.remove_unfinished()
    assert hidden(home) == [f".x.{atomic.HOST}.{DEAD}.1"]
    writing.close()
    runs.remove_unfinished()
    assert hidden(home) == []


def test_leftovers_of_the_same_name_are_replaced(tmp_path):
    """In a container every server is process 1."""
    beside = atomic.temporary_path(tmp_path / "made")
    (beside / "snapshots").mkdir(parents=True)
    with atomic.atomic_folder(tmp_path / "made"):
        pass
    atomic.temporary_path(tmp_path / "file").mkdir()
    atomic.write_atomically(tmp_path / "file", lambda path: path.write_text("x"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "made"]
    with pytest.raises(miii.InputError):
        runs.open(tmp_path / "made")
