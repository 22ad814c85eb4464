"""What the tests of pages share: a server of one's own for each, visits, and runs of every kind."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from safetensors.torch import save_file
from streamlit.runtime.media_file_manager import MediaFileManager
from streamlit.testing.v1 import AppTest

import miii

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def server(home, monkeypatch) -> None:
    """No cached result of the test before."""
    monkeypatch.chdir(ROOT)
    monkeypatch.syspath_prepend(ROOT)
    st.cache_resource.clear()
    st.cache_data.clear()


@pytest.fixture
def visit() -> Callable[..., AppTest]:
    """Opens a page as a link with these query parameters does; no trace may be seen."""

    def open_page(page: str, **query: object) -> AppTest:
        at = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
        at.switch_page(f"pages/{page}.py")
        for name, value in query.items():
            at.query_params[name] = list(map(str, value)) if isinstance(value, list) else str(value)
        at.run()
        assert not at.exception
        assert len(at.title) == 1
        return at

    return open_page


@pytest.fixture(scope="session")
def texts() -> Callable[[AppTest], str]:
    """Everything that a page says."""

    def read(at: AppTest) -> str:
        kinds = (at.markdown, at.caption, at.info, at.success, at.error, at.warning)
        return "\n".join(element.value for kind in kinds for element in kind)

    return read


@pytest.fixture(scope="session")
def recorded_adder(small_config, adder, tmp_path_factory) -> Callable[..., Path]:
    """The folder of a run modulo 11 whose last snapshot adds, exactly, by the frequencies 2 and 3.

    The other snapshots are of a network that was hardly trained.
    """

    def record(name: str, scale: float = 1.0, act: str = "relu", **changes: Any) -> Path:
        folder = tmp_path_factory.mktemp("shared") / name
        shape = {"d_model": 8, "n_heads": 2, "d_mlp": 6, "act": act, "biases": "none"}
        miii.runs.record(folder, miii.train(small_config(task={"p": 11}, model=shape, steps=30, **changes)))
        weights = adder(11, (2, 3), n_heads=2, scale=scale).state_dict()
        save_file(weights, folder / "snapshots" / "30.safetensors")
        return folder

    return record


@pytest.fixture(scope="session")
def made_adding(recorded_adder) -> Path:
    return recorded_adder("adding", snapshots=4)


@pytest.fixture
def adding(made_adding, home) -> miii.runs.Run:
    """A run modulo 11: its last network has key frequencies, and neurons that keep to one each; the others have not."""
    return miii.runs.open(shutil.copytree(made_adding, home / "adding"))


@pytest.fixture
def gives(monkeypatch) -> Callable[[AppTest, str], Any]:
    """What a download button gives when it is pressed, by its key."""
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
