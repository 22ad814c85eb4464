"""A grid of settings, one run after the other."""

from pathlib import Path

import pytest

from miii import RunConfig, runs
from miii.sweep import grid, sweep
from miii.training import flat


@pytest.fixture
def configs(small_config) -> dict[str, RunConfig]:
    return grid(small_config(steps=6), {"lr": [0.01, 0.02], "seed": [0, 1]})


def drain(folder: Path, configs: dict[str, RunConfig]) -> list[tuple[str, int]]:
    return [(name, step.step) for name, step in sweep(folder, configs)]


def written(folder: Path) -> dict[Path, int]:
    """When each file below the folder was last written, in nanoseconds."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


# ---- grid ----


def test_a_grid_is_every_combination_named_after_its_changes(small_config):
    base = small_config()
    found = grid(base, {"lr": [0.01, 0.02], "optimizer": ["sgd"], "seed": range(2)})
    assert found == {
        f"lr={lr},optimizer=sgd,seed={seed}": flat.change(base, {"lr": lr, "optimizer": "sgd", "seed": seed})
        for lr in (0.01, 0.02)
        for seed in (0, 1)
    }
    assert list(found)[:2] == ["lr=0.01,optimizer=sgd,seed=0", "lr=0.01,optimizer=sgd,seed=1"]  # the last one fastest


def test_a_grid_has_an_end(small_config, one_sentence):
    for choices in ({"seed": range(10**30)}, {"lr": [0.1] * 101, "seed": range(100)}):
        with one_sentence("grid must give at most 10,000 runs", "seed"):
            grid(small_config(), choices)


def test_a_grid_of_text_is_the_grid_of_its_numbers(small_config):
    texts = grid(small_config(), {"p": ["5", "7"], "batch_size": [None, "3"]})
    assert list(texts.values()) == list(grid(small_config(), {"p": [5, 7], "batch_size": [None, 3]}).values())


def test_a_bad_value_anywhere_in_a_grid_is_one_sentence(small_config, one_sentence):
    for choices, words in [
        ({"seed": [0, 1], "p": [7, 1]}, ["p must be", "at least 2", "1"]),
        ({"width": [3]}, ["width is not an option"]),
        ({"momentum": [0.5]}, ["momentum", "adamw"]),
        ({"n_heads": [1, 2, 3]}, ["n_heads must divide d_model"]),
        ({"seed": []}, ["grid must give at least one value"]),
    ]:
        with one_sentence(*words):
            grid(small_config(), choices)


# ---- sweep ----


def test_a_sweep_trains_each_run_to_its_end_in_order(tmp_path, configs):
    passed = drain(tmp_path / "S", configs)
    assert passed == [(name, step) for name in configs for step in range(7)]
    for name, config in configs.items():
        run = runs.open(tmp_path / "S" / name)
        assert run.config == config
        assert run.result is not None
        assert (run.result["steps"], run.result["stopped"]) == (6, False)


def test_finished_runs_are_skipped_and_left_alone(tmp_path, configs):
    drain(tmp_path, configs)
    before = written(tmp_path)
    assert drain(tmp_path, configs) == []
    assert written(tmp_path) == before


def test_a_sweep_that_was_stopped_goes_on_where_it_stood(tmp_path, configs, same):
    first, second, *rest = configs
    steps = sweep(tmp_path / "S", configs)
    for name, step in steps:
        if (name, step.step) == (second, 4):
            steps.close()
    assert {path.name for path in (tmp_path / "S").iterdir()} == {first, second}
    assert runs.open(tmp_path / "S" / second).can_resume
    before = written(tmp_path / "S" / first)

    assert drain(tmp_path / "S", configs)[:3] == [(second, 4), (second, 5), (second, 6)]
    assert written(tmp_path / "S" / first) == before
    drain(tmp_path / "whole", configs)
    for name in (first, second, *rest):
        assert same(runs.open(tmp_path / "S" / name).weights(), runs.open(tmp_path / "whole" / name).weights())


def test_a_run_killed_before_there_was_anything_to_resume_starts_anew(tmp_path, configs):
    name = next(iter(configs))
    drain(tmp_path, {name: configs[name]})
    (tmp_path / name / "result.json").unlink()  # as if killed: neither a result nor a state to resume
    assert drain(tmp_path, {name: configs[name]}) == [(name, step) for step in range(7)]
    assert runs.open(tmp_path / name).result is not None


def test_another_config_in_the_same_folder_is_refused(tmp_path, configs, small_config, one_sentence, tree):
    drain(tmp_path, configs)
    before = tree(tmp_path)
    others = grid(small_config(steps=7), {"lr": [0.01, 0.02], "seed": [0, 1]})
    assert others.keys() == configs.keys()
    with one_sentence("another config", next(iter(configs))):
        drain(tmp_path, others)
    assert tree(tmp_path) == before


def test_a_folder_that_is_no_run_is_refused(tmp_path, configs, one_sentence, tree):
    name = next(iter(configs))
    (tmp_path / name).mkdir()
    (tmp_path / name / "notes.txt").write_text("mine")
    before = tree(tmp_path)
    with one_sentence(name, "config.json"):
        drain(tmp_path, configs)
    assert tree(tmp_path) == before


def test_a_run_that_someone_else_is_writing_is_refused(tmp_path, configs, one_sentence):
    name, config = next(iter(configs.items()))
    writing = sweep(tmp_path, {name: config})
    next(writing)
    with one_sentence(name, "being written"):
        drain(tmp_path, configs)
    assert [step.step for _, step in writing] == list(range(1, 7))  # and it goes on undisturbed


def test_a_run_that_diverges_does_not_end_the_sweep(small_config, tmp_path):
    bad, good = {"name": "sgd", "lr": 10.0}, {"name": "sgd", "lr": 0.01}
    configs = {
        name: small_config(optimizer=optimizer, loss="squared", warmup_steps=0, steps=40)
        for name, optimizer in (("a", bad), ("b", good))
    }
    for _ in range(2):  # and a second time it is left as it is
        list(sweep(tmp_path / "sweep", configs))
        found = [runs.row(runs.open(tmp_path / "sweep" / name))["status"] for name in configs]
        assert found == ["diverged", "done"]
