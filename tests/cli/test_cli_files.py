"""The commands on files: ``runs``, ``ship``, ``pack``, ``unpack``, ``import``, ``export-weights``."""

from pathlib import Path

import pytest
import torch
from cli_checks import sentence, strict_json
from safetensors.torch import load_file, save_file

import miii
from miii import runs

# ---- runs, ship ----


def test_runs_lists_every_run_and_why_one_is_unreadable(command, home, run_copy, stopped_copy):
    run_copy.rename(home / "whole")
    stopped_copy.rename(home / "half")
    code, out, err = command("runs", "--json")
    assert (code, err) == (0, "")
    listed = {row["run"]: row for row in strict_json(out)}
    assert listed["whole"] == runs.row(runs.open("whole"))
    assert (listed["whole"]["status"], listed["whole"]["steps"]) == ("done", 24)
    assert listed["half"]["status"] == "stopped"
    (home / "half" / "metrics.jsonl").write_text("{\n")
    (home / "none").mkdir()
    (home / "none" / "config.json").write_text('{"epochs": 3}')
    listed = {row["run"]: row for row in strict_json(command("runs", "--json")[1])}
    statuses = {runs.row(runs.open(name))["status"] for name in ("whole", "half")} | {"unreadable"}
    assert {listed[name]["status"] for name in ("whole", "half", "none")} == statuses
    assert len(statuses) == 3
    code, out, err = command("runs")
    assert (code, err) == (0, "")
    assert sum("whole" in line.split() for line in out.splitlines()) == 1
    for name, word in (("half", "metrics.jsonl"), ("none", "epochs")):
        assert word in listed[name]["reason"]
        assert [line for line in out.splitlines() if line.startswith(f"{name} is ")] == [
            f"{name} is {listed[name]['status']}: {listed[name]['reason']}"
        ]


def test_runs_without_any_shows_how_to_train_one(command, monkeypatch, here):
    monkeypatch.setattr("miii.runs.find.homes", lambda: (here / "runs", here / "checkpoints"))
    code, out, _ = command("runs")
    assert code == 0
    assert "miii train add" in out
    assert strict_json(command("runs", "--json")[1]) == []


def test_ship_copies_a_run_with_fewer_snapshots(command, small_run, run_copy, same, tree):
    for n, steps in ((0, []), (1, small_run.steps[-1:]), (2, [small_run.steps[0], small_run.steps[-1]]), (3, None)):
        code, out, _ = command("ship", small_run.folder, "--out", f"shipped-{n}", "--snapshots", n)
        assert (code, Path(out.strip())) == (0, Path(f"shipped-{n}").absolute())
        copy = runs.open(Path(f"shipped-{n}").absolute())
        assert copy.steps == steps if steps is not None else len(copy.steps) == 3
        assert n == 0 or same(copy.weights(), small_run.weights())
    assert command("runs")[0] == 0
    text = sentence(*command("ship", small_run.folder, "--out", "shipped", "--snapshots", "-1"))
    assert text.startswith("snapshots must be at least 0")
    assert not Path("shipped").exists()
    before = tree(run_copy)
    text = sentence(*command("ship", small_run.folder, "--out", run_copy))
    assert "out must be a folder that does not exist yet" in text
    assert tree(run_copy) == before


# ---- pack, unpack ----


def test_a_run_goes_into_a_file_and_comes_out_of_it(command, run_copy, home, here, same):
    file = here / "run.zip"
    assert command("pack", run_copy, "--out", file) == (0, f"{file}\n", "")
    assert file.read_bytes() == runs.pack(runs.open(run_copy))
    for name in ("copy", "copy-2"):
        code, out, _ = command("unpack", file)
        assert (code, Path(out.strip())) == (0, (home / name).absolute())
    assert command("unpack", file, "--name", "mine")[0] == 0
    assert same(runs.open("mine").weights(), runs.open(run_copy).weights())


def test_a_stopped_run_is_packed_with_its_state_on_request(command, stopped_copy, small_run, here, same):
    assert command("pack", stopped_copy, "--out", "without.zip")[0] == 0
    assert command("pack", stopped_copy, "--out", "with.zip", "--resumable")[0] == 0
    for name in ("without", "with"):
        assert command("unpack", f"{name}.zip", "--name", name)[0] == 0
    assert "no training state" in sentence(*command("resume", "without"))
    assert command("resume", "with")[0] == 0
    assert same(runs.open("with").weights(), small_run.weights())
    assert "it has ended" in sentence(*command("pack", "with", "--out", "ended.zip", "--resumable"))
    assert not Path("ended.zip").exists()


def test_bad_zip_files_and_places_are_refused(refused, here):
    (here / "taken.zip").write_text("x")
    for line, word in {
        "pack add-113 --out x.tar": "end in .zip",
        "pack add-113 --out taken.zip": "does not exist yet",
        "pack add-113 --out nowhere/x.zip": "could not be written",
        "unpack taken.zip": "zip",
        "unpack none.zip": "none.zip",
    }.items():
        assert word in refused(*line.split())


# ---- import, export-weights ----


