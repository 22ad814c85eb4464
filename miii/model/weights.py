"""Declare weights: their shapes, initialization and treatment by optimizers.

Initialization, weight decay and the choice of matrices for Muon all follow from a module's declarations.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]
Init = Callable[[Shape, torch.Generator], Tensor]  #: draws a weight's initial value


@dataclass(frozen=True)
class Weight:
    """The declaration of a weight.

    Attributes:
        init: draws the initial value.
        kind: a "map" multiplies activations, a "bias" is added to them, a "gain" scales them or belongs to a norm.
            Gains are exempt from weight decay, which would pull them to 0.
        muon: layout for Muon: unchanged ("matrix"), heads concatenated ("columns": [d_model, head * d_head]) or stacked
            ("rows": [head * d_head, d_model]). An "embedding" is a matrix if the optimizer includes embeddings. None
            leaves the weight to AdamW.
    """

    shape: Shape
    init: Init
    kind: Literal["map", "bias", "gain"] = "map"
    muon: Literal["matrix", "columns", "rows", "embedding"] | None = None

    @property
    def matrix(self) -> tuple[int, int]:
        """Rows and columns of the map as one matrix, with all heads side by side."""
        heads = math.prod(self.shape[:-2])
        *_, rows, columns = (1, *self.shape)
        match self.muon:
            case "columns":
                return rows, heads * columns
            case "rows":
                return heads * rows, columns
            case _:
                return rows, columns


Weights = dict[str, Weight | None]  #: by name; None for an absent weight


class Declared(nn.Module):
    """A module of declared weights: maps first, then biases, then gains. None stays None.

    Biases and gains are initialized at once; maps by ``init_weights`` or by loading.
    """

    def __init__(self, weights: Mapping[str, Weight | None]) -> None:
        super().__init__()
        order = ("map", "bias", "gain")
        present = {name: weight for name, weight in weights.items() if weight is not None}
        self.declared = dict(sorted(present.items(), key=lambda item: order.index(item[1].kind)))
        for name, weight in self.declared.items():
            drawn = weight.kind == "map"
            first = torch.empty(weight.shape) if drawn else weight.init(weight.shape, torch.Generator())
            self.register_parameter(name, nn.Parameter(first))
        for name in weights.keys() - present.keys():
            self.register_parameter(name, None)


def declared(model: nn.Module) -> dict[str, Weight]:
    """Return the declarations of a model's weights, by full name."""
    return {
        f"{prefix}.{name}".removeprefix("."): weight
        for prefix, module in model.named_modules()
        if isinstance(module, Declared)
        for name, weight in module.declared.items()
    }


@torch.no_grad()
def init_weights(model: nn.Module, seed: int, glorot: bool = False, scale: float = 1.0) -> None:
    """Draw a model's weights in the order of ``named_parameters``, with their own generator.

    Args:
        glorot: draws each map as one matrix from input to output, normal with variance 2 / (rows + columns), in place
            of its own initializer (Glorot and Bengio 2010).
        scale: factor of the maps.
    """
    generator, declarations = torch.Generator().manual_seed(seed), declared(model)
    for name, weight in model.named_parameters():
        found = declarations[name]
        init = normal(sum(found.matrix) / 2) if glorot and found.kind == "map" else found.init
        weight.copy_(init(tuple(weight.shape), generator))
        if found.kind == "map":
            weight.mul_(scale)


def bias(*shape: int) -> Weight:
    """Declare a bias, initially 0."""
    return Weight(shape, constant(0.0), "bias")


def gain(value: float, *shape: int) -> Weight:
    """Declare a gain, initially ``value``."""
    return Weight(shape, constant(value), "gain")


def normal(fan: float) -> Init:
    """Return an initializer: normal with variance 1 / fan."""
    return partial(_normal, fan)


def constant(value: float) -> Init:
    """Return an initializer with one value everywhere."""
    return partial(_constant, value)


def orthogonal(shape: Shape, generator: torch.Generator) -> Tensor:
    """Draw an orthogonal matrix split into heads: by columns for [head, d_model, d_head], else by rows."""
    h, a, b = shape
    width = max(a, b)
    q, r = torch.linalg.qr(torch.randn(width, width, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    return q.view(h, a, b) if a < b else q.view(a, h, b).transpose(0, 1)


def spaced(low: float, high: float) -> Init:
    """Return an initializer evenly spaced from ``low`` to ``high``."""
    return partial(_spaced, low, high)


def _normal(fan: float, shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator) / math.sqrt(fan)


def _constant(value: float, shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.full(shape, value)


def _spaced(low: float, high: float, shape: Shape, generator: torch.Generator) -> Tensor:
    return torch.linspace(low, high, math.prod(shape)).view(shape)
