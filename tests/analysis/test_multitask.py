"""All residues at once: what is counted is what planted neurons, heads and answers hold."""

from pathlib import Path

import numpy as np
import pytest
import torch

import miii
from miii import reports, runs
from miii.analysis import multitask
from miii.analysis.modular import progress
from miii.model.config import ModelConfig
from miii.training import build_model, train

P = 11
SHIPPED = Path(__file__).parents[2] / "checkpoints" / "residues-113"
TASK = miii.Residues(p=P, readout="equals")
MODEL = ModelConfig(d_model=8, n_heads=2, d_mlp=6)


@pytest.fixture
def config(small_config):
    return small_config(task=TASK, model=MODEL, steps=4, snapshots=4, batch_size=None)


@pytest.fixture
def model(config):
    return build_model(config, TASK.build()).requires_grad_(False)


@pytest.fixture
def planted(monkeypatch):
    """Neurons set by hand, as functions of x0 and x1 [p^2]."""

    def plant(*neurons):
        def seen(model, tokens, sites, last):
            x0, x1 = tokens[:, 0].double(), tokens[:, 1].double()
            values = torch.stack([neuron(x0, x1) for neuron in neurons], -1)
            return dict.fromkeys(sites, values)

        monkeypatch.setattr(multitask, "collect", seen)

    return plant


def wave(x, k, phase=0.4):
    return torch.cos(2 * np.pi * k * x / P + phase)


def test_accuracy_on_held_out_numbers(model):
    task = TASK.build()
    rows = ~task.train_mask
    logits = model(task.tokens)[:, -1][rows]
    n = task.facts["n"][rows]
    begin = 0
    found = multitask.accuracies(model, task)
    assert list(found) == [f"mod {q}" for q in TASK.primes]
    for q in TASK.primes:
        right = logits[:, begin : begin + q].argmax(1) == n % q
        assert found[f"mod {q}"] == pytest.approx(right.double().mean().item())
        begin += q


