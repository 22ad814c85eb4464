"""Write runs: whole, stopped, killed, on a full disk, and by two processes at once."""

import datetime
import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from runs_checks import OCCUPIED, change_config, drain, resumed, stop_at
from safetensors.torch import load_file

import miii
from miii import hardware, runs
from miii.runs import write
from miii.runs.state import check_state
from miii.training import train

PROVENANCE = {"miii", "commit", "torch", "python", "system", "processor", "device", "precision", "threads", "date"}
RESULT = {"run", "steps", "stopped", "grokked_at", "seconds_to_grok", "seconds", "train_accuracy", "test_accuracy"}
RESULT |= {"train_loss", "test_loss", "ms_per_step"}


def leftovers(folder):
    """Half-written files beside and below a run's folder."""
    return [path for path in folder.parent.rglob(".*") if path.name != ".lock"]


# ---- a whole run ----


def test_a_recorded_run_has_all_its_files(small_run, small_config, same):
    names = {"config.json", "provenance.json", "metrics.jsonl", "snapshots", "result.json"}
    assert {path.name for path in small_run.folder.iterdir()} - {".lock"} == names
    assert leftovers(small_run.folder) == []
    config = small_run.folder / "config.json"
    assert miii.RunConfig(**json.loads(config.read_text())) == small_run.config
    # the app shows run folders of other users
    modes = {path.stat().st_mode for path in (small_run.folder / "snapshots").iterdir()}
    assert modes == {config.stat().st_mode}
    assert same(small_run.weights(), drain(train(small_config())).weights)


def test_the_result_has_the_last_numbers(small_run):
    result, last = small_run.result, small_run.rows()[-1]
    assert set(result) == RESULT
    assert (result["run"], result["steps"], result["stopped"], result["grokked_at"]) == ("small", 24, False, None)
    assert result["seconds_to_grok"] is None
    for name in last.keys() & RESULT - {"seconds"}:
        assert result[name] == last[name], name
    assert 0 < result["ms_per_step"] < 1000 * result["seconds"]
    assert result["seconds"] == pytest.approx(last["seconds"], abs=1e-3)


def test_nan_is_written_as_null(small_config, tmp_path):
    """No integer here has the smallest factor 13: the file stays JSON, and the table has NaN."""
    config = small_config(task={"kind": "primes", "low": 100, "high": 150})
    run = miii.runs.record(tmp_path / "run", train(config))
    text = (run.folder / "metrics.jsonl").read_text()
    lines = [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]
    assert lines[-1]["auc_13"] is None
    assert run.metrics()["auc_13"].isna().all()
    assert run.result["auc_13"] is None
    assert run.result.keys() == RESULT | {"auc", "auc_3", "auc_7", "auc_11", "auc_13"}


def test_provenance_has_versions_and_machine(small_run, monkeypatch):
    origin = small_run.provenance
    assert set(origin) == PROVENANCE
    assert origin["miii"] == miii.__version__
    assert origin["torch"] == torch.__version__
    assert (origin["device"], origin["precision"], origin["threads"]) == ("cpu", "float32", 1)
    assert origin["processor"] == hardware.processor()
    age = datetime.datetime.now(datetime.UTC) - datetime.datetime.fromisoformat(origin["date"])
    assert datetime.timedelta(seconds=-2) < age < datetime.timedelta(hours=1)
    for in_hardware, taken in ((True, "bfloat16"), (False, "float32")):
        monkeypatch.setattr(hardware, "_bfloat16_in_hardware", lambda where, answer=in_hardware: answer)
        resolved = miii.runs.provenance(miii.RunConfig(device="cpu"))
        assert (resolved["precision"], resolved["threads"]) == (taken, torch.get_num_threads())


