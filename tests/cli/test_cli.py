"""The command line: numbers on stdout, progress on stderr, and one sentence with exit code 2 for bad input."""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

import miii
from miii import RunConfig, cli, runs
from miii.training import flat

ROOT = Path(__file__).parents[2]
SMALL = ("p=11", "train-fraction=0.5", "d-model=8", "n-heads=2", "d-mlp=16", "threads=1", "precision=float32")
TINY = [f"--{setting}" for setting in SMALL]
TASK_FLAGS = {
    "add": "--p 11 --train-fraction 0.5",
    "primes": "--low 100 --high 999 --batch-size 64",
    "residues": "--p 11",
    "miu": "--longest 5 --longest-test 8 --n 200",
    "frames": "--low 100 --high 399 --frames 3 --largest-step 3 --batch-size 64",
}
SCORES = {
    "add": set(),
    "primes": {"auc", "auc_3", "auc_7", "auc_11", "auc_13"},
    "residues": {"accuracy_worst", "accuracy_2", "accuracy_3", "accuracy_5", "accuracy_7"},
    "miu": {"accuracy_as_long", "accuracy_longer"},
    "frames": {"auc", "auc_coprime", "digits", "integers"},
}
KEYS = {
    "run",
    "steps",
    "grokked_at",
    "seconds_to_grok",
    "seconds",
    "train_accuracy",
    "test_accuracy",
    "train_loss",
    "test_loss",
    "ms_per_step",
}


@pytest.fixture(autouse=True)
def here(home, tmp_path, monkeypatch) -> Path:
    """Each test in an empty folder of its own, with ``runs`` in it."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def miii_says(capsys):
    """Run the command in this process: exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as left:  # tyro's own way out
            code = left.code
        return code, *capsys.readouterr()

    return run


def strict_json(text: str):
    """Parse JSON as its standard has it, without Python's NaN and Infinity."""

    def refuse(name: str):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(text, parse_constant=refuse)


def tiny(task: str, *more: object) -> list[str]:
    """``miii train`` of a small network on a small task of any kind, into D."""
    network = [flag for flag in TINY if not flag.startswith(("--p=", "--train-fraction="))]
    return ["train", task, *network, *TASK_FLAGS[task].split(), "--out", "D", *map(str, more)]


# ---- train ----


def test_train_prints_one_json_object_that_agrees_with_the_run(miii_says):
    code, out, err = miii_says("train", "add", *TINY, "--steps", 20, "--seed", 3, "--out", "D", "--json")
    assert code == 0
    assert out.count("\n") == 1
    said, run = strict_json(out), runs.open(Path("D").absolute())
    assert said.keys() >= KEYS
    assert said["run"] == "D"
    assert {**said, "run": run.name} == run.result
    last = run.metrics().iloc[-1]
    assert said["steps"] == 20 == last["step"] == run.steps[-1]
    for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
        assert said[name] == last[name]
    assert said["grokked_at"] is None
    assert said["seconds_to_grok"] is None
    assert 0 < said["ms_per_step"] * 20 / 1000 <= said["seconds"] + 1e-3 * 20
    assert "20/20" in err
    assert "steps/s" in err


def test_train_says_when_it_grokked(miii_says, monkeypatch):
    monkeypatch.setattr("miii.tasks.task.GROKKED", 0.0)  # every evaluation counts, so the first one does
    arguments = ("--steps", 20, "--steps-after-grok", 7, "--eval-every", 5, "--out", "D", "--json")
    _, out, _ = miii_says("train", "add", *TINY, *arguments)
    said = strict_json(out)
    assert (said["grokked_at"], said["steps"], said["stopped"]) == (0, 7, False)
    assert 0 <= said["seconds_to_grok"] <= said["seconds"]


def test_train_without_json_lists_the_same_numbers(miii_says):
    code, out, _ = miii_says("train", "add", *TINY, "--steps", 5, "--out", "D")
    assert code == 0
    lines = dict(line.split() for line in out.splitlines())
    result = runs.open(Path("D").absolute()).result
    assert result is not None
    assert lines.keys() == result.keys()
    assert lines["test_loss"] == f"{result['test_loss']:.6g}"
    assert lines["grokked_at"] == "-"


def test_train_without_out_makes_a_new_run_at_each_call(miii_says, home):
    for _ in range(2):
        assert miii_says("train", "sub", *TINY, "--steps", 1)[0] == 0
    assert sorted(path.name for path in home.iterdir()) == ["sub-11-seed0", "sub-11-seed0-2"]
    assert runs.open("sub-11-seed0").config.task.operation == "sub"


