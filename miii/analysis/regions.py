"""Linear regions: a ReLU network is linear wherever its neurons keep their signs; count where they change.

The last block's neurons read ``resid_mid`` linearly, so on a plane of ``resid_mid`` each neuron changes its sign along
one straight line. Regions are therefore counted exactly, not on a grid.
"""

import math
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.modular import grid
from miii.analysis.modular.fourier import basis
from miii.analysis.sieve.sums import Sum, means, subspace
from miii.errors import InputError
from miii.model.transformer import Transformer
from miii.tasks import Task
from miii.tasks.integers import count_residues

TINY = 1e-6  #: smaller activations are rounding errors
MARGIN = 0.15  #: how far a plane's window extends beyond the totals, as a share of their range


@dataclass(frozen=True)
class Lines:
    """Where neurons change their sign on a plane: c + x u + y v = 0, with coordinates x and y.

    Attributes:
        c, u, v: one entry per neuron; leading axes are different planes.
    """

    c: Float[Tensor, "*planes d_mlp"]
    u: Float[Tensor, "#*planes d_mlp"]
    v: Float[Tensor, "#*planes d_mlp"]

    def bends_on_circle(self, radius: float | Tensor = 1.0) -> Bool[Tensor, "*planes d_mlp"]:
        """Return which neurons change their sign on the circle around (0, 0): each does so at two points."""
        return self.c.abs() + TINY < radius * (self.u.square() + self.v.square()).sqrt()

    def regions_of_circle(self, radius: float | Tensor = 1.0) -> Float[Tensor, "*planes"]:
        """Return the number of arcs on which all neurons keep their signs; 1 if none changes.

        Source: Prince 2023, *Understanding Deep Learning*, section 3.3.
        """
        return (2 * self.bends_on_circle(radius).sum(-1)).clamp(min=1).float()

    def regions_in_window(self, x: tuple[float, float], y: tuple[float, float]) -> int:
        """Return the number of regions of a rectangle: 1 + lines that cross it + their crossings inside it.

        Leading axes are not allowed. Lines are in general position with probability 1.

        Source: Zaslavsky 1975, theorem A, on a convex window.
        """
        c, u, v = (each.double() for each in (self.c, self.u, self.v))
        corners = torch.stack([c + a * u + b * v for a in x for b in y])
        crosses = (corners.amin(0) < 0) & (corners.amax(0) > 0)
        c, u, v = c[crosses], u[crosses], v[crosses]
        determinant = u[:, None] * v - v[:, None] * u
        at_x = (v[:, None] * c - c[:, None] * v) / determinant
        at_y = (c[:, None] * u - u[:, None] * c) / determinant
        inside = (at_x > x[0]) & (at_x < x[1]) & (at_y > y[0]) & (at_y < y[1])
        return 1 + len(c) + int(inside.triu(1).sum())


@torch.no_grad()
def lines(
    model: Transformer, origin: Float[Tensor, "*planes d_model"], directions: Float[Tensor, "2 d_model"]
) -> Lines:
    """Return the lines of the last block's neurons on planes of ``resid_mid``.

    Raises:
        InputError: the neurons are not ReLUs, or the blocks are not plain.
    """
    if model.config.act != "relu":
        raise InputError(f"act must be relu for linear regions (got {model.config.act!r}).")
    model.config.must_be_plain("linear regions")
    block = model.blocks[-1]
    u, v = (directions.to(block.W_in.dtype) @ block.W_in).unbind(0)
    c = origin.to(block.W_in.dtype) @ block.W_in + (0.0 if block.b_in is None else block.b_in)
    shape = (1,) * (origin.ndim - 1) + u.shape
    return Lines(c, u.view(shape), v.view(shape))


