"""Architectures on equal terms: what is read off, what is measured, and what may be compared."""

import dataclasses
import json
import math
import shutil

import pytest

import miii
from miii import RunConfig, reports, runs
from miii.analysis import compare
from miii.analysis.modular import verdict
from miii.model.wiring import BLOCKS, MIXERS

PLAIN = "plain"
SMALL = {"d_model": 8, "n_heads": 2, "d_mlp": 12}
SIZE = "d_model 8, n_heads 2, d_mlp 12"


def trained(folder, seed=0, task=None, **changes) -> runs.Run:
    task = task or miii.ModularAddition(p=11, train_fraction=0.5, seed=seed)
    model = miii.ModelConfig(**SMALL | changes.pop("model", {}))
    settings = {"steps": 4, "eval_every": 2, "snapshots": 1, "threads": 1, "precision": "float32", "batch_size": None}
    return runs.record(folder, miii.train(RunConfig(task=task, model=model, **settings | changes)))


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> list[runs.Run]:
    """Two seeds of the same network, and another network."""
    home = tmp_path_factory.mktemp("compared")
    return [
        trained(home / "a", 0),
        trained(home / "b", 1),
        trained(home / "c", 0, model={"block": "pre-norm", "mixer": "mean"}),
    ]


@pytest.fixture(scope="module")
def measured(pair) -> list[compare.ComparedRun]:
    return [reports.measure(run) for run in pair]


def test_measures_of_a_run(pair, measured):
    run, found = pair[0], measured[0]
    report = verdict.analyze(run.model(), run.task())
    assert (found.run, found.architecture, found.seed, found.steps) == ("a", f"plain, {SIZE}", 0, 4)
    assert found.optimizer == "adamw, lr 0.0175, decay 2.5"
    assert found.parameters == sum(weight.numel() for weight in run.model().parameters())
    assert found.measures["explained"] == report.logit_variance_explained
    assert found.measures["steering"] == report.steering_accuracy
    assert found.measures["adds"] == 0
    assert 0 < found.measures["attention_entropy"] <= math.log(3)
    assert found.curve == tuple((row["step"], row["test_accuracy"]) for row in run.rows())
    assert (found.grokked_at, found.ms_per_step) == (run.result["grokked_at"], run.result["ms_per_step"])
    assert measured[2].measures["attention_entropy"] == pytest.approx(math.log(3))


def test_architecture_names_what_differs_from_the_recipe():
    for changes, name in [
        ({}, "plain"),
        ({"model": {"block": "sas", "norm": "none", "n_layers": 2}}, "sas, 2 layers, norm none"),
        ({"model": {"mixer": "gru", "act": "gelu", "d_model": 64}}, "plain, gru, gelu, d_model 64"),
        ({"loss": "stablemax", "optimizer": {"name": "orthogonal-gradient"}}, "plain, stablemax, orthogonal-gradient"),
    ]:
        assert compare.architecture(RunConfig(**changes)) == name


def test_blocks_and_mixers_can_be_trained_and_measured(tmp_path):
    """Every block, and every mixer, once."""
    for i, (block, mixer) in enumerate([*((block, "attention") for block in BLOCKS), *((PLAIN, m) for m in MIXERS)]):
        found = reports.measure(trained(tmp_path / str(i), model={"block": block, "mixer": mixer}))
        assert all(math.isfinite(value) for _, value in found.curve)
        assert {name for name, value in found.measures.items() if value is None} <= {"attention_entropy"}
        if mixer not in ("attention", "mean", "concatenation"):
            assert found.measures["attention_entropy"] is None
        json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_addition_of_primes_is_measured_if_the_sum_can_be_split(tmp_path):
    task = miii.Primes(low=100, high=2999, seed=0)
    for block in ("plain", "pre-norm", "vaswani", "sas-p"):
        found = reports.measure(trained(tmp_path / block, task=task, model={"block": block}, batch_size=64)).measures
        assert found["sieve_depth"] == 1
        assert (found["explained"] is None) == (block in ("vaswani", "sas-p"))
        assert 0 < found["accuracy"] < 1


