"""Open, read and list runs, valid and broken."""

import contextlib
import errno
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import filelock
import pandas as pd
import pytest
import torch
from runs_checks import change_config, change_json
from safetensors.torch import load_file, save_file

import miii
from miii.runs import find, read
from miii.training import train

COLUMNS = ["step", "seconds", "lr_factor", "train_loss", "test_loss", "train_accuracy", "test_accuracy", "weight_norm"]


# ---- opening ----


def test_a_run_is_opened_by_folder(small_run, small_config):
    for given in (small_run.folder, str(small_run.folder)):
        run = miii.runs.open(given)
        assert run == small_run
        assert run.config == small_config()
        assert run.name == "small"


def test_a_name_is_looked_up_in_runs_then_in_checkpoints(small_run, home, tmp_path, monkeypatch):
    monkeypatch.setattr(find, "__file__", str(tmp_path / "miii" / "runs" / "find.py"))
    checkpoints = tmp_path / "checkpoints"
    assert miii.runs.homes() == (home, checkpoints)
    shutil.copytree(small_run.folder, checkpoints / "mine")
    assert miii.runs.open("mine").folder == checkpoints / "mine"
    shutil.copytree(small_run.folder, home / "mine")
    assert miii.runs.open("mine").folder == home / "mine"
    assert [run.folder for run in miii.runs.every()] == [home / "mine"]


def test_a_folder_in_the_working_folder_is_found_by_its_name(small_run, home, tmp_path, monkeypatch):
    shutil.copytree(small_run.folder, tmp_path / "here" / "mine")
    monkeypatch.chdir(tmp_path / "here")
    assert miii.runs.open("mine").config == small_run.config
    monkeypatch.chdir(tmp_path)
    assert miii.runs.open("here/mine").config == small_run.config


def test_without_miii_runs_the_home_is_below_the_working_folder(monkeypatch):
    monkeypatch.delenv("MIII_RUNS", raising=False)
    runs, checkpoints = miii.runs.homes()
    assert str(runs) == "runs"
    assert (checkpoints.parent / "miii" / "__init__.py").exists()


def test_an_unknown_name_lists_the_runs_there_are(small_run, home, one_sentence):
    shutil.copytree(small_run.folder, home / "mine")
    for given in ("yours", "nowhere/to/be/found", "/nowhere"):
        with one_sentence("run must be one of", "mine", f"'{given}'"):
            miii.runs.open(given)


def test_a_folder_without_a_config_is_refused(home, one_sentence):
    (home / "half").mkdir()
    for given in ("half", home / "half"):
        with one_sentence("half", "config.json"):
            miii.runs.open(given)


def test_runs_are_listed_newest_first_without_other_folders(small_run, home):
    for i, name in enumerate(("old", "new", "broken", "empty")):
        shutil.copytree(small_run.folder, home / name)
        stamp = time.time() + 10 * i
        os.utime(home / name / "config.json", (stamp, stamp))
    (home / "broken" / "config.json").write_text("{")
    (home / "empty" / "config.json").unlink()
    (home / "a file").touch()
    shutil.copytree(small_run.folder, home / ".mine.123")
    assert [run.name for run in miii.runs.every() if run.folder.parent == home] == ["new", "old"]


def test_shipped_ignores_other_runs_of_the_name(small_run, home, tmp_path, monkeypatch):
    monkeypatch.setattr(find, "__file__", str(tmp_path / "miii" / "runs" / "find.py"))
    for place in (home / "mine", tmp_path / "checkpoints" / "mine", tmp_path / "checkpoints" / "seeds" / "one"):
        shutil.copytree(small_run.folder, place)
    assert miii.runs.shipped("mine").folder == tmp_path / "checkpoints" / "mine"
    assert miii.runs.shipped("seeds/one").name == "one"
    shutil.rmtree(tmp_path / "checkpoints")
    shutil.rmtree(home)
    assert miii.runs.every() == []
    with pytest.raises(miii.InputError):
        miii.runs.shipped("mine")


# ---- reading ----


