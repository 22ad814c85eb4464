"""``miii train``, ``resume`` and ``sweep``: numbers on stdout, progress on stderr, runs that agree with both."""

import contextlib
import re
import signal
from importlib.util import find_spec
from pathlib import Path

import pytest
from cli_checks import NETWORK, TASK_FLAGS, TINY, sentence, strict_json
from PIL import Image

import miii
from miii import RunConfig, landscape, runs
from miii.training import flat

SCORES = {
    "add": set(),
    "primes": {"auc", "auc_3", "auc_7", "auc_11", "auc_13"},
    "residues": {"accuracy_worst", "accuracy_2", "accuracy_3", "accuracy_5", "accuracy_7"},
    "gcd": {"learned", "base", "natural", "follows", "follows_new", "follows_random"}
    | {f"accuracy_{k}" for k in range(1, 5)},
    "miu": {"accuracy_as_long", "accuracy_longer"},
    "frames": {"auc", "auc_coprime", "digits", "integers"},
}
KEYS = {
    *("run", "steps", "stopped", "grokked_at", "seconds_to_grok", "seconds", "ms_per_step"),
    *("train_accuracy", "test_accuracy", "train_loss", "test_loss"),
}


def tiny(task: str, *more: object) -> list[str]:
    """Return the arguments of ``miii train`` for a small network on a small task, into D."""
    return ["train", task, *NETWORK, *TASK_FLAGS[task].split(), "--out", "D", *map(str, more)]


def opened(name: str = "D") -> runs.Run:
    return runs.open(Path(name).absolute())


def test_train_prints_the_result_of_the_run_as_json_and_as_lines(command):
    code, out, err = command("train", "add", *TINY, "--steps", 20, "--seed", 3, "--out", "D", "--json")
    assert (code, out.count("\n")) == (0, 1)
    result, run = strict_json(out), opened()
    assert result["run"] == "D"
    assert {**result, "run": run.name} == run.result
    last = run.metrics().iloc[-1]
    assert result["steps"] == 20 == last["step"] == run.steps[-1]
    for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
        assert result[name] == last[name]
    assert result["grokked_at"] is result["seconds_to_grok"] is None
    assert 0 < result["ms_per_step"] * 20 / 1000 <= result["seconds"] + 1e-3 * 20
    assert "20/20" in err
    assert "steps/s" in err
    code, out, _ = command("train", "add", *TINY, "--steps", 5, "--out", "E")
    lines = dict(line.split() for line in out.splitlines())
    result = opened("E").result
    assert (code, lines.keys()) == (0, result.keys())
    assert lines["test_loss"] == f"{result['test_loss']:.6g}"
    assert lines["grokked_at"] == "-"


def test_train_reports_when_it_grokked(command_json, monkeypatch):
    monkeypatch.setattr("miii.tasks.task.GROKKED", 0.0)  # the first evaluation counts
    result = command_json("train", "add", *TINY, "--steps=20", "--steps-after-grok=7", "--eval-every=5", "--out", "D")
    assert (result["grokked_at"], result["steps"], result["stopped"]) == (0, 7, False)
    assert 0 <= result["seconds_to_grok"] <= result["seconds"]


def test_train_without_out_makes_a_new_run_each_time(command, home):
    for _ in range(2):
        assert command("train", "sub", *TINY, "--steps", 1)[0] == 0
    assert sorted(path.name for path in home.iterdir()) == ["sub-11-seed0", "sub-11-seed0-2"]
    assert runs.open("sub-11-seed0").config.task.operation == "sub"


def test_every_task_trains(command_json):
    for task in TASK_FLAGS:
        arguments = [task if x == "D" else x for x in tiny(task, "--steps", 4, "--eval-every", 2)]
        result, run = command_json(*arguments), opened(task)
        assert result.keys() == KEYS | SCORES[task]
        assert {**result, "run": run.name} == run.result
        assert run.config.task.task_name == task
        rows = [strict_json(line) for line in (Path(task) / "metrics.jsonl").read_text().splitlines()]
        assert [row["step"] for row in rows] == [0, 2, 4]
        for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss", *SCORES[task]):
            assert result[name] == rows[-1][name], name
        assert set(run.metrics().columns) == rows[0].keys()
        assert run.model()(run.task().tokens).shape[-1] == run.task().d_vocab_out


