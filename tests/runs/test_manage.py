"""Runs of external networks, and shipped copies."""

import itertools
import json
import math

import pytest
import torch
from runs_checks import OCCUPIED

import miii
import miii.training.flat
from miii.runs.manage import thin

SHAPE = {"d_model": 8, "n_heads": 2, "d_mlp": 6, "act": "square", "biases": "none"}


def config_of(**task):
    return miii.RunConfig(task={"p": 11, "train_fraction": None, **task}, model=SHAPE)


@pytest.fixture(scope="module")
def model(adder):
    """It adds modulo 11, except for a = 3."""
    model = adder(11, (2, 3), n_heads=2).requires_grad_(False)
    model.W_E[3] = 0
    return model


@pytest.fixture
def adopted(model, tmp_path):
    return miii.runs.create_run(tmp_path / "there" / "run", config_of(), model, format="by hand", author="nobody")


# ---- adopting ----


def test_an_adopted_run_is_a_run_like_any_other(adopted, small_run, model, same):
    names = {path.name for path in adopted.folder.iterdir()}
    assert names == {path.name for path in small_run.folder.iterdir()} - {".lock"}
    assert set(adopted.result) == set(small_run.result)
    assert set(small_run.metrics().columns) <= set(adopted.metrics().columns)
    assert adopted.steps == [0]
    assert same(adopted.weights(), dict(model.state_dict()))
    assert {value.dtype for value in adopted.weights().values()} == {torch.float32}
    assert (adopted.running, adopted.can_resume) == (False, False)
    again = miii.runs.open(adopted.folder)
    assert (again.config, again.rows()[0]["step"]) == (config_of(), 0)
    assert torch.equal(miii.answer(again.model(), again.task().tokens), miii.answer(model, again.task().tokens))
    assert list(adopted.folder.parent.iterdir()) == [adopted.folder]
    assert len({path.stat().st_mode for path in adopted.folder.rglob("*") if path.is_file()}) == 1
    origin = adopted.provenance
    assert (origin["format"], origin["author"], origin["miii"]) == ("by hand", "nobody", miii.__version__)
    assert not {"threads", "precision", "device", "processor"} & set(origin)
    assert adopted.imported
    assert not small_run.imported
    assert miii.runs.ship(adopted, adopted.folder.with_name("shipped")).imported


def test_an_unknown_split_is_evaluated_on_all_pairs(adopted, model):
    task = adopted.task()
    assert not task.split_known
    right = (miii.answer(model, task.tokens) == task.labels).double().mean().item()
    assert 0.5 < right < 1
    logits = model(task.tokens)[:, -1].double()
    row = json.loads((adopted.folder / "metrics.jsonl").read_text(), parse_constant=pytest.fail)  # NaN is no JSON
    assert row["accuracy"] == right
    assert row["loss"] == pytest.approx(torch.nn.functional.cross_entropy(logits, task.labels).item(), rel=1e-5)
    assert row["weight_norm"] == pytest.approx(sum(w.square().sum() for w in model.parameters()).sqrt().item())
    assert (row["step"], row["seconds"], row["lr_factor"]) == (0, None, None)
    for name in ("train_accuracy", "test_accuracy", "train_loss", "test_loss"):
        assert row[name] is None
        assert adopted.result[name] is None
        assert math.isnan(adopted.rows()[0][name])
        assert adopted.metrics()[name].isna().all()
        assert adopted.metrics()[name].dtype == "float64"


def test_a_known_split_is_evaluated_by_its_parts(model, tmp_path):
    run = miii.runs.create_run(tmp_path / "run", config_of(train_fraction=0.4, seed=2), model, format="by hand")
    task, row = run.task(), run.rows()[0]
    right = (miii.answer(model, task.tokens) == task.labels).double()
    assert row["train_accuracy"] == run.result["train_accuracy"] == right[task.train_mask].mean().item()
    assert row["test_accuracy"] == run.result["test_accuracy"] == right[~task.train_mask].mean().item()
    assert row["train_loss"] > 0
    assert "accuracy" not in row


def test_a_row_of_an_adopted_run_has_null_for_unknown_values(adopted):
    row = json.loads(json.dumps(miii.runs.row(adopted), allow_nan=False))
    assert (row["status"], row["steps"], row["task"]) == ("imported", 0, "add-11")
    assert (row["test_accuracy"], row["seconds"], row["grokked_at"]) == (None, None, None)


def test_weights_with_infinite_logits_are_adopted(adder, tmp_path):
    model = adder(11, (2, 3), n_heads=2, scale=1e38).requires_grad_(False)
    model.blocks[0].W_out *= 1e38
    run = miii.runs.create_run(tmp_path / "run", config_of(train_fraction=0.5), model, format="by hand")
    json.loads((run.folder / "result.json").read_text(), parse_constant=pytest.fail)
    assert json.dumps(miii.runs.row(run), allow_nan=False)


