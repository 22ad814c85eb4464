"""What a map of trainability shows: a condition of the paper, its settings, and the bounds of two hyperparameters."""

import math
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int
from pydantic import Field, FiniteFloat, model_validator
from torch import Tensor

from miii.errors import Frozen, InputError


class Condition(NamedTuple):
    """A row of the paper's Table 1.

    Attributes:
        data: number of data points as a multiple of the parameters, of the width, or one point.
        batch: data points per step; None for full-batch descent.
        offset: what the horizontal axis adds to the input weights: nothing, once, or at every step.
        dimension: the paper's estimate; None if it has none.
    """

    title: str
    activation: Literal["identity", "relu", "tanh"]
    data: Literal["parameters", "width", "one"] = "parameters"
    batch: int | None = None
    offset: Literal["none", "once", "steps"] = "none"
    dimension: float | None = None


#: Table 1 of arXiv 2402.06184. The paper describes an offset of the initial weights; its published notebook adds the
#: offset at every step, which is the last condition here.
CONDITIONS: Final = {
    "linear": Condition("Deep linear, full batch", "identity", data="width", dimension=1.17),
    "relu": Condition("ReLU, full batch", "relu", dimension=1.20),
    "one": Condition("tanh, one data point", "tanh", data="one", dimension=1.41),
    "minibatch": Condition("tanh, minibatch of 16", "tanh", batch=16, dimension=1.55),
    "tanh": Condition("tanh, full batch", "tanh", dimension=1.66),
    "offset": Condition("tanh, offset of the initial weights", "tanh", offset="once", dimension=1.98),
    "drift": Condition("tanh, offset at every step", "tanh", offset="steps", dimension=1.98),
}
ConditionName = Literal["linear", "relu", "one", "minibatch", "tanh", "offset", "drift", "grokking"]
GROKKING: Final = "grokking"  #: the project's own condition: see ``grokking``
RESOLUTIONS: Final = (16, 32, 64, 128, 256, 512)  #: points per axis, each twice the one before
FULL: Final = (-3.0, 6.0)  #: both axes of the paper's widest view, as log10
#: What differs by default for ``GROKKING``: learning rate across, weight decay upward, and steps.
OWN: Final = {"steps": 300, "x_low": -2.5, "x_high": 0.0, "y_low": -1.0, "y_high": 1.5}
NARROWEST: Final = 9e-5  #: width below which single precision is refused: 1e-5 of the paper's widest view
FINEST: Final = 1e-14  #: smallest distance of two points, as log10: some fifty times the spacing of float64


def widest(condition: str) -> tuple[float, float, float, float]:
    """Return the bounds of a condition's widest view."""
    if condition == GROKKING:
        return OWN["x_low"], OWN["x_high"], OWN["y_low"], OWN["y_high"]
    return (*FULL, *FULL)


