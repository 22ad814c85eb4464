"""What costs too much is refused on a shared server, and elsewhere waits for a yes, before anything is computed."""

import json
import threading
import time

import numpy as np
import pytest
from shown import app, button, shown

import miii

WIDE = {"task": {"p": 211}, "model": {"n_heads": 256, "d_model": 256, "d_mlp": 6000}}
DATA = {"task": "primes", "preset": "other", "low": 2, "high": 10**8, "sample": 4_000_000, "base": 1000}


@pytest.fixture
def nothing_is_built(monkeypatch):
    """Sieving, drawing and loading weights are failures."""

    def built(*_: object) -> None:
        raise AssertionError("something was built")

    monkeypatch.setattr("miii.tasks.integers._parts", built)
    monkeypatch.setattr("miii.runs.read._built", built)
    monkeypatch.setattr("miii.runs.Run.weights", built)


@pytest.fixture
def wide(home):
    """The folder of a run that no small server can take apart; it has no weights, for nobody may ask for them."""
    folder = home / "wide"
    (folder / "snapshots").mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(WIDE))
    (folder / "snapshots" / "0.safetensors").write_bytes(b"")
    return "wide"


def test_a_link_cannot_take_a_shared_server_down(visit, home, wide, nothing_is_built, monkeypatch):
    monkeypatch.setenv("MIII_SHARED", "1")
    began = time.perf_counter()
    assert "MB of memory" in shown(visit("data", **DATA)).text
    for page in ("attention", "circuits", "neurons", "formula", "progress"):
        (error,) = shown(visit(page, run=wide)).errors
        assert "at most 250 MB" in error, page
    assert time.perf_counter() - began < 20


def test_a_costly_page_asks_first_on_a_computer_of_one_s_own(visit, home, wide, nothing_is_built, monkeypatch):
    monkeypatch.setattr(miii.hardware, "available_memory", lambda: 2_000_000_000)
    at = visit("neurons", run=wide)
    (question,) = [box.value for box in at.warning]
    assert "needs about" in question
    assert not at.error
    at = button(at, "Compute it").click().run()
    assert not at.warning  # it was tried; this run has no weights to be loaded
    assert at.exception or at.error


def test_a_costly_run_is_asked_about_before_it_trains(visit, home, monkeypatch):
    monkeypatch.setattr(miii.hardware, "available_memory", lambda: 100_000_000)
    at = visit("train")
    assert "MB of memory" in at.warning[0].value
    assert button(at, "Start").disabled
    at = at.checkbox(key="agreed").check().run()
    assert not button(at, "Start").disabled


def test_one_heavy_page_at_a_time_and_light_ones_beside_it(server, home, monkeypatch):
    """Sessions are threads here, as on the server."""
    monkeypatch.setenv("MIII_SHARED", "1")
    gate, cost = app("_server.gate"), miii.cost
    heavy, light = cost.Cost(300_000_000, 0), cost.Cost(10_000_000, 0)
    running, most, lock = [0], [0], threading.Lock()

    def page(needs):
        with gate.turn(needs):
            with lock:
                running[0] += needs is heavy
                most[0] = max(most[0], running[0])
            time.sleep(0.2)
            with lock:
                running[0] -= needs is heavy

    threads = [threading.Thread(target=page, args=(heavy,)) for _ in range(3)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    page(light)
    assert time.perf_counter() - began < 0.5
    for thread in threads:
        thread.join()
    assert most == [1]


def test_results_are_kept_up_to_a_size(server):
    memory = app("_server.memory")
    kept, made = memory.Cache(1_000_000), []

    def make(name, size):
        return kept.get(name, lambda: made.append(name) or np.zeros(size // 8))

    for name, size in (("a", 400_000), ("b", 400_000), ("a", 400_000), ("c", 400_000), ("a", 400_000), ("b", 400_000)):
        assert make(name, size).nbytes == size
    assert made == ["a", "b", "c", "b"]
    make("huge", 5_000_000)
    make("huge", 5_000_000)
    assert made[4:] == ["huge", "huge"]


def test_an_export_is_not_asked_whether_it_may_be_costly(zoo, monkeypatch):
    zoo("adding")
    monkeypatch.setattr(miii.hardware, "available_memory", lambda: 1_000_000)
    headless = app("_kit.headless")
    assert headless.record("fourier", "adding").figures