@pytest.mark.parametrize("kind", miii.OPTIMIZERS)
def test_every_option_of_a_run_is_a_flag(miii_says, kind):
    base = RunConfig(task={"p": 5}, model={"d_model": 6, "n_heads": 3, "d_mlp": 4}, steps=2, threads=1)
    others = {"operation": "mul", "causal": False, "biases": "none", "device": "cpu", "loss": "squared", "seed": 4}
    config = flat.change(base, {**others, "optimizer": kind, "lr": 0.03, "schedule": "linear", "batch_size": 3})
    values = {name: value for name, value in flat.values(config).items() if name not in ("task", "operation")}
    flags = [x for name, v in values.items() for x in (f"--{name.replace('_', '-')}", v)]
    code, _, err = miii_says("train", "mul", *(str(flag).lower() for flag in flags), "--out", "D")
    assert code == 0, err
    assert runs.open(Path("D").absolute()).config == config


def test_a_recipe_is_where_the_options_start_from(miii_says):
    arguments = ("--recipe", "literature", "--steps", 1, "--eval-every", 1, "--out", "D")
    assert miii_says("train", "add", *TINY, *arguments)[0] == 0
    config = runs.open(Path("D").absolute()).config
    assert config.optimizer == miii.recipe("literature").optimizer
    assert (config.schedule, config.steps, config.task.p) == ("constant", 1, 11)


