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


def test_a_stopped_run_is_packed_with_its_state_on_request(miii_says, stopped_copy, small_run, home, tmp_path, same):
    assert miii_says("pack", stopped_copy, "--out", tmp_path / "without.zip")[0] == 0
    assert miii_says("pack", stopped_copy, "--out", tmp_path / "with.zip", "--resumable")[0] == 0
    for name in ("without", "with"):
        assert miii_says("unpack", tmp_path / f"{name}.zip", "--name", name)[0] == 0
    code, out, err = miii_says("resume", "without")
    assert (code, out) == (2, "")
    assert "no training state" in err
    assert miii_says("resume", "with")[0] == 0
    assert same(runs.open("with").weights(), small_run.weights())
    code, _, err = miii_says("pack", "with", "--out", tmp_path / "ended.zip", "--resumable")
    assert (code, "it has ended" in err) == (2, True)
    assert not (tmp_path / "ended.zip").exists()


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
