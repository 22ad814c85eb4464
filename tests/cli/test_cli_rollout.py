"""``miii rollout``: the report as JSON and in words, kept on request, and one sentence where there is none."""

import json
from pathlib import Path

import pytest

import miii
from miii import cli, reports, runs

TASK = miii.Frames(low=100, high=999, frames=3, largest_step=4)
SHAPE = {"d_model": 8, "n_heads": 2, "d_mlp": 8, "positions": "frames"}


@pytest.fixture
def recorded(home, small_config):
    """Runs by name: of frames, of labels alone, of pairs."""
    tasks = {"frames": TASK.model_dump(), "labels": TASK.model_dump() | {"predict": "label"}}
    for name, task in tasks.items():
        runs.record(home / name, miii.train(small_config(task=task, model=SHAPE, steps=4)))
    runs.record(home / "pairs", miii.train(small_config(steps=4)))
    return home


@pytest.fixture
def miii_says(capsys):
    def run(*arguments: object) -> tuple[int, str, str]:
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def refuse(name: str):
    raise AssertionError(f"{name} is not JSON")


def test_the_report_is_json(recorded, miii_says):
    code, out, err = miii_says("rollout", "frames", "--json")
    assert (code, err, out.count("\n")) == (0, "", 1)
    assert json.loads(out, parse_constant=refuse) == json.loads(json.dumps(reports.report_rollout(runs.open("frames"))))
    assert not (recorded / "frames" / "report.json").exists()


def test_a_step_and_a_length_can_be_chosen(recorded, miii_says):
    out = miii_says("rollout", "frames", "--step", 0, "--ahead", 5, "--json")[1]
    found = json.loads(out, parse_constant=refuse)
    assert found["step"] == 0
    assert [row["ahead"] for row in found["rollout"]] == [1, 2, 3, 4, 5]
    # before training it is the untrained one
    for name in ("integers", "digits", "label_accuracy"):
        assert [row[name] for row in found["rollout"]] == [row[name] for row in found["untrained"]]


def test_in_words_it_says_the_same(recorded, miii_says):
    code, out, _ = miii_says("rollout", "frames")
    assert code == 0
    found = reports.report_rollout(runs.open("frames"))
    shown = [line.split()[1] for line in out.splitlines() if line.startswith("integers ")]
    assert shown == [f"{row['integers']:.6g}" for name in ("rollout", "untrained") for row in found[name]]


def test_the_report_can_be_kept_and_is_shipped_with_the_run(recorded, miii_says):
    assert miii_says("rollout", "frames", "--save")[0] == 0
    run = runs.open("frames")
    assert {"run": "frames", **run.report} == json.loads(json.dumps(reports.report_rollout(run)))
    shipped = runs.ship(run, Path(recorded) / "shipped", snapshots=1)
    assert shipped.report == run.report
    assert shipped.steps == run.steps[-1:]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("pairs",), ["run must be one on frames for a roll-out", "modular"]),
        (("labels",), ["predict must be everything"]),
        (("frames", "--ahead", 0), ["ahead must be at least 1", "0"]),
        (("frames", "--ahead", 5000), ["ahead must leave a held-out sequence", "5000"]),
        (("frames", "--step", 77), ["step must be one of the snapshots", "77"]),
        (("frames", "--step", 0, "--save"), ["save keeps the report of the last snapshot"]),
        (("nosuch",), ["run must be one of", "'nosuch'"]),
    ],
    ids=str,
)
def test_bad_input_is_one_sentence_and_changes_nothing(recorded, miii_says, tree, arguments, words):
    before = tree(recorded)
    code, out, err = miii_says("rollout", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("miii: ")
    assert err.count("\n") == 1
    assert all(word in err for word in words), err
    assert tree(recorded) == before


@pytest.mark.parametrize("command", ["analyze", "progress", "formula", "residues"])
def test_the_other_commands_say_that_they_are_not_for_frames(recorded, miii_says, command):
    code, out, err = miii_says(command, "frames")
    assert (code, out) == (2, "")
    said = err.splitlines()[-1]  # after a bar, perhaps
    assert said.startswith("miii: ")
    assert "frames" in said
