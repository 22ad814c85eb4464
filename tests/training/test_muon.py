"""Muon in float32 against the iteration written out, and against torch's own in bfloat16."""

import itertools

import torch

from miii.training.muon import Orthogonal, orthogonalize

SHAPES = [(8, 8), (8, 32), (32, 8), (1, 7), (7, 1), (128, 512), (512, 128)]


def random(shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def written_out(matrix):
    """Jordan et al.'s loop as it is printed: X <- a X + (b A + c A A) X with A = X X^T, five times."""
    X = matrix / matrix.norm()
    if X.shape[0] > X.shape[1]:
        X = X.T
    for _ in range(5):
        A = X @ X.T
        X = 3.4445 * X + (-4.7750 * A + 2.0315 * A @ A) @ X
    return X.T if matrix.shape[0] > matrix.shape[1] else X


def test_the_steps_on_the_gram_matrix_are_the_steps_on_the_matrix():
    for shape in SHAPES:
        matrix = random(shape, dtype=torch.float64)
        torch.testing.assert_close(orthogonalize(matrix), written_out(matrix), rtol=1e-8, atol=1e-8)


def test_float32_is_enough():
    for shape in SHAPES:
        matrix = random(shape)
        result = orthogonalize(matrix)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result.double(), written_out(matrix.double()), rtol=0, atol=2e-5)


def test_singular_values_come_near_one_and_singular_vectors_stay():
    for smallest, shape in itertools.product([1.0, 0.1, 0.01], [(16, 16), (16, 64), (64, 16)]):
        U, _, Vh = torch.linalg.svd(random(shape, dtype=torch.float64), full_matrices=False)
        values = torch.linspace(1, smallest, 16, dtype=torch.float64)
        turned = U.T @ orthogonalize(U @ values.diag() @ Vh) @ Vh.T
        assert 0.65 < turned.diagonal().min() <= turned.diagonal().max() < 1.25
        torch.testing.assert_close(turned, turned.diagonal().diag(), rtol=0, atol=1e-10)


def test_the_size_of_a_gradient_does_not_matter():
    for factor in [1e-3, 1e4]:
        matrix = random((8, 32))
        torch.testing.assert_close(orthogonalize(factor * matrix), orthogonalize(matrix), rtol=0, atol=1e-5)


def test_a_gradient_of_zero_moves_nothing():
    assert torch.equal(orthogonalize(torch.zeros(4, 6)), torch.zeros(4, 6))


def test_the_update_is_torch_s_on_the_transposed_matrix_to_its_rounding():
    """torch's weights are [out, in], ours [in, out]: a step is larger where there are more outputs than inputs."""
    for shape in [(8, 8), (8, 32), (32, 8)]:
        options = {"lr": 0.1, "weight_decay": 0.5, "momentum": 0.8}
        ours, theirs = (torch.nn.Parameter(random(shape)) for _ in range(2))
        theirs.data = theirs.data.T.contiguous()
        mine, torch_s = Orthogonal([ours], **options), torch.optim.Muon([theirs], **options)
        for seed in range(1, 6):
            before = ours.detach().clone()
            with torch.no_grad():
                theirs.copy_(ours.T)
            ours.grad, theirs.grad = random(shape, seed), random(shape, seed).T
            mine.step()
            torch_s.step()
            moved, expected = ours.detach() - before, theirs.detach().T - before
            # bfloat16 has eight bits, and five steps multiply what they round off
            assert (moved - expected).norm() < 0.02 * expected.norm()
            buffers = mine.state[ours]["momentum_buffer"], torch_s.state[theirs]["momentum_buffer"].T
            torch.testing.assert_close(*buffers)


def test_other_momentum_is_outside_the_tolerance():
    """The tolerance above is no wider than it must be: each of these is outside it."""
    ours, theirs = (torch.nn.Parameter(torch.zeros(32, 32)) for _ in range(2))
    mine = Orthogonal([ours], lr=0.1, weight_decay=0.0, momentum=0.8)
    for other in ({"nesterov": False, "momentum": 0.8}, {"momentum": 0.6}):
        torch_s = torch.optim.Muon([theirs], lr=0.1, weight_decay=0.0, **other)
        for seed in (1, 2):
            with torch.no_grad():
                theirs.copy_(ours)
            before = ours.detach().clone()
            ours.grad, theirs.grad = random((32, 32), seed), random((32, 32), seed)
            mine.step()
            torch_s.step()
        assert (ours - theirs).norm() > 0.05 * (ours - before).norm()


def test_one_step_written_out():
    matrix, grads = torch.nn.Parameter(random((8, 32))), [random((8, 32), seed) for seed in (1, 2)]
    optimizer = Orthogonal([matrix], lr=0.1, weight_decay=0.5, momentum=0.8)
    expected, velocity = matrix.detach().double(), torch.zeros(8, 32, dtype=torch.float64)
    for grad in grads:
        matrix.grad = grad.clone()
        optimizer.step()
        velocity = 0.8 * velocity + 0.2 * grad.double()
        update = written_out(0.2 * grad.double() + 0.8 * velocity)
        expected = (1 - 0.1 * 0.5) * expected - 0.1 * 2.0 * update  # four outputs per input: twice the step
    torch.testing.assert_close(matrix.detach().double(), expected, rtol=0, atol=1e-4)
