"""Bad input: exit code 2, one sentence that names the field and the valid values, and nothing changed on disk."""

import os
import re
import shutil
import sys
from pathlib import Path

from cli_checks import NETWORK, TASK_FLAGS, TINY, sentence
from safetensors.torch import load_file, save_file

import miii.runs.write
from miii import runs
from miii.analysis.causal import circuits

#: A value of each kind of option and error; the others are in the tests of the tasks and of flat.
BAD_VALUES = {
    **{f"add --p {p}": ["p must be", "at least 2", p] for p in ("1", "x", "1e400")},
    "add --p none": ["p must be an integer", "at least 2"],
    **{
        f"add --train-fraction {value}": ["train_fraction must be", "greater than 0 and less than 1", value]
        for value in ("1", "x")
    },
    "add --p 2 --train-fraction 0.1": ["train_fraction must leave at least one of the 4 pairs on each side", "0.1"],
    "add --n-heads 3": ["n_heads must divide d_model", "1, 2, 4, 8", "3"],
    "add --d-model 0": ["d_model must be", "at least 1"],
    "add --recipe slow": ["recipe must be", "literature", "'slow'"],
    "add --optimizer adam": ["optimizer must be one of adamw, sgd, muon", "'adam'"],
    "add --optimizer sgd --beta1 0.5": ["beta1", "sgd"],
    "add --batch-size 61": ["batch_size must be at most the 60 training examples", "61"],
    "add --weight-decay nan": ["weight_decay must be", "at least 0", "nan"],
    "add --precision float16": ["precision must be one of", "bfloat16", "'float16'"],
    "add --causal perhaps": ["causal must be true or false", "'perhaps'"],
    "add --positions frames": ["positions must be learned or none for the task modular", "'frames'"],
    "add --low 10": ["low is not an option of the task modular", "operation, p"],
    "add --seconds soon": ["seconds must be a number", "'soon'"],
    "primes --low 300 --high 200": ["low must be at most high", "300 > 200"],
    "primes --low 1000 --high 100000000": ["10 to 5,000,000 integers", "sample", "99,999,001"],
    "primes --split range --batch-size 2 --low 114 --high 137": ["prime on each side", "0.5", "none for training"],
    "primes --residues 3,x": ["residues must be an integer", "'x'"],
    "primes --recipe literature": ["recipe must be fast for primes", "'literature'"],
    "residues --masked 2,3,5,7": ["masked must leave at least one of 2, 3, 5, 7"],
    "miu --longest 40": ["longest_test must be at least longest, 40 letters", "8"],
    "frames --causal false": ["causal must be true", "got false"],
    "frames --high 120": ["high must be at least low + 24, so that there are two blocks", "120"],
    "divide": [
        "task must be one of add, sub, mul, div, quadratic, shuffled, relabeled, expr, primes, residues, gcd, miu",
        "'divide'",
    ],
}


def test_a_bad_value_is_refused(refused, subtests):
    for flags, words in BAD_VALUES.items():
        with subtests.test(flags):
            task, *more = flags.split()
            text = refused("train", task, *NETWORK, "--steps=2", "--out=D", *TASK_FLAGS.get(task, "").split(), *more)
            assert all(word in text for word in words), text


def test_an_out_that_exists_or_cannot_be_made_is_refused(command, refused, here, tree, run_copy):
    (here / "folder").mkdir()
    (here / "folder" / "notes.txt").write_text("mine")
    (here / "file").write_text("mine")
    for out in (run_copy, here / "folder", here / "file"):
        text = refused("train", "add", *TINY, "--steps", 5, "--out", out)
        assert f"out must be a folder that does not exist yet (got {str(out)!r})" in text
    before = tree(here)
    for out in ("file/D", "x" * 300):
        code, stdout, err = command("train", "add", *TINY, "--steps", 5, "--out", out)
        assert (code, stdout) == (2, "")
        assert out in err.splitlines()[-1]
        assert "Traceback" not in err
    assert tree(here) == before


def test_what_cannot_be_resumed_is_refused(refused, here, home, run_copy, stopped_copy):
    (here / "folder").mkdir()
    assert "config.json" in refused("resume", "folder")
    assert "nothing to resume" in refused("resume", run_copy)
    shutil.copytree(run_copy, home / "mine")
    text = refused("resume", "yours")
    assert all(word in text for word in ("run must be one of", "mine", "'yours'"))


def test_resuming_a_corrupted_run_names_the_file(command, stopped_run, here, tree, subtests):
    cases = (
        ("config.json", lambda path: path.write_text("{")),
        ("config.json", lambda path: path.write_text(path.read_text().replace('"d_model": 8', '"d_model": 7'))),
        ("config.json", lambda path: path.write_text(path.read_text().replace('"d_mlp": 16', '"d_mlp": 15'))),
        ("resume.safetensors", lambda path: path.write_bytes(path.read_bytes()[:100])),
        ("resume.safetensors", lambda path: path.write_bytes(b"")),
        ("resume.safetensors", lambda path: save_file({"clock": load_file(path)["clock"]}, path)),
        ("metrics.jsonl", lambda path: path.write_text("{\n" + path.read_text())),
    )
    for i, (name, corrupt) in enumerate(cases):
        folder = Path(shutil.copytree(stopped_run.folder, here / f"stopped-{i}"))
        corrupt(folder / name)
        before = tree(folder)
        with subtests.test(i):
            code, out, err = command("resume", folder)
            assert (code, out) == (2, "")
            # for weights of another shape, the error names the file that holds them
            assert name in err.splitlines()[-1] or i == 2
            assert tree(folder) == before