def test_every_option_of_a_run_is_a_flag(command):
    small = {"model": {"d_model": 6, "n_heads": 3, "d_mlp": 4}, "steps": 2, "threads": 1}
    kinds = {
        "primes": {"low": 50, "base": 12, "leading_zeros": False, "candidates": "coprime", "tokens": "place"}
        | {"sampling": "log", "sample": 300, "split": "residue", "residues": (5, 7), "seed": 3, "high": 2_000},
        "residues": {"p": 13, "train_fraction": 0.25, "masked": (2, 11), "seed": 3},
        "gcd": {"base": 6, "high": 900, "operands": "log", "outcomes": "log", "largest": 5, "pairs": 150, "seed": 3}
        | {"tests": 25},
        "miu": {"longest": 6, "longest_test": 7, "n": 150, "train_fraction": 0.75, "seed": 3},
        "frames": {"low": 50, "high": 800, "base": 7, "frames": 3, "largest_step": 5, "predict": "label"}
        | {"sample": 300, "train_fraction": 0.25, "seed": 3},
    }
    none = small | {"model": small["model"] | {"positions": "none"}}
    configs = {kind: RunConfig(task={"kind": kind, **task}, **none) for kind, task in kinds.items()}
    others = {"operation": "mul", "causal": False, "biases": "none", "device": "cpu", "loss": "squared", "seed": 4}
    for optimizer in miii.OPTIMIZERS:
        changes = {**others, "optimizer": optimizer, "lr": 0.03, "schedule": "linear", "batch_size": 3}
        configs[optimizer] = flat.change(RunConfig(task={"p": 5}, **small), changes)
    for name, config in configs.items():
        values = {key: value for key, value in flat.values(config).items() if key not in ("task", "operation")}
        texts = {k: ",".join(map(str, v)) if isinstance(v, tuple) else str(v).lower() for k, v in values.items()}
        flags = [x for key, text in texts.items() for x in (f"--{key.replace('_', '-')}", text)]
        code, _, err = command("train", config.task.task_name, *flags, "--out", name)
        assert code == 0, err
        assert opened(name).config == config


def test_recipes_lists_and_none_are_read_from_flags(command):
    assert command("train", "add", *TINY, "--recipe=literature", "--steps=1", "--eval-every=1", "--out=L")[0] == 0
    config = opened("L").config
    assert config.optimizer == miii.recipe("literature").optimizer
    assert (config.schedule, config.steps, config.task.p) == ("constant", 1, 11)
    assert command("train", "primes", "--steps", 1, "--threads", 1, "--high", 13_000, "--out", "P")[0] == 0
    assert opened("P").config == miii.recipe(task=miii.Primes(high=13_000), steps=1, threads=1)
    for task, name, cases in (
        ("primes", "residues", (("3,7", (3, 7)), ("3", (3,)), ("none", ()))),
        ("residues", "masked", (("2,7", (2, 7)), ("none", ()))),
    ):
        for text, value in cases:
            out = f"{name}-{text}"
            flags = [out if x == "D" else x for x in tiny(task, "--steps", 1, f"--{name}", text)]
            assert command(*flags)[0] == 0
            assert getattr(opened(out).config.task, name) == value
    assert command(*tiny("miu", "--steps", 1, "--positions", "none", "--biases", "none"))[0] == 0
    assert (opened().config.model.positions, opened().config.model.biases) == ("none", "none")


def test_seconds_end_a_run(command, command_json):
    result = command_json(*tiny("miu", "--steps", 10**6, "--eval-every", 10**6, "--seconds", 0.5))
    assert 0.5 <= result["seconds"] < 30
    assert 0 < result["steps"] < 10**6
    assert result["stopped"] is False
    assert result["accuracy_longer"] is not None  # the last step is evaluated
    assert "nothing to resume" in sentence(*command("resume", "D"))