@pytest.mark.parametrize("task", TASK_FLAGS)
def test_every_kind_of_task_trains_and_says_what_came_of_it(miii_says, task):
    code, out, err = miii_says(*tiny(task, "--steps", 4, "--eval-every", 2, "--json"))
    assert code == 0, err
    said, run = strict_json(out), runs.open(Path("D").absolute())
    assert said.keys() == KEYS | SCORES[task] | {"stopped"}
    assert {**said, "run": run.name} == run.result
    assert run.config.task.task_name == task
    rows = [strict_json(line) for line in (Path("D") / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 2, 4]
    for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss", *SCORES[task]):
        assert said[name] == rows[-1][name], name
    assert set(run.metrics().columns) == rows[0].keys()
    assert run.model()(run.task().tokens).shape[-1] == run.task().d_vocab_out


@pytest.mark.parametrize("task", ["primes", "residues", "miu", "frames"])
def test_every_option_of_another_task_is_a_flag(miii_says, task):
    kinds = {
        "primes": {"low": 50, "base": 12, "leading_zeros": False, "candidates": "coprime", "tokens": "place"}
        | {"sampling": "log", "sample": 300, "split": "residue", "residues": (5, 7), "seed": 3, "high": 2_000},
        "residues": {"p": 13, "train_fraction": 0.25, "masked": (2, 11), "seed": 3},
        "miu": {"longest": 6, "longest_test": 7, "n": 150, "train_fraction": 0.75, "seed": 3},
        "frames": {"low": 50, "high": 800, "base": 7, "frames": 3, "largest_step": 5, "predict": "label"}
        | {"sample": 300, "train_fraction": 0.25, "seed": 3},
    }
    base = {"model": {"d_model": 6, "n_heads": 3, "d_mlp": 4, "positions": "none"}, "steps": 2, "threads": 1}
    config = RunConfig(task={"kind": task, **kinds[task]}, **base)
    values = {name: value for name, value in flat.values(config).items() if name != "task"}
    texts = {n: ",".join(map(str, v)) if isinstance(v, tuple) else str(v).lower() for n, v in values.items()}
    flags = [x for name, text in texts.items() for x in (f"--{name.replace('_', '-')}", text)]
    code, _, err = miii_says("train", task, *flags, "--out", "D")
    assert code == 0, err
    assert runs.open(Path("D").absolute()).config == config


@pytest.mark.parametrize(("given", "residues"), [("3,7", (3, 7)), ("3", (3,)), ("none", ())])
def test_residues_are_a_list(miii_says, given, residues):
    assert miii_says(*tiny("primes", "--steps", 1, "--residues", given))[0] == 0
    assert runs.open(Path("D").absolute()).config.task.residues == residues


@pytest.mark.parametrize(("given", "masked"), [("2,7", (2, 7)), ("none", ())])
def test_masked_is_a_list(miii_says, given, masked):
    assert miii_says(*tiny("residues", "--steps", 1, "--masked", given))[0] == 0
    assert runs.open(Path("D").absolute()).config.task.masked == masked


def test_positions_none_is_a_choice_and_no_absence(miii_says):
    assert miii_says(*tiny("miu", "--steps", 1, "--positions", "none", "--biases", "none"))[0] == 0
    model = runs.open(Path("D").absolute()).config.model
    assert (model.positions, model.biases) == ("none", "none")


def test_seconds_end_a_run(miii_says):
    code, out, _ = miii_says(*tiny("miu", "--steps", 10**6, "--eval-every", 10**6, "--seconds", 0.5, "--json"))
    said = strict_json(out)
    assert code == 0
    assert 0.5 <= said["seconds"] < 30
    assert 0 < said["steps"] < 10**6
    assert said["stopped"] is False
    assert said["accuracy_longer"] is not None  # the last step is evaluated
    assert "nothing to resume" in sentence(*miii_says("resume", "D"))


def test_each_kind_of_task_starts_from_its_own_recipe(miii_says):
    assert miii_says("train", "primes", "--steps", 1, "--threads", 1, "--high", 13_000, "--out", "D")[0] == 0
    config = runs.open(Path("D").absolute()).config
    assert config == miii.recipe(task=miii.Primes(high=13_000), steps=1, threads=1)


# ---- bad input ----


def sentence(code: int, out: str, err: str) -> str:
    """What was said, once it is clear that nothing else was: not a progress bar, not a trace, nothing on stdout."""
    assert (code, out) == (2, "")
    assert err.startswith("miii: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    return err.removeprefix("miii: ")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        *[(f"--p {p}", ["p must be", "at least 2", p]) for p in ("1", "0", "-3", "2.5", "x", "1e400")],
        ("--p none", ["p must be an integer", "at least 2"]),
        *[
            (f"--train-fraction {value}", ["train_fraction must be", "greater than 0 and less than 1", value])
            for value in ("0", "1", "1.5", "-1", "nan", "inf", "x")
        ],
        ("--p 2 --train-fraction 0.1", ["train_fraction must leave at least one of the 4 pairs on each side", "0.1"]),
        ("--n-heads 3", ["n_heads must divide d_model", "1, 2, 4, 8", "3"]),
        ("--d-model 0", ["d_model must be", "at least 1"]),
        ("--recipe slow", ["recipe must be one of fast, literature", "'slow'"]),
        ("--optimizer adam", ["optimizer must be one of adamw, sgd, muon", "'adam'"]),
        ("--optimizer sgd --beta1 0.5", ["beta1", "sgd"]),
        ("--batch-size 61", ["batch_size must be at most the 60 training examples", "61"]),
        ("--lr 0", ["lr must be", "greater than 0"]),
        ("--weight-decay nan", ["weight_decay must be", "at least 0", "nan"]),
        ("--steps 0", ["steps must be", "at least 1"]),
        ("--seed -1", ["seed must be", "at least 0"]),
        ("--precision float16", ["precision must be one of", "bfloat16", "'float16'"]),
        ("--device tpu", ["device must be one of", "cuda", "'tpu'"]),
        ("--causal perhaps", ["causal must be true or false", "'perhaps'"]),
    ],
)
def test_a_bad_value_is_one_sentence_and_changes_nothing(miii_says, here, tree, flags, words):
    before = tree(here)
    said = sentence(*miii_says("train", "add", *TINY, "--steps", "5", "--out", "D", *flags.split()))
    assert all(word in said for word in words), said
    assert tree(here) == before
    assert not Path("D").exists()


