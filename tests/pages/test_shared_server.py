"""A server that strangers share: rights, limits, secret links, settings, and what costs too much.

Costly work is refused on a shared server, and elsewhere waits for a yes, before anything is computed.
"""

import json
import tempfile
import threading
import time

import numpy as np
import pytest
from shown import ROOT, add, app, button, choose, fill, press, shown
from streamlit.testing.v1 import AppTest

import miii
from miii import runs

LONG = 1_000_000
WIDE = {"task": {"p": 211}, "model": {"n_heads": 256, "d_model": 256, "d_mlp": 6000}}
DATA = {"task": "primes", "preset": "other", "low": 2, "high": 10**8, "sample": 4_000_000, "base": 1000}


@pytest.fixture
def shared(monkeypatch) -> None:
    monkeypatch.setenv("MIII_SHARED", "1")


@pytest.fixture
def long_runs(monkeypatch) -> None:
    """A limit of steps that no test reaches."""
    monkeypatch.setenv("MIII_MAX_STEPS", str(LONG))


def press_late(at: AppTest, label: str, key: str | None = None) -> None:
    """Press a button on a page of a moment ago, without the right by now; nothing but an error may come of it."""
    kept, at.session_state["keys"] = at.session_state["keys"], ["another session's"]
    press(at, label, key)
    assert len(at.error) == 1
    at.session_state["keys"] = kept
    at.run()


def origin(at: AppTest, name: str) -> str:
    return at.dataframe[0].value.set_index("run").loc[name, "from"]


def secret(at: AppTest) -> str:
    """The key in the link that a session is given."""
    (link,) = (code.value for code in at.code if "key=" in code.value)
    return link.partition("?key=")[2]


@pytest.fixture
def brought(small_run, visit):
    """Bring a run in."""
    return lambda at: add(at, "zip", ("x.zip", runs.pack(small_run)))


# ---- rights ----


def test_only_the_session_that_brought_a_run_may_change_it(shared, home, visit, brought):
    mine = brought(visit("runs"))
    theirs = choose(visit("runs"), "small")
    assert (origin(mine, "small"), origin(theirs, "small")) == ("uploaded", "others")
    assert button(theirs, "Delete").disabled
    for label, key in (("Delete", None), ("Rename", "rename")):
        press_late(choose(mine, "small"), label, key)
        assert (home / "small").exists()
    mine.text_input(key="rename-small").set_value("better").run()
    press(mine, "Rename", "rename")
    press(choose(mine, "better"), "Delete")
    assert not (home / "better").exists()
    press(mine, "Undo")
    assert not button(choose(mine, "better"), "Delete").disabled
    assert button(choose(theirs.run(), "better"), "Delete").disabled


def test_the_secret_link_gives_the_right_and_leaves_the_address(shared, home, visit, brought):
    mine = brought(visit("runs"))
    key = secret(mine)
    notes = [path.read_text() for path in (home / ".owners").iterdir()]
    assert all(part not in note for part in key.split(".") for note in notes)  # the hash alone is on the disk
    other, stranger = visit("runs", key=key), visit("runs", key="x" * 32)
    assert "key" not in other.query_params
    assert not button(choose(other, "small"), "Delete").disabled
    assert button(choose(stranger, "small"), "Delete").disabled
    brought(other)  # what the other session makes is its own, and its link opens both
    assert button(choose(mine.run(), "small-2"), "Delete").disabled
    third = visit("runs", key=secret(other))
    for name in ("small", "small-2"):
        assert not button(choose(third, name), "Delete").disabled
    for none in ("", ".", "x", "..." * 50, "é" * 20, "a" * 5000):
        assert "key" not in visit("runs", key=none).query_params


def test_a_run_without_a_note_belongs_to_nobody(shared, bring, visit):
    bring("second")
    assert button(choose(visit("runs"), "second"), "Delete").disabled


def test_only_the_session_that_started_a_run_may_control_it(shared, home, registry, visit, long_runs):
    tiny = {"p": 5, "train_fraction": 0.5, "steps": LONG}
    first, second = (press(fill(visit("train"), **tiny), "Start") for _ in range(2))
    trains, waits = (registry.get(job.name) for job in registry.all())
    for at, job in ((second, trains), (first, waits)):
        at.run().selectbox(key="run").set_value(job.name).run()
        assert all(button(at, label).disabled for label in ("Stop", "Pause"))
        at.selectbox(key="run").set_value((waits if at is second else trains).name).run()
    press_late(second, "Stop")
    assert not waits.ended
    press(second, "Stop")
    assert waits.ended
    for label in ("Pause", "Stop"):
        press_late(first, label)
        assert not trains.stop.is_set()
    press(first, "Stop")
    assert trains.wait(30)
    second.selectbox(key="run").set_value(trains.name).run()
    assert button(second, "Resume").disabled
    press_late(first.run(), "Resume")
    assert registry.get(trains.name).ended
    assert not button(first, "Resume").disabled


