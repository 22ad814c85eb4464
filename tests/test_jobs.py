"""Training in the background: a queue and its thread."""

import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from types import SimpleNamespace

import filelock
import pytest

from miii import InputError, RunConfig, runs
from miii.jobs import Job, Jobs
from miii.model import fast
from miii.training import Step, train

LONG = 1_000_000  # steps: an hour


@pytest.fixture
def jobs() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.close()


@pytest.fixture
def long(small_config) -> RunConfig:
    """Trains for an hour unless stopped, with few evaluations."""
    return small_config(steps=LONG, eval_every=100)


def wait(until: Callable[[], object], seconds: float = 90) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def begun(job: Job, steps: int = 3) -> None:
    wait(lambda: job.ended or (job.step is not None and job.step.step >= steps))
    assert job.status == "running", job.message


def test_a_job_writes_the_same_run_as_record(jobs, small_config, small_run, tmp_path, same):
    job = jobs.start(tmp_path / "run", small_config())
    wait(lambda: job.ended)
    assert (job.status, job.message) == ("finished", "")
    run = runs.open(tmp_path / "run")
    assert same(run.weights(), small_run.weights())
    assert run.steps == small_run.steps
    assert job.step is not None
    assert job.step.last
    assert job.evaluation is job.step.evaluation
    assert jobs.get("run") is job
    assert jobs.all() == [job]
    jobs.stop(job)
    jobs.pause(job)
    assert job.status == "finished"


def test_a_job_stops_at_its_limit(jobs, long, tmp_path):
    job = jobs.start(tmp_path / "run", long, limit=0.5)
    wait(lambda: job.ended)
    assert job.status == "stopped"
    assert "0 seconds" in job.message
    assert runs.open(tmp_path / "run").can_resume


def test_a_stop_interrupts_an_evaluation(jobs, small_config, tmp_path, monkeypatch):
    """Every chunk waits, as in a network that takes minutes to evaluate."""
    monkeypatch.setattr("miii.training.evaluation.CHUNK", 1)
    patient = fast.answer_logits

    def slow(*args: object) -> object:
        time.sleep(0.1)
        return patient(*args)

    monkeypatch.setattr("miii.model.fast.answer_logits", slow)
    job = jobs.start(tmp_path / "run", small_config())
    wait(lambda: job.status == "running")
    time.sleep(0.3)
    jobs.stop(job)
    assert job.wait(1.5)  # 49 chunks take 5 s
    assert job.status == "stopped"


def test_a_job_stopped_at_step_0_is_resumed_to_the_same_weights(jobs, small_config, small_run, tmp_path, same):
    stopped = Job(tmp_path / "run", small_config())
    stopped.stop.set()
    stopped.run(lambda: train(small_config()))
    assert (stopped.status, runs.open(tmp_path / "run").result["steps"]) == ("stopped", 0)
    job = jobs.resume(runs.open(tmp_path / "run"))
    wait(lambda: job.ended)
    assert (job.status, job.message) == ("finished", "")
    assert same(runs.open(tmp_path / "run").weights(), small_run.weights())


def test_one_job_trains_and_the_others_wait(jobs, long, small_config, tmp_path):
    names = ("first", "second", "third")
    first, second, third = (jobs.start(tmp_path / n, long if n == "first" else small_config()) for n in names)
    begun(first)
    assert [job.status for job in (first, second, third)] == ["running", "queued", "queued"]
    assert [jobs.ahead(job) for job in (first, second, third)] == [0, 1, 2]
    assert [path.name for path in tmp_path.iterdir()] == ["first"]
    assert [job.name for job in jobs.all()] == list(names)
    jobs.stop(first)
    wait(lambda: third.ended)
    assert [job.status for job in (first, second, third)] == ["stopped", "finished", "finished"]
    assert [jobs.ahead(job) for job in (first, second, third)] == [0, 0, 0]


def test_two_workers_train_two_jobs_at_once(long, tmp_path):
    both = Jobs(workers=2)
    try:
        first, second = both.start(tmp_path / "a", long), both.start(tmp_path / "b", long)
        begun(first)
        begun(second)
    finally:
        both.close()
    assert (first.status, second.status) == ("stopped", "stopped")


