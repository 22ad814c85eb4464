"""``miii export``: a file whole or not at all, progress on stderr, and one sentence for bad input."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from miii import cli

ROOT = Path(__file__).parents[2]


@pytest.fixture
def says(app, adds, capfd, monkeypatch, tmp_path):
    """Run the command in this process and an empty folder: exit code, stdout, stderr."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")

    def run(*arguments: object) -> tuple[int, str, str]:
        capfd.readouterr()
        return cli.main(["export", *map(str, arguments)]), *capfd.readouterr()

    return run


def test_a_page_is_exported(says):
    code, out, err = says("adds", "--to", "notebook", "--out", "f.ipynb", "--page", "fourier", "--step", 0)
    assert (code, out) == (0, "f.ipynb\n")
    assert err.startswith("fourier: ")
    assert err.count("\n") == 1
    written = nbformat.read("f.ipynb", as_version=4)
    nbformat.validate(written)
    cells = written.cells
    assert cells[0].source.startswith(
        "# Fourier\n\n[This page in the app](http://localhost:8501/fourier?run=adds&step=0)"
    )
    assert "Run `adds`, step 0." in cells[0].source
    assert cells[1].source.endswith("name = 'adds'\nstep = 0")


def test_the_same_page_gives_the_same_bytes(says):
    for name in ("a", "b"):
        for to, ending in (("notebook", "ipynb"), ("html", "html")):
            assert says("adds", "--to", to, "--out", f"{name}.{ending}", "--page", "fourier")[0] == 0
    assert Path("a.ipynb").read_bytes() == Path("b.ipynb").read_bytes()
    assert Path("a.html").read_bytes() == Path("b.html").read_bytes()


def test_without_a_page_all_that_show_the_run_are_exported(says):
    code, _, err = says("residues-113", "--to", "html", "--out", "all.html")
    assert code == 0
    names = [line.partition(":")[0] for line in err.splitlines()]
    assert names == ["try", "train", "attention", "sieve"]
    text = Path("all.html").read_text()
    assert [title for title in ("Try it", "Attention", "Sieve", "Fourier") if f'">{title}</h1>' in text] == [
        "Try it",
        "Attention",
        "Sieve",
    ]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("adds --to html --out f.html --page nope", ["page must be one of paper, try,", "formula", "(got 'nope')"]),
        ("adds --to html --out f.ipynb", ["out must end in .html (got 'f.ipynb')"]),
        ("adds --to notebook --out f.html", ["out must end in .ipynb"]),
        ("adds --to html --out here.html", ["out must be a file that does not exist yet", "'here.html'"]),
        ("adds --to html --out none/f.html", ["in a folder that does (got 'none/f.html')"]),
        ("adds --to html --out f.html --step 7", ["step must be one of the snapshots of adds: 0, ", "(got 7)"]),
        ("none --to html --out f.html", ["run must be one of ", " adds, ", "(got 'none')"]),
        (
            f"{ROOT}/checkpoints/seeds/primes-10-seed1 --to html --out f.html",
            ["run must be one that `miii runs` lists"],
        ),
        ("primes-10 --to html --out f.html --page fourier", ["fourier has nothing to export for primes-10: This page"]),
    ],
)
def test_bad_input_is_one_sentence_and_writes_nothing(says, flags, words):
    Path("here.html").write_text("mine")
    code, out, err = says(*flags.split())
    assert (code, out) == (2, "")
    assert err.startswith("miii: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert [path.name for path in Path().iterdir()] == ["here.html"]
    assert Path("here.html").read_text() == "mine"


def test_without_the_app_there_is_nothing_to_export(says, monkeypatch, tmp_path):
    monkeypatch.setattr("miii.cli.export.APP", tmp_path)
    code, _, err = says("adds", "--to", "html", "--out", "f.html")
    assert code == 2
    assert err.startswith("miii: export needs the app's pages")


def test_a_full_disk_leaves_nothing_behind(says, monkeypatch):
    def full(*_: object, **__: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    code, _, err = says("adds", "--to", "html", "--out", "f.html", "--page", "fourier")
    assert code == 2
    assert err.endswith("miii: f.html could not be written: No space left on device.\n")
    assert list(Path().iterdir()) == []


def test_as_a_process_it_says_no_more(says, home, tmp_path):
    command = [
        sys.executable,
        "-m",
        "miii.cli",
        "export",
        "adds",
        "--to",
        "html",
        "--out",
        "f.html",
        "--page",
        "fourier",
    ]
    environment = {"PYTHONPATH": str(ROOT), "MIII_RUNS": str(home), "OMP_NUM_THREADS": "1", "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stdout) == (0, "f.html\n"), done.stderr
    assert done.stderr.startswith("fourier: ")
    assert done.stderr.count("\n") == 1
    assert Path("f.html").read_text().count("<figure") >= 4
