"""The mixers against loops, and against torch's own."""

import pytest
import torch

from miii.model.config import ModelConfig
from miii.model.mixers import BLOCK_TYPES, uniform
from miii.model.tap import capture, identity
from miii.model.transformer import Transformer
from miii.model.where import ALL_POSITIONS
from miii.model.wiring import MIXERS

N = 7
EITHER = pytest.mark.parametrize("causal", [True, False])


def block_of(mixer, causal=True):
    config = ModelConfig(d_model=6, n_heads=2, d_mlp=9, mixer=mixer, causal=causal)
    return Transformer(config, 8, 7, N, seed=0).double().requires_grad_(False).blocks[0]


def values(seed=1, batch=4):
    return torch.randn(batch, N, 2, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def mixed(block, v):
    return block.mix(
        v, torch.full((len(v), v.shape[1], 6), torch.nan), identity, ALL_POSITIONS
    )  # nothing but v is read


def test_every_mixer_has_a_type_of_block():
    assert list(BLOCK_TYPES) == list(MIXERS)


@EITHER
def test_a_convolution_is_the_sum_written_out(causal):
    block, v = block_of("convolution", causal), values()
    found, first = mixed(block, v), 0 if causal else N - 1
    for i in range(N):
        expected = sum(block.W_conv[..., i - j + first] * v[:, j] for j in range(i + 1 if causal else N))
        torch.testing.assert_close(found[:, i], expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(mixed(block, v[:, :3]), found[:, :3]) if causal else None


def test_a_convolution_is_torch_s():
    block, v = block_of("convolution"), values()
    signal = torch.nn.functional.pad(v.flatten(2).mT, (N - 1, 0))
    expected = torch.nn.functional.conv1d(signal, block.W_conv.flatten(0, 1).flip(-1)[:, None], groups=6)
    torch.testing.assert_close(mixed(block, v).flatten(2).mT, expected)


@EITHER
def test_the_product_of_spectra_is_the_convolution(causal):
    direct, spectra = block_of("convolution", causal), block_of("fourier-convolution", causal)
    assert torch.equal(direct.W_conv, spectra.W_conv)
    for n in (1, 4, N):
        v = values()[:, :n]
        torch.testing.assert_close(mixed(spectra, v), mixed(direct, v), rtol=1e-6, atol=1e-6)


def test_a_scan_is_the_recurrence_step_by_step():
    block, v = block_of("recurrence"), values()
    found, state = mixed(block, v), torch.zeros(4, 2, 3, dtype=torch.float64)
    decay = torch.sigmoid(block.decay)
    assert 0 < decay.min() < 0.5 < 0.9 < decay.max() < 1
    for i in range(N):
        state = decay * state + v[:, i]
        torch.testing.assert_close(found[:, i], state, rtol=1e-12, atol=1e-12)


def test_the_gated_unit_is_its_equations():
    block, v = block_of("gru"), values()
    with torch.no_grad():
        for weight in block.gru.parameters():
            weight.copy_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    found, h = mixed(block, v).flatten(2), torch.zeros(4, 6, dtype=torch.float64)
    W, U = block.gru.weight_ih_l0.view(3, 6, 6), block.gru.weight_hh_l0.view(3, 6, 6)
    b, c = block.gru.bias_ih_l0.view(3, 6), block.gru.bias_hh_l0.view(3, 6)
    for i in range(N):
        x = v[:, i].flatten(1)
        r, z = (torch.sigmoid(x @ W[g].T + b[g] + h @ U[g].T + c[g]) for g in (0, 1))
        new = torch.tanh(x @ W[2].T + b[2] + r * (h @ U[2].T + c[2]))
        h = (1 - z) * new + z * h
        torch.testing.assert_close(found[:, i], h)


@EITHER
def test_the_mean_is_the_mean_of_the_visible_values(causal):
    block, v = block_of("mean", causal), values()
    for i in range(N):
        torch.testing.assert_close(mixed(block, v)[:, i], v[:, : i + 1 if causal else N].mean(1))


def test_the_mean_is_the_attention_of_zero_queries():
    config = ModelConfig(d_model=6, n_heads=2, d_mlp=9)
    model = Transformer(config, 8, 7, N, seed=0).requires_grad_(False)
    model.blocks[0].W_Q.zero_()
    tokens = torch.randint(8, (4, N), generator=torch.Generator().manual_seed(1))
    pattern = capture(model, tokens, {"0.pattern"})["0.pattern"]
    torch.testing.assert_close(pattern, uniform(N, True, pattern).expand_as(pattern))
