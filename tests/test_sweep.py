"""Grids of settings, and sweeps over them by every engine, with processes killed at random."""

import multiprocessing
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from miii import runs, sweeps, train
from miii.runs.read import SWEEP
from miii.sweeps import attempt_together, claims, finish, grid, groups
from miii.training import ensemble, flat

CHOICES = {"lr": [0.01, 0.02]}


@pytest.fixture
def sweep(small_config, tmp_path) -> sweeps.Sweep:
    """A sweep of four runs, of which none has begun."""
    return sweeps.create(tmp_path / "S", small_config(steps=6), CHOICES, seeds=2)


@pytest.fixture(scope="module")
def trained(small_config, tmp_path_factory) -> sweeps.Sweep:
    """A sweep that was trained in order. Shared and read-only."""
    whole = sweeps.create(tmp_path_factory.mktemp("sweep") / "whole", small_config(steps=60), CHOICES, seeds=3)
    sweeps.train(whole)
    return whole


@pytest.fixture
def again(trained, tmp_path) -> sweeps.Sweep:
    """The same sweep, of which none has begun."""
    return sweeps.create(tmp_path / "again", trained.base, trained.grid, trained.seeds)


def check_same(found: sweeps.Sweep, wanted: sweeps.Sweep, same) -> None:
    assert set(found.table()["status"]) == {"done"}
    for name in wanted.configs:
        run, other = (runs.open(sweep.folder / name) for sweep in (found, wanted))
        assert run.config == other.config
        assert run.steps == other.steps
        assert same(run.weights(), other.weights())
        assert run.metrics().drop(columns="seconds").equals(other.metrics().drop(columns="seconds"))


