"""``miii pack`` and ``miii unpack``: a run as one file, there and back."""

from pathlib import Path
from typing import Any

import pytest

from miii import cli, runs


@pytest.fixture
def miii_says(capsys) -> Any:
    def call(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return call


def test_a_run_goes_into_a_file_and_comes_out_of_it(miii_says, run_copy, home, tmp_path, same):
    file = tmp_path / "run.zip"
    assert miii_says("pack", run_copy, "--out", file) == (0, f"{file}\n", "")
    assert file.read_bytes() == runs.pack(runs.open(run_copy))
    for name in ("copy", "copy-2"):
        code, out, _ = miii_says("unpack", file)
        assert (code, Path(out.strip())) == (0, (home / name).absolute())
    assert miii_says("unpack", file, "--name", "mine")[0] == 0
    assert same(runs.open("mine").weights(), runs.open(run_copy).weights())


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("pack", "add-113", "--out", "x.tar"), "end in .zip"),
        (("pack", "add-113", "--out", "taken.zip"), "does not exist yet"),
        (("pack", "add-113", "--out", "nowhere/x.zip"), "could not be written"),
        (("unpack", "taken.zip"), "zip"),
        (("unpack", "none.zip"), "none.zip"),
    ],
)
def test_what_cannot_be_is_a_sentence(miii_says, home, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    Path("taken.zip").write_text("x")
    code, out, err = miii_says(*arguments)
    assert (code, out) == (2, "")
    assert word in err
    assert err.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["runs", "taken.zip"]
