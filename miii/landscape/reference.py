"""The same training in plain autograd, one network at a time: slow, and what the fast program is tested against."""

import numpy as np
import torch
from jaxtyping import Float

from miii.landscape.training import LAST, MOST
from miii.landscape.view import CONDITIONS, Points, View, problem


def measure(view: View, points: Points) -> Float[np.ndarray, " point"]:
    """Return what ``training.measure`` returns, with torch's tanh and torch's gradients in float64."""
    return np.array([_measure(curve(view, x, y)) for x, y in zip(points.x, points.y, strict=True)])


def curve(view: View, x: float, y: float) -> Float[np.ndarray, " step"]:
    """Return the loss of one network before each step."""
    condition, shared, width = CONDITIONS[view.condition], problem(view), view.width
    first, second = shared.first.T.clone(), shared.second[:, None].clone()
    horizontal, vertical = 10.0**x, 10.0**y
    rates = (horizontal, vertical) if condition.offset == "none" else (vertical, vertical)
    if condition.offset == "once":
        first += horizontal

    def loss(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        before = inputs @ first / width**0.5
        act = {"identity": lambda z: z, "relu": lambda z: 2**0.5 * z.relu(), "tanh": lambda z: (2**0.5 * z).tanh()}
        out = act[condition.activation](before) @ second / width**0.5 / width**0.5
        return (out[:, 0] - targets).square().mean()

    found = []
    for step in range(view.steps):
        if condition.offset == "steps":
            first = first.detach() + horizontal
        first, second = first.detach().requires_grad_(), second.detach().requires_grad_()
        whole = loss(shared.inputs, shared.targets)
        found.append(whole.item())
        if shared.batches is not None:
            whole = loss(shared.inputs[shared.batches[step]], shared.targets[shared.batches[step]])
        whole.backward()
        assert first.grad is not None
        assert second.grad is not None
        with torch.no_grad():
            first, second = first - rates[0] * first.grad, second - rates[1] * second.grad
    return np.array(found)


def _measure(values: Float[np.ndarray, " step"]) -> float:
    relative = values / values[0]
    relative = np.where(np.isfinite(relative), np.minimum(relative, MOST), MOST)
    return float(-relative.sum() if relative[-LAST:].mean() < 1 else (1 / relative).sum())