def test_wrong_usage_is_exit_code_2(command, monkeypatch, here):
    monkeypatch.setattr(sys, "argv", ["pytest", "--version"])  # pytest's own arguments do not matter
    for line in (
        *("", "train", "train add --width 3", "train add --p", "train add sub", "learn", "sweep add"),
        *("sweep add --out D --seeds x", "sweep add --out D --grid-size 3", "ship mine", "resume", "runs mine"),
        *("ship mine --out D --snapshots x", "analyze", "analyze mine --steps 3", "formula mine --step x", "import"),
    ):
        code, out, err = command(*line.split())
        assert (code, out) == (2, ""), line
        assert err
    assert [path.name for path in here.rglob("*")] == ["runs"]


NAMES = ("x" * 5000, "a\0b", "\udfff", "caf\udce9", "", "/", "..", "file/D", "/dev/null/x", "/dev/zero", "pipe", "dir")


def test_an_impossible_name_is_refused_in_short(command, here, run_copy, home, tree):
    shutil.move(run_copy, home / "mine")
    os.mkfifo(here / "pipe")
    (here / "dir").mkdir()
    (here / "file").write_text("mine")
    (here / "w.safetensors").write_bytes((home / "mine" / "snapshots" / "24.safetensors").read_bytes())
    before = tree(here)
    reads = ("resume", "analyze", "progress", "formula", "circuit", "compare", "residues", "rollout", "unpack")
    for i, name in enumerate(NAMES):  # each command with a few names
        lines = [["import", name, "--out", "I"], ["pack", name, "--out", "p.zip"], ["ship", name, "--out", "S"]]
        lines += [["unpack", "file", "--name", name], ["export", name, "--to=html", "--out=e.html"]]
        lines += [["export-weights", name, "--out", "w2.safetensors"]]
        lines = [lines[i % 6], lines[(i + 1 + i // 6) % 6], [reads[i % 9], name], [reads[(i + 4) % 9], name]]
        if name != "caf\udce9":  # a possible file name
            outs = [["train", "add", *TINY, "--steps=1", "--out", name], ["ship", "mine", "--out", name]]
            outs += [["import", "w.safetensors", "--p=7", "--out", name]]
            lines += [outs[i % 3], outs[(i + 1) % 3]]
            far = name in ("x" * 5000, "a\0b", "\udfff", "file/D", "/dev/null/x")
            ends = (("pack", "mine", ".zip"), ("export-weights", "mine", ".safetensors"), ("export", "mine", ".html"))
            lines += [[*end[:2], "--out", name + end[2], *["--to=html"][: end[0] == "export"]] for end in ends if far]
        for line in lines:
            if line[:2] == ["import", ".."]:  # a folder may hold networks, as other tests' folders do
                continue
            code, out, err = command(*line)
            assert (code, out) == (2, ""), line
            assert "Traceback" not in err
            assert err.splitlines()[-1].startswith("miii: ")
            assert len(err.splitlines()[-1]) < 1100
    assert tree(here) == before


# ---- commands that look inside ----


def test_a_missing_run_step_or_method_is_refused(refused, home, small_run):
    shutil.copytree(small_run.folder, home / "mine")
    for line in ("analyze yours", "progress yours", "export-weights yours --out w.safetensors", "compare yours"):
        text = refused(*line.split())
        assert all(word in text for word in ("run must be one of ", "mine", "(got 'yours')"))
    for line in ("analyze mine", "formula mine", "circuit mine", "export-weights mine --out w.safetensors"):
        assert re.search(
            r"step must be one of the snapshots of mine: 0, .*\(got 999\)", refused(*line.split(), "--step", 999)
        )
    for name in ("analyze", "progress", "formula"):
        assert "p must be at least 11 to tell its frequencies apart (got 7)" in refused(name, "mine")
    methods = ", ".join(circuits.METHODS)
    assert f"method must be one of {methods} (got 'magic')" in refused("circuit", "mine", "--method", "magic")


# ---- full disks ----


def test_a_full_disk_leaves_nothing_behind(command, here, run_copy, tree, disk_of):
    before = tree(here)
    for room in (0, 400):  # at once, and after the config
        with disk_of(room):
            code, out, err = command("train", "add", *TINY, "--steps", 5, "--out", "D")
        assert (code, out) == (2, "")
        assert re.search(r"^miii: D could not be written: .*\.$", err.splitlines()[-1])
        assert "Traceback" not in err
        assert tree(here) == before
        assert not Path("D").exists()
    assert not [path for path in here.iterdir() if path.name.startswith(".")]
    with disk_of(400):
        assert "shipped" in sentence(*command("ship", run_copy, "--out", "shipped"))
    assert tree(here) == before
    assert command("train", "add", *TINY, "--steps", 5, "--out", "D")[0] == 0  # with room it works


def test_a_disk_that_fills_up_leaves_a_readable_run(command, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_text, opened = Path.write_text, Path.open
    for part, (owner, name, changed) in {
        "snapshot": (miii.runs.write, "save_file", full),
        "metrics": (Path, "open", lambda path, mode="r", **o: full() if mode == "a" else opened(path, mode, **o)),
        "result": (Path, "write_text", lambda path, text: full() if "result" in path.name else write_text(path, text)),
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(owner, name, changed)
            code, out, err = command("train", "add", *TINY, "--steps", 5, "--out", part)
        assert (code, out) == (2, "")
        assert err.splitlines()[-1] == f"miii: {part} could not be written: No space left on device."
        assert runs.open(Path(part).absolute()).config.task.p == 11
        assert list(Path(part).rglob("*.part")) == []
        assert command("runs")[0] == 0
