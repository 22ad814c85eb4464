"""A random network whose parts all matter."""

from collections.abc import Callable

import pytest
import torch

import miii


@pytest.fixture(scope="session")
def random_model() -> Callable[..., miii.Transformer]:
    """Random weights and biases in float64, large enough that every part matters."""

    def build(n_layers: int = 1, p: int = 5, biases: str = "all") -> miii.Transformer:
        config = miii.ModelConfig(n_layers=n_layers, d_model=8, n_heads=2, d_mlp=12, biases=biases)
        model = miii.Transformer(config, p + 1, p, 3, seed=n_layers).double().requires_grad_(False)
        generator = torch.Generator().manual_seed(1)
        for weight in model.parameters():
            weight += torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 5
        return model

    return build
