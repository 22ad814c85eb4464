"""The audit: its own network is the network, its measures are right, and a wrong claim is noticed."""

import ast
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

import miii
from benchmarks.audit import addition, claims, primes, sequences
from miii import metrics

FOLDER = Path(claims.__file__).parent


def test_nothing_comes_from_the_analyses():
    for path in FOLDER.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                assert not [name for name in names if name.startswith(("miii.analysis", "miii.model", "miii.metrics"))]


def test_its_forward_pass_is_the_model():
    relu = lambda x: np.maximum(x, 0)  # noqa: E731
    cases = (
        {"n_layers": 2, "biases": "all"},
        {"causal": False, "biases": "none"},
        {"positions": "none"},
        {"positions": "frames"},
    )
    for changes in cases:
        config = miii.ModelConfig(**{"d_model": 12, "n_heads": 3, "d_mlp": 10} | changes)
        model = miii.Transformer(config, 7, 5, 6, seed=0, frame=3).double()
        with torch.no_grad():
            for name, weight in model.named_parameters():
                if name.split(".")[-1].startswith("b_"):
                    weight += torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(name)))
        weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
        network = claims.Network(weights, config.n_layers, config.causal, relu)
        tokens = torch.randint(7, (20, 6), generator=torch.Generator().manual_seed(1))
        with torch.no_grad():
            expected = model(tokens).numpy()
        np.testing.assert_allclose(network.everywhere(tokens.numpy()), expected, atol=1e-10)
        np.testing.assert_allclose(network.answer(tokens.numpy()), expected[:, -1], atol=1e-10)


def test_its_measures():
    generator = np.random.default_rng(0)
    score, positive = generator.integers(0, 9, 300) * 1.0, generator.random(300) < 0.3
    assert claims.auc(score, positive) == pytest.approx(metrics.auc(score, positive))
    n = np.arange(1000, 1100)
    assert primes.smallest_factors(n).tolist() == [min(sympy.primefactors(int(each))) for each in n]
    assert sequences.digits(np.array([907]), 4).tolist() == [[2, 11, 2, 9]]
    p, a = 13, np.arange(13)
    wave = np.cos(2 * np.pi * 3 * (a[:, None, None] + a[:, None] - a) / p).reshape(p * p, p)
    explained, agreement = addition.formula(wave, [3], p)
    assert (explained, agreement) == (pytest.approx(1), 1)
    assert addition.formula(generator.standard_normal(wave.shape), [3], p)[0] < 0.1
    total = ((a[:, None] + a) % p).ravel()
    keys = [1, 3]
    out = np.concatenate([addition.waves(k, total, p) for k in keys], 1)
    W_U = np.concatenate([addition.waves(k, a, p) for k in keys], 1).T
    assert addition.steering(out, out @ W_U, W_U, keys, total, p, moves=True).min() == 1
    assert addition.steering(out, out @ W_U, W_U, keys, total, p, moves=False).max() < 0.2


def test_a_wrong_claim_is_noticed():
    for claimed, recomputed, agrees in ((0.9, 0.9005, True), (0.9, 0.91, False), (0.9, float("nan"), False)):
        claim = claims.Claim("a share", claimed, recomputed)
        assert claim.agrees is agrees
        assert f"claimed {claimed:g}" in claim.text()


@pytest.mark.slow
def test_every_number_of_the_adder_agrees():
    found = list(addition.claims())
    assert len(found) > 10
    assert [claim.what for claim in found if not claim.agrees] == []