@pytest.mark.parametrize(
    ("task", "flags", "words"),
    [
        *[("primes", f"--base {base}", ["base must be", "at least 2", base]) for base in ("1", "0", "-2", "1001", "x")],
        ("primes", "--low 300 --high 200", ["low must be at most high", "300 > 200"]),
        ("primes", "--high 100000001", ["high must be", "at most 100000000", "100000001"]),
        ("primes", "--low 1000 --high 100000000", ["10 to 5,000,000 integers", "sample", "99,999,001"]),
        ("primes", "--low 24 --high 28", ["low and high must hold 10 to 5,000,000 integers", "5"]),
        (
            "primes",
            "--low 114 --high 126 --batch-size 2",
            ["split must leave at least one prime on each side", "training"],
        ),
        (
            "primes",
            "--low 24 --high 36 --split range --train-fraction 0.9 --batch-size 2",
            ["prime on each side", "none for test"],
        ),
        (
            "primes",
            "--low 114 --high 137 --split range --batch-size 2",
            ["prime on each side", "0.5", "none for training"],
        ),
        ("primes", "--residues 4", ["residues must be primes below 1000", "4"]),
        ("primes", "--residues 3,x", ["residues must be an integer", "'x'"]),
        ("primes", "--p 7", ["p is not an option of the task primes", "low, high, base"]),
        ("primes", "--batch-size 100000", ["batch_size must be at most the", "training examples", "100000"]),
        ("primes", "--recipe literature", ["recipe must be fast for primes", "'literature'"]),
        ("residues", "--p 2", ["p must be", "at least 3", "2"]),
        ("residues", "--base 10", ["base is not an option of the task residues", "masked"]),
        ("residues", "--masked 2,3,5,7", ["masked must leave at least one of 2, 3, 5, 7"]),
        ("miu", "--longest 40", ["longest_test must be at least longest, 40 letters", "8"]),
        ("miu", "--n 99", ["n must be", "at least 100", "99"]),
        ("miu", "--positions some", ["positions must be one of", "'none'", "'some'"]),
        ("add", "--positions frames", ["positions must be learned or none for the task modular", "'frames'"]),
        ("frames", "--causal false", ["causal must be true for predict everything"]),
        ("frames", "--high 120", ["high must be at least low + 24, so that there are two blocks", "120"]),
        ("frames", "--predict digits", ["predict must be one of", "'digits'"]),
        ("add", "--low 10", ["low is not an option of the task modular", "operation, p"]),
        ("add", "--seconds 0", ["seconds must be", "greater than 0", "0"]),
        ("add", "--seconds soon", ["seconds must be a number", "'soon'"]),
    ],
)
def test_a_bad_value_of_any_task_is_one_sentence_and_changes_nothing(miii_says, here, tree, task, flags, words):
    before = tree(here)
    said = sentence(*miii_says(*tiny(task, "--steps", 2), *flags.split()))
    assert all(word in said for word in words), said
    assert tree(here) == before
    assert not Path("D").exists()


@pytest.mark.parametrize("task", ["primes", "residues", "miu", "frames", "divide"])
def test_import_takes_modular_arithmetic_alone(miii_says, here, tree, small_run, task):
    assert miii_says("export-weights", small_run.folder, "--out", "weights.safetensors")[0] == 0
    before = tree(here)
    said = sentence(*miii_says("import", "weights.safetensors", "--out", "D", "--p", 7, "--task", task))
    assert said == f"task must be one of add, sub, mul, quadratic, shuffled, relabelled, expr (got '{task}').\n"
    assert tree(here) == before
    assert miii_says("import", "weights.safetensors", "--out", "D", "--p", 7, "--task", "sub")[0] == 0


def test_an_unknown_task_is_one_sentence(miii_says):
    said = sentence(*miii_says("train", "divide", "--out", "D"))
    names = "add, sub, mul, quadratic, shuffled, relabelled, expr, primes, residues, miu, frames"
    assert f"task must be one of {names} (got 'divide')" in said
    assert not Path("D").exists()


@pytest.mark.parametrize("made", ["finished", "stopped", "folder", "file"])
def test_an_out_that_exists_is_refused_and_left_alone(miii_says, here, tree, run_copy, stopped_copy, made):
    out = {"finished": run_copy, "stopped": stopped_copy, "folder": here / "folder", "file": here / "file"}[made]
    (here / "folder").mkdir()
    (here / "folder" / "notes.txt").write_text("mine")
    (here / "file").write_text("mine")
    before = tree(here)
    said = sentence(*miii_says("train", "add", *TINY, "--steps", "5", "--out", out))
    assert f"out must be a folder that does not exist yet (got {str(out)!r})" in said
    assert tree(here) == before


@pytest.mark.parametrize("out", ["file/D", "x" * 300])
def test_an_out_that_cannot_be_made_is_one_sentence(miii_says, here, tree, out):
    (here / "file").write_text("mine")
    before = tree(here)
    code, stdout, err = miii_says("train", "add", *TINY, "--steps", "5", "--out", out)
    assert (code, stdout) == (2, "")
    assert out in err.splitlines()[-1]
    assert "Traceback" not in err
    assert tree(here) == before


