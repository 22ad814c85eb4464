"""The lookup is the convolution; the network reads sequences; what cannot be is one sentence."""

import torch
from torch.nn.functional import conv3d

from miii.sparse import encoding
from miii.sparse.network import GridConfig, GridConvolution, build, evidence

TINY = {"side": 6, "kernel": 3, "n_train": 100, "n_test": 100, "length": 4, "d_model": 8, "n_heads": 2}


def dense(s: int, side: int) -> torch.Tensor:
    """The grid itself."""
    grid = torch.zeros(side, side, side)
    grid[s // side**2, s % side**2 // side, s % side] = 1
    return grid


def agrees(s: int, kernel: int, side: int) -> None:
    """Convolve the whole grid, and look up: the same at the patch with the 1, the bias at all others."""
    convolution = GridConvolution(kernel, 4)
    with torch.no_grad():
        convolution.bias += torch.randn(4)
        whole = conv3d(dense(s, side)[None, None], convolution.weight(), convolution.bias, stride=kernel)[0]
        patch, entry = encoding.patches(torch.tensor([s]), kernel, side)
        found = convolution(entry)[0]
    x, y, z = patch[0].tolist()
    torch.testing.assert_close(whole[:, x, y, z], found)
    others = torch.ones(whole.shape[1:], dtype=torch.bool)
    others[x, y, z] = False
    bias = convolution.bias.detach()[:, None].expand(4, int(others.sum()))
    torch.testing.assert_close(whole[:, others], bias)
    assert not torch.allclose(found, convolution.bias)


def test_the_lookup_is_the_convolution_of_a_small_grid():
    for kernel in [1, 2, 3, 6]:
        torch.manual_seed(0)
        for s in range(0, 216, 5):
            agrees(s, kernel, 6)


def test_the_lookup_is_the_convolution_of_the_paper_s_grid():
    for s, kernel in [(1_234_567, 5), (3_374_999, 15)]:
        torch.manual_seed(0)
        agrees(s, kernel, 150)


def test_the_gradient_reaches_the_entry_alone():
    convolution = GridConvolution(3, 4)
    convolution(torch.tensor([7])).sum().backward()
    gradient = convolution.kernel.grad
    assert gradient is not None
    assert gradient.abs().sum(1).nonzero().flatten().tolist() == [7]


def test_evidence_is_the_difference_of_logits_sequence_after_sequence():
    config = GridConfig(**TINY)
    network = build(config)
    found = evidence(network, 10, 20)  # two sequences of 4 and one of 2
    for first, last in ((10, 14), (14, 18), (18, 20)):
        logits = network(torch.arange(first, last)[None])[0].detach()
        torch.testing.assert_close(found[first - 10 : last - 10], logits[:, 1] - logits[:, 0])


def test_neighbors_are_read_together():
    network = build(GridConfig(**TINY))
    s = torch.arange(20, 24)[None]
    other = s.clone()
    other[0, 3] = 90
    assert not torch.allclose(network(s)[0, 0], network(other)[0, 0])


def test_initial_weights_come_from_the_seed_and_leave_torch_as_it_was():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, same, other = (build(GridConfig(**TINY, seed=seed)).state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(first[name], same[name]) for name in first)
    assert not torch.equal(first["convolution.kernel"], other["convolution.kernel"])


def test_logits_that_are_not_finite_are_one_sentence(one_sentence):
    network = build(GridConfig(**TINY))
    with torch.no_grad():
        network.convolution.bias.fill_(torch.nan)
    with one_sentence("logits must be finite"):
        evidence(network, 10, 20)


def test_bad_input_is_one_sentence(one_sentence):
    for change, words in [
        ({"side": 1}, ["side must be at least 2", "got 1"]),
        ({"side": 201}, ["side must be", "at most 200"]),
        ({"low": 1}, ["low must be at least 2", "got 1"]),
        ({"n_train": 0}, ["n_train must be at least 10", "got 0"]),
        ({"n_test": 0}, ["n_test must be at least 10", "got 0"]),
        ({"kernel": 7}, ["kernel must divide side", "1, 2, 3, 5, 6, 10, 15, 25, 30, 50, 75, 150", "got 7"]),
        ({"kernel": 0}, ["kernel must be at least 1"]),
        ({"n_heads": 5}, ["n_heads must divide d_model", "5 and 64"]),
        ({"n_train": 3_000_000, "n_test": 500_000}, ["n_train and n_test", "3,375,000 cells", "got 3,500,002"]),
        ({"length": 50, "n_train": 20}, ["length must be at most n_train", "got 50"]),
        ({"sides": 3}, ["sides is not a known field"]),
    ]:
        with one_sentence(*words):
            GridConfig(**change)


def test_the_whole_grid_can_be_asked_for():
    config = GridConfig(n_train=2_374_998, n_test=1_000_000)
    assert config.end == 150**3
