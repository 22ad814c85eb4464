"""``miii export``: a file whole or not at all, progress on stderr, and one sentence for bad input."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from miii import cli

ROOT = Path(__file__).parents[2]
NOTEBOOK = ("adds", "--to", "notebook", "--out", "f.ipynb", "--page", "fourier")
ARTICLE = ("adds", "--to", "html", "--out", "f.html", "--page", "fourier")


@pytest.fixture
def says(adds, capfd, monkeypatch, tmp_path):
    """Run the command in this process and an empty folder: exit code, stdout, stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        return cli.main(["export", *map(str, arguments)]), *capfd.readouterr()

    return run


def test_a_page_is_exported_and_twice_to_the_same_bytes(says):
    code, out, err = says(*NOTEBOOK, "--step", 0)
    assert (code, out) == (0, "f.ipynb\n")
    assert err.startswith("fourier: ")
    assert err.count("\n") == 1
    written = nbformat.read("f.ipynb", as_version=4)
    nbformat.validate(written)
    first, setup = written.cells[:2]
    assert "(http://localhost:8501/fourier?run=adds&step=0)" in first.source
    assert "Run `adds`, step 0." in first.source
    assert setup.source.endswith("name = 'adds'\nstep = 0")
    made = []
    for _ in range(2):  # a notebook's bytes: see test_build
        assert says(*ARTICLE)[0] == 0
        made.append(Path("f.html").read_bytes())
        os.remove("f.html")
    assert made[0] == made[1]


@pytest.mark.slow
def test_without_a_page_all_that_show_the_run_are_exported(says):
    code, _, err = says("miu-24", "--to", "html", "--out", "all.html")
    assert code == 0
    # attention draws no figure of long strings
    assert [line.partition(":")[0] for line in err.splitlines()] == ["train", "try", "sieve"]
    text = Path("all.html").read_text()
    assert [f'">{title}</h1>' in text for title in ("Follow an input", "Sieve", "Attention")] == [True, True, False]


def test_bad_input_is_one_sentence_and_writes_nothing(says):
    Path("here.html").write_text("mine")
    for flags, words in (
        (
            "adds --to html --out f.html --page nope",
            ["page must be one of start, paper, train,", "formula", "(got 'nope')"],
        ),
        ("adds --to html --out f.ipynb", ["out must end in .html (got 'f.ipynb')"]),
        ("adds --to notebook --out f.html", ["out must end in .ipynb"]),
        ("adds --to html --out here.html", ["out must be", "'here.html'"]),
        ("adds --to html --out none/f.html", ["out must be", "(got 'none/f.html')"]),
        ("adds --to html --out f.html --step 7", ["step must be one of", "adds: 0, ", "(got 7)"]),
        ("none --to html --out f.html", ["run must be one of ", " adds, ", "(got 'none')"]),
        (f"{ROOT}/checkpoints/seeds/primes-10-seed1 --to html --out f.html", ["run must be one", "`miii runs`"]),
        ("primes-10 --to html --out f.html --page fourier", ["fourier", "primes-10"]),
    ):
        code, out, err = says(*flags.split())
        assert (code, out) == (2, "")
        assert err.startswith("miii: ")
        assert err.endswith(".\n")
        assert err.count("\n") == 1
        assert all(word in err for word in words), err
        assert [path.name for path in Path().iterdir()] == ["here.html"]
        assert Path("here.html").read_text() == "mine"


def test_without_the_app_or_with_a_full_disk_nothing_is_written(says, monkeypatch, tmp_path):
    with monkeypatch.context() as patch:
        patch.setattr("miii.cli.export.APP", tmp_path)
        code, _, err = says(*ARTICLE)
        assert (code, err.startswith("miii: export needs the app")) == (2, True)

    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    code, _, err = says(*ARTICLE)
    assert code == 2
    assert err.endswith("f.html could not be written: No space left on device.\n")
    assert list(Path().iterdir()) == []


@pytest.mark.slow
def test_as_a_process_it_prints_no_more(says, home, tmp_path):
    environment = {"PYTHONPATH": str(ROOT), "MIII_RUNS": str(home), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    command = [sys.executable, "-m", "miii.cli", "export", *ARTICLE]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "f.html\n"), done.stderr
    assert done.stderr.startswith("fourier: ")
    assert done.stderr.count("\n") == 1
    assert Path("f.html").read_text().count("<figure") >= 4