@pytest.fixture
def weights(command, home, adder) -> Path:
    """The file of a network that adds modulo 11, exported from the run ``adds``."""
    model = adder(11, (2, 3), n_heads=2)
    config = miii.RunConfig(task={"p": 11}, model=model.config)
    runs.create_run(home / "adds", config, model.requires_grad_(False), format="hand")
    assert command("export-weights", "adds", "--out", "w.safetensors") == (0, "w.safetensors\n", "")
    return Path("w.safetensors")


def test_exported_weights_import_as_the_same_network(command, weights, same):
    code, out, err = command("import", weights, "--out", "again")
    assert (code, out) == (0, f"{Path('again').absolute()}\n")
    assert "100.00% over all pairs" in err
    assert "warning" not in err
    again, origin = runs.open(Path("again").absolute()), runs.open("adds")
    ours = {name: value for name, value in again.weights().items() if name in origin.weights()}
    assert same(ours, origin.weights())
    assert again.config.task == miii.ModularAddition(p=11, train_fraction=None)
    assert again.config.model.act == "square"


def test_a_dry_run_prints_what_was_recognized_and_writes_nothing(command, weights, here, tree):
    before = tree(here)
    code, out, err = command("import", weights, "--dry-run")
    assert (code, err) == (0, "")
    lines = dict(line.split(None, 1) for line in out.splitlines())
    assert (lines["layout"], lines["p"], lines["ignored"]) == ("transformer-lens", "11 (shapes)", "nothing")
    assert lines["act"].startswith("square (guessed")
    assert lines["accuracy"] == "100.00% over all pairs"
    told = strict_json(command("import", weights, "--dry-run", "--json")[1])
    assert (told["run"], told["settings"]["p"], told["accuracies"]["a + b"]) == (None, 11, 1.0)
    assert tree(here) == before


def test_import_reports_what_it_left_out_and_a_doubtful_claim(command, weights):
    save_file(load_file(weights) | {"probe.W": torch.zeros(3)}, "more.safetensors")
    options = "--task sub --p 11 --act square --train-fraction 0.25 --seed 4 --layout transformer-lens --causal yes"
    code, out, err = command("import", "more.safetensors", *options.split(), "--out", "D", "--json")
    assert code == 0
    assert "warning" in err
    result = strict_json(out)
    assert (result["task"], result["likelier"], result["ignored"]) == ("sub-11", "a + b", ["probe.W"])
    assert result["accuracy"] == result["accuracies"]["a - b"] < 0.2 < 0.9 < result["accuracies"]["a + b"]
    assert result["warning"].endswith("100.0% of a + b: did you mean --task add?")
    config = runs.open(Path("D").absolute()).config
    assert config.task == miii.ModularAddition(operation="sub", p=11, train_fraction=0.25, seed=4)


def test_every_format_of_export_weights_imports_again(command, weights, same):
    for format, out in (("transformer-lens-4", "w4.pt"), ("state-dict", "own.safetensors"), ("hugging-face", "folder")):
        assert command("export-weights", "adds", "--format", format, "--out", out) == (0, f"{out}\n", "")
        assert command("import", out, "--n-heads", 2, "--out", f"from-{format}")[0] == 0
        again, origin = runs.open(Path(f"from-{format}").absolute()).weights(), runs.open("adds").weights()
        assert same({name: again[name] for name in origin}, origin)


def test_export_weights_takes_a_step(command, small_run):
    assert command("export-weights", small_run.folder, "--out", "first.safetensors", "--step", 0)[0] == 0
    assert torch.equal(load_file("first.safetensors")["embed.W_E"], small_run.weights(0)["W_E"])


class Evil:
    """A pickle that would make a file."""

    def __reduce__(self):
        return (Path.touch, (Path("touched"),))


def test_bad_weights_and_options_are_refused(refused, weights, here):
    torch.save({"embed.W_E": Evil()}, "evil.pt")
    (here / "taken.safetensors").write_text("mine")
    operations = "task must be one of add, sub, mul, div, quadratic, shuffled, relabeled, expr (got '{}').\n"
    for line, words in {
        "import evil.pt --p 11 --out D": ["evil.pt", "holds more than tensors"],
        "import w.safetensors --p 113 --out D": ["p must be 11", "embed.W_E has 12 tokens", "got 113"],
        "import w.safetensors": ["out is required", "--dry-run"],
        "import w.safetensors --layout lens --out D": ["layout must be one of transformer-lens, notebook", "'lens'"],
        "import w.safetensors --expression a+b --out D": ["expression needs the task expr"],
        **{
            f"import w.safetensors --p 11 --out D --task {task}": [operations.format(task)]
            for task in ("primes", "divide")
        },
        "import w.safetensors --p 11 --out D --act solu": ["act must be one of 'relu', 'gelu'", "'solu'"],
        "import w.safetensors --p 11 --out D --train-fraction 2": ["train_fraction must be", "less than 1", "2"],
        "import w.safetensors --p 11 --out D --train-fraction some": ["train_fraction must be", "'some'"],
        "import w.safetensors --p 1 --out D": ["p must be", "at least 2"],
        "export-weights adds --out taken.safetensors": ["does not exist yet"],
        "export-weights adds --out w.txt": ["out must end in .safetensors or .pt"],
    }.items():
        text = refused(*line.split())
        assert all(word in text for word in words), text
    assert not (here / "touched").exists()
    assert not (here / "D").exists()