@torch.no_grad()
def of_circles(
    model: Transformer, task: Task, operand: Literal["a", "b"] = "a"
) -> tuple[Float[Tensor, " frequency"], Float[Tensor, " frequency"]]:
    """Return the mean number of linear regions around each frequency's circle, and the circle's radius.

    The circle of k is where ``resid_mid`` moves with cos and sin of w_k a (its two regression directions), around the
    mean for one b; the number is a mean over b. The radius is the mean length of both directions.

    Raises:
        InputError: as ``lines``, or the task does not have all pairs of Z_p.

    Source: Prince 2023, *Understanding Deep Learning*, chapters 3 and 4; the circles are those of Nanda et al. 2023.
    """
    p = grid.modulus(task)
    resid = grid.activations(model, task, f"{len(model.blocks) - 1}.resid_mid").double().view(p, p, -1)
    resid = resid if operand == "a" else resid.transpose(0, 1)
    centers = resid.mean(0)  # by the other operand
    waves = basis(p)[1:] @ resid.mean(1) * math.sqrt(2 / p)  # cos 1, sin 1, ...: amplitudes along each direction
    found: list[Tensor] = []
    radius: list[Tensor] = []
    for k in range(1, (p - 1) // 2 + 1):
        pair = waves[2 * k - 2 : 2 * k]
        found.append(lines(model, centers, pair).regions_of_circle().mean())
        radius.append(pair.norm(dim=1).mean())
    return torch.stack(found), torch.stack(radius)


@dataclass(frozen=True)
class Window:
    """The plane of residues, with the evidence on it and the regions in it.

    Attributes:
        regions: linear regions in the window.
        neurons: neurons that change their sign in it.
        x, y: the window.
        evidence: logit of prime minus logit of composite on a square grid, row by row from the lowest y.
        totals: position of each count vector's mean on the plane.
        counts: digits that contribute each residue.
    """

    q: int
    regions: int
    neurons: int
    x: tuple[float, float]
    y: tuple[float, float]
    evidence: Float[Tensor, "rows columns"]
    bends: Float[Tensor, "rows columns"]
    totals: Float[Tensor, "points 2"]
    counts: Float[Tensor, "points q"]


@torch.no_grad()
def of_residue_plane(model: Transformer, fitted: Sum, held_out: Sum, q: int = 3, pixels: int = 160) -> Window:
    """Count the linear regions on the plane of residues, in a window around all totals of held-out integers.

    The plane goes through the mean of ``resid_mid``, in the two directions in which the residues of digits differ most.

    Args:
        fitted: training integers, which determine the directions.
        pixels: rows and columns of ``evidence``; ``bends`` counts the neurons whose line passes each pixel.

    Raises:
        InputError: as ``lines``, or q is 2, which has one direction.

    Source: Prince 2023, *Understanding Deep Learning*, figure 3.9.
    """
    if q < 3:
        raise InputError(f"q must be at least 3 for a plane of residues (got {q}).")
    directions = subspace(*means(fitted, q))[:, :2].T
    origin = held_out.resid.mean(0)
    place = (held_out.resid - origin) @ directions.T
    counts = count_residues(held_out.parts, q)
    points, which = torch.unique(torch.from_numpy(counts), dim=0, return_inverse=True)
    member = torch.nn.functional.one_hot(which, len(points)).to(place.dtype)
    totals = (member.T @ place) / member.sum(0)[:, None]
    low, high = totals.amin(0), totals.amax(0)
    low, high = low - MARGIN * (high - low), high + MARGIN * (high - low)
    x, y = ((float(low[i]), float(high[i])) for i in (0, 1))
    here = lines(model, origin, directions)
    xs, ys = torch.linspace(*x, pixels), torch.linspace(*y, pixels)
    at = torch.stack(torch.meshgrid(xs, ys, indexing="xy"), -1).view(-1, 2)
    logits = model.unembed(model.blocks[-1].from_mid(origin + at @ directions))
    on = (here.c + at @ torch.stack([here.u, here.v]) > 0).view(pixels, pixels, -1)
    bends = torch.zeros(pixels, pixels)
    bends[:, 1:] += (on[:, 1:] != on[:, :-1]).sum(-1)
    bends[1:] += (on[1:] != on[:-1]).sum(-1)
    corners = on[[0, 0, -1, -1], [0, -1, 0, -1]]
    return Window(
        q=q,
        regions=here.regions_in_window(x, y),
        neurons=int((corners.any(0) & ~corners.all(0)).sum()),
        x=x,
        y=y,
        evidence=(logits[:, 1] - logits[:, 0]).view(pixels, pixels),
        bends=bends,
        totals=totals,
        counts=points.float(),
    )