def test_a_running_job_stops_within_a_second_and_can_be_resumed(jobs, long, tmp_path):
    job = jobs.start(tmp_path / "run", long)
    begun(job)
    asked = time.monotonic()
    jobs.stop(job)
    assert job.status in ("stopping", "stopped")
    wait(lambda: job.ended)
    assert time.monotonic() - asked < 1
    assert job.status == "stopped"
    run = runs.open(tmp_path / "run")
    assert job.step is not None
    assert run.steps[-1] == job.step.step == run.result["steps"]
    assert run.result["stopped"]
    assert run.can_resume
    run.model()
    again = jobs.resume(run)
    assert jobs.get("run") is again is not job
    begun(again, job.step.step + 1)


def test_a_queued_job_that_is_stopped_never_begins(jobs, long, small_config, tmp_path):
    first, second = jobs.start(tmp_path / "first", long), jobs.start(tmp_path / "second", long)
    third = jobs.start(tmp_path / "third", small_config())
    begun(first)
    jobs.stop(second)
    assert (second.status, jobs.ahead(third)) == ("stopped", 1)
    jobs.stop(first)
    wait(lambda: third.ended)
    assert third.status == "finished"
    assert not (tmp_path / "second").exists()
    assert second.step is None


def test_pausing_and_resuming_ends_in_the_weights_of_an_uninterrupted_run(jobs, small_config, tmp_path, same):
    config = small_config(steps=150, eval_every=50)
    job = jobs.start(tmp_path / "paused", config)
    for steps in (20, 60):
        begun(job, steps)
        jobs.pause(job)
        wait(lambda job=job: job.ended)
        assert job.status == "paused"
        assert runs.open(tmp_path / "paused").can_resume
        job = jobs.resume(runs.open(tmp_path / "paused"))
    wait(lambda: job.ended)
    assert job.status == "finished"
    whole, paused = runs.record(tmp_path / "whole", train(config)), runs.open(tmp_path / "paused")
    assert same(paused.weights(), whole.weights())
    assert paused.metrics().drop(columns="seconds").equals(whole.metrics().drop(columns="seconds"))


def test_a_stop_at_the_end_leaves_the_job_finished(jobs, small_config, tmp_path, monkeypatch):
    look, gate = Job.ended.fget, threading.Event()

    def gated(config: RunConfig, stop: object) -> Iterator[Step]:
        for step in train(config):
            yield step
            if step.step == 5:
                gate.wait(30)

    def late(job: Job) -> bool:
        """Let the job end right after this check, if nothing prevents it."""
        was = look(job)
        gate.set()
        wait(lambda: look(job) or job.step.last)
        time.sleep(0.05)
        return was

    monkeypatch.setattr("miii.jobs.train", gated)
    job = jobs.start(tmp_path / "run", small_config())
    wait(lambda: job.step is not None and job.step.step == 5)
    with monkeypatch.context() as patched:
        patched.setattr(Job, "ended", property(late))
        jobs.stop(job)
    wait(lambda: job.ended)
    assert job.status == "finished"


def test_pausing_starts_the_next_job(jobs, long, tmp_path):
    first, second = jobs.start(tmp_path / "first", long), jobs.start(tmp_path / "second", long)
    begun(first)
    jobs.pause(second)  # it has not begun
    assert second.status == "queued"
    jobs.pause(first)
    begun(second)
    again = jobs.resume(runs.open(tmp_path / "first"))
    assert (first.status, again.status, jobs.ahead(again)) == ("paused", "queued", 1)


# ---- what goes wrong ----


def test_a_taken_name_is_refused(jobs, long, small_config, tmp_path, one_sentence):
    (tmp_path / "taken").mkdir()
    with one_sentence("name", "'taken'"):
        jobs.start(tmp_path / "taken", small_config())
    first, second = jobs.start(tmp_path / "first", long), jobs.start(tmp_path / "second", long)
    begun(first)
    for name in ("first", "second"):
        with one_sentence("name", name):
            jobs.start(tmp_path / name, small_config())
    assert jobs.all() == [first, second]


def test_a_run_that_has_ended_or_waits_or_is_being_written_cannot_be_resumed(
    jobs, long, small_run, stopped_copy, tmp_path, one_sentence
):
    with one_sentence("nothing to resume", small_run.name):
        jobs.resume(small_run)
    job = jobs.start(tmp_path / "run", long)
    begun(job)
    with pytest.raises(InputError, match="run"):
        jobs.resume(runs.open(tmp_path / "run"))
    assert jobs.all() == [job]
    jobs.resume(runs.open(stopped_copy))
    with one_sentence("name", stopped_copy.name):
        jobs.resume(runs.open(stopped_copy))


