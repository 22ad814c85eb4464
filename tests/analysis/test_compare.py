"""Architectures on equal terms: what is read off, what is measured, and what may be compared."""

import dataclasses
import json
import math

import pytest

import miii
from miii import RunConfig, runs
from miii.analysis import compare
from miii.analysis.modular import verdict
from miii.model.wiring import BLOCKS, MIXERS, refusal

PAIRS = [(block, mixer) for block in BLOCKS for mixer in MIXERS if refusal(block, mixer, "auto", True) is None]
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
def measured(pair) -> list[compare.Compared]:
    return [compare.measured(run) for run in pair]


def test_a_run_is_read_off_and_taken_apart(pair, measured):
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


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "plain"),
        ({"model": {"block": "sas", "norm": "none", "n_layers": 2}}, "sas, 2 layers, norm none"),
        ({"model": {"mixer": "gru", "act": "gelu", "d_model": 64}}, "plain, gru, gelu, d_model 64"),
        ({"loss": "stablemax", "optimizer": {"name": "orthogonal-gradient"}}, "plain, stablemax, orthogonal-gradient"),
    ],
    ids=str,
)
def test_an_architecture_is_named_by_what_is_not_as_usual(changes, name):
    assert compare.architecture(RunConfig(**changes)) == name


@pytest.mark.parametrize(("block", "mixer"), PAIRS)
def test_every_pair_can_be_trained_and_measured(block, mixer, tmp_path):
    found = compare.measured(trained(tmp_path / "run", model={"block": block, "mixer": mixer}))
    assert all(math.isfinite(value) for _, value in found.curve)
    assert {name for name, value in found.measures.items() if value is None} <= {"attention_entropy"}
    json.dumps(dataclasses.asdict(found), allow_nan=False)


@pytest.mark.parametrize("block", BLOCKS)
def test_of_primes_depth_is_measured_and_addition_where_there_is_a_sum(block, tmp_path):
    task = miii.Primes(low=100, high=2999, seed=0)
    found = compare.measured(trained(tmp_path / "run", task=task, model={"block": block}, batch_size=64)).measures
    assert found["sieve_depth"] == 1
    assert (found["explained"] is None) == (block in ("vaswani", "sas-p"))
    assert 0 < found["accuracy"] < 1


def test_the_table_has_a_row_a_run_and_the_summary_one_an_architecture(measured):
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


def test_steps_to_grok_are_a_median_over_those_that_did(measured):
    steps = [10, None, 30]
    found = [dataclasses.replace(measured[0], seed=i, grokked_at=step) for i, step in enumerate(steps)]
    row = compare.summary(compare.table(found)).iloc[0]
    assert (row["grokked"], row["seeds"]) == (2, 3)
    assert (row["grokked_at"], row["grokked_at_low"], row["grokked_at_high"]) == (20, 10, 30)


def test_curves_have_a_row_an_evaluation(measured):
    frame = compare.curves(measured)
    assert frame["step"].tolist() == [0, 2, 4] * 3
    assert frame["value"].tolist() == [value for each in measured for _, value in each.curve]


def test_what_is_saved_is_what_is_loaded(measured, tmp_path):
    compare.save(tmp_path / "x.jsonl", measured)
    assert list(compare.load(tmp_path / "x.jsonl")) == measured


@pytest.mark.parametrize("text", ["{broken\n", "3\n", "{}\n", '{"run": "a"}\n'])
def test_a_spoilt_comparison_is_refused(text, tmp_path, one_sentence):
    (tmp_path / "x.jsonl").write_text(text)
    with one_sentence("x.jsonl", "one compared run a line"):
        compare.load(tmp_path / "x.jsonl")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"steps": 5}, "steps"),
        ({"batch_size": 7}, "batch_size"),
        ({"schedule": "linear"}, "schedule"),
        ({"task": miii.ModularAddition(p=13)}, "task"),
    ],
    ids=str,
)
def test_runs_on_other_terms_are_refused(changes, what, pair, tmp_path, one_sentence):
    other = trained(tmp_path / "other", **changes)
    with one_sentence(what, "equal terms", "a", "other"):
        compare.on_equal_terms([(run.name, compare.terms(run.config)) for run in (pair[0], other)])


def test_no_run_is_no_comparison(one_sentence):
    with one_sentence("at least one"):
        compare.table([])


def test_another_kind_of_task_is_refused(tmp_path, one_sentence):
    run = trained(tmp_path / "run", task=miii.Residues(p=5))
    with one_sentence("modular arithmetic or primes", "residues"):
        compare.measured(run)


def test_a_run_that_has_not_ended_is_refused(tmp_path, one_sentence, pair):
    import shutil

    copy = shutil.copytree(pair[0].folder, tmp_path / "copy")
    (copy / "result.json").unlink()
    with one_sentence("come to its end", "copy"):
        compare.measured(runs.open(copy))


def test_a_run_that_was_stopped_is_refused(stopped_run, one_sentence):
    with one_sentence("come to its end", "stopped"):
        compare.measured(stopped_run)


def test_another_learning_rate_is_another_row(measured):
    found = [measured[0], dataclasses.replace(measured[0], optimizer="adamw, lr 1, decay 0")]
    assert compare.summary(compare.table(found))["seeds"].tolist() == [1, 1]