def test_adopting_over_an_existing_path_is_refused(model, tmp_path, one_sentence):
    for i, make in enumerate(OCCUPIED):
        make(out := tmp_path / str(i))
        before = sorted(tmp_path.rglob("*"))
        with one_sentence("out", str(out)):
            miii.runs.create_run(out, config_of(), model, format="by hand")
        assert sorted(tmp_path.rglob("*")) == before


def test_adopting_to_a_full_disk_leaves_nothing(model, tmp_path, one_sentence, disk_of):
    for size in (10, 1000, 2000):  # no config, no weights, half the weights
        with disk_of(size), one_sentence("could not be written", str(tmp_path / "run")):
            miii.runs.create_run(tmp_path / "run", config_of(), model, format="by hand")
        assert list(tmp_path.iterdir()) == []


def test_a_network_that_does_not_fit_the_config_is_refused(model, tmp_path, one_sentence):
    for changes in [{"p": 13}, {"act": "relu"}, {"d_mlp": 7}]:
        config = miii.training.flat.change(config_of(), changes)
        with one_sentence("config", "network"):
            miii.runs.create_run(tmp_path / "run", config, model, format="by hand")
        assert list(tmp_path.iterdir()) == []


# ---- shipping ----


def test_a_shipped_run_is_the_run_without_resume_and_with_fewer_snapshots(run_copy, tmp_path, same, tree):
    (run_copy / "resume.safetensors").touch()
    before, run = tree(run_copy), miii.runs.open(run_copy)
    for n, steps in ((3, None), (2, [0, 24]), (1, [24]), (0, [])):
        shipped = miii.runs.ship(run, tmp_path / "out" / f"shipped-{n}", snapshots=n)
        names = {"config.json", "provenance.json", "metrics.jsonl", "result.json", "snapshots"}
        assert {path.name for path in shipped.folder.iterdir()} == names
        assert shipped.steps == steps if steps is not None else len(shipped.steps) == 3
        assert n < 2 or (shipped.steps[0], shipped.steps[-1]) == (0, 24)
        assert (shipped.config, shipped.rows(), shipped.result) == (run.config, run.rows(), run.result)
        assert n == 0 or same(shipped.weights(), run.weights())
        for step in shipped.steps:
            assert same(shipped.weights(step), run.weights(step))
    assert tree(run_copy) == before


def test_a_run_that_cannot_be_shipped_is_refused(small_run, run_copy, tmp_path, one_sentence, tree, disk_of):
    before, new = tree(run_copy), tmp_path / "shipped"
    with one_sentence("out", str(run_copy)):
        miii.runs.ship(small_run, run_copy)
    assert tree(run_copy) == before
    (run_copy / "result.json").unlink()
    with one_sentence("copy", "not ended"):
        miii.runs.ship(miii.runs.open(run_copy), new)
    with one_sentence("snapshots must be at least 0", "-1"):
        miii.runs.ship(small_run, new, -1)
    with disk_of(2000), one_sentence("could not be written", str(new)):
        miii.runs.ship(small_run, new)
    assert list(tmp_path.iterdir()) == [run_copy]


def test_thinning_keeps_the_last_then_the_first_and_spaces_evenly():
    for steps, n in itertools.product(
        [[], [3], [0, 3], [0, 1, 2, 5, 9, 24], [2**i for i in range(14)]], [*range(15), 100]
    ):
        kept = thin(steps, n)
        assert len(kept) == min(n, len(steps))
        assert kept == sorted(set(kept) & set(steps))
        assert kept[-1:] == (steps[-1:] if n else [])
        assert n < 2 or kept[:1] == steps[:1]
        gaps = [steps.index(b) - steps.index(a) for a, b in itertools.pairwise(kept)]
        assert not gaps or max(gaps) - min(gaps) <= 1


def test_a_report_is_kept_beside_the_run_and_shipped_with_it(run_copy, tmp_path):
    run = miii.runs.open(run_copy)
    assert run.report is None
    report = {"sieve_depth": 3, "auc_by_factor": {"3": 0.995, "7": math.nan}, "pairs": [[1, math.inf]], "verdict": "x"}
    miii.runs.save_report(run, {"run": "a name that the folder may lose"} | report)
    expected = {"sieve_depth": 3, "auc_by_factor": {"3": 0.995, "7": None}, "pairs": [[1, None]], "verdict": "x"}
    assert run.report == expected
    assert json.loads((run_copy / "report.json").read_text(), parse_constant=pytest.fail) == expected
    assert miii.runs.ship(run, tmp_path / "shipped", 1).report == expected