def test_the_commit_is_git_s_where_miii_lies_in_a_repository(monkeypatch, tmp_path):
    root = Path(miii.__file__).parents[1]
    if (root / ".git").exists():

        def resolve(name):
            command = ["git", "-C", str(root), "rev-parse", f"{name}^{{commit}}"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout

        commit = miii.runs.provenance(miii.RunConfig())["commit"]
        assert resolve(commit.removesuffix("-dirty")) == resolve("HEAD")
    monkeypatch.setattr(miii, "__file__", str(tmp_path / "site-packages" / "miii" / "__init__.py"))
    assert miii.runs.provenance(miii.RunConfig())["commit"] is None


def test_follow_yields_every_step_and_the_run_can_be_read_after_each(small_config, tmp_path):
    for expected, step in enumerate(miii.runs.follow(tmp_path / "run", train(small_config()))):
        assert step.step == expected
        run = miii.runs.open(tmp_path / "run")
        assert run.running
        assert run.steps[-1] <= step.step
        assert run.rows()[-1]["step"] <= step.step
        assert run.model() is not None
        assert run.result is None


def test_a_relative_folder_and_its_parents_are_made(small_config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = miii.runs.record("a/b/mine", train(small_config(steps=1)))
    monkeypatch.chdir("/")
    assert run.folder.is_absolute()
    assert run.steps == [0, 1]


# ---- bad input ----


def test_a_path_that_exists_is_refused_and_left_alone(
    small_config, run_copy, stopped_copy, tmp_path, one_sentence, tree
):
    for i, make in enumerate([*OCCUPIED, lambda p: (p / "deep").mkdir(parents=True)]):
        make(tmp_path / str(i))
    before = tree(tmp_path), sorted(tmp_path.rglob("*"))
    for out in (run_copy, stopped_copy, *(tmp_path / str(i) for i in range(4))):
        with one_sentence("out", str(out)):
            miii.runs.record(out, train(small_config()))
    assert (tree(tmp_path), sorted(tmp_path.rglob("*"))) == before


def test_a_config_that_cannot_run_leaves_no_folder(small_config, tmp_path, monkeypatch, one_sentence):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with one_sentence("device"):
        miii.runs.record(tmp_path / "run", train(small_config(device="cuda")))
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_place_of_the_parent_gives_one_sentence(small_config, tmp_path, one_sentence):
    (tmp_path / "file").touch()
    with one_sentence("could not be written", "file/run"):
        miii.runs.record(tmp_path / "file" / "run", train(small_config()))


# ---- stopping and resuming ----


def assert_the_same_run(resumed, whole, same):
    """Weights and losses agree in every bit, and each evaluation is written once."""
    assert same(resumed.weights(), whole.weights())
    left, right = (run.metrics().drop(columns="seconds") for run in (resumed, whole))
    assert left["step"].tolist() == right["step"].tolist()
    for name in left.columns:
        assert left[name].tolist() == right[name].tolist(), name
    assert resumed.config == whole.config
    assert set(whole.steps) <= set(resumed.steps)
    assert {n: v for n, v in resumed.result.items() if n in ("steps", "stopped", "grokked_at", "test_loss")} == {
        n: v for n, v in whole.result.items() if n in ("steps", "stopped", "grokked_at", "test_loss")
    }


def test_a_stopped_run_has_its_last_weights_and_state(stopped_run):
    assert stopped_run.result["stopped"] is True
    assert stopped_run.result["steps"] == 13
    assert stopped_run.steps[-1] == 13
    state = load_file(stopped_run.folder / "resume.safetensors")
    assert all(torch.equal(value, state[f"weights.{name}"]) for name, value in stopped_run.weights().items())
    assert not stopped_run.running


def test_a_run_may_be_stopped_again_and_again(stopped_copy, small_run, same):
    before = miii.runs.open(stopped_copy).rows()[-1]["seconds"]
    for stop in (13, 14, 20, 23):
        run = stop_at(stop, miii.runs.resume(stopped_copy), stopped_copy)
        assert run.result["steps"] == stop
    steps = miii.runs.follow(stopped_copy, miii.runs.resume(stopped_copy))
    assert [step.step for step in steps] == [23, 24]
    done = miii.runs.open(stopped_copy)
    assert_the_same_run(done, small_run, same)
    assert done.rows()[-1]["seconds"] > before
    assert done.metrics()["seconds"].is_monotonic_increasing
    assert not (stopped_copy / "resume.safetensors").exists()
    assert not done.can_resume
    assert leftovers(stopped_copy) == []


def stopped_while_evaluating(steps):
    """As if stopped within the evaluation of step 0."""
    for step in steps:
        yield replace(step, evaluation=None) if step.step == 0 else step


def kill(folder):
    """As if killed before the first state was written."""
    (folder / "result.json").unlink()
    (folder / "resume.safetensors").unlink()


def test_a_run_stopped_or_killed_at_any_step_resumes_to_the_same_bits(small_config, tmp_path, same):
    for optimizer, cases in (("adamw", range(5)), ("muon", (0, 4))):
        config = small_config(optimizer={"name": optimizer})
        whole = miii.runs.record(tmp_path / optimizer / "whole", train(config))
        for i in cases:
            step = (0, 0, 0, 1, 13)[i]
            folder = tmp_path / optimizer / str(i)
            stop_at(step, stopped_while_evaluating(train(config)) if i == 1 else train(config), folder)
            if i == 1:
                run = miii.runs.open(folder)
                assert (run.steps, run.rows(), run.result["stopped"], run.result["steps"]) == ([0], [], True, 0)
                stored = load_file(folder / "snapshots" / "0.safetensors")
                assert {value.dtype for value in stored.values()} == {torch.float32}
            if i >= 2:
                kill(folder)
            if i == 2:  # nothing but what a run begins with
                shutil.rmtree(folder / "snapshots")
                (folder / "snapshots").mkdir()
                (folder / "metrics.jsonl").unlink()
            assert miii.runs.open(folder).can_resume
            if i == 0:  # stopped at step 0 once more
                stop_at(0, miii.runs.resume(folder), folder)
            assert_the_same_run(resumed(folder), whole, same)
            assert not miii.runs.open(folder).can_resume


def test_only_resumed_steps_continue_a_folder(small_config, tmp_path, one_sentence, tree):
    stop_at(0, train(small_config()), tmp_path / "run")
    before = tree(tmp_path)
    with one_sentence("out", str(tmp_path / "run")):
        drain(miii.runs.follow(tmp_path / "run", train(small_config())))
    with one_sentence("out", "another config"):
        other = tmp_path / "other"
        stop_at(0, train(small_config(steps=23)), other)
        drain(miii.runs.follow(other, miii.runs.resume(tmp_path / "run")))
    shutil.rmtree(other)
    assert tree(tmp_path) == before


def test_runs_without_training_state_are_never_resumed(small_run, stopped_copy, home, tmp_path, one_sentence, tree):
    state = (stopped_copy / "resume.safetensors").read_bytes()
    uploaded = miii.runs.unpack(miii.runs.pack(miii.runs.open(stopped_copy)))
    unfinished = miii.runs.unpack(miii.runs.pack(uploaded), "unfinished")
    (unfinished.folder / "result.json").unlink()
    finished = shutil.copytree(small_run.folder, tmp_path / "finished")
    (finished / "resume.safetensors").write_bytes(state)  # killed between its result and the end of its state
    shipped = miii.runs.ship(miii.runs.open(stopped_copy), tmp_path / "shipped")
    for folder, word in (
        (small_run.folder, "ended"),
        (finished, "ended"),
        (shipped.folder, "no training state"),
        (uploaded.folder, "no training state"),
        (unfinished.folder, "no training state"),
    ):
        assert not miii.runs.open(folder).can_resume
        before = tree(folder)
        with one_sentence("nothing to resume", word):
            miii.runs.resume(folder)
        assert tree(folder) == before
    with one_sentence("nowhere"):
        miii.runs.resume("nowhere")


def change_file(change):
    """Change the training state of a run as a file."""
    return lambda folder: change(folder / "resume.safetensors")


def change_state(**changes):
    """Change tensors of the training state of a run; None removes one."""

    def change(path):
        state = load_file(path) | {name.replace("__", "."): value for name, value in changes.items()}
        write.save_file({name: value for name, value in state.items() if value is not None}, path)

    return change_file(change)


def clock(*values):
    return change_state(clock=torch.tensor([*values, math.nan, math.nan]).double())


UNFIT = {
    "truncated": change_file(lambda p: p.write_bytes(p.read_bytes()[:-10])),
    "empty": change_file(lambda p: p.write_bytes(b"")),
    "another width": lambda f: change_config(f, model={"d_mlp": 17}),
    "another depth": lambda f: change_config(f, model={"n_layers": 2}),
    "another optimizer": lambda f: change_config(f, optimizer={"name": "sgd"}),
    "slow gradients": lambda f: change_config(f, optimizer={"name": "slow-gradient"}),
    "no clock": change_state(clock=None),
    "a clock without end": clock(13, math.inf),
    "a clock between steps": clock(12.5, 1),
    "a clock beyond the last": clock(25, 1),
    "a clock that is none": clock(math.nan, math.nan),
    "another clock": clock(12, 1),
    "half precision": change_state(weights__W_U=torch.zeros(8, 7).half()),
    "a folder": change_file(lambda p: [p.unlink(), p.mkdir()]),
    "a pipe": change_file(lambda p: [p.unlink(), os.mkfifo(p)]),
    "no weight": change_state(weights__W_U=None),
    "no state of the optimizer": change_state(stepper__optimizer__0__0__exp_avg=None),
}


def test_a_training_state_must_fit_the_config(stopped_run, tmp_path, one_sentence, tree):
    for name, corrupt in UNFIT.items():
        folder = tmp_path / name
        shutil.copytree(stopped_run.folder, folder)
        corrupt(folder)
        before = tree(folder)
        with one_sentence("resume.safetensors"):
            resumed(folder)
        assert tree(folder) == before, name


def test_broken_metrics_are_refused_before_writing(stopped_copy, one_sentence, tree):
    path = stopped_copy / "metrics.jsonl"
    whole = path.read_text()
    for line in ("{broken\n", "3\n", "{}\n"):
        path.write_text(line + whole)
        before = tree(stopped_copy)
        with one_sentence("metrics.jsonl"):
            resumed(stopped_copy)
        assert tree(stopped_copy) == before
        assert not miii.runs.open(stopped_copy).running


def test_steps_after_the_saved_state_are_written_again(stopped_copy, small_run, same):
    corrupt = {**small_run.rows()[-1], "test_loss": -1.0}
    with (stopped_copy / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({**corrupt, "step": 15}) + '\n{"step": 15, "sec')  # killed within a line
    (stopped_copy / "snapshots" / "19.safetensors").write_bytes(b"half")
    assert_the_same_run(resumed(stopped_copy), small_run, same)
    assert 19 not in miii.runs.open(stopped_copy).steps


def test_the_training_state_is_replaced_and_finally_removed(small_config, tmp_path, monkeypatch):
    monkeypatch.setattr(write, "RESUME_EVERY", 0.0)
    path = tmp_path / "run" / "resume.safetensors"
    for step in miii.runs.follow(tmp_path / "run", train(small_config())):
        if not step.last:
            assert load_file(path)["clock"][0] == step.step
            assert leftovers(tmp_path / "run") == []
    assert not path.exists()


# ---- a killed process ----

CHILD = """
import sys, time, torch
torch.set_num_threads(1)
import miii, miii.runs.write
miii.runs.write.RESUME_EVERY = 0.1
folder, config = sys.argv[1], miii.RunConfig.model_validate_json(sys.argv[2])
def slowly(steps):  # the kill must come before the end on any machine
    for step in steps:
        time.sleep(0.02)
        yield step
miii.runs.record(folder, slowly(miii.train(config)))
"""


def wait_until(condition, process, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, f"the child ended by itself: {process.stderr.read()}"
        assert time.monotonic() < end, "the child took too long"
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": {"name": "muon"}, "batch_size": 7, "precision": "bfloat16"},
        {
            "task": {"kind": "primes", "low": 100, "high": 6_000, "sampling": "log", "residues": (3,)},
            "batch_size": 20,
        },
    ],
    ids=["muon-batches-bfloat16", "primes-log"],
)
def test_a_killed_and_resumed_run_equals_a_whole_run(changes, small_config, tmp_path, same):
    config = small_config(steps=150, eval_every=5, snapshots=30, **changes)
    folder = tmp_path / "killed"
    command = [sys.executable, "-c", CHILD, str(folder), config.model_dump_json()]
    child = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        resume = folder / "resume.safetensors"
        wait_until(resume.exists, child)
        saved = int(load_file(resume)["clock"][0])

        def further():
            return miii.runs.open(folder).rows()[-1]["step"] > saved + 10

        wait_until(further, child)
        assert miii.runs.open(folder).running
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stderr.close()
    assert child.returncode == -signal.SIGKILL
    killed = miii.runs.open(folder)
    assert not killed.running  # the system has released its lock
    assert killed.can_resume
    assert killed.result is None
    assert 0 < killed.rows()[-1]["step"] < 150
    assert killed.model() is not None

    whole = miii.runs.record(tmp_path / "whole", train(config))
    assert_the_same_run(resumed(folder), whole, same)
    assert miii.runs.open(folder).steps == whole.steps


# ---- two at once ----


def test_a_second_writer_is_refused(small_config, tmp_path, monkeypatch, one_sentence, tree):
    monkeypatch.setattr(write, "RESUME_EVERY", 0.0)
    folder = tmp_path / "run"
    first = miii.runs.follow(folder, train(small_config()))
    for _ in range(5):
        next(first)
    before = tree(folder)
    with one_sentence("being written", str(folder)):
        next(miii.runs.follow(folder, miii.runs.resume(folder)))
    with one_sentence("out", str(folder)):
        next(miii.runs.follow(folder, train(small_config())))
    assert tree(folder) == before
    drain(first)
    assert miii.runs.open(folder).result["steps"] == 24
    assert not miii.runs.open(folder).running


def test_resuming_after_another_writer_finished_is_refused(stopped_copy, one_sentence, tree):
    late = miii.runs.resume(stopped_copy)
    resumed(stopped_copy)
    before = tree(stopped_copy)
    with one_sentence("out", str(stopped_copy)):
        drain(miii.runs.follow(stopped_copy, late))
    assert tree(stopped_copy) == before


def test_an_error_while_training_releases_the_lock(small_config, tmp_path):
    def failing():
        yield from (step for step in train(small_config()) if step.step < 3)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        drain(miii.runs.follow(tmp_path / "run", failing()))
    assert not miii.runs.open(tmp_path / "run").running


# ---- a full disk ----


def assert_readable(run):
    """An interrupted run must stay readable."""
    assert leftovers(run.folder) == []
    assert not run.running
    assert len(run.rows()) > 0
    assert run.metrics()["step"].is_monotonic_increasing
    for step in run.steps:
        run.model(step)


def test_a_full_disk_gives_one_sentence_and_leaves_a_readable_run(small_config, tmp_path, monkeypatch, one_sentence):
    """Snapshots fail from a certain one on, after some of their bytes."""
    save, left = write.save_file, []

    def full(tensors, path):
        if not left.pop():
            Path(path).write_bytes(b"some")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(tensors, path)

    monkeypatch.setattr(write, "save_file", full)
    for fails_at in (1, 2, 5):
        folder = tmp_path / str(fails_at)
        left[:] = [False] + [True] * fails_at
        with one_sentence(str(folder), "could not be written", "No space left on device"):
            miii.runs.record(folder, train(small_config()))
        assert len(miii.runs.open(folder).steps) == fails_at
        assert_readable(miii.runs.open(folder))


def test_no_room_for_a_file(small_config, tmp_path, one_sentence, disk_of):
    def recorded(name, size, **changes):
        with disk_of(size), one_sentence(str(tmp_path / name), "could not be written"):
            miii.runs.record(tmp_path / name, train(small_config(**changes)))

    recorded("none", 10)
    assert list(tmp_path.iterdir()) == []
    recorded("snapshot", 3000)  # 2.1 kB in float16, 3.5 kB in float32: only the last one does not fit
    run = miii.runs.open(tmp_path / "snapshot")
    assert len(run.steps) > 3
    assert 24 not in run.steps
    assert_readable(run)
    recorded("rows", 6000, steps=60, eval_every=1)
    run = miii.runs.open(tmp_path / "rows")
    assert 15 < len(run.rows()) < 60
    assert_readable(run)
    steps = miii.runs.follow(tmp_path / "stopped", train(small_config()))
    next(step for step in steps if step.step == 13)
    with disk_of(10), one_sentence("could not be written"):
        steps.close()
    assert_readable(miii.runs.open(tmp_path / "stopped"))


def test_a_full_disk_keeps_the_training_state_and_the_run_resumes(
    small_config, tmp_path, monkeypatch, small_run, same, disk_of
):
    monkeypatch.setattr(write, "RESUME_EVERY", 0.0)
    folder = tmp_path / "run"
    steps = miii.runs.follow(folder, train(small_config()))
    next(step for step in steps if step.step == 6)
    before = (folder / "resume.safetensors").read_bytes()
    with disk_of(8000), pytest.raises(miii.InputError, match="could not be written"):
        drain(steps)
    assert (folder / "resume.safetensors").read_bytes() == before
    assert_readable(miii.runs.open(folder))
    assert_the_same_run(resumed(folder), small_run, same)


def test_a_diverged_run_keeps_finite_snapshots(small_config, home, tmp_path, one_sentence):
    config = small_config(
        loss="squared", optimizer={"name": "sgd", "lr": 10.0}, steps=500, snapshots=200, warmup_steps=0
    )
    with pytest.raises(miii.training.Diverged) as caught:
        runs.record(tmp_path / "run", train(config))
    run = runs.open(tmp_path / "run")
    assert run.result["diverged_at"] == caught.value.step
    assert runs.row(run)["status"] == "diverged"
    assert all(value.isfinite().all() for step in run.steps for value in run.weights(step).values())
    assert len(run.steps) >= 2
    assert not run.can_resume
    with one_sentence("diverged"):
        runs.resume(tmp_path / "run")
    assert runs.unpack(runs.pack(run), "again", taken=()).result["diverged_at"] == caught.value.step


def test_a_run_in_float64_rounds_less_and_resumes_to_the_same_bits(small_config, tmp_path, same, one_sentence):
    exact, single = (small_config(precision=name, steps=6, eval_every=3) for name in ("float64", "float32"))
    last, rounded = (drain(train(config)) for config in (exact, single))
    there = resumed(stop_at(3, train(exact), tmp_path / "stopped").folder)
    assert same(there.weights(), {name: value.float() for name, value in last.weights.items()})
    assert {value.dtype for value in last.state().values() if value.ndim > 1} == {torch.float64}
    apart = max((last.weights[name] - rounded.weights[name]).abs().max().item() for name in last.weights)
    assert 0 < apart < 1e-4
    state = rounded.state()
    with one_sentence("must be float64"):
        check_state("resume.safetensors", state, exact)
