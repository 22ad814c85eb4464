"""What the tests of the command line share: an empty folder, the command in this process, JSON by its standard."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_checks import sentence, strict_json

from miii import cli

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def here(home, tmp_path, monkeypatch) -> Path:
    """Run each test in an empty folder with ``runs`` in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def command(capsys) -> Command:
    """Run the command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as left:  # tyro exits by itself
            code = left.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def command_json(command) -> Callable[..., Any]:
    """Run the command with ``--json`` and return its one JSON value."""

    def run(*arguments: object) -> Any:
        code, out, err = command(*arguments, "--json")
        assert code == 0, err
        assert out.count("\n") == 1
        return strict_json(out)

    return run


@pytest.fixture
def refused(command, here, tree) -> Callable[..., str]:
    """Run the command, check that it refuses with one sentence and changes nothing on disk, and return the sentence."""

    def run(*arguments: object) -> str:
        before = tree(here)
        text = sentence(*command(*arguments))
        assert tree(here) == before
        return text

    return run