@contextmanager
def disk_of(bytes_a_file: int):
    """No file may grow beyond this many bytes: the system refuses, as it does on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (bytes_a_file, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 400], ids=["at once", "after the config"])
def test_a_disk_that_is_full_from_the_start_leaves_nothing_behind(miii_says, here, room):
    with disk_of(room):
        code, out, err = miii_says("train", "add", *TINY, "--steps", "5", "--out", "D")
    assert (code, out) == (2, "")
    assert re.search(r"^miii: D could not be written: .*\.$", err.splitlines()[-1])
    assert "Traceback" not in err
    assert [path.name for path in here.rglob("*")] == ["runs"]  # nor a hidden folder, half made
    assert miii_says("train", "add", *TINY, "--steps", "5", "--out", "D")[0] == 0  # and once there is room, it works


@pytest.mark.parametrize("part", ["snapshot", "metrics", "result"])
def test_a_disk_that_fills_up_leaves_a_readable_run(miii_says, monkeypatch, part):
    def full(*_):
        raise OSError(28, "No space left on device")

    write_text = Path.write_text
    if part == "snapshot":
        monkeypatch.setattr("miii.runs.write.save_file", full)
    elif part == "metrics":
        opened = Path.open
        monkeypatch.setattr(
            Path, "open", lambda path, mode="r", **o: full() if mode == "a" else opened(path, mode, **o)
        )
    else:

        def write(path, text):
            return full() if "result" in path.name else write_text(path, text)

        monkeypatch.setattr(Path, "write_text", write)
    code, out, err = miii_says("train", "add", *TINY, "--steps", "5", "--out", "D")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "miii: D could not be written: No space left on device."
    assert runs.open(Path("D").absolute()).config.task.p == 11
    assert list(Path("D").rglob("*.part")) == []
    assert miii_says("runs")[0] == 0


def test_a_full_disk_leaves_no_half_of_a_shipped_copy(miii_says, here, run_copy, tree):
    before = tree(here)
    with disk_of(400):
        said = sentence(*miii_says("ship", run_copy, "--out", "shipped"))
    assert "shipped" in said
    assert tree(here) == before
    assert not Path("shipped").exists()


def test_resuming_a_missing_run_is_one_sentence(miii_says, home, run_copy):
    run_copy.rename(home / "mine")
    said = sentence(*miii_says("resume", "yours"))
    assert "run must be one of" in said
    assert "mine" in said
    assert "'yours'" in said


def test_resuming_a_folder_without_config_is_one_sentence(miii_says, here, tree):
    (here / "folder").mkdir()
    (here / "folder" / "notes.txt").write_text("mine")
    before = tree(here)
    assert "config.json" in sentence(*miii_says("resume", "folder"))
    assert tree(here) == before


def test_resuming_a_finished_run_is_one_sentence(miii_says, run_copy, tree):
    before = tree(run_copy)
    assert "nothing to resume" in sentence(*miii_says("resume", run_copy))
    assert tree(run_copy) == before


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("config.json", lambda path: path.write_text("{")),
        ("config.json", lambda path: path.write_text(path.read_text().replace('"d_model": 8', '"d_model": 7'))),
        ("config.json", lambda path: path.write_text(path.read_text().replace('"d_mlp": 16', '"d_mlp": 15'))),
        ("resume.safetensors", lambda path: path.write_bytes(path.read_bytes()[:100])),
        ("resume.safetensors", lambda path: path.write_bytes(b"")),
        ("resume.safetensors", lambda path: save_file({"clock": load_file(path)["clock"]}, path)),
        ("metrics.jsonl", lambda path: path.write_text("{\n" + path.read_text())),
    ],
    ids=["half a config", "no config", "another config", "half", "empty", "weights gone", "bad metrics"],
)
def test_resuming_a_spoilt_run_says_which_file_and_changes_nothing(miii_says, stopped_copy, tree, name, spoil):
    spoil(stopped_copy / name)
    before = tree(stopped_copy)
    code, out, err = miii_says("resume", stopped_copy)
    assert (code, out) == (2, "")
    assert name in err.splitlines()[-1]
    assert tree(stopped_copy) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["train"],
        ["train", "add", "--width", "3"],
        ["train", "add", "--p"],
        ["train", "add", "sub"],
        ["learn"],
        ["sweep", "add"],
        ["sweep", "add", "--out", "D", "--seeds", "x"],
        ["ship", "mine"],
        ["ship", "mine", "--out", "D", "--snapshots", "x"],
        ["resume"],
        ["runs", "mine"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_code_2(miii_says, monkeypatch, here, arguments):
    monkeypatch.setattr(sys, "argv", ["pytest", "--version"])  # what pytest was called with is none of its business
    code, out, err = miii_says(*arguments)
    assert (code, out) == (2, "")
    assert err
    assert [path.name for path in here.rglob("*")] == ["runs"]


NAMES = ("x" * 5000, "a\0b", "\udfff", "caf\udce9", "", "/", "..", "file/D", "/dev/null/x", "/dev/zero", "pipe", "dir")


def test_a_name_that_cannot_be_is_one_sentence_and_never_endless(miii_says, here, run_copy, home, tree):
    shutil.move(run_copy, home / "mine")
    os.mkfifo(here / "pipe")
    (here / "dir").mkdir()
    (here / "file").write_text("mine")
    (here / "w.safetensors").write_bytes((home / "mine" / "snapshots" / "24.safetensors").read_bytes())
    before = tree(here)
    for name in NAMES:
        asked = [[command, name] for command in ("resume", "analyze", "progress", "formula", "circuit", "compare")]
        asked += [["residues", name], ["rollout", name], ["unpack", name], ["import", name, "--out", "I"]]
        asked += [["pack", name, "--out", "p.zip"], ["ship", name, "--out", "S"], ["unpack", "file", "--name", name]]
        asked += [["export-weights", name, "--out", "w2.safetensors"], ["export", name, "--to=html", "--out=e.html"]]
        if name != "caf\udce9":  # which a file may be called
            asked += [["train", "add", *TINY, "--steps=1", "--out", name], ["ship", "mine", "--out", name]]
            asked += [["import", "w.safetensors", "--p=7", "--out", name]]
            far = name in ("x" * 5000, "a\0b", "\udfff", "file/D", "/dev/null/x")
            ends = (("pack", "mine", ".zip"), ("export-weights", "mine", ".safetensors"), ("export", "mine", ".html"))
            asked += [[*end[:2], "--out", name + end[2], *["--to=html"][: end[0] == "export"]] for end in ends if far]
        for arguments in asked:
            code, out, err = miii_says(*arguments)
            assert (code, out) == (2, ""), arguments
            assert "Traceback" not in err
            assert err.splitlines()[-1].startswith("miii: ")
            assert len(err.splitlines()[-1]) < 1100
    assert tree(here) == before


def test_a_file_that_is_not_called_in_text_is_a_file(miii_says, here):
    name = "caf\udce9"
    for arguments in (["train", "add", "--out", name], ["sweep", "add", "--out", f"{name}-all"]):
        code, out, _ = miii_says(*arguments, *TINY, "--steps", 1)
        assert code == 0
        assert "caf\\udce9" in out
    assert "caf\\udce9" in sentence(*miii_says("train", "add", *TINY, "--out", name))
    assert miii_says("train", "add", "--out", "[/x] {y} %s", *TINY, "--steps", 1)[0] == 0  # markup elsewhere


@pytest.mark.parametrize(
    "flags",
    [
        "--seeds 99999999999",
        f"--seeds {10**30}",
        "--seeds -1",
        f"--seeds 101 --grid lr={','.join(map(str, range(1, 101)))}",
        f"--grid {' '.join(name + '=' + ','.join(map(str, range(1, 300))) for name in ('lr', 'p', 'weight_decay'))}",
    ],
    ids=lambda flags: flags[:20],
)
def test_a_sweep_without_end_is_refused_at_once(miii_says, here, flags):
    said = sentence(*miii_says("sweep", "add", *TINY[2:], "--out", "S", *flags.split()))
    assert "at most 10,000" in said
    assert not (here / "S").exists()


def test_a_run_that_ended_at_its_first_step_is_resumed(miii_says, monkeypatch, here, same):
    """Ctrl-C while step 0 is evaluated; then a kill before anything more was written."""
    arguments = ("train", "add", *TINY, "--steps", 20, "--eval-every", 5)
    assert miii_says(*arguments, "--out", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("miii.cli.training._stopping", lambda: contextlib.nullcontext([signal.SIGINT]))
        for name in ("stopped", "killed"):
            assert miii_says(*arguments, "--out", name)[0] == 130
    for name in ("result.json", "resume.safetensors"):
        (here / "killed" / name).unlink()
    for name in ("stopped", "killed"):
        code, out, err = miii_says("resume", name, "--json")
        assert (code, strict_json(out)["steps"]) == (0, 20), err
        whole, resumed = (runs.open(here / folder) for folder in ("whole", name))
        assert same(resumed.weights(), whole.weights())
        assert [row["test_loss"] for row in resumed.rows()] == [row["test_loss"] for row in whole.rows()]
        assert "it has ended" in sentence(*miii_says("resume", name))


# ---- runs, ship, help ----


def test_runs_lists_what_there_is(miii_says, home, run_copy, stopped_copy):
    run_copy.rename(home / "whole")
    stopped_copy.rename(home / "half")
    code, out, err = miii_says("runs", "--json")
    assert (code, err) == (0, "")
    listed = {row["run"]: row for row in strict_json(out)}
    assert listed["whole"] == runs.row(runs.open("whole"))
    assert (listed["whole"]["status"], listed["whole"]["steps"]) == ("done", 24)
    assert listed["half"]["status"] == "stopped"
    code, out, err = miii_says("runs")
    assert (code, err) == (0, "")
    for name in ("whole", "half"):
        assert sum(name in line.split() for line in out.splitlines()) == 1


def test_runs_lists_the_others_when_one_is_spoilt(miii_says, home, run_copy, stopped_copy):
    run_copy.rename(home / "whole")
    stopped_copy.rename(home / "half")
    (home / "half" / "metrics.jsonl").write_text("{\n")
    (home / "none").mkdir()
    (home / "none" / "config.json").write_text('{"epochs": 3}')
    code, out, err = miii_says("runs", "--json")
    assert (code, err) == (0, "")
    listed = {row["run"]: row for row in strict_json(out)}
    assert {name: listed[name]["status"] for name in ("whole", "half", "none")} == {
        "whole": "done",
        "half": "spoilt",
        "none": "unreadable",
    }
    code, out, err = miii_says("runs")
    assert (code, err) == (0, "")
    for name, word in (("half", "metrics.jsonl"), ("none", "epochs")):
        assert word in listed[name]["reason"]
        assert [line for line in out.splitlines() if line.startswith(f"{name} is ")] == [
            f"{name} is {listed[name]['status']}: {listed[name]['reason']}"
        ]


def test_runs_without_any_says_how_to_make_one(miii_says, monkeypatch, here):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (here / "runs", here / "checkpoints"))
    code, out, _ = miii_says("runs")
    assert code == 0
    assert "miii train add" in out
    assert strict_json(miii_says("runs", "--json")[1]) == []


@pytest.mark.parametrize("n", [2, 3])
def test_ship_copies_a_run_small(miii_says, small_run, same, n):
    code, out, _ = miii_says("ship", small_run.folder, "--out", "shipped", "--snapshots", n)
    assert code == 0
    assert Path(out.strip()) == Path("shipped").absolute()
    copy = runs.open(Path("shipped").absolute())
    assert len(copy.steps) == n
    assert (copy.steps[0], copy.steps[-1]) == (small_run.steps[0], small_run.steps[-1])
    assert same(copy.weights(), small_run.weights())


@pytest.mark.parametrize(("n", "steps"), [("1", [24]), ("0", [])])
def test_ship_may_keep_the_last_snapshot_alone_or_none(miii_says, small_run, n, steps):
    assert miii_says("ship", small_run.folder, "--out", "shipped", "--snapshots", n)[0] == 0
    assert runs.open(Path("shipped").absolute()).steps == steps
    assert miii_says("runs")[0] == 0


def test_ship_cannot_keep_fewer_than_none(miii_says, small_run):
    said = sentence(*miii_says("ship", small_run.folder, "--out", "shipped", "--snapshots", "-1"))
    assert said.startswith("snapshots must be at least 0")
    assert not Path("shipped").exists()


def test_ship_leaves_what_exists_alone(miii_says, small_run, run_copy, tree):
    before = tree(run_copy)
    assert "out must be a folder that does not exist yet" in sentence(
        *miii_says("ship", small_run.folder, "--out", run_copy)
    )
    assert tree(run_copy) == before


def test_help_lists_every_option_with_what_it_is(miii_says):
    code, out, _ = miii_says("train", "--help")
    assert code == 0
    text = " ".join(out.replace("│", " ").split())  # without the box and its line ends
    for option in flat.options():
        if option.name not in ("task", "operation"):  # those are the task, by position
            flag = f"--{option.name.replace('_', '-')}"
            assert re.search(rf"{flag} \S+ {re.escape(option.description)}", text), f"{flag} is missing"
    assert "{add,sub,mul,quadratic,shuffled,relabelled,expr,primes,residues,miu,frames} what to learn" in text
    assert "--recipe {fast,literature}" in text


def test_help_lists_every_command(miii_says):
    code, out, _ = miii_says("--help")
    assert code == 0
    assert cli.COMMANDS.keys() >= {"train", "resume", "sweep", "runs", "ship", "analyze", "import"}
    for command in cli.COMMANDS:
        assert re.search(rf"\b{command}\b", out)


def test_version_is_the_package_version(miii_says):
    assert miii_says("--version")[:2] == (0, f"{miii.__version__}\n")


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_the_readme_documents_every_command(command):
    assert re.search(rf"\bmiii {command}\b", (ROOT / "README.md").read_text())


# ---- sweep ----


def test_sweep_trains_a_grid_and_says_what_came_of_it(miii_says, here):
    arguments = ("sweep", "add", *TINY, "--steps", 4, "--out", "S", "--seeds", 2, "--grid", "lr=0.01,0.02", "--json")
    code, out, err = miii_says(*arguments)
    assert code == 0, err
    rows = strict_json(out)
    assert {(row["run"], row["seed"], row["status"], row["steps"]) for row in rows} == {
        (f"lr={lr},seed={seed}", seed, "done", 4) for lr in ("0.01", "0.02") for seed in (0, 1)
    }
    assert {path.name for path in (here / "S").iterdir()} == {row["run"] for row in rows}


def test_a_sweep_of_another_task(miii_says, here):
    settings = [*tiny("primes", "--steps", 2, "--grid", "base=10,12", "tokens=digit,place", "--json")[1:]]
    code, out, err = miii_says("sweep", *settings)
    assert code == 0, err
    assert {row["run"] for row in strict_json(out)} == {
        f"base={base},tokens={tokens},seed=0" for base in (10, 12) for tokens in ("digit", "place")
    }


def test_sweep_again_trains_nothing(miii_says, here, tree):
    arguments = ("sweep", "add", *TINY, "--steps", 4, "--out", "S", "--seeds", 2)
    miii_says(*arguments)
    before = tree(here)
    assert miii_says(*arguments)[0] == 0
    assert tree(here) == before


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--grid p=7,1", ["p must be", "at least 2", "1"]),
        ("--grid lr=0.1 --grid-size 3", None),
        ("--grid width=3", ["width is not an option"]),
        ("--grid lr=", ["grid must give at least one value"]),
        ("--grid lr", ["grid must give at least one value"]),
        ("--grid seed=1,2", ["seed"]),
        ("--seeds 0", ["seeds must be at least 1"]),
    ],
)
def test_a_bad_sweep_trains_nothing(miii_says, here, flags, words):
    said = miii_says("sweep", "add", *TINY, "--steps", "4", "--out", "S", *flags.split())
    if words is None:
        assert said[0] == 2
    else:
        assert all(word in sentence(*said) for word in words)
    assert not (here / "S").exists()


# ---- processes ----


def process(*arguments: object, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "miii.cli", *map(str, arguments)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, **options)


def test_the_command_as_a_process_says_and_returns_the_same():
    refused = process("train", "add", "--p", "1", "--out", "D")
    out, err = refused.communicate(timeout=60)
    assert sentence(refused.returncode, out, err).startswith("p must be at least 2")
    assert not Path("D").exists()


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_weights(miii_says, here, same):
    steps = 1500
    arguments = ("train", "add", *TINY, "--steps", steps, "--eval-every", 50)
    training = process(*arguments, "--out", "stopped", "--json")
    metrics, deadline = here / "stopped" / "metrics.jsonl", time.monotonic() + 60
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        assert training.poll() is None, training.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    training.send_signal(signal.SIGINT)
    out, err = training.communicate(timeout=60)
    assert training.returncode == 130, err
    assert "Traceback" not in err
    said, stopped = strict_json(out), runs.open(here / "stopped")
    assert 0 < said["steps"] < steps
    assert said["stopped"] is True
    assert stopped.can_resume
    assert stopped.steps[-1] == said["steps"]
    stopped.model()

    code, out, _ = miii_says("resume", here / "stopped", "--json")
    assert code == 0
    assert strict_json(out)["steps"] == steps
    assert miii_says(*arguments, "--out", "whole")[0] == 0
    whole, resumed = runs.open(here / "whole"), runs.open(here / "stopped")
    assert same(resumed.weights(), whole.weights())
    assert not resumed.can_resume
    timeless = [run.metrics().drop(columns="seconds") for run in (whole, resumed)]
    assert timeless[0].equals(timeless[1])


def test_a_run_that_diverges_ends_in_an_error(home, capsys):
    options = (
        "--p 7 --d-model 8 --n-heads 2 --d-mlp 16 --optimizer sgd --lr 10 --loss squared --steps 300 --warmup-steps 0"
    )
    assert cli.main(["train", "add", *options.split()]) == 2
    assert "diverged" in capsys.readouterr().err
