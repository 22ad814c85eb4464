"""Formulas and networks whose truth is known, because it was planted."""

import math
from collections.abc import Callable, Sequence

import pytest
import torch

import miii
from miii.analysis.modular.formula import Formula, Term


@pytest.fixture(scope="session")
def waves() -> Callable[..., Formula]:
    """A formula of waves in alpha a + beta b - c, one of each frequency."""

    def build(
        p: int,
        frequencies: Sequence[int],
        multipliers: tuple[int, int] = (1, 1),
        amplitudes: Sequence[float] = (10.0, 8.0, 9.0),
        phases: Sequence[float] = (0.0, 0.0, 0.0),
    ) -> Formula:
        def centered(k: int) -> int:
            return k % p - p if 2 * (k % p) > p else k % p

        (alpha, beta), n = multipliers, len(frequencies)
        each = zip(frequencies, amplitudes[:n], phases[:n], strict=True)
        return Formula(p, tuple(Term(centered(alpha * k), centered(beta * k), k, size, phi) for k, size, phi in each))

    return build


@pytest.fixture(scope="session")
def noisy() -> Callable[..., miii.Transformer]:
    """The network with Gaussian noise on every weight matrix, whose norm is the matrix' own divided by ``ratio``."""

    def disturb(model: miii.Transformer, ratio: float, seed: int) -> miii.Transformer:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for weight in model.parameters():
                noise = torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
                weight += noise * (weight.norm() / noise.norm() / ratio)
        return model

    return disturb


@pytest.fixture(scope="session")
def turn() -> Callable[[float], float]:
    """An angle in radians, brought to -pi .. pi."""
    return lambda angle: math.remainder(angle, 2 * math.pi)
