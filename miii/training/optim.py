"""Optimizer configs by name, and learning-rate schedules."""

import math
from typing import Annotated, Literal

from pydantic import Field

from miii.errors import Frozen

LearningRate = Annotated[float, Field(gt=0, le=10, description="learning rate after the warm-up")]
WeightDecay = Annotated[
    float, Field(ge=0, le=100, description="decoupled weight decay; multiplied by the learning rate")
]
Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamW(Frozen):
    """Adam with decoupled weight decay. Source: Loshchilov and Hutter (arXiv 1711.05101)."""

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 1.75e-2
    weight_decay: WeightDecay = 2.5
    beta1: Beta = Field(0.9, description="decay of the mean gradient")
    beta2: Beta = Field(0.98, description="decay of the mean squared gradient")


class SlowGradient(AdamW):
    """AdamW with amplified slow gradients: g + slow_lambda times the moving average of g.

    The average starts at the first gradient. Source: Grokfast-EMA, Lee et al. 2024 (arXiv 2405.20233), algorithm 2.
    """

    name: Literal["slow-gradient"] = "slow-gradient"  # type: ignore[assignment]
    slow_lambda: float = Field(2.0, ge=0, le=100, description="weight of the gradient's moving average")
    slow_alpha: float = Field(0.98, ge=0, lt=1, description="decay of the gradient's moving average")


class OrthogonalGradient(AdamW):
    """AdamW on gradients projected orthogonal to the weights; the rest mostly scales the logits. Excludes gains.

    Source: Prieto et al. 2025 (arXiv 2501.04697), section 5; the gradient norm is preserved.
    """

    name: Literal["orthogonal-gradient"] = "orthogonal-gradient"  # type: ignore[assignment]
    weight_decay: WeightDecay = 0.0


class SGD(Frozen):
    """Stochastic gradient descent with momentum. Source: Sutskever et al. 2013."""

    name: Literal["sgd"] = "sgd"
    lr: LearningRate = 1e-1
    weight_decay: Annotated[float, Field(ge=0, le=100)] = Field(1e-3, description="L2 penalty, added to the gradient")
    momentum: Beta = Field(0.9, description="decay of the velocity")


class Muon(Frozen):
    """Orthogonalized momentum for the blocks' matrices and optionally W_E; AdamW for everything else.

    Source: Jordan et al. 2024; ``miii.training.muon``.
    """

    name: Literal["muon"] = "muon"
    lr: LearningRate = 2e-2
    weight_decay: WeightDecay = 0.1
    momentum: Beta = Field(0.95, description="decay of the velocity")
    embedding: bool = Field(False, description="orthogonalize W_E too")
    adamw_lr: Annotated[float, Field(gt=0, le=10)] = Field(1e-3, description="learning rate of embeddings and biases")
    adamw_weight_decay: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="weight decay of embeddings and biases; none uses weight_decay"
    )
    beta1: Beta = Field(0.9, description="decay of the mean gradient, for embeddings and biases")
    beta2: Beta = Field(0.98, description="decay of the mean squared gradient, for embeddings and biases")


AnyOptimizer = AdamW | SGD | Muon | SlowGradient | OrthogonalGradient
Optimizer = Annotated[AnyOptimizer, Field(discriminator="name")]

OPTIMIZERS: dict[str, type[AdamW] | type[SGD] | type[Muon]] = {
    "adamw": AdamW,
    "sgd": SGD,
    "muon": Muon,
    "slow-gradient": SlowGradient,
    "orthogonal-gradient": OrthogonalGradient,
}

SCHEDULES = {
    "constant": lambda progress: 1.0,
    "cosine": lambda progress: 0.5 * (1 + math.cos(math.pi * progress)),
    "linear": lambda progress: 1 - progress,
    "trapezoid": lambda progress: min(1.0, 5 * (1 - progress)),  # constant, then linear in the last fifth
    "half": lambda progress: min(1.0, 2 * (1 - progress)),  # constant, then linear in the second half
}


def lr_factor(step: int, steps: int, warmup_steps: int, schedule: str) -> float:
    """Return the learning-rate factor at ``step`` (1 .. steps): a linear warm-up times the schedule.

    Raises:
        KeyError: the schedule is not one of ``SCHEDULES``.

    Source: cosine from Loshchilov and Hutter (arXiv 1608.03983), without restarts; trapezoid from Hu et al. 2024
    (arXiv 2404.06395), "warmup-stable-decay".
    """
    warmup = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    return warmup * SCHEDULES[schedule](min(1.0, (step - 1) / steps))