def test_table_and_summary(measured):
    frame = compare.table(measured)
    assert frame["run"].tolist() == ["a", "b", "c"]
    assert "sieve_depth" not in frame
    told = compare.summary(frame)
    assert told["architecture"].tolist() == [f"plain, {SIZE}", f"pre-norm, mean, {SIZE}"]
    assert (told["seeds"].tolist(), told["grokked"].tolist()) == ([2, 1], [0, 0])
    two = [each.measures["gradient_symmetricity"] for each in measured[:2]]
    row = told.iloc[0]
    assert (row["gradient_symmetricity_low"], row["gradient_symmetricity_high"]) == (min(two), max(two))
    assert row["gradient_symmetricity"] == pytest.approx(sum(two) / 2)


def test_steps_to_grok_over_runs_that_grok(measured):
    steps = [10, None, 30]
    found = [dataclasses.replace(measured[0], seed=i, grokked_at=step) for i, step in enumerate(steps)]
    row = compare.summary(compare.table(found)).iloc[0]
    assert (row["grokked"], row["seeds"]) == (2, 3)
    assert (row["grokked_at"], row["grokked_at_low"], row["grokked_at_high"]) == (20, 10, 30)


def test_curves_have_one_row_an_evaluation(measured):
    frame = compare.curves(measured)
    assert frame["step"].tolist() == [0, 2, 4] * 3
    assert frame["value"].tolist() == [value for each in measured for _, value in each.curve]


def test_saved_comparison_can_be_loaded(measured, tmp_path):
    compare.save(tmp_path / "x.jsonl", measured)
    assert list(compare.load(tmp_path / "x.jsonl")) == measured


def test_broken_comparisons_are_errors(tmp_path, one_sentence):
    for text in ("{broken\n", "3\n", "{}\n", '{"run": "a"}\n'):
        (tmp_path / "x.jsonl").write_text(text)
        with one_sentence("x.jsonl", "one compared run a line"):
            compare.load(tmp_path / "x.jsonl")


def test_runs_that_differ_in_a_term_are_errors(pair, one_sentence):
    config = pair[0].config
    for changes, what in (
        ({"steps": 5}, "steps"),
        ({"batch_size": 7}, "batch_size"),
        ({"schedule": "linear"}, "schedule"),
        ({"task": miii.ModularAddition(p=13)}, "task"),
    ):
        other = config.model_copy(update=changes)
        with one_sentence(what, "equal terms", "a", "other"):
            compare.check_terms([("a", compare.terms(config)), ("other", compare.terms(other))])
    with one_sentence("at least one"):
        compare.table([])


def test_runs_that_cannot_be_measured_are_errors(pair, stopped_run, tmp_path, one_sentence):
    with one_sentence("modular arithmetic or primes", "residues"):
        reports.measure(trained(tmp_path / "run", task=miii.Residues(p=5)))
    copy = shutil.copytree(pair[0].folder, tmp_path / "copy")
    (copy / "result.json").unlink()
    for run, name in ((runs.open(copy), "copy"), (stopped_run, "stopped")):
        with one_sentence("must have finished", name):
            reports.measure(run)


def test_optimizers_have_separate_rows(measured):
    found = [measured[0], dataclasses.replace(measured[0], optimizer="adamw, lr 1, decay 0")]
    assert compare.summary(compare.table(found))["seeds"].tolist() == [1, 1]


def test_configs_that_differ_are_told_apart_by_their_options():
    usual = miii.RunConfig()
    other = miii.RunConfig(task={"seed": 3}, optimizer={"name": "adamw", "weight_decay": 0})
    assert compare.changed(usual) == ""
    assert compare.changed(other) == "seed 3, weight_decay 0.0"
    assert compare.differences(usual, other, usual) == {
        "task.seed": ("0", "3", "0"),
        "optimizer.weight_decay": ("2.5", "0", "2.5"),
    }
    assert compare.differences(usual, miii.RunConfig(threads=1)) == {}