def test_file_names_need_not_be_text(command):
    name = "caf\udce9"
    for arguments in (["train", "add", "--out", name], ["sweep", "add", "--out", f"{name}-all"]):
        code, out, _ = command(*arguments, *TINY, "--steps", 1)
        assert code == 0
        assert "caf\\udce9" in out or arguments[0] == "sweep"  # a sweep prints its runs
    assert "caf\\udce9" in sentence(*command("train", "add", *TINY, "--out", name))
    assert command("train", "add", "--out", "[/x] {y} %s", *TINY, "--steps", 1)[0] == 0  # markup elsewhere


def test_a_diverging_run_ends_in_an_error(command):
    options = "--p 7 --optimizer sgd --lr 10 --loss squared --steps 300 --warmup-steps 0"
    code, _, err = command("train", "add", *NETWORK, *options.split())
    assert code == 2
    assert "diverged" in err


# ---- resume ----


def test_a_run_stopped_or_killed_at_its_first_step_resumes(command, monkeypatch, here, same):
    arguments = ("train", "add", *TINY, "--steps", 20, "--eval-every", 5)
    assert command(*arguments, "--out", "whole")[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr("miii.cli.training.stop_on_signal", lambda: contextlib.nullcontext([signal.SIGINT]))
        for name in ("stopped", "killed"):
            assert command(*arguments, "--out", name)[0] == 130
    for name in ("result.json", "resume.safetensors"):
        (here / "killed" / name).unlink()
    for name in ("stopped", "killed"):
        code, out, err = command("resume", name, "--json")
        assert (code, strict_json(out)["steps"]) == (0, 20), err
        whole, resumed = (runs.open(here / folder) for folder in ("whole", name))
        assert same(resumed.weights(), whole.weights())
        assert [row["test_loss"] for row in resumed.rows()] == [row["test_loss"] for row in whole.rows()]
        assert "it has ended" in sentence(*command("resume", name))


def test_ctrl_c_leaves_a_run_that_resumes_to_the_same_weights(command, here, same, monkeypatch):
    steps = 60
    arguments = ("train", "add", *TINY, "--steps", steps, "--eval-every", 10)

    def interrupted(config, stop):
        for step in miii.train(config, stop=stop):
            if step.step == 30:
                signal.raise_signal(signal.SIGINT)
            yield step

    with monkeypatch.context() as patch:
        patch.setattr("miii.cli.training.train", interrupted)
        code, out, err = command(*arguments, "--out", "stopped", "--json")
    assert code == 130, err
    assert "Traceback" not in err
    result, stopped = strict_json(out), runs.open(here / "stopped")
    assert 0 < result["steps"] < steps
    assert result["stopped"] is True
    assert stopped.can_resume
    assert stopped.steps[-1] == result["steps"]
    stopped.model()

    code, out, _ = command("resume", here / "stopped", "--json")
    assert (code, strict_json(out)["steps"]) == (0, steps)
    assert command(*arguments, "--out", "whole")[0] == 0
    whole, resumed = runs.open(here / "whole"), runs.open(here / "stopped")
    assert same(resumed.weights(), whole.weights())
    assert not resumed.can_resume
    timeless = [run.metrics().drop(columns="seconds") for run in (whole, resumed)]
    assert timeless[0].equals(timeless[1])


# ---- sweep ----


def test_sweep_trains_a_grid_once(command, command_json, here, tree):
    arguments = ("sweep", "add", *TINY, "--steps", 4, "--out", "S", "--seeds", 2, "--grid", "lr=0.01,0.02")
    rows = command_json(*arguments)
    assert {(row["run"], row["seed"], row["status"], row["steps"]) for row in rows} == {
        (f"lr={lr},seed={seed}", seed, "done", 4) for lr in ("0.01", "0.02") for seed in (0, 1)
    }
    assert {path.name for path in (here / "S").iterdir() if path.name[0] != "."} == {
        "sweep.json",
        *(row["run"] for row in rows),
    }
    before = tree(here)
    assert command(*arguments)[0] == 0
    assert tree(here) == before
    assert command_json("work", "S") == command_json("sweep", "--table", "S") == rows
    rows = command_json("sweep", *tiny("primes", "--steps", 2, "--grid", "base=10,12", "tokens=digit,place")[1:])
    assert {row["run"] for row in rows} == {
        f"base={base},tokens={tokens},seed=0" for base in (10, 12) for tokens in ("digit", "place")
    }


def test_a_bad_sweep_trains_nothing(command, here):
    many, forty = ",".join(map(str, range(1, 300))), ",".join(f"0.{i:02}" for i in range(1, 40))
    for flags, words in {
        "--grid p=7,1": ["p must be", "at least 2", "1"],
        "--grid width=3": ["width is not an option"],
        "--grid lr=": ["grid must be settings such as lr=0.01,0.02"],
        "--grid lr": ["grid must be settings such as lr=0.01,0.02"],
        "--grid seed=1,2": ["seed"],
        "--seeds 0": ["seeds must be at least 1"],
        "--grid lr=1 lr=2": ["each option once", "lr"],
        "--seeds -1": ["seeds must be at least 1", "at most 1,000,000"],
        f"--seeds {10**30}": ["at most 1,000,000"],
        f"--seeds 1000 --grid lr={many} p={many} weight_decay={many}": ["at most 1,000,000"],
        f"--seeds 600 --grid lr={forty} weight_decay={forty}": ["912,600 runs take about", "--yes"],
        "--jobs 1000": ["jobs must be at least 1", "1000"],
        "--dask tcp://127.0.0.1:1": ["dask", "distributed" if find_spec("distributed") is None else "answers there"],
    }.items():
        text = sentence(*command("sweep", "add", *NETWORK, "--train-fraction=0.5", "--out", "S", *flags.split()))
        assert all(word in text for word in words), text
        assert not list((here / "S").glob("*/config.json"))


# ---- help ----


def test_help_lists_every_command_and_option(command):
    from miii import cli

    def text(*arguments: str) -> str:
        code, out, _ = command(*arguments, "--help")
        assert code == 0
        assert "Source" not in out
        return " ".join(out.replace("│", " ").split())  # without the box and its line ends

    overview = text()
    for name, (options, _) in cli.COMMANDS.items():
        first = options.__doc__.splitlines()[0]
        assert re.search(rf"\b{name}\b", overview)
        assert first[:30] in overview
        assert first in text(name)
    train = text("train")
    for option in flat.options():
        if option.name not in ("task", "operation"):  # those are positional
            flag = f"--{option.name.replace('_', '-')}"
            assert re.search(rf"{flag} \S+( \S+}})? {re.escape(option.description)}", train), f"{flag} is missing"
    names = "{" + ",".join(cli.training.TASKS) + "}"
    assert {"add", "primes", "table"} <= set(names[1:-1].split(","))
    assert f"{names}tasktolearn" in train.replace(" ", "")  # too long for one line
    assert "--recipe {fast,literature}" in train
    assert command("--version")[:2] == (0, f"{miii.__version__}\n")


def test_training_beyond_the_memory_asks_first(command, monkeypatch):
    monkeypatch.setattr("miii.hardware.available_memory", lambda: 1000)
    assert "--yes" in sentence(*command(*tiny("add", "--steps", 1)))
    assert command(*tiny("add", "--steps", 1, "--yes"))[0] == 0


# ---- fractal ----


def test_fractal_maps_trainability_and_refines_a_map(command, command_json, here):
    arguments = ("fractal", "--out", "M", "--width", 2, "--steps", 20, "--threads", 1)
    coarse = command_json(*arguments, "--resolution", 16)
    assert (coarse["resolution"], coarse["trained"]) == (16, 256)
    fine = command_json(*arguments, "--resolution", 32)
    tile = landscape.read(Path("M"))
    assert (fine["trained"], fine["converged"]) == (tile.trained.sum(), (tile.measures < 0).mean())
    assert fine["controls"]["line"] == pytest.approx(1, abs=0.1)
    with Image.open("M/map.png") as picture:
        assert picture.size == (32, 32)
    for wrong in (("--resolution", 16), ("--resolution", 32, "--seed", 1), ("--x-low", 3, "--x-high", 2)):
        code, out, err = command(*arguments, *wrong)
        assert (code, out) == (2, ""), err
