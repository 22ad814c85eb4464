"""What the tests of pages share: a server, runs of every kind, and visits.

The app's caches stay warm between tests: their keys hold a run's name and the time at which its config was written. A
test that writes asks for ``home`` and brings copies of runs there; every other test reads the same runs.
"""

import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from altair.utils import schemapi
from shown import ROOT, Shown, app, fine, shown
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.testing.v1 import AppTest
from zoo import NAMES, Zoo

from miii import runs


@pytest.fixture(scope="session")
def zoo(small_config, adder, residue_adder, tmp_path_factory) -> Zoo:
    """Runs of every kind. Shared: never write into them, see ``bring``."""
    return Zoo(tmp_path_factory.mktemp("zoo"), small_config, adder, residue_adder)


@pytest.fixture(autouse=True)
def server(zoo, monkeypatch) -> Iterator[None]:
    """A server without jobs, where the zoo is."""
    if "MIII_SHAPES" not in os.environ:  # by night; the tests of plots check charts against the schema too
        for name in ("validate", "validate_property"):
            monkeypatch.setattr(schemapi.SchemaBase, name, lambda *_, **__: None)
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    monkeypatch.setenv("MIII_RUNS", str(zoo.home))
    jobs = app("_server.jobs")
    jobs.prepare.clear()
    yield
    jobs.registry().close()
    jobs.registry.clear()
    jobs.prepare.clear()


@pytest.fixture
def registry(server) -> Any:
    """The server's jobs."""
    return app("_server.jobs").registry()


@pytest.fixture
def bring(zoo, home) -> Callable[..., runs.Run]:
    """Copy a run of the zoo home, where it may be changed; the last one brought is the newest."""
    times = iter(range(1, 100))

    def copy(name: str, to: str = "", **config: Any) -> runs.Run:
        folder = home / (to or name)
        shutil.copytree(zoo(name).folder, folder)
        if config:
            written = json.loads((folder / "config.json").read_text())
            for part, changes in config.items():
                written[part] |= changes
            (folder / "config.json").write_text(json.dumps(written))
        now = time.time() - 1000 + next(times)
        os.utime(folder / "config.json", (now, now))
        return runs.open(folder)

    return copy


@pytest.fixture
def visit(zoo) -> Callable[..., AppTest]:
    """Open a page as a link with these query parameters does, and check that no trace is shown."""

    def open_page(page: str, **query: object) -> AppTest:
        if Path(os.environ["MIII_RUNS"]) == zoo.home:
            for name in {query.get("run"), query.get("beside")} & NAMES:
                zoo(str(name))
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        at.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            at.query_params[name] = list(map(str, value)) if isinstance(value, list) else str(value)
        return fine(at.run())

    return open_page


@pytest.fixture(scope="session")
def pages_seen() -> dict[tuple, Shown]:
    return {}


@pytest.fixture
def see(visit, pages_seen) -> Callable[..., Shown]:
    """What a page shows to who only reads it; each link is opened once."""

    def look(page: str, **query: object) -> Shown:
        key = (os.environ["MIII_RUNS"], page, *sorted((name, str(value)) for name, value in query.items()))
        if key not in pages_seen:
            pages_seen[key] = shown(visit(page, **query))
        return pages_seen[key]

    return look


@pytest.fixture
def gives(monkeypatch) -> Callable[[AppTest, str], Any]:
    """Press a download button by its key, and return its file; only of pages that are visited in the test."""
    files: dict[str, Callable[[], Any]] = {}
    add = MediaFileManager.add_deferred

    def kept(self: MediaFileManager, made: Callable[[], Any], *args: Any, **options: Any) -> str:
        name = add(self, made, *args, **options)
        files[name] = made
        return name

    monkeypatch.setattr(MediaFileManager, "add_deferred", kept)

    def press(at: AppTest, key: str) -> Any:
        (button,) = (button for button in at.get("download_button") if button.key == key)
        return files[button.proto.deferred_file_id]()

    return press
