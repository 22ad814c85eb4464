"""All of it together: what is printed of a run, and which questions its circuits are found by."""

import json

import numpy as np
import pytest
from safetensors.torch import save_file

import miii
from miii import reports, runs
from miii.analysis import sieve


@pytest.fixture(scope="session")
def adds(integers, residue_adder, tmp_path_factory) -> runs.Run:
    """A run whose last snapshot sums residues modulo 3. Shared: never write into it."""
    folder, planted = tmp_path_factory.mktemp("adds") / "adds", residue_adder(integers, 3)
    shape = {"d_model": 8, "n_heads": 1, "d_mlp": planted.config.d_mlp}
    config = miii.recipe(task=integers, model=shape, steps=1, batch_size=None, precision="float32", threads=1)
    runs.record(folder, miii.train(config))
    save_file(planted.state_dict(), folder / "snapshots" / "1.safetensors")
    return runs.open(folder)


def test_report_of_a_residue_adder(adds, integers, built):
    values = reports.report_sieve(adds, shuffled=adds)
    json.dumps(values, allow_nan=False)
    found = sieve.depth(adds.model(), built, integers)
    assert {name: values[name] for name in found.to_json()} == found.to_json()
    assert values["verdict"] == "adds digits modulo 3"
    generalization = values["generalization"]["3"]
    assert generalization["inside"]["auc"] == generalization["outside"]["low"] == 1
    assert generalization["withheld"] is None
    assert values["step"] == 1
    assert values["digit_variance_explained"]["3"] == pytest.approx(1)
    swapped = [values[f"interchange_{name}"] for name in ("accuracy", "control", "rest")]
    assert [found["3"] for found in swapped] == [1, 0, 0]
    assert [found["11"] for found in swapped] == [None] * 3  # at least the base
    assert values["count_table"]["q"] == 3
    assert list(values["auc_by_length"]) == ["4"]
    assert (values["steering_accuracy"]["3"], values["steering_control"]["3"]) == (1, 0)
    read = values["probe_r2"]
    assert read["trained"] == read["shuffled"]  # the same run twice
    assert read["trained"]["3"] > 0.8 > 0.2 > read["untrained"]["3"]
    moduli = ["3", "7", "11", "13"]
    assert [list(values[name]) for name in ("digit_variance_explained", "steering_control")] == [moduli, moduli]


@pytest.mark.slow
def test_report_of_another_snapshot(adds):
    values = reports.report_sieve(adds, 0)
    assert (values["step"], values["sieve_depth"]) == (0, 1)
    assert values["verdict"] == "does not sum residues modulo a prime"
    assert values["probe_r2"]["shuffled"] is None


# ---- circuits ----


def test_question_task_has_the_right_examples(integers, built):
    held_out = built.facts["n"][~built.train_mask].numpy()
    for asked, kept, yes in (
        ("base", held_out, np.gcd(held_out, 10) == 1),
        ("3", held_out[np.gcd(held_out, 10) == 1], None),
    ):
        task = sieve.question_task(built, integers, asked)
        n = (task.tokens[:, :4].numpy() % 10) @ (10 ** np.arange(3, -1, -1))
        assert sorted(n.tolist()) == sorted(kept.tolist())
        wanted = np.gcd(n, 10) == 1 if yes is not None else n % 3 != 0
        assert task.labels.tolist() == wanted.tolist()
        assert task.d_vocab_out == 2


def test_invalid_question_is_an_error(integers, built, one_sentence):
    with one_sentence("base or a prime", "nosuch"):
        sieve.question_task(built, integers, "nosuch")


def test_circuit_of_a_residue_adder(adds, integers, built):
    found = sieve.find_circuit(adds.model(), built, integers, "3")
    assert found.faithfulness >= sieve.FAITHFUL
    assert found.without < 0.5
    assert {name for name, _ in found.edges} == {
        "0.mlp@4 -> logits@4",
        "0.h0@4 -> 0.mlp@4",
        *(f"embed@{place} -> 0.h0.v@{place}" for place in range(4)),
    }
    assert len(found.to_json()["edges"]) == len(found.edges)