def test_metrics_are_a_table_with_a_row_an_evaluation(small_run, small_config):
    table = small_run.metrics()
    assert list(table.columns) == COLUMNS
    assert {name: str(kind) for name, kind in table.dtypes.items()} == {"step": "int64"} | dict.fromkeys(
        COLUMNS[1:], "float64"
    )
    steps = [step for step in train(small_config()) if step.evaluation]
    assert table["step"].tolist() == [step.step for step in steps]
    for name in COLUMNS[3:]:
        assert table[name].tolist() == [getattr(step.evaluation, name) for step in steps]
    assert table["lr_factor"].tolist() == pytest.approx([step.lr_factor for step in steps], abs=1e-6)
    assert table["seconds"].is_monotonic_increasing


def test_unfinished_lines_are_left_out_and_broken_ones_refused(run_copy, one_sentence):
    path, run = run_copy / "metrics.jsonl", miii.runs.open(run_copy)
    whole, rows = path.read_text(), run.rows()
    for cut in (1, 10, 100):
        path.write_text(whole[:-cut])
        assert miii.runs.open(run_copy).rows() == rows[:-1]
        path.write_text(whole + whole.splitlines()[0][:cut])
        assert miii.runs.open(run_copy).rows() == rows
    for line in (b"{broken\n", b"\xff\xfe\n", b"3\n"):
        path.write_bytes(line + whole.encode())
        with one_sentence("metrics.jsonl"):
            miii.runs.open(run_copy).metrics()


def test_diverged_losses_survive_the_file(run_copy):
    path = run_copy / "metrics.jsonl"
    row = json.loads(path.read_text().splitlines()[0]) | {"train_loss": float("nan"), "test_loss": float("inf")}
    path.write_text(json.dumps(row) + "\n")
    table = miii.runs.open(run_copy).metrics()
    assert table["train_loss"].isna().all()
    assert table["test_loss"].tolist() == [float("inf")]


def test_snapshots_are_float16_and_the_last_is_float32(small_run, small_config):
    trained = {step.step: step.weights for step in train(small_config()) if step.weights}
    assert small_run.steps == sorted(trained)
    for step, weights in trained.items():
        stored = load_file(small_run.folder / "snapshots" / f"{step}.safetensors")
        last = step == 24
        assert {value.dtype for value in stored.values()} == {torch.float32 if last else torch.float16}
        for name, value in small_run.weights(step).items():
            assert value.dtype == torch.float32
            assert torch.equal(value, weights[name] if last else weights[name].half().float())


def test_the_last_snapshot_is_the_default(small_run, same):
    assert same(small_run.weights(), small_run.weights(24))
    assert not same(small_run.weights(), small_run.weights(0))
    assert same(dict(small_run.model().state_dict()), small_run.weights(24))
    assert same(dict(small_run.model(0).state_dict()), small_run.weights(0))


def test_a_model_is_in_evaluation_mode_without_gradients(small_run):
    model = small_run.model()
    assert not model.training
    assert not any(weight.requires_grad for weight in model.parameters())
    task, again = small_run.task(), small_run.config.task.build()
    for name in ("tokens", "labels", "train_mask"):
        assert torch.equal(getattr(task, name), getattr(again, name))
    right = (model(task.tokens)[:, -1].argmax(-1) == task.labels)[~task.train_mask].double().mean().item()
    assert right == small_run.result["test_accuracy"]


def test_a_step_without_a_snapshot_lists_the_snapshots(run_copy, one_sentence):
    for step in (3, -1, 25):
        with one_sentence("step", "copy", "0, 1", "24", f"(got {step})"):
            miii.runs.open(run_copy).model(step)
    shutil.rmtree(run_copy / "snapshots")
    assert miii.runs.open(run_copy).steps == []
    with one_sentence("snapshot", "copy"):
        miii.runs.open(run_copy).model()


def test_other_files_among_snapshots_are_ignored(run_copy):
    before = miii.runs.open(run_copy).steps
    for name in (".24.safetensors.part", "best.safetensors", "-3.safetensors", "7.txt"):
        (run_copy / "snapshots" / name).touch()
    assert miii.runs.open(run_copy).steps == before


