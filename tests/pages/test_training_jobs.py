"""Training from the app: start, queue, pause, resume, stop, a second tab, and runs that are half-written or corrupt."""

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import filelock
import pytest
from safetensors.torch import load_file, save_file
from shown import button, fill, fine, press, shown
from streamlit.testing.v1 import AppTest

from miii import runs
from miii.training import flat

LONG = 1_000_000
#: A form's values for a network that trains in no time.
TINY = {"p": 5, "d_model": 8, "n_heads": 2, "d_mlp": 8, "train_fraction": 0.5, "eval_every": 5, "precision": "float32"}
INSIDE = ("attention", "circuits", "progress")


def wait(until: Callable[[], object], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


def controls(at: AppTest) -> set[str]:
    """The labels of the buttons that control a job."""
    return {button.label for button in at.button if not str(button.key).startswith("to-")}


@pytest.fixture
def started(home, visit) -> Callable[..., AppTest]:
    """Fill in the form, and press Start."""

    def start(task: str = "add", **values: Any) -> AppTest:
        tiny = {name: value for name, value in TINY.items() if task == "add" or name != "p"}
        return press(fill(visit("train", task=task), **tiny | values), "Start")

    return start


def test_a_run_that_is_trained_is_on_disk_and_chosen(home, started, registry):
    at = started(steps=20, seed=4)
    job = registry.get("add-5-seed4")
    wait(lambda: job.ended)
    assert (job.status, job.message) == ("finished", "")
    run = runs.open("add-5-seed4")
    assert run.folder == home / "add-5-seed4"
    assert {name: flat.values(run.config)[name] for name in TINY} == TINY
    fine(at.run())
    assert at.selectbox(key="run").value == "add-5-seed4"
    assert (at.progress[0].value, "20 of 20" in at.progress[0].text) == (100, True)
    assert at.metric[0].value == f"{run.metrics()['train_accuracy'].iloc[-1]:.1%}"
    assert controls(at) == {"Start"}
    fine(at.switch_page("pages/fourier.py").run())
    assert at.selectbox(key="run").value == "add-5-seed4"


def test_primes_are_trained_live_and_stopped(home, started, registry):
    at = started("primes", low=1000, high=9999, residues="3,7", batch_size=64, steps=LONG, seconds=900)
    (job,) = registry.all()
    wait(lambda: job.evaluation is not None and job.rate)
    fine(at.run())
    assert "of at most 1,000,000" in at.progress[0].text
    assert int(re.search(r"(\d+) s left", at.progress[0].text)[1]) <= 900
    press(at, "Stop")
    wait(lambda: job.ended)
    fine(at.run())
    run = runs.open(home / job.name)
    assert (run.config.task.low, run.config.task.high, run.config.task.residues) == (1000, 9999, (3, 7))
    assert at.metric[0].value == f"{run.rows()[-1]['auc']:.3f}"


def test_a_run_that_ends_early_has_a_full_bar_and_a_large_grid_is_whole(started, registry):
    at = started(steps=LONG, seconds=0.1)
    job = registry.get("add-5-seed0")
    wait(lambda: job.ended)
    assert (job.status, job.message) == ("finished", "")
    fine(at.run())
    assert f"{runs.open('add-5-seed0').result['steps']:,}" in shown(at).text
    assert at.progress[0].value == 100
    at = started(p=151, steps=3)
    job = registry.get("add-151-seed0")
    wait(lambda: job.ended)
    assert len(job.evaluation.rows) < 151 * 151  # a part is evaluated
    assert "Correct and wrong answers" in shown(fine(at.run())).drawn


def test_a_second_run_waits_and_can_be_taken_out_of_the_queue(home, started, registry):
    at = started(steps=LONG)
    first = registry.get("add-5-seed0")
    wait(lambda: first.step is not None and first.step.step > 10)
    fine(at.run())
    assert "steps/s" in at.progress[0].text
    press(at, "Start")
    second = registry.get("add-5-seed0-2")
    assert second.status == "queued"
    assert at.selectbox(key="run").value == "add-5-seed0-2"
    assert button(at, "Pause").disabled
    for page in INSIDE:  # the waiting run can be chosen everywhere, and shows nothing yet
        fine(at.switch_page(f"pages/{page}.py").run())
        assert "add-5-seed0-2" in at.info[0].value
    fine(at.switch_page("pages/train.py").run())
    press(at, "Stop")
    assert (second.status, first.status) == ("stopped", "running")
    assert not (home / "add-5-seed0-2").exists()


def test_a_job_can_be_paused_resumed_and_stopped_from_any_tab(started, visit, registry):
    at = started(steps=LONG)
    name = "add-5-seed0"
    for label, status in (("Pause", "paused"), ("Stop", "stopped")):
        job = registry.get(name)
        wait(lambda job=job: job.step is not None and job.step.step > 5)
        tab = visit("train") if label == "Stop" else at.run()
        assert tab.selectbox(key="run").value == name
        press(tab, label)
        wait(lambda job=job: job.ended)
        assert job.status == status
        fine(at.run())
        assert controls(at) == {"Start", "Resume"}
        press(at, "Resume")
        assert registry.get(name) is not job
    assert registry.get(name).config.steps == LONG


def test_a_job_that_fails_gives_the_reason(started, registry, monkeypatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("miii.runs.write.save_file", full)
    at = started(steps=20)
    wait(lambda: registry.get("add-5-seed0").ended)
    assert "No space left on device" in shown(fine(at.run())).text


def test_a_stopped_or_killed_run_can_be_resumed(home, visit, registry, stopped_copy, small_run, same):
    shutil.move(stopped_copy, home / "half")
    shutil.copytree(home / "half", home / "killed", ignore=shutil.ignore_patterns("result.json", ".lock"))
    assert controls(visit("train", run="killed")) == {"Start", "Resume"}
    at = visit("train", run="half")
    assert "step 13" in shown(at).text
    press(at, "Resume")
    wait(lambda: registry.get("half").ended)
    assert "step 24" in shown(fine(at.run())).text
    assert same(runs.open("half").weights(), small_run.weights())


def test_a_run_that_another_process_writes_cannot_be_controlled(bring, visit):
    run = bring("adds")
    with filelock.FileLock(run.folder / ".lock"):
        assert controls(visit("train", run="adds")) == {"Start"}


# ---- half-written and corrupt runs ----


def test_an_app_without_runs_shows_what_it_can(home, tmp_path, monkeypatch, visit):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (home, tmp_path / "checkpoints"))
    for page in ("train", "data", "attention", "progress", "runs"):
        view = shown(visit(page))
        assert not view.errors
        assert view.infos if page in (*INSIDE, "runs") else len(view.widgets) > 5


def test_a_run_that_has_only_begun_is_no_error(bring, visit):
    run = bring("adds")
    for step in run.steps:
        (run.folder / "snapshots" / f"{step}.safetensors").unlink()
    for name in ("metrics.jsonl", "result.json"):
        (run.folder / name).unlink()
    for page in ("train", "attention", "progress"):
        view = shown(visit(page, run="adds"))
        assert not view.errors
        assert page == "train" or "adds" in view.infos[0]


def test_a_run_with_one_snapshot_needs_no_slider(bring, visit):
    run = bring("adds")
    for step in run.steps[:-1]:
        (run.folder / "snapshots" / f"{step}.safetensors").unlink()
    for page in ("fourier", "formula"):
        view = shown(visit(page, run="adds"))
        assert view.player is None
        assert {figure.arguments["step"] for figure in view.figures if "step" in figure.arguments} == {30}


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def widen(path: Path) -> None:
    weights = load_file(path)
    save_file({**weights, "W_E": weights["W_E"].repeat(1, 2)}, path)


CORRUPT: dict[str, tuple[str, Callable[[Path], object], tuple[str, ...]]] = {
    "half a snapshot": ("snapshots/30.safetensors", truncate, ("train", *INSIDE)),
    "another shape": ("snapshots/30.safetensors", widen, ("train", "fourier")),
    "half an old snapshot": ("snapshots/0.safetensors", truncate, ("fourier", "neurons", "progress")),
    "bad metrics": ("metrics.jsonl", lambda path: path.write_text("{\n" + path.read_text()), ("train",)),
    "half a result": ("result.json", truncate, ("train",)),
}


def test_error_of_a_corrupt_run_names_the_file(bring, visit):
    for to, (name, corrupt, pages) in CORRUPT.items():
        run = bring("adds", to)
        corrupt(run.folder / name)
        for page in pages:
            at = visit(page, run=to)
            assert any(Path(name).name in error for error in shown(at).errors), (page, to)
        fine(at.switch_page("pages/data.py").run())


def test_run_with_a_corrupt_config_is_not_offered(bring, visit):
    bring("second")
    truncate(bring("adds").folder / "config.json")
    for page in ("data", "train"):
        at = visit(page, run="adds")
        assert "adds" not in at.selectbox(key="run").options
        assert "adds" in at.warning[0].value