def written(folder: Path) -> dict[Path, int]:
    """When each file below the folder was last written, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# ---- grid ----


def test_a_grid_is_every_combination_named_after_its_changes(small_config):
    base = small_config()
    found = grid(base, {"lr": [0.01, 0.02], "optimizer": ["sgd"], "seed": range(2)})
    assert found == {
        f"lr={lr},optimizer=sgd,seed={seed}": flat.change(base, {"lr": lr, "optimizer": "sgd", "seed": seed})
        for lr in (0.01, 0.02)
        for seed in (0, 1)
    }
    assert list(found)[:2] == ["lr=0.01,optimizer=sgd,seed=0", "lr=0.01,optimizer=sgd,seed=1"]  # the last one fastest


def test_a_giant_grid_is_refused(small_config, one_sentence):
    for choices in ({"seed": range(10**30)}, {"lr": [0.1] * 1001, "seed": range(1000)}):
        with one_sentence("grid must give at most 1,000,000 runs", "seed"):
            grid(small_config(), choices)


def test_a_grid_takes_numbers_as_text(small_config):
    texts = grid(small_config(), {"p": ["5", "7"], "batch_size": [None, "3"]})
    assert list(texts.values()) == list(grid(small_config(), {"p": [5, 7], "batch_size": [None, 3]}).values())


def test_a_bad_value_anywhere_in_a_grid_is_one_sentence(small_config, one_sentence):
    for choices, words in [
        ({"seed": [0, 1], "p": [7, 1]}, ["p must be", "at least 2", "1"]),
        ({"width": [3]}, ["width is not an option"]),
        ({"momentum": [0.5]}, ["momentum", "adamw"]),
        ({"n_heads": [1, 2, 3]}, ["n_heads must divide d_model"]),
        ({"seed": []}, ["grid must give at least one value"]),
    ]:
        with one_sentence(*words):
            grid(small_config(), choices)


# ---- the unit: make this run folder finished ----


def test_a_run_is_trained_skipped_and_resumed(small_config, tmp_path, same):
    config, steps = small_config(steps=6), []
    assert finish(tmp_path / "whole", config, seen=lambda step: steps.append(step.step)) == "done"
    assert steps == list(range(7))
    before = written(tmp_path)
    assert finish(tmp_path / "whole", config) == "done"
    assert written(tmp_path) == before

    steps.clear()
    place = tmp_path / "stopped"
    assert finish(place, config, stop=lambda: len(steps) > 3, seen=lambda step: steps.append(step.step)) == "stopped"
    assert runs.open(place).can_resume
    assert finish(place, config, seen=lambda step: steps.append(step.step)) == "done"
    assert steps == [0, 1, 2, 3, 4, 4, 5, 6]
    (tmp_path / "killed" / "snapshots").mkdir(parents=True)
    for name in ("config.json", "provenance.json"):  # as if killed: no result and no training state
        shutil.copy(place / name, tmp_path / "killed" / name)
    assert finish(tmp_path / "killed", config) == "done"
    whole = runs.open(tmp_path / "whole").weights()
    assert all(same(runs.open(tmp_path / name).weights(), whole) for name in ("stopped", "killed"))


def test_a_run_that_somebody_trains_is_left_alone(small_config, tmp_path):
    config = small_config(steps=6)
    following = runs.follow(tmp_path / "followed", train(config))
    next(following)
    assert finish(tmp_path / "followed", config) == "busy"
    assert [step.step for step in following] == list(range(1, 7))
    with claims.claim(tmp_path / "claimed"):
        assert claims.held(tmp_path / "claimed")
        assert finish(tmp_path / "claimed", config) == "busy"
    assert not (tmp_path / "claimed").exists()
    assert finish(tmp_path / "claimed", config) == "done"


def test_a_claim_of_another_machine_lasts_as_long_as_its_heart_beats(small_config, tmp_path, monkeypatch):
    place, config = tmp_path / "run", small_config(steps=6)
    file = tmp_path / claims.CLAIMS / "run.0"
    file.parent.mkdir()
    file.write_text("another machine")
    assert finish(place, config) == "busy"
    old = time.time() - claims.STALE - 1
    os.utime(file, (old, old))
    assert claims.orphaned(place)

    # a process that is frozen loses its run, and leaves it unwritten when it wakes
    def freeze(step) -> None:
        if step.step == 3:
            claim = tmp_path / claims.CLAIMS / "run.1"
            claim.write_text("another machine")
            os.utime(claim, (old, old))
            monkeypatch.setattr(claims, "STALE", -1.0)
            thief = claims._take(place)
            assert thief is not None
            thief.release()

    assert finish(place, config, seen=freeze) == "busy"
    assert runs.open(place).result is None
    monkeypatch.undo()
    assert finish(place, config) == "done"
    assert not claims.held(place)


# ---- sweeps ----


def test_a_sweep_is_a_folder_of_runs_and_a_table(trained):
    assert {path.name for path in trained.folder.iterdir() if path.name[0] != "."} == {SWEEP, *trained.configs}
    opened = sweeps.open(trained.folder)
    assert (opened.configs, opened.versions) == (trained.configs, trained.versions)
    table = opened.table()
    assert list(table["run"]) == list(trained.configs)
    assert set(table["status"]) == {"done"}
    row = table[table["run"] == "lr=0.02,seed=1"].iloc[0]
    last = runs.open(trained.folder / row["run"]).rows()[-1]
    assert (row["lr"], row["seed"], row["changed"], row["steps"]) == (0.02, 1, "lr=0.02", 60)
    assert (row["test_loss"], row["weight_norm"]) == (last["test_loss"], last["weight_norm"])
    curves = opened.curves("test_loss")
    assert len(curves) == 6 * len(runs.open(trained.folder / row["run"]).rows())
    assert curves["value"].iloc[-1] == table["test_loss"].iloc[-1]


def test_a_stopped_sweep_resumes_and_a_finished_one_is_left_alone(sweep):
    ended: list[str] = []
    sweeps.train(sweep, stop=lambda: len(ended) == 2, changed=lambda name, _: ended.append(name))
    assert set(sweep.counts()) <= {"done", "waiting", "stopped"}
    sweeps.train(sweep)
    assert sweep.counts() == {"done": 4}
    before = written(sweep.folder)
    sweeps.train(sweep)
    sweeps.work(sweep)
    assert {path: when for path, when in written(sweep.folder).items() if path.name != claims.CLOCK} == {
        path: when for path, when in before.items() if path.name != claims.CLOCK
    }


def test_a_sweep_is_extended_by_values_and_seeds(sweep, small_config, one_sentence):
    base = small_config(steps=6)
    more = sweeps.create(sweep.folder, base, {"lr": ["0.02", "0.03"]}, seeds=3)
    assert set(sweep.configs) < set(more.configs)
    assert len(more.configs) == 9
    assert sweeps.open(sweep.folder).configs == more.configs
    for changed, choices in ((small_config(steps=7), CHOICES), (base, {"weight_decay": [1]}), (base, {})):
        with one_sentence("S", "another sweep"):
            sweeps.create(sweep.folder, changed, choices)


def test_a_failed_run_has_its_reason_and_does_not_end_the_sweep(small_config, tmp_path):
    bad, good = {"name": "sgd", "lr": 10.0}, {"name": "sgd", "lr": 0.01}
    base = small_config(optimizer=good, loss="squared", warmup_steps=0, steps=40)
    sweep = sweeps.create(tmp_path / "S", base, {"lr": [bad["lr"], 0.01, 0.02]})
    (tmp_path / "S" / "lr=0.02,seed=0").mkdir()
    (tmp_path / "S" / "lr=0.02,seed=0" / "notes.txt").write_text("mine")
    for _ in range(2):
        sweeps.train(sweep)
        rows = sweep.rows()
        assert [row["status"] for row in rows] == ["diverged", "done", "failed"]
        assert "config.json" in rows[2]["reason"]
    shutil.rmtree(tmp_path / "S" / "lr=0.02,seed=0")
    sweeps.train(sweep)  # a failed run is tried again
    assert sweep.rows()[2]["status"] == "done"


def test_a_half_written_or_damaged_sweep_is_one_sentence(sweep, tmp_path, small_config, one_sentence):
    whole = (sweep.folder / SWEEP).read_text()
    (tmp_path / "empty").mkdir()
    with one_sentence("sweep.json", "not a sweep"):
        sweeps.open(tmp_path / "empty")
    with one_sentence("sweep must be", "nothing"):
        sweeps.open("nothing")
    for text, words in (
        (whole[:100], ["sweep.json", "JSON"]),
        ("[]", ["sweep.json", "JSON object"]),
        ("{}", ["base", "grid"]),
        (whole.replace('"seeds": [', '"seeds": ["x", '), ["seeds", "integers"]),
        (whole.replace('"lr": [\n      0.01', '"lr": [\n      {}'), ["grid", "list of values"]),
        (whole.replace('"d_model": 8', '"d_model": 7'), ["sweep.json", "n_heads"]),
    ):
        (sweep.folder / SWEEP).write_text(text)
        with one_sentence(*words):
            sweeps.open(sweep.folder)
    (sweep.folder / SWEEP).unlink()  # the folder of an engine that was killed at once, or of an older version
    other = small_config(steps=7)
    finish(sweep.folder / "lr=0.01,seed=0", next(iter(sweep.configs.values())))
    with one_sentence("another config", "lr=0.01,seed=0"):
        sweeps.create(sweep.folder, other, CHOICES, seeds=2)
    assert not sweeps.is_sweep(sweep.folder)
    assert sweeps.create(sweep.folder, small_config(steps=6), CHOICES, seeds=2).counts() == {"done": 1, "waiting": 3}


def test_an_estimate_of_a_million_runs_takes_no_time(small_config, one_sentence):
    begun = time.process_time()
    count, needs = sweeps.estimate(
        small_config(), {"lr": [0.01] * 100, "weight_decay": [1.0] * 100, "seed": range(100)}
    )
    assert count == 1_000_000
    assert needs.seconds == pytest.approx(1e6 * sweeps.estimate(small_config(), {"seed": [0]})[1].seconds)
    assert needs.seconds > 1e4  # to write a run takes time too
    assert time.process_time() - begun < 2
    with one_sentence("width is not an option"):
        sweeps.estimate(small_config(), {"width": [3]})
    for text in ("lr", "lr=,", "=1", ""):
        with one_sentence("grid must be settings such as", repr(text)):
            sweeps.choices([text])


# ---- together ----


def test_small_networks_of_one_shape_are_trained_together_as_ordinary_runs(small_config, tmp_path, monkeypatch):
    base = small_config(steps=6)
    choices = {"lr": [0.01, 0.02], "weight_decay": [0.5, 1.0], "d_model": [8, 16]}
    shapes = [list(group) for group in groups(grid(base, {**choices, "seed": range(3)}))]
    assert [len(group) for group in shapes] == [12, 12]
    assert all("d_model=8" in name for name in shapes[0])
    assert max(map(len, groups(grid(base, {"lr": [0.01], "seed": range(70)})))) == 35
    for few in (grid(base, {"seed": range(7)}), grid(base, {"seed": range(9), "p": [59], "d_model": [64]})):
        assert max(map(len, groups(few))) == 1  # too few, and too large

    sweep = sweeps.create(tmp_path / "S", base, CHOICES, seeds=6)
    names, sizes, together = list(sweep.configs), [], ensemble.train
    monkeypatch.setattr(ensemble, "train", lambda c, s, stop: sizes.append(len(c)) or together(c, s, stop))
    finish(sweep.folder / names[0], sweep.configs[names[0]])
    with claims.claim(sweep.folder / names[1]):  # another process
        found = dict(attempt_together(sweep.folder, {name: sweep.configs[name] for name in names[:4]}))
    assert list(found.values()) == ["done", "busy", "done", "done"]
    sweeps.train(sweep)
    assert sweep.counts() == {"done": 12}
    assert sizes == [2, 9]
    for name in names[:2]:
        run, other = runs.open(sweep.folder / name), runs.record(tmp_path / name, train(sweep.configs[name]))
        assert (run.config, run.steps, run.result.keys()) == (other.config, other.steps, other.result.keys())
        assert sorted(os.listdir(run.folder)) == sorted(os.listdir(other.folder))
        wanted = other.weights()
        assert max((value - wanted[key]).abs().max() for key, value in run.weights().items()) < 1e-5
        assert run.metrics()["test_loss"].to_numpy() == pytest.approx(other.metrics()["test_loss"].to_numpy(), rel=1e-5)


def test_runs_trained_together_stop_and_resume_and_fail_alone(small_config, tmp_path, monkeypatch):
    sweep = sweeps.create(tmp_path / "S", small_config(steps=9), CHOICES, seeds=4)
    names, looks = list(sweep.configs), []
    (tmp_path / "S" / names[0]).mkdir()
    (tmp_path / "S" / names[0] / "notes.txt").write_text("mine")
    found = dict(attempt_together(sweep.folder, sweep.configs, lambda: looks.append(0) or len(looks) > 12))
    assert list(found.values()) == ["failed", *["stopped"] * 7]
    stopped = [runs.open(sweep.folder / name) for name in names[1:]]
    assert all(run.can_resume for run in stopped)
    assert len({run.steps[-1] for run in stopped}) == 1
    assert 0 < stopped[0].steps[-1] < 9
    assert not any(claims.held(sweep.folder / name) for name in names)
    monkeypatch.setattr(claims.Claim, "check", lambda claim: claim._next.name.startswith(names[1]) and taken_over())
    found = dict(attempt_together(sweep.folder, {name: sweep.configs[name] for name in names[1:]}))
    assert list(found.values()) == ["busy", *["done"] * 6]
    assert runs.open(sweep.folder / names[1]).can_resume


def taken_over() -> None:
    raise claims.LostError


# ---- carried ----


def zipped(folder: Path) -> bytes:
    return Path(shutil.make_archive(str(folder) + "-zip", "zip", folder.parent, folder.name)).read_bytes()


def test_a_sweep_is_carried_as_a_zip_file(trained, home, same, tmp_path):
    shutil.copytree(trained.folder, tmp_path / "cluster")
    found = sweeps.unpack(zipped(tmp_path / "cluster"))
    assert found.folder == home.absolute() / "cluster"
    check_same(found, trained, same)
    name = next(iter(found.configs))
    assert runs.open(f"cluster/{name}").name == f"cluster/{name}"
    assert next(sweep.name for sweep in sweeps.every()) == "cluster"
    assert sweeps.unpack(zipped(tmp_path / "cluster")).name == "cluster-2"
    shipped = sweeps.ship(trained, tmp_path / "small")
    assert shipped.table().equals(trained.table())
    assert not list(shipped.folder.rglob("*.safetensors"))


def test_a_hostile_zip_file_of_a_sweep_leaves_nothing(sweep, home, tmp_path, one_sentence):
    sweeps.train(sweep)
    first, second, *_ = sweep.configs
    for harm, words in (
        (lambda folder: (folder / first).rename(folder / "lr=9,seed=0"), ["runs of its grid", "lr=9"]),
        (lambda folder: shutil.copy(folder / first / "config.json", folder / second), ["config of the sweep"]),
        (lambda folder: (folder / "more.py").write_text("x"), ["more.py"]),
        (lambda folder: (folder / first / "more.py").write_text("x"), ["more.py"]),
        (lambda folder: (folder / SWEEP).unlink(), ["one sweep.json"]),
        (lambda folder: (folder / SWEEP).write_text("{"), ["JSON"]),
        (lambda folder: shutil.copytree(folder, folder / "nested"), ["runs of its grid"]),
    ):
        folder = Path(shutil.copytree(sweep.folder, tmp_path / "harmed"))
        harm(folder)
        with one_sentence(*words):
            sweeps.unpack(zipped(folder))
        assert list(home.iterdir()) == []
        shutil.rmtree(folder)


# ---- many processes ----


@pytest.mark.slow
def test_local_processes_train_the_same_and_survive_a_killed_one(again, trained, same):
    killed: list[int] = []

    def kill(name: str, outcome: str) -> None:
        tasks = Path("/proc/self/task").glob("*/children")
        found = [int(pid) for task in tasks for pid in task.read_text().split()]
        found = [pid for pid in found if "loky_posix" in Path(f"/proc/{pid}/cmdline").read_text()]
        if not killed and found:
            killed.append(found[-1])
            os.kill(found[-1], signal.SIGKILL)

    sweeps.train(again, jobs=2, changed=kill)
    assert killed
    check_same(again, trained, same)


@pytest.mark.filterwarnings("ignore:This process")  # forks, although threads exist
def test_workers_that_are_killed_at_random_are_taken_over(again, trained, same):
    fork, rng = multiprocessing.get_context("fork"), random.Random(0)
    workers = [fork.Process(target=sweeps.work, args=(again,)) for _ in range(3)]
    for worker in workers:
        worker.start()
    for _ in range(4):
        time.sleep(rng.uniform(0.05, 0.3))
        victim = rng.randrange(3)
        os.kill(workers[victim].pid, signal.SIGKILL)
        workers[victim].join()
        workers[victim] = fork.Process(target=sweeps.work, args=(again,))
        workers[victim].start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    check_same(again, trained, same)


@pytest.fixture
def cluster():
    """The address of a dask scheduler with two worker processes, and the processes."""
    pytest.importorskip("distributed")
    port = random.randrange(20_000, 60_000)
    address = f"tcp://127.0.0.1:{port}"
    dask = [sys.executable, "-m", "dask"]
    commands = [[*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]]
    commands += 2 * [[*dask, "worker", address, "--no-nanny", "--nthreads", "1", "--no-dashboard"]]
    quiet = {
        "stdout": subprocess.DEVNULL,
        "stderr": subprocess.DEVNULL,
        "env": os.environ | {"PYTHONPATH": os.getcwd()},
    }
    processes = [subprocess.Popen(command, **quiet) for command in commands]
    yield address, processes
    for process in processes:
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_dask_cluster_trains_the_same_and_survives_a_killed_worker(
    again, trained, same, cluster, tmp_path, one_sentence
):
    address, processes = cluster
    from distributed import Client

    with Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    killed: list[str] = []

    def kill(name: str, outcome: str) -> None:
        while not killed:  # until the first worker trains a run
            opened = [os.readlink(each) for each in Path(f"/proc/{processes[1].pid}/fd").iterdir() if each.is_symlink()]
            killed.extend(path for path in opened if Path(path).parent.name == claims.CLAIMS)
            if killed:
                processes[1].kill()

    sweeps.train(again, dask=address, changed=kill)
    assert processes[1].wait() == -signal.SIGKILL
    check_same(again, trained, same)
    more = sweeps.create(tmp_path / "more", flat.change(trained.base, {"steps": 500}), trained.grid, 4)
    with one_sentence("dask must be a cluster that runs", address):
        sweeps.train(more, dask=address, changed=lambda name, outcome: processes[0].kill(), together=False)


def test_a_cluster_that_does_not_answer_is_one_sentence(sweep, one_sentence, monkeypatch):
    pytest.importorskip("distributed")
    assert 1.5 * sweeps.cluster.CONNECT < 10  # seconds to connect, and to find a worker
    monkeypatch.setattr(sweeps.cluster, "CONNECT", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts, and never answers
        for address in (f"tcp://127.0.0.1:{silent.getsockname()[1]}", "tcp://127.0.0.1:1", "nonsense"):
            with one_sentence("dask must be the address of a running scheduler", address):
                sweeps.train(sweep, dask=address)