def test_a_run_without_provenance_or_result_is_still_a_run(run_copy, one_sentence):
    for name in ("provenance", "result"):
        (run_copy / f"{name}.json").write_text("{")
        with one_sentence(f"{name}.json"):
            getattr(miii.runs.open(run_copy), name)
    (run_copy / "provenance.json").unlink()
    (run_copy / "result.json").unlink()
    run = miii.runs.open(run_copy)
    assert run.provenance == {}
    assert run.result is None
    assert run.model() is not None


def test_running_tells_whether_the_lock_is_held(run_copy):
    run = miii.runs.open(run_copy)
    assert not run.running
    with filelock.FileLock(run_copy / read.LOCK):
        assert run.running
        assert miii.runs.row(run)["status"] == "running"
        assert not run.can_resume
    assert not run.running
    (run_copy / read.LOCK).unlink(missing_ok=True)
    assert not run.running
    assert not (run_copy / read.LOCK).exists()  # checking leaves no file in a shipped run


def test_running_needs_no_permission_to_write(run_copy, monkeypatch, one_sentence):
    """The reader may be another user, or the disk read-only."""
    run, opened = miii.runs.open(run_copy), os.open

    def read_only(path, flags, *more, **options):
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, flags, *more, **options)

    with filelock.FileLock(run_copy / read.LOCK), monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        assert run.running
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        assert not run.running
        assert miii.runs.row(run)["status"] == "done"
    (run_copy / read.LOCK).unlink(missing_ok=True)
    (run_copy / read.LOCK).symlink_to(read.LOCK)  # a loop
    with one_sentence(read.LOCK, "cannot be read"):
        _ = run.running


def test_a_writer_begins_while_others_check_the_lock(stopped_copy):
    """Checking the lock holds it for a moment, which no writer may notice."""
    with (stopped_copy / read.LOCK).open("w") as checked:
        fcntl.flock(checked, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (checked, fcntl.LOCK_UN)).start()
        steps = miii.runs.follow(stopped_copy, miii.runs.resume(stopped_copy))
        next(steps)
        assert miii.runs.open(stopped_copy).running
        steps.close()


# ---- listing ----

DEEP = "[" * 100_000


def text(name, value):
    """Write a file of a run."""
    return lambda f: (f / name).write_bytes(value if isinstance(value, bytes) else value.encode())


def remake(name, make):
    """Replace a file of a run."""
    return lambda f: [(f / name).unlink(missing_ok=True), make(f / name)]


def link(target):
    return lambda path: path.symlink_to(target)


