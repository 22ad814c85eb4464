"""Train the networks of many points at once, as one program of matrix products without autograd.

The hidden layer of all networks is one product of their stacked input weights with the shared data. The gradients are
written by hand, with tanh(u) = 2 sigmoid(2u) - 1, since the sigmoid is three times as fast.
"""

import math
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.landscape.view import CONDITIONS, Points, Problem, View, problem

CHUNK: Final = 2**18  #: activations of the networks trained together, some 64 of the paper's; they stay in the cache
EVERY: Final = 20  #: steps between looks for diverged networks
LAST: Final = 20  #: final steps whose mean loss decides
MOST: Final = 1e6  #: largest relative loss that counts
GONE: Final = 1e30  #: relative loss from which on no network came back, except on one data point: those train on


class Networks:
    """Networks that train together: weights, learning rates and the program of a step."""

    def __init__(self, view: View, shared: Problem, points: Points) -> None:
        condition, width = CONDITIONS[view.condition], view.width
        self.kind, self.width, self.batches = condition.activation, width, shared.batches
        dtype = getattr(torch, view.precision)
        x, y = (torch.from_numpy(10.0**values).to(dtype) for values in points)
        self.rate0, self.rate1 = (x, y) if condition.offset == "none" else (y, y)
        self.first = shared.first.T.to(dtype)[:, None].repeat(1, len(x), 1)  # input, network, unit
        self.second = shared.second.to(dtype).repeat(len(x), 1)
        self.drift = x[:, None] if condition.offset == "steps" else None
        if condition.offset == "once":
            self.first += x[:, None]
        gain = {"tanh": 8.0, "relu": 2.0, "identity": 1.0}[self.kind] / width
        self.inputs = (shared.inputs * gain**0.5).to(dtype).T.contiguous()
        self.targets = shared.targets.to(dtype)
        self._limit = 0.98 * math.log(
            torch.finfo(dtype).max
        )  # beyond it, the sigmoid is 0 or 1 and takes twice the time
        largest = max(len(self.targets), condition.batch or 0)
        self._buffers = torch.empty(2, len(x) * width * largest, dtype=dtype)

    def step(self, number: int) -> Float[Tensor, " point"]:
        """Take one step of gradient descent and return the losses before it."""
        n, width, data = len(self.second), self.width, len(self.targets)
        tanh, inputs = self.kind == "tanh", self.inputs
        if self.drift is not None:
            self.first += self.drift
        hidden, slopes = (buffer[: n * width * data].view(n * width, data) for buffer in self._buffers)
        torch.mm(self.first.view(width, n * width).T, inputs, out=hidden)
        if tanh:
            hidden.clamp_(-self._limit, self._limit).sigmoid_()
        elif self.kind == "relu":
            hidden.relu_()
        units = hidden.view(n, width, data)
        residuals = torch.bmm(self.second[:, None], units)
        if tanh:
            residuals = 2 * residuals - self.second.sum(1)[:, None, None]
        residuals = residuals / width - self.targets
        losses = residuals.square().mean((1, 2))
        if self.batches is not None:
            chosen = self.batches[number]
            residuals, inputs, units = residuals[..., chosen], inputs[:, chosen], units[..., chosen]
            data = len(chosen)
            hidden = units.view(n * width, data)
            slopes = self._buffers[1, : hidden.numel()].view_as(hidden)
        second = torch.bmm(units, residuals.mT)[..., 0]
        if tanh:
            second = 2 * second - residuals.sum(2)
            torch.addcmul(hidden, hidden, hidden, value=-1, out=slopes)
        elif self.kind == "relu":
            torch.sign(hidden, out=slopes)
        else:
            slopes.fill_(1)
        slopes.view(n, width, data).mul_(residuals)
        first = torch.mm(inputs, slopes.T).view(width, n, width)
        scale = 2 / (data * width)
        first *= self.second * ((2 if tanh else 1) * scale * self.rate0)[:, None]
        self.first -= first
        self.second -= second * (scale * self.rate1)[:, None]
        return losses

    def keep(self, which: Bool[Tensor, " point"]) -> None:
        """Drop the other networks."""
        self.first, self.second = self.first[:, which], self.second[which]
        self.rate0, self.rate1 = self.rate0[which], self.rate1[which]
        self.drift = None if self.drift is None else self.drift[which]


def measure(view: View, shared: Problem, points: Points) -> Float[np.ndarray, " point"]:
    """Train networks and return how fast each converges (negative) or diverges (positive).

    With the loss relative to the first one, v, cut at a million: the network converged if the mean of the last twenty
    is below 1. The measure is then minus the sum of v over steps, and otherwise the sum of 1 / v.
    Source: Sohl-Dickstein 2024, section 3.2.
    """
    count = len(points.x)
    networks = Networks(view, shared, points)
    sums, inverse, last = (torch.zeros(count, dtype=torch.float64) for _ in range(3))
    where, start = torch.arange(count), torch.ones(0)
    gone = math.inf if CONDITIONS[view.condition].data == "one" else GONE
    for step in range(view.steps):
        losses = networks.step(step).double()
        if step == 0:
            start = losses.clone()
        relative = losses / start[where]
        cut = relative.nan_to_num(MOST, MOST, MOST).clamp_(max=MOST)
        sums[where] += cut
        inverse[where] += 1 / cut
        if step >= view.steps - LAST:
            last[where] += cut
        if step % EVERY == EVERY - 1 and step < view.steps - 1:
            here = relative < gone  # not a number: no
            if not here.all():
                out, left = where[~here], view.steps - 1 - step
                sums[out] += MOST * left
                inverse[out] += left / MOST
                last[out] += MOST * min(left, LAST)
                where = where[here]
                networks.keep(here)
                if not len(where):
                    break
    return torch.where(last / LAST < 1, -sums, inverse).numpy()


def losses(view: View, x: float, y: float) -> Float[np.ndarray, " step"]:
    """Return the loss of one network before each step, relative to the first; not cut."""
    networks = Networks(view, problem(view), Points(np.array([x]), np.array([y])))
    found = torch.stack([networks.step(step)[0] for step in range(view.steps)]).double()
    return (found / found[0]).numpy()
