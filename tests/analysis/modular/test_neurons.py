"""What is planted in neurons is found in them: frequencies, phases, clusters, and which of them are dead."""

import math

import numpy as np
import pytest
import torch

import miii
from miii.analysis.modular import grid, neurons
from miii.analysis.oracles import planted

P, KEYS, PHASES, THETA = 11, (2, 4), (0.3, -0.5), (0.7, -1.1)
TASK = miii.ModularAddition(p=P).build()
SUB = miii.ModularAddition(p=P, operation="sub").build()
QUARTERS = [math.pi * j / 4 for j in range(4)]  # the phases of a term's neurons


def random_network(n_layers=1, seed=0, act="relu"):
    config = miii.ModelConfig(n_layers=n_layers, d_model=16, n_heads=2, d_mlp=20, act=act)
    return miii.Transformer(config, P + 1, P, 3, seed=seed).requires_grad_(False)


@pytest.fixture
def build(waves):
    def build(multipliers=(1, 1), phases=PHASES, frequencies=KEYS, p=P, **options):
        formula = waves(p, frequencies, multipliers, phases=phases)
        return planted.from_formula(formula, **{"embedding_phases": THETA[: len(frequencies)], **options})

    return build


# ---- phases ----


def test_every_phase_of_a_square_neuron_is_the_planted_one(build, turn):
    for multipliers in [(1, 1), (1, -1), (-1, 1), (-1, -1)]:
        alpha, beta = multipliers
        found = neurons.describe(build(multipliers), TASK if beta > 0 else SUB, multipliers)
        for t, (k, theta, phase) in enumerate(zip(KEYS, THETA, PHASES, strict=True)):
            for j, phi in enumerate(QUARTERS):
                for sign in (0, 1):  # the sum of the two waves, and their difference
                    i = 8 * t + 2 * j + sign
                    assert found.frequency[i] == k
                    # cos(alpha (w a + theta) + phi) = cos(w a + theta + alpha phi)
                    a, b = theta + alpha * phi, theta + beta * phi + math.pi * sign
                    c = (alpha + beta) * theta + 2 * phi - phase + math.pi * sign
                    for name, angle in (("phase_a", a), ("phase_b", b), ("phase_out", c), ("phase_error", phase)):
                        assert turn(getattr(found, name)[i].item() - angle) == pytest.approx(0, abs=1e-9), name
                    assert found.alignment[i].item() == pytest.approx(math.cos(phase))


def test_input_and_output_disagree_where_the_other_combination_is_asked_for(build):
    assert neurons.describe(build(phases=(0.0, 0.0)), TASK, (1, -1)).alignment.min() < -0.5


# ---- frequencies ----


def test_relu_neurons_with_one_kink_are_of_a_single_frequency(build):
    found = neurons.describe(build(act="relu", hinges=1, p=23), miii.ModularAddition(p=23).build())
    assert found.share.min() > 0.95  # harmonics have the rest
    assert found.single_frequency == 1
    assert {k: members.tolist() for k, members in found.clusters().items()} == {
        2: list(range(16)),
        4: list(range(16, 32)),
    }


def test_a_neuron_of_two_frequencies_is_in_no_cluster(build):
    model, task = build(act="relu", hinges=1, p=23), miii.ModularAddition(p=23).build()
    W_in = model.blocks[0].W_in
    W_in[:, 3] += W_in[:, 16]  # one that reads 2 now reads 4 as much
    W_in[:, 20] += 0.1 * W_in[:, 0]  # and one that reads 4 hears a little of 2
    found = neurons.describe(model, task)
    assert 0.3 < found.share[3] < 0.6
    assert found.single_frequency == pytest.approx(31 / 32)
    assert [len(members) for members in found.clusters().values()] == [15, 16]


def test_shares_of_the_last_block_s_neurons_are_numpy_s():
    for n_layers in [1, 2]:
        model = random_network(n_layers)
        found = neurons.describe(model, TASK)
        post = grid.activations(model, TASK, f"{n_layers - 1}.mlp_post").view(P, P, -1).double().numpy()
        variance = post.var((0, 1))
        assert found.alive.tolist() == (variance > 1e-6 * variance.max()).tolist()
        for i in found.alive.nonzero()[:, 0].tolist():
            power = np.abs(np.fft.fft2(post[:, :, i])) ** 2
            power[0, 0] = 0
            same = [
                sum(power[x, y] for x in (0, k, P - k) for y in (0, k, P - k)) / power.sum()
                for k in range(1, P // 2 + 1)
            ]
            assert found.frequency[i] == np.argmax(same) + 1
            assert found.share[i].item() == pytest.approx(max(same), rel=1e-4)
        assert found.alive.sum() > 10


def test_power_is_the_mean_over_the_live_neurons():
    def only(i):
        """The first network with all neurons dead but these."""
        model = random_network(act="gelu")
        kept = torch.zeros(20).index_fill(0, torch.tensor(i), 1)
        model.blocks[0].W_in *= kept
        return neurons.describe(model, TASK)

    three, each = only([0, 4, 7]), [only([i]) for i in (0, 4, 7)]
    assert [found.dead for found in (three, *each)] == [17, 19, 19, 19]
    torch.testing.assert_close(three.power, sum(found.power for found in each) / 3)
    assert [found.power.max() for found in each] == [found.share.max() for found in each]


def test_power_over_training_has_a_row_for_each_network(build):
    models = [random_network(seed=1), build(), random_network(seed=2)]
    found = neurons.power_over_training(models, TASK)
    torch.testing.assert_close(found, torch.stack([neurons.describe(model, TASK).power for model in models]))


# ---- the dead ----


def test_dead_neurons_are_counted_and_left_out(build):
    for act in ["square", "relu"]:
        live, more = (neurons.describe(build(act=act, hinges=1, dead_neurons=n), TASK) for n in (0, 7))
        assert (live.dead, more.dead) == (0, 7)
        assert not more.alive[-7:].any()
        for name in ("frequency", "share", "alignment"):
            assert getattr(more, name)[-7:].abs().max() == 0
        assert more.single_frequency == live.single_frequency
        torch.testing.assert_close(more.power, live.power)
        assert [len(m) for m in more.clusters().values()] == [len(m) for m in live.clusters().values()]


def test_a_neuron_is_dead_below_a_millionth_of_the_largest_variance(build):
    model = build()
    model.blocks[0].W_in[:, 1] *= 0.1  # its square is a hundredth, its variance a ten thousandth
    model.blocks[0].W_in[:, 2] *= 0.03
    found = neurons.describe(model, TASK)
    assert found.alive[:3].tolist() == [True, True, False]


def test_neurons_that_fire_alike_for_every_pair_are_dead():
    model = random_network()
    model.blocks[0].W_V.zero_()  # "=" hears nothing of a and b
    found = neurons.describe(model, TASK)
    assert grid.neuron_inputs(model, TASK).abs().max() > 0.1
    assert found.dead == 20
    assert (found.single_frequency, found.clusters()) == (0.0, {})
    assert torch.equal(found.power, torch.zeros(5).double())