def test_no_page_lets_another_session_control_a_run(shared, home, registry, visit, long_runs):
    control = app("_server.control")
    press(fill(visit("train"), steps=LONG), "Start")
    query = {"expression": "a*b + a", "p": 11}
    first = press(visit("symbolic", **query), "Train")  # waits for the one above
    name = registry.all()[-1].name
    for second in (visit("symbolic", **query), visit("train", run=name)):
        assert button(second, "Pause").disabled
        assert button(second, "Stop").disabled
    press_late(first, "Stop")
    for change in (control.pause, control.stop, control.resume):  # whatever calls it
        change(name)
        assert not registry.get(name).ended
    press(first, "Stop")
    assert registry.get(name).ended


# ---- limits ----


def test_a_run_beyond_the_limits_cannot_be_started(home, visit, monkeypatch, registry, small_config):
    monkeypatch.setenv("MIII_MAX_STEPS", "500")
    at = fill(visit("train"), steps=501)
    (error,) = at.error
    assert all(words in error.value for words in ("steps must be at most 500", "(got 501)"))
    assert button(at, "Start").disabled
    assert not button(fill(at, steps=500), "Start").disabled
    monkeypatch.setenv("MIII_MAX_JOBS", "1")
    job = registry.start(home / "long", small_config(steps=LONG))
    at = press(visit("train"), "Start")
    assert ["at most 1 on this server" in error.value for error in at.error] == [True]
    assert registry.all() == [job]
    registry.stop(job)
    assert job.wait(30)


def test_starting_checks_the_limits_whatever_page_asks(home, monkeypatch, small_config, shared):
    settings = app("_server.settings")
    monkeypatch.setenv("MIII_MAX_STEPS", "20")
    small = small_config(steps=20)
    settings.check_start(small, 2, 1)
    wide = small_config(task={"kind": "primes", "low": 10**6, "high": 1_700_000, "base": 2}, steps=5)
    deep = small_config(task={"p": 211}, model={"n_layers": 24, "d_mlp": 512, "d_model": 128}, steps=5)
    for config, busy, own, words in (
        (small_config(), 0, 0, "at most 20"),
        (small, 3, 0, "must be at most 3"),
        (small, 2, 2, "must be at most 2"),
        (wide, 0, 0, "MB of memory"),
    ):
        with pytest.raises(miii.InputError, match=words):
            settings.check_start(config, busy, own)
    monkeypatch.setenv("MIII_MAX_MEMORY", "100000")
    with pytest.raises(miii.InputError, match="at most 5 seconds"):
        settings.check_start(deep, 0, 0)
    (home / "large").write_bytes(bytes(2_000_000))
    monkeypatch.setenv("MIII_MAX_DISK", "2")
    with pytest.raises(miii.InputError, match="2 MB"):
        settings.check_start(small, 0, 0)


# ---- settings ----


def test_a_bad_setting_is_a_sentence_in_the_app(home, monkeypatch):
    for name, value in (
        ("MIII_SHARED", "yes"),
        ("MIII_MAX_STEPS", "many"),
        ("MIII_MAX_STEPS", "0"),
        ("MIII_MAX_JOBS", "-1"),
        ("MIII_MAX_JOBS", "1.5"),
        ("MIII_MAX_JOBS", "٣"),
        ("MIII_MAX_MEMORY", "0"),
        ("MIII_MAX_DISK", "x" * 1000),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60).run()
            assert not at.exception
            assert [error.value.startswith(f"{name} must be") for error in at.error] == [True]


def test_a_shared_server_is_limited_and_one_s_own_computer_is_not(home, monkeypatch):
    settings = app("_server.settings")
    found = settings.read()
    assert (found.shared, found.sentence()) == (False, "")
    assert {getattr(found, name) for name in settings.SHARED} == {None}
    monkeypatch.setattr(settings, "CLOUD", ROOT)  # as on the community cloud
    assert settings.read() == settings.Settings(shared=True, **settings.SHARED)
    monkeypatch.setenv("MIII_SHARED", "0")
    assert not settings.read().shared


def test_the_page_names_the_limits_of_a_shared_server_alone(home, visit, brought, monkeypatch, tmp_path):
    at = brought(visit("runs"))
    assert not at.code
    assert not (home / ".owners").exists()
    own = shown(at).text
    monkeypatch.setenv("MIII_SHARED", "1")
    monkeypatch.setattr(tempfile, "tempdir", str(home.parent))
    temporary = shown(visit("runs")).text
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "elsewhere"))
    lasting = shown(visit("runs")).text
    assert ["3,000 steps" in text for text in (own, temporary, lasting)] == [False, True, True]
    assert len(temporary) > len(lasting)  # that the disk does not last


def test_a_shared_server_writes_into_a_temporary_folder_alone(shared, visit, brought, tmp_path, monkeypatch):
    monkeypatch.setenv("MIII_RUNS", "")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    before = {path.name for path in ROOT.iterdir()}
    at = brought(visit("runs"))
    assert origin(at, "small") == "uploaded"
    assert {path.name for path in (tmp_path / "temporary" / "miii-runs").iterdir()} == {"small", ".owners"}
    assert {path.name for path in ROOT.iterdir()} == before


# ---- costs ----


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
