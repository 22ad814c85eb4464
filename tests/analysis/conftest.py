"""Formulas and networks whose truth is known, because it was planted."""

import math
from collections.abc import Callable, Sequence
from typing import Any

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
def random_model() -> Callable[..., miii.Transformer]:
    """Random weights and biases in float64, large enough that every part matters."""

    def build(n_layers: int = 1, p: int = 5, **config: Any) -> miii.Transformer:
        shape = {"n_layers": n_layers, "d_model": 8, "n_heads": 2, "d_mlp": 12, "biases": "all"}
        model = miii.Transformer(miii.ModelConfig(**shape | config), p + 1, p, 3, seed=n_layers)
        model = model.double().requires_grad_(False)
        generator = torch.Generator().manual_seed(1)
        for weight in model.parameters():
            weight += torch.randn(weight.shape, generator=generator, dtype=torch.float64) / 5
        return model

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


@pytest.fixture(scope="session")
def renamed() -> Callable[..., miii.Transformer]:
    """A network on p numbers that treats a as ``of_operand[a]`` of a network on m, and answers c as ``of_answer[c]``.

    Numbers without a counterpart (-1) have an embedding of zeros, and a logit of 0.
    """

    def build(
        model: miii.Transformer, of_operand: Sequence[int], of_answer: Sequence[int] | None = None
    ) -> miii.Transformer:
        p, state = len(of_operand), model.state_dict()
        rows, columns = torch.tensor(of_operand), torch.tensor(of_answer or of_operand)
        W_E = torch.where(rows[:, None] >= 0, state["W_E"][rows], 0)
        state["W_E"] = torch.cat([W_E, state["W_E"][-1:]])
        state["W_U"] = torch.where(columns >= 0, state["W_U"][:, columns], 0)
        new = miii.Transformer(model.config, p + 1, p, 3).to(W_E.dtype)
        new.load_state_dict(state)
        return new.requires_grad_(False)

    return build