class View(Frozen):
    """A map: which networks it trains, and where they lie.

    Both axes are log10 of a hyperparameter: the learning rates of the input and of the output layer, or an offset of
    the input weights and one learning rate. Source: Sohl-Dickstein 2024, *The boundary of neural network
    trainability is fractal*, section 3. For ``GROKKING``, they are learning rate and weight decay; see ``OWN`` for
    its defaults.

    Raises:
        InputError: a field is out of range, the bounds are reversed, or neighboring points would be equal in float64.
    """

    condition: ConditionName = Field("tanh", description="row of the paper's Table 1; grokking: modular addition")
    width: int = Field(16, ge=2, le=64, description="units of the input and of the hidden layer")
    steps: int = Field(500, ge=20, le=5000, description="steps of gradient descent")
    seed: int = Field(0, ge=0, le=10**6, description="seed of data and initial weights, which all networks share")
    x_low: FiniteFloat = Field(FULL[0], ge=-20, le=20, description="left edge, as log10")
    x_high: FiniteFloat = Field(FULL[1], ge=-20, le=20, description="right edge, as log10")
    y_low: FiniteFloat = Field(FULL[0], ge=-20, le=20, description="lower edge, as log10")
    y_high: FiniteFloat = Field(FULL[1], ge=-20, le=20, description="upper edge, as log10")
    resolution: Literal[16, 32, 64, 128, 256, 512] = Field(128, description="cells per axis")
    precision: Literal["float32", "float64"] = Field("float64", description="float32 is for previews")

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: Any) -> Any:
        return OWN | values if isinstance(values, dict) and values.get("condition") == GROKKING else values

    @model_validator(mode="after")
    def _check(self) -> "View":
        if self.condition == GROKKING and self.width % 4:
            raise InputError(f"width must be a multiple of 4 for the condition grokking (got {self.width}).")
        for axis, low, high in (("x", self.x_low, self.x_high), ("y", self.y_low, self.y_high)):
            if not low < high:
                raise InputError(f"{axis}_high must be greater than {axis}_low (got {low:.17g} to {high:.17g}).")
            least = FINEST * max(1.0, abs(low), abs(high)) * self.resolution
            if high - low < least:
                raise InputError(
                    f"{axis}_high must be at least {least:.1g} above {axis}_low at {self.resolution} points per axis, "
                    f"the resolution of float64 (got {high - low:.2g})."
                )
            if self.precision == "float32" and high - low < NARROWEST:
                raise InputError(
                    f"precision must be float64 for a view narrower than {NARROWEST:g} "
                    f"(got float32 and {axis}_high - {axis}_low = {high - low:.2g})."
                )
        return self

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Lowest and highest x, lowest and highest y."""
        return self.x_low, self.x_high, self.y_low, self.y_high

    @property
    def zoom(self) -> float:
        """How many times narrower it is than the condition's widest view."""
        low, high, *_ = widest(self.condition)
        return (high - low) / (self.x_high - self.x_low)

    @property
    def axes(self) -> tuple[str, str]:
        """What x and y are."""
        if self.condition == GROKKING:
            return "log10 learning rate", "log10 weight decay"
        if CONDITIONS[self.condition].offset == "none":
            return "log10 learning rate of the input layer", "log10 learning rate of the output layer"
        return "log10 offset of the input weights", "log10 learning rate"

    def at(self, rows: Int[np.ndarray, " point"], columns: Int[np.ndarray, " point"], resolution: int) -> "Points":
        """Return the hyperparameters of cells of a grid; a finer grid contains the points of a coarser one."""
        x = self.x_low + (self.x_high - self.x_low) * (columns / resolution)
        y = self.y_low + (self.y_high - self.y_low) * (rows / resolution)
        return Points(x, y)

    def zoomed(self, x_low: float, x_high: float, y_low: float, y_high: float) -> "View":
        """Return the same map of another rectangle.

        Raises:
            InputError: see ``View``.
        """
        found = self.model_dump() | {"x_low": x_low, "x_high": x_high, "y_low": y_low, "y_high": y_high}
        return View(**found)


class Points(NamedTuple):
    """Networks to train: log10 of both hyperparameters."""

    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]


class Problem(NamedTuple):
    """Data and initial weights, which all networks of a map share.

    Attributes:
        batches: the data points of each step; None for full-batch descent.
    """

    inputs: Float[Tensor, "data width"]
    targets: Float[Tensor, " data"]
    first: Float[Tensor, "width input"]
    second: Float[Tensor, " width"]
    batches: Int[Tensor, "step batch"] | None


def problem(view: View) -> Problem:
    """Draw data and initial weights from N(0, 1) in float64.

    The paper draws them with JAX; ours are another sample of the same distribution.
    """
    condition, width = CONDITIONS[view.condition], view.width
    draw = torch.Generator().manual_seed(view.seed)
    count = {"parameters": width * width + width, "width": width, "one": 1}[condition.data]

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=draw, dtype=torch.float64)

    first, second, inputs, targets = normal(width, width), normal(width), normal(count, width), normal(count)
    batches = None
    if condition.batch is not None:
        batches = torch.randint(count, (view.steps, condition.batch), generator=draw)
    return Problem(inputs, targets, first, second, batches)


def levels(resolution: int) -> tuple[int, ...]:
    """Return the resolutions from the coarsest to this one."""
    return RESOLUTIONS[: 1 + round(math.log2(resolution / RESOLUTIONS[0]))]
