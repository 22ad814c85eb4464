"""Every analysis of a tiny task and a hardly trained network gives numbers, or one sentence."""

import json
import warnings

import pytest
import torch

import miii
from miii import cli, plots, reports, runs
from miii.analysis import lengths, multitask, sieve

TASKS = {
    "two digits": {"kind": "primes", "low": 10, "high": 99},
    "one digit": {"kind": "primes", "low": 2, "high": 96, "base": 97},
    "few": {"kind": "primes", "low": 2, "high": 11},
    "range": {"kind": "primes", "low": 2, "high": 300, "split": "range", "train_fraction": 0.1},
    "base 3": {"kind": "primes", "low": 2, "high": 300, "base": 3},
    "p 3": {"kind": "residues", "p": 3},
    "p 6": {"kind": "residues", "p": 6},
    "p 5, shuffled": {"kind": "residues", "p": 5, "control": "shuffled"},
    "p 5, digits": {"kind": "residues", "p": 5, "control": "digits"},
    "as long": {"kind": "miu", "longest": 3, "longest_test": 3, "n": 100},
    "longer": {"kind": "miu", "longest": 3, "longest_test": 9, "n": 100, "train_fraction": 0.05},
    "frames": {"kind": "frames", "low": 2, "high": 40, "frames": 2, "largest_step": 1},
    "sequences": {"kind": "sequences", "n": 100, "largest_modulus": 2, "longest": 12},
    "pairs": {"kind": "sequences", "n": 100, "largest_modulus": 2, "longest": 12, "target": "similarity"},
    "p 2": {"p": 2, "train_fraction": 0.5},
    "p 11": {"p": 11, "train_fraction": 0.02},
}
BY_DAY = ("p 3", "as long", "frames", "sequences", "p 11")
COMMANDS = {
    "primes": ("residues", "compare"),
    "residues": ("residues",),
    "miu": ("residues",),
    "frames": ("rollout",),
    "sequences": ("residues",),
    "modular": ("analyze", "progress", "formula", "compare"),
}
SHAPE = {"d_model": 8, "n_heads": 2, "d_mlp": 12}


def networks(task):
    """A network of zeros and one of random weights."""
    config = miii.RunConfig(task=task, model=SHAPE)
    for fill in (torch.zeros_like, torch.randn_like):
        model = miii.Transformer.of(config.model, config.task.build())
        torch.manual_seed(0)
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(fill(weight))
        yield fill.__name__, config, model


@pytest.mark.parametrize(
    "name", [*BY_DAY, *(pytest.param(n, marks=pytest.mark.slow) for n in TASKS if n not in BY_DAY)]
)
def test_every_analysis_of_a_small_task_gives_numbers_or_one_sentence(home, small_config, capsys, name):
    task = TASKS[name]
    runs.record(home / "trained", miii.train(small_config(task=task, model=SHAPE, steps=2, snapshots=3)))
    for which, config, model in networks(task):
        runs.create_run(home / which, config, model, format="hand")
    kind = runs.open("trained").config.task.kind
    for run in ("trained", "zeros_like", "randn_like"):
        for command in (*COMMANDS[kind], "circuit"):
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # such as the mean of nothing
                code = cli.main([command, run, "--json"])
            out, err = capsys.readouterr()
            if code == 0:
                json.dumps(json.loads(out), allow_nan=False)
            else:
                assert (code, out, err.count("\n")) == (2, "", 1), (run, command, err)
                assert command in ("circuit", "analyze", "progress", "formula", "compare"), err


def test_too_few_examples_are_not_evidence():
    def crossing(accuracy=1.0, control=0.0):
        return sieve.Crossing(3, accuracy, accuracy, accuracy, control, 1.0, 100, 0.0, (), rest=0.0)

    def addition(share=1.0, **steering):
        explained = sieve.Explained(3, (share,), share, share, 0.1, share)
        return sieve.Addition(3, 0, explained, crossing(), crossing(**steering), 10)

    nan = float("nan")
    for found, adds, told in (
        (addition(), True, True),
        (addition(accuracy=nan), False, False),
        (addition(control=nan), False, False),
        (addition(accuracy=0.5, control=nan), False, True),
        (addition(share=nan), False, True),  # nothing varies, so nothing is added
    ):
        assert (found.adds, found.decided) == (adds, told)
    assert "too few" in sieve.verdict((addition(accuracy=nan),))
    assert "does not sum" in sieve.verdict((addition(accuracy=nan), addition(accuracy=0.5)))


def test_a_number_is_the_same_in_reports_and_evaluations(small_config, tmp_path):
    miu, residues = runs.shipped("miu-24"), runs.shipped("residues-113")
    assert lengths.held_out(miu.model(), miu.task()) == {
        name: miu.rows()[-1][name] for name in ("accuracy_as_long", "accuracy_longer")
    }
    assert miu.config.task.headline(miu.rows()[-1]).value == miu.rows()[-1]["accuracy_longer"]
    mean, worst = multitask.over_targets(residues.report["accuracy"], residues.config.task)
    assert residues.config.task.headline(residues.rows()[-1]).value == pytest.approx(mean, abs=1e-4)
    assert (residues.report["accuracy_mean"], worst) == (pytest.approx(0.9815, abs=5e-4), "mod 107")
    masked = {"kind": "residues", "p": 11, "masked": (7,)}
    run = runs.record(tmp_path / "masked", miii.train(small_config(task=masked, steps=3)))
    found, row = reports.report_residues(run), run.rows()[-1]
    assert found["accuracy_worst"] == row["accuracy_worst"]
    assert found["accuracy_mean"] == pytest.approx(run.config.task.headline(row).value)


def test_charts_of_many_rows_are_drawn_and_saved(tmp_path):
    task = miii.ModularAddition(p=11, train_fraction=0.5).build()
    model = miii.Transformer.of(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=9000), task, seed=0)
    neurons = miii.analysis.neurons.describe(model, task)
    for chart in (plots.single_frequency(neurons), plots.clusters(neurons), plots.phases(neurons)):
        chart.save(tmp_path / "chart.html")
    assert len(plots.frame(plots.single_frequency(neurons))) > 5000


def test_fourier_does_not_depend_on_scale(one_sentence):
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=2, d_mlp=16), 12, 11, 3, seed=0)
    fourier = miii.analysis.fourier
    of_model = miii.analysis.keys.of_model
    small = of_model(model).waves.coherence, fourier.embedding_spectrum(model).power
    with torch.no_grad():
        model.W_U.mul_(1e15)
    large = of_model(model).waves.coherence, fourier.embedding_spectrum(model).power
    assert torch.allclose(large[0], small[0], atol=1e-4)
    assert torch.allclose(large[1], small[1])
    assert fourier.singular_values(fourier.neuron_logit(model).T).isfinite().all()
    with torch.no_grad():
        model.W_U.mul_(1e24)
    with one_sentence("W_out W_U", "finite"):
        fourier.neuron_logit(model)
    with one_sentence("logits", "finite"):
        of_model(model)