BAD = {
    "deep config": (text("config.json", '{"task": ' + DEEP), "too deep"),
    "config from tomorrow": (lambda f: change_json(f / "config.json", epochs=3), "epochs"),
    "config of another kind": (lambda f: change_json(f / "config.json", task={"kind": "chess"}), "config"),
    "config in Latin-1": (text("config.json", b'{"task": "\xe9"}'), "UTF-8"),
    "config that is a folder": (remake("config.json", Path.mkdir), "config.json must be a file"),
    "config that is a pipe": (remake("config.json", os.mkfifo), "config.json must be a file"),
    "config without end": (remake("config.json", link("/dev/zero")), "config.json must be a file"),
    "config that is a link to nothing": (remake("config.json", link("nowhere")), "config.json cannot be read"),
    "config that is a loop": (remake("config.json", link("config.json")), "config.json cannot be read"),
    "giant config": (lambda f: os.truncate(f / "config.json", 10**10), "at most 200,000,000 bytes"),
    "a link to nothing": (lambda f: [shutil.rmtree(f), f.symlink_to("nowhere")], "link"),
}
CORRUPTIONS = {
    **{
        f"result with {name} {value}": (
            lambda f, name=name, value=value: change_json(f / "result.json", **{name: value}),
            word.format(name),
        )
        for name in ("stopped", "steps", "grokked_at", "seconds_to_grok", "ms_per_step")
        for value, word in ((..., "have {}"), (["x"], "{} must be"))
    },
    "deep result": (text("result.json", '{"a": ' + DEEP), "too deep"),
    "result that is a pipe": (remake("result.json", os.mkfifo), "result.json must be a file"),
    "result that is a link to nothing": (remake("result.json", link("nowhere")), "result.json cannot be read"),
    "deep metrics": (text("metrics.jsonl", DEEP + "\n"), "metrics.jsonl"),
    "metrics in Latin-1": (text("metrics.jsonl", b"\xe9\n"), "UTF-8"),
    "metrics without steps": (text("metrics.jsonl", '{"test_loss": 1}\n'), "integer step"),
    "metrics in words": (text("metrics.jsonl", '{"step": 1, "seconds": "x"}\n'), "numbers"),
    "metrics without losses": (text("metrics.jsonl", '{"step": 1, "seconds": 1}\n'), "train_loss, test_loss"),
    "metrics that are no text": (text("metrics.jsonl", '{"step": 1, "\\ud800": 1}\n'), "one JSON object a line"),
    "provenance that is no text": (text("provenance.json", '{"system": "\\uDFFF"}'), "a JSON object"),
    "giant metrics": (lambda f: os.truncate(f / "metrics.jsonl", 10**10), "at most 200,000,000 bytes"),
    "deep provenance": (text("provenance.json", '{"a": ' + DEEP), "too deep"),
    "provenance in Latin-1": (text("provenance.json", b'{"a": "\xe9"}'), "UTF-8"),
    "snapshots that are a file": (
        lambda f: [shutil.rmtree(f / "snapshots"), (f / "snapshots").touch()],
        "snapshots cannot be read",
    ),
    "a lock that is a loop": (remake(".lock", link(".lock")), ".lock cannot be read"),
}


def test_broken_runs_are_listed_with_reasons_and_hide_no_other(small_run, home, tmp_path, one_sentence):
    for name in ("a good one", "z good one"):
        shutil.copytree(small_run.folder, home / name)
    for name, (corrupt, _) in {**BAD, **CORRUPTIONS}.items():
        shutil.copytree(small_run.folder, home / name)
        corrupt(home / name)
    shutil.copytree(small_run.folder, home / os.fsdecode(b"caf\xe9"))
    broken = {found.name: found for found in miii.runs.broken()}
    assert broken.keys() == {*BAD, "caf\\xe9"}
    for name, (_, word) in BAD.items():
        with one_sentence(word):
            raise miii.InputError(broken[name].reason)
        assert broken[name].folder == home / name
        row = miii.runs.broken_row(broken[name])
        assert (row["run"], row["status"], row["reason"]) == (name, "unreadable", broken[name].reason)
    rows = {row["run"]: row for row in map(miii.runs.row, miii.runs.every()) if row["folder"].startswith(str(home))}
    assert rows.keys() == {"a good one", "z good one", *CORRUPTIONS}
    for name, (_, word) in CORRUPTIONS.items():
        assert rows[name]["status"] == "corrupt", name
        with one_sentence(word):
            raise miii.InputError(rows[name]["reason"])
        assert json.dumps(rows[name], allow_nan=False)
    for name in ("a good one", "z good one"):
        assert (rows[name]["status"], rows[name]["steps"], rows[name]["reason"]) == ("done", 24, None)
    assert row.keys() == rows["a good one"].keys()


