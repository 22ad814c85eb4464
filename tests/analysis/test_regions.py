"""Linear regions: lines whose arrangement is known, and counts that agree with a fine grid."""

import pytest
import torch

import miii
from miii.analysis import planted, regions, sieve
from miii.errors import InputError

P = 13


def test_lines_through_a_window_and_a_circle():
    """x = 0, y = 0, x + y = 1 make seven regions; x = 5 misses the window."""
    c, u, v = (torch.tensor(each) for each in ([0.0, 0, -1, -5], [1.0, 0, 1, 1], [0.0, 1, 1, 0]))
    found = regions.Lines(c, u, v)
    assert found.regions_in_window((-2, 2), (-2, 2)) == 7
    assert found.regions_in_window((-2, -0.1), (-2, -0.1)) == 1
    assert found.regions_in_window((-0.5, 0.25), (-0.5, 0.25)) == 4
    assert found.bends_on_circle().tolist() == [True, True, True, False]
    assert found.regions_of_circle().item() == 6
    assert found.regions_of_circle(0.5).item() == 4
    assert regions.Lines(c[3:], u[3:], v[3:]).regions_of_circle().item() == 1


def test_the_count_is_that_of_a_fine_grid():
    config = miii.ModelConfig(d_model=6, n_heads=1, d_mlp=5)
    for seed in range(3):
        model = miii.Transformer(config, 5, 5, 3, seed=seed)
        generator = torch.Generator().manual_seed(seed)
        origin, directions = torch.randn(6, generator=generator) / 9, torch.randn(2, 6, generator=generator)
        axis = torch.linspace(-1, 1, 500)
        at = torch.cartesian_prod(axis, axis)
        on = (origin + at @ directions) @ model.blocks[0].W_in > 0
        count = regions.lines(model, origin, directions).regions_in_window((-1, 1), (-1, 1))
        assert count == len((on * 2 ** torch.arange(5)).sum(1).unique())
        assert count > 4


def test_only_the_circles_of_a_network_bend(waves):
    task = miii.ModularAddition(p=P).build()
    model = planted.from_formula(waves(P, (2, 5)), act="relu")
    for operand in ("a", "b"):
        found, radius = regions.of_circles(model, task, operand)
        assert [k for k, count in enumerate(found.tolist(), 1) if count > 1] == [2, 5]
        assert (radius > 1e-3).nonzero().flatten().tolist() == [1, 4]
    for other in (
        planted.from_formula(waves(P, (2,))),
        miii.Transformer.of(miii.ModelConfig(block="pre-norm"), task, 0),
    ):
        with pytest.raises(InputError, match=r"act must be relu|plain blocks"):
            regions.of_circles(other, task)


def test_the_plane_of_residues_holds_the_totals():
    """Vectors of the three residues are the corners of a triangle; the neurons bend halfway between two totals."""
    config = miii.Primes(low=1000, high=9999, tokens="place")
    task = config.build()
    model = miii.Transformer(miii.ModelConfig(d_model=8, n_heads=1, d_mlp=2), 41, 2, 5).requires_grad_(False)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        block = model.blocks[0]
        digits = torch.arange(40) % 10
        model.W_E[torch.arange(40), digits % 3] = 1
        block.W_V[0, :3, :3], block.W_O[0, :3, 3:6] = torch.eye(3), 5 * torch.eye(3)
        block.W_in[3, 0], block.W_in[4, 1], block.b_in[:] = 1, 1, torch.tensor([-1.5, -1.5])
        block.W_out[0, 6], model.W_U[6, 1] = 1, 1
    fitted, held_out = (sieve.sum_of_split(model, task, config, side) for side in (True, False))
    window = regions.of_residue_plane(model, fitted, held_out)
    assert (window.regions, window.neurons) == (4, 2)
    apart = torch.cdist(window.totals, window.totals)
    steps = torch.cdist(window.counts, window.counts)
    torch.testing.assert_close(apart, steps, rtol=1e-3, atol=1e-3)
    assert window.evidence.min() == 0
    assert window.evidence.max() > 1
    with pytest.raises(InputError, match="q must be at least 3"):
        regions.of_residue_plane(model, fitted, held_out, q=2)