def test_wave_in_one_digit(planted, model):
    for digit in [0, 1]:
        for k in [1, 3, 5]:
            # the second neuron never changes
            planted(lambda *x, digit=digit, k=k: wave(x[digit], k), lambda *x: torch.full_like(x[0], 7.0))
            power = multitask.frequency_power(model, TASK.build(), P)
            assert power.shape == (P // 2,)
            assert power.tolist() == pytest.approx([float(i + 1 == k) for i in range(P // 2)], abs=1e-9)


def test_product_counts_along_both_digits(planted, model):
    planted(lambda x0, x1: wave(x0, 2) * wave(x1, 5))
    power = multitask.frequency_power(model, TASK.build(), P)
    assert power.tolist() == pytest.approx([0, 1, 0, 0, 1], abs=1e-9)


def test_zero_neurons_have_no_power(planted, model):
    planted(lambda x0, x1: torch.zeros_like(x0))
    assert multitask.frequency_power(model, TASK.build(), P).tolist() == [0.0] * (P // 2)


def test_active_frequencies_by_both_rules():
    power = torch.full((4, 20), 1.0, dtype=torch.float64)
    power[2, 3] = power[3, 3] = 9.0
    found = multitask.active(dict(zip((20, 0, 10, 30), power, strict=True)))  # in any order
    assert found.steps == (0, 10, 20, 30)
    assert found.counts(found.within) == {"0": 0, "10": 1, "20": 0, "30": 1}
    assert torch.equal(found.overall, progress.active_frequencies(found.power, over_time=True))
    assert found.overall.any()
    chances = progress.active_by_chance(4, 20), progress.active_by_chance(4, 20, over_time=True)
    assert found.chance == chances
    assert chances[0] != chances[1]


def test_uniform_attention_is_not_one_digit(model):
    for block in model.blocks:
        block.W_Q.zero_()
    for head in multitask.heads(model, TASK.build()):
        assert head.to == pytest.approx((1 / 3,) * 3)
        assert head.deviation == pytest.approx(0, abs=1e-7)
        assert not head.one_digit


def test_head_that_attends_to_one_digit(model):
    """Its keys tell the places apart, and the query at "=" asks for one of them."""
    for digit in [0, 1]:
        block = model.blocks[0]
        model.W_E.zero_()
        model.W_E[P] = torch.eye(8)[0]
        model.W_pos.zero_()
        model.W_pos[digit] = torch.eye(8)[1]
        block.W_Q.zero_()
        block.W_K.zero_()
        block.W_Q[1, 0, 0], block.W_K[1, 1, 0] = 20.0, 1.0
        even, looks = multitask.heads(model, TASK.build())
        assert not even.one_digit
        assert looks.one_digit
        assert looks.to[digit] > 0.99


def test_shared_directions(model):
    """Modulo 2 reads e0, 3 a circle in e1 and e2, 5 one in e0 and e3, 7 one in e4 and halfway from e3 to e5."""
    task, e = TASK.build(), torch.eye(MODEL.d_model)
    planes = {3: (e[1], e[2]), 5: (e[0], e[3]), 7: (e[4], (e[3] + e[5]) / 2**0.5)}
    model.W_U.zero_()
    model.W_U[:, task.logits_of("mod 2")] = torch.stack([e[0] + e[7], e[7] - e[0]], 1)  # what all share is no answer
    for q, (x, y) in planes.items():
        angle = 2 * np.pi * torch.arange(q) / q
        model.W_U[:, task.logits_of(f"mod {q}")] = x[:, None] * angle.cos() + y[:, None] * angle.sin()
    found = multitask.sharing(model, task)
    assert (found.directions, found.width, found.together) == ((1, 2, 2, 2), 8, 6)
    want = torch.tensor([[1, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0.25], [0, 0, 0.25, 1]], dtype=torch.float64)
    torch.testing.assert_close(found.overlap, want, atol=1e-6, rtol=0)
    assert found.smallest[2, 3].item() == pytest.approx(45, abs=1e-3)
    assert found.smallest[0, 1].item() == pytest.approx(90, abs=1e-3)
    assert found.between == (pytest.approx(1.25 / 6), found.chance[~torch.eye(4, dtype=torch.bool)].mean().item())
    assert 0.05 < found.between[1] < 0.6  # two of eight dimensions: 2 / 8


def test_the_shipped_targets_hardly_share():
    run = runs.open(SHIPPED)
    found = multitask.sharing(run.model(), run.task())
    mean, chance = found.between
    assert mean < chance / 5
    assert found.together == sum(found.directions) < found.width
    assert found.directions[:2] == (1, 2)


def test_report_matches_the_functions(config, tmp_path):
    run = runs.record(tmp_path / "run", train(config))
    report, task = reports.report_residues(run), run.task()
    assert report["accuracy"] == multitask.accuracies(run.model(), task)
    assert report["accuracy_worst"] == min(report["accuracy"].values())
    assert report["step"] == run.steps[-1] == 4
    power = {str(step): multitask.frequency_power(run.model(step), task, P).tolist() for step in run.steps}
    assert report["frequency_power"] == power
    assert set(report["active_within"]) == set(report["active_overall"]) == set(power)
    assert len(report["active_frequencies"]) == report["active_within"]["4"]
    assert report["active_by_chance"]["within"] == progress.active_by_chance(len(power), P // 2)
    first = reports.report_residues(run, step=0)
    assert first["step"] == 0
    assert first["accuracy"] == multitask.accuracies(run.model(0), task)


def test_report_keeps_power_of_deleted_snapshots(config, tmp_path):
    run = runs.record(tmp_path / "run", train(config))
    whole = reports.report_residues(run)
    runs.save_report(run, whole)
    for path in sorted((run.folder / "snapshots").iterdir())[1:-1]:
        path.unlink()
    lost = runs.open(tmp_path / "run")
    assert len(lost.steps) < len(whole["frequency_power"])
    assert reports.report_residues(lost) == whole


def test_other_task_is_an_error(small_config, tmp_path, one_sentence):
    run = runs.record(tmp_path / "run", train(small_config(steps=1)))
    with one_sentence("residues"):
        reports.report_residues(run)