def test_runs_without_permission_to_read_are_listed(small_run, home, monkeypatch):
    """Root may read everything, so the refusal is simulated."""
    for name in ("whole", "closed", "closed config", "closed metrics"):
        shutil.copytree(small_run.folder, home / name)
    closed = (home / "closed", home / "closed config" / "config.json", home / "closed metrics" / "metrics.jsonl")
    stat, read_bytes = Path.stat, Path.read_bytes

    def refuse(path, of, *more, **options):
        if any(path.is_relative_to(place) and path != closed[0] for place in closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return of(path, *more, **options)

    monkeypatch.setattr(Path, "stat", lambda path, **options: refuse(path, stat, **options))
    monkeypatch.setattr(Path, "read_bytes", lambda path: refuse(path, read_bytes))
    assert [found.name for found in miii.runs.broken()] == ["closed", "closed config"]
    assert all("Permission denied" in found.reason for found in miii.runs.broken())
    rows = {row["run"]: row for row in map(miii.runs.row, miii.runs.every())}
    assert rows["closed metrics"]["status"] == "corrupt"
    assert "Permission denied" in rows["closed metrics"]["reason"]
    assert rows["whole"]["status"] == "done"


MOVER = """
import itertools, pathlib, shutil, sys, time
home, whole = map(pathlib.Path, sys.argv[1:])
for i in itertools.count():
    time.sleep(0.001)
    place = home / f"run-{i % 4}"
    if i % 3:
        place.rename(home / "away")
        (home / "away").rename(place)
    else:
        shutil.rmtree(place)
        shutil.copytree(whole, place)
"""


def test_listing_while_runs_are_renamed_and_deleted(small_run, home, tmp_path, monkeypatch):
    """A run may vanish at any moment: it is left out, or gives one sentence."""
    monkeypatch.setattr(find, "__file__", str(tmp_path / "miii" / "runs" / "find.py"))
    for name in ("run-0", "run-1", "run-2", "run-3", "stays"):
        shutil.copytree(small_run.folder, home / name)
    held = sum(path.stat().st_size for path in (home / "stays").rglob("*") if path.is_file())
    assert held == miii.runs.nbytes(home / "stays") > 0 == miii.runs.nbytes(home / "none")
    mover = subprocess.Popen([sys.executable, "-c", MOVER, str(home), str(small_run.folder)])
    seen = set()
    try:
        for _ in range(40):
            found = miii.runs.every()
            seen |= {run.name for run in found}
            assert "stays" in [run.name for run in found]
            for run in found:
                row = miii.runs.row(run)
                assert run.name != "stays" or row["reason"] is None
                with contextlib.suppress(miii.InputError):
                    _ = run.can_resume, run.steps, run.report, run.provenance
            assert miii.runs.nbytes(home) >= held
        assert mover.poll() is None
    finally:
        mover.kill()
        mover.wait()
    assert seen >= {"run-0", "stays"}


def test_impossible_names_are_refused(home, one_sentence):
    for name in ("x" * 5000, "a\0b", "x" * 300 + "/y", "\udfff", "/dev/null", "/dev/null/x", "/dev/zero"):
        with one_sentence("run must be one of"):
            miii.runs.open(name)


def test_a_row_has_the_status_of_the_run(run_copy):
    def row():
        return miii.runs.row(miii.runs.open(run_copy))

    last = miii.runs.open(run_copy).rows()[-1]
    for status, grokked_at in (("done", None), ("stopped", 5), ("unfinished", None)):
        if status == "stopped":
            change_json(run_copy / "result.json", stopped=True, grokked_at=5)
        if status == "unfinished":
            (run_copy / "result.json").unlink()
        found = row()
        assert (found["run"], found["task"], found["seed"], found["status"]) == ("copy", "add-7", 0, status)
        assert (found["steps"], found["test_accuracy"], found["seconds"]) == (
            24,
            last["test_accuracy"],
            last["seconds"],
        )
        assert (found["grokked_at"], found["folder"]) == (grokked_at, str(run_copy))
        assert json.loads(json.dumps(found)) == found
    (run_copy / "metrics.jsonl").unlink()
    table = miii.runs.open(run_copy).metrics()
    assert isinstance(table, pd.DataFrame)
    assert (list(table.columns), len(table)) == (COLUMNS, 0)
    assert [row()[name] for name in ("status", "steps", "test_accuracy", "grokked_at")] == ["unfinished", *[None] * 3]


def test_a_new_folder_has_a_name_of_its_own(home, small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(find, "__file__", str(tmp_path / "miii" / "runs" / "find.py"))
    config = small_config(task={"operation": "sub", "seed": 3})
    for name in ("sub-7-seed3", "sub-7-seed3-2", "sub-7-seed3-3"):
        assert miii.runs.new_folder(config) == home / name
        (home / name).mkdir()
    (tmp_path / "checkpoints" / "sub-7-seed3-4").mkdir(parents=True)
    assert miii.runs.new_folder(config) == home / "sub-7-seed3-5"
    assert miii.runs.new_folder(config, taken=["sub-7-seed3-5"]) == home / "sub-7-seed3-6"
    assert miii.runs.new_folder(small_config()) == home / "add-7-seed0"


# ---- what does not fit together ----


def corrupt_weights(change):
    def corrupt(folder):
        path = folder / "snapshots" / "24.safetensors"
        weights = load_file(path)
        change(weights)
        save_file(weights, path)

    return corrupt


def truncate(folder, size):
    path = folder / "snapshots" / "24.safetensors"
    path.write_bytes(path.read_bytes()[:size])


CORRUPT = {
    "no config": (lambda f: (f / "config.json").unlink(), ["config.json"]),
    "broken json": (text("config.json", '{"task": {"p": 7'), ["config.json"]),
    "empty config": (text("config.json", ""), ["config.json"]),
    "not text": (text("config.json", b"\xff\xfe\x00"), ["config.json"]),
    "a list": (text("config.json", "[1]"), ["config.json", "object"]),
    "unknown key": (lambda f: change_config(f, epochs=3), ["config.json", "epochs"]),
    "a key that python uses": (lambda f: change_config(f, self=3), ["config.json", "self"]),
    "bad value": (lambda f: change_config(f, task={"p": 1}), ["config.json", "p must be at least 2"]),
    "bad task": (lambda f: change_config(f, task=[1]), ["config.json", "task"]),
    "another width": (lambda f: change_config(f, model={"d_mlp": 17}), ["24.safetensors", "blocks.0.W_in", "(8, 17)"]),
    "another depth": (lambda f: change_config(f, model={"n_layers": 2}), ["24.safetensors", "blocks.1"]),
    "another modulus": (lambda f: change_config(f, task={"p": 11}), ["24.safetensors", "W_E", "(12, 8)", "(8, 8)"]),
    "other biases": (lambda f: change_config(f, model={"biases": "none"}), ["24.safetensors", "b_in"]),
    "a weight too few": (corrupt_weights(lambda w: w.pop("W_U")), ["24.safetensors", "W_U"]),
    "a weight too many": (corrupt_weights(lambda w: w.update(W_X=w["W_U"].clone())), ["24.safetensors", "W_X"]),
    "truncated": (lambda f: truncate(f, -10), ["24.safetensors"]),
    "truncated header": (lambda f: truncate(f, 20), ["24.safetensors"]),
    "empty weights": (lambda f: truncate(f, 0), ["24.safetensors"]),
    "a pickle": (lambda f: torch.save({"W_E": torch.ones(2)}, f / "snapshots" / "24.safetensors"), ["24.safetensors"]),
}


def test_a_broken_run_gives_one_sentence_and_is_not_changed(small_run, tmp_path, one_sentence, tree):
    for name, (change, words) in CORRUPT.items():
        folder = tmp_path / name
        shutil.copytree(small_run.folder, folder)
        change(folder)
        before = tree(folder)
        with one_sentence(str(folder), *words):
            miii.runs.open(folder).model()
        assert tree(folder) == before, name


def test_listing_many_runs_builds_no_data(home, monkeypatch):
    """A server may have hundreds of runs on primes."""

    def built(*_: object) -> None:
        raise AssertionError("something was sieved")

    monkeypatch.setattr("miii.tasks.integers._parts", built)
    for seed in range(300):
        (home / f"run-{seed}").mkdir()
        task = {"kind": "primes", "low": 2, "high": 10**6, "seed": seed}
        (home / f"run-{seed}" / "config.json").write_text(json.dumps({"task": task, "batch_size": 1024}))
    began = time.perf_counter()
    found = [run.config.task.seed for run in miii.runs.every() if run.folder.parent == home]
    assert sorted(found) == list(range(300))
    assert time.perf_counter() - began < 3