def test_a_folder_that_appears_meanwhile_fails_the_job(jobs, long, tmp_path, tree):
    first, second = jobs.start(tmp_path / "first", long), jobs.start(tmp_path / "second", long)
    begun(first)
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "notes.txt").write_text("mine")
    before = tree(tmp_path / "second")
    jobs.stop(first)
    wait(lambda: second.ended)
    assert second.status == "failed"
    assert "must be a folder that does not exist yet" in second.message
    assert tree(tmp_path / "second") == before


def test_a_brief_lock_does_not_stop_a_job(jobs, long, stopped_copy, tmp_path):
    first, second = jobs.start(tmp_path / "first", long), jobs.resume(runs.open(stopped_copy))
    begun(first)
    looking = filelock.FileLock(stopped_copy / ".lock", thread_local=False)  # as Run.running does, briefly
    looking.acquire()
    threading.Timer(0.05, looking.release).start()
    jobs.stop(first)
    wait(lambda: second.ended)
    assert (second.status, second.message) == ("finished", "")


def failing(config: RunConfig, stop: object) -> Iterator[Step]:
    for step in train(config):
        if step.step == 5:
            raise RuntimeError("the sky fell")
        yield step


def test_an_error_is_one_sentence_and_the_next_job_trains(jobs, long, small_config, tmp_path, monkeypatch):
    monkeypatch.setattr("miii.jobs.train", failing)
    broken = jobs.start(tmp_path / "broken", small_config())
    wait(lambda: broken.ended)
    assert broken.status == "failed"
    assert "the sky fell" in broken.message
    assert broken.message.endswith(".")
    assert "\n" not in broken.message
    run = runs.open(tmp_path / "broken")
    assert not run.running  # the lock is released
    assert run.metrics()["step"].tolist() == [0]  # what was written before stays readable
    monkeypatch.setattr("miii.jobs.train", train)
    begun(jobs.start(tmp_path / "next", long))


def test_a_full_disk_fails_the_job_with_a_sentence_and_frees_its_name(jobs, small_config, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for i, function in enumerate(("save_file", "write_json")):
        with monkeypatch.context() as patched:
            patched.setattr(f"miii.runs.write.{function}", full)
            job = jobs.start(tmp_path / f"run-{i}", small_config())
            wait(lambda job=job: job.ended)
        assert job.status == "failed"
        assert job.message == f"{tmp_path / f'run-{i}'} could not be written: No space left on device."
    again = jobs.start(tmp_path / "run-1", small_config())
    wait(lambda: again.ended)
    assert (again.status, again.message) == ("finished", "")


# ---- the end, and the clock ----


def test_closing_stops_all_jobs(long, tmp_path):
    jobs = Jobs()
    first, second = jobs.start(tmp_path / "first", long), jobs.start(tmp_path / "second", long)
    begun(first)
    jobs.close()
    assert (first.status, second.status) == ("stopped", "stopped")
    assert runs.open(tmp_path / "first").can_resume
    assert not (tmp_path / "second").exists()
    assert not any(thread.is_alive() for thread in jobs._threads)
    jobs.close()  # twice does no harm


@pytest.fixture
def tenths(monkeypatch) -> None:
    """A clock that advances a tenth of a second at every call; a job calls it once a step."""
    ticks = count()
    monkeypatch.setattr(
        "miii.jobs.time", SimpleNamespace(perf_counter=lambda: next(ticks) / 10, monotonic=time.monotonic)
    )


@pytest.mark.usefixtures("tenths")
def test_rate_and_seconds_left(small_config, tmp_path):
    for at in (0, 1, 20, 90):
        job = Job(tmp_path / str(at), small_config(steps=100))
        assert (job.rate, job.seconds_left) == (None, None)

        def steps(job=job, at=at) -> Iterator[Step]:
            for step in train(job.config):
                if step.step == at:
                    job.stop.set()
                yield step

        job.run(steps)
        assert (job.status, job.step.step) == ("stopped", at)
        if at == 0:  # one step is too few
            assert (job.rate, job.seconds_left) == (None, None)
        else:
            assert (job.rate, job.seconds_left) == (pytest.approx(10), pytest.approx((100 - at) / 10))
