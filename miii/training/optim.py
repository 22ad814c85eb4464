"""Optimisers by name, the schedule of their learning rate, and slow-gradient amplification."""

import inspect
import math
from collections.abc import Iterable
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from miii.errors import Frozen
from miii.training.muon import Orthogonal

LearningRate = Annotated[float, Field(gt=0, le=10, description="learning rate after the warm-up")]
WeightDecay = Annotated[
    float, Field(ge=0, le=100, description="decoupled weight decay, times the learning rate a step")
]
Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamW(Frozen):
    """Adam with decoupled weight decay. Source: Loshchilov and Hutter (arXiv 1711.05101)."""

    name: Literal["adamw"] = "adamw"
    lr: LearningRate = 1.75e-2
    weight_decay: WeightDecay = 2.5
    beta1: Beta = Field(0.9, description="decay of the mean of the gradient")
    beta2: Beta = Field(0.98, description="decay of the mean of its square")


class SlowGradient(AdamW):
    """AdamW on gradients whose slow part is amplified: g + slow_lambda times the moving average of g.

    Source: Grokfast-EMA, Lee et al. 2024 (arXiv 2405.20233), algorithm 2.
    """

    name: Literal["slow-gradient"] = "slow-gradient"  # type: ignore[assignment]
    slow_lambda: float = Field(2.0, ge=0, le=100, description="weight of the gradient's moving average")
    slow_alpha: float = Field(0.98, ge=0, lt=1, description="decay of that average")


class OrthogonalGradient(AdamW):
    """AdamW on gradients without their part along the weights, which mostly scales the logits. Gains keep theirs.

    Source: Prieto et al. 2025 (arXiv 2501.04697), section 5, with the gradient's length kept.
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
    """Orthogonalised momentum on the matrices inside the blocks, and on W_E if wanted; AdamW on all else.

    Source: Jordan et al. 2024; ``miii.training.muon``.
    """

    name: Literal["muon"] = "muon"
    lr: LearningRate = 2e-2
    weight_decay: WeightDecay = 0.1
    momentum: Beta = Field(0.95, description="decay of the velocity")
    embedding: bool = Field(False, description="whether W_E is orthogonalised as well")
    adamw_lr: Annotated[float, Field(gt=0, le=10)] = Field(1e-3, description="learning rate of embeddings and biases")
    adamw_weight_decay: Annotated[float, Field(ge=0, le=100)] | None = Field(
        None, description="weight decay of embeddings and biases; none takes weight_decay"
    )
    beta1: Beta = Field(0.9, description="decay of the mean of the gradient, for embeddings and biases")
    beta2: Beta = Field(0.98, description="decay of the mean of its square, for embeddings and biases")


AnyOptimizer = AdamW | SGD | Muon | SlowGradient | OrthogonalGradient
Optimizer = Annotated[AnyOptimizer, Field(discriminator="name")]

#: What multiplies is not pulled to 0, and neither are norms: a network would have to hold them up against it.
GAINS = ("alpha", "beta", "gamma", "mlp_gain", "mixer_gain", "decay")
MATRICES = ("W_Q", "W_K", "W_V", "W_O", "W_in", "W_out")  #: of a block, as Muon takes them

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
    "trapezoid": lambda progress: min(1.0, 5 * (1 - progress)),  # constant, and linear in the last fifth
    "half": lambda progress: min(1.0, 2 * (1 - progress)),  # the same, in the second half
}


def lr_factor(step: int, steps: int, warmup_steps: int, schedule: str) -> float:
    """What the learning rate is multiplied by at ``step`` (1 .. steps): a linear warm-up times the schedule.

    Raises:
        KeyError: the schedule is not one of ``SCHEDULES``.

    Source: cosine from Loshchilov and Hutter (arXiv 1608.03983), without restarts; trapezoid from Hu et al. 2024
    (arXiv 2404.06395), "warmup-stable-decay".
    """
    warmup = min(1.0, step / warmup_steps) if warmup_steps else 1.0
    return warmup * SCHEDULES[schedule](min(1.0, (step - 1) / steps))


class Stepper:
    """An optimiser on a model's weights, with everything it remembers as plain tensors.

    Source: see the configs.
    """

    def __init__(self, model: nn.Module, config: AnyOptimizer) -> None:
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.config = config
        amplified = isinstance(config, SlowGradient)
        self.slow = {n: torch.zeros_like(w) for n, w in self.weights.items()} if amplified else {}
        self.twins: dict[str, Tensor] = {}
        matrices: set[str] = set()
        if isinstance(config, Muon):
            matrices = {n for n in self.weights if n.startswith("blocks.") and n.split(".")[-1] in MATRICES}
            matrices |= {"W_E"} & self.weights.keys() if config.embedding else set()
        free = [w for n, w in self.weights.items() if _free(n)]
        gains: list[dict[str, Any]] = [{"params": free, "weight_decay": 0.0}] if free else []
        among = {id(w) for w in free} | {id(self.weights[n]) for n in matrices}
        rest = [{"params": [w for w in self.weights.values() if id(w) not in among]}, *gains]
        fused = all(w.device.type in ("cpu", "cuda") for w in self.weights.values())
        self.optimizers: list[torch.optim.Optimizer]
        match config:
            case AdamW():
                betas = (config.beta1, config.beta2)
                decay = config.weight_decay
                self.optimizers = [torch.optim.AdamW(rest, config.lr, betas, weight_decay=decay, fused=fused)]
            case SGD():
                self.optimizers = [torch.optim.SGD(rest, config.lr, config.momentum, weight_decay=config.weight_decay)]
            case Muon():
                # torch's Muon takes matrices: a head's weights go in side by side, as [d_model, head * d_head]
                self.twins = {n: nn.Parameter(_matrix(n, self.weights[n].detach())) for n in sorted(matrices)}
                betas, other = (config.beta1, config.beta2), config.adamw_weight_decay
                decay = config.weight_decay if other is None else other
                twins: Iterable[Tensor] = self.twins.values()
                self.optimizers = [
                    Orthogonal(twins, config.lr, weight_decay=config.weight_decay, momentum=config.momentum),
                    torch.optim.AdamW(rest, config.adamw_lr, betas, weight_decay=decay, fused=fused),
                ]
        self.base_lr = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """One update from the gradients at ``factor`` times the learning rate; the gradients are dropped."""
        if isinstance(self.config, SlowGradient):
            for name, average in self.slow.items():
                grad = self.weights[name].grad
                assert grad is not None
                average.lerp_(grad, 1 - self.config.slow_alpha)
                grad.add_(average, alpha=self.config.slow_lambda)
        if isinstance(self.config, OrthogonalGradient):
            for name, weight in self.weights.items():
                assert weight.grad is not None
                if not _free(name):
                    weight.grad.copy_(across(weight.grad, weight))
        for name, twin in self.twins.items():
            twin.grad = _matrix(name, self.weights[name].grad)
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, lr in zip(groups, self.base_lr, strict=True):
            group["lr"] = lr * factor
        for optimizer in self.optimizers:
            inspect.unwrap(type(optimizer).step)(optimizer)  # see _without_compiler
            optimizer.zero_grad()
        for name, twin in self.twins.items():
            weight = self.weights[name]
            weight.copy_(_unmatrix(name, twin, weight.shape))
            weight.grad = None

    def state(self) -> dict[str, Tensor]:
        """Everything the next step depends on beside the weights, by name."""
        state = {f"slow.{name}": average for name, average in self.slow.items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, memory in optimizer.state_dict()["state"].items():
                state |= {f"optimizer.{i}.{j}.{key}": torch.as_tensor(value) for key, value in memory.items()}
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take up where :meth:`state` was written, the weights already in place."""
        for name, average in self.slow.items():
            average.copy_(state[f"slow.{name}"])
        for i, optimizer in enumerate(self.optimizers):
            memory: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                if name.startswith(f"optimizer.{i}."):
                    _, _, j, key = name.split(".")
                    memory.setdefault(int(j), {})[key] = value.clone()
            optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})


def _without_compiler() -> None:
    """Keep torch's optimizers from importing its compiler, which costs 80 MB and a second and is then not used.

    Each of these methods asks its function for an attribute, and makes it with the compiler if it has none.
    ``Optimizer.step`` cannot be told so; it is called without its wrappers, under ``no_grad``.
    """
    for name in ("add_param_group", "zero_grad", "state_dict", "load_state_dict"):
        bare = inspect.unwrap(getattr(torch.optim.Optimizer, name))
        vars(bare).setdefault("__dynamo_disable", bare)


_without_compiler()


def across(grad: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """The gradient less its part along the weight, as long as before; 0 where nothing is left of it but rounding.

    Source: as ``OrthogonalGradient``.
    """
    flat, along = grad.flatten(), weight.flatten()
    rest = flat - (along @ flat) / (along @ along + 1e-30) * along
    rest = torch.where(rest.norm() > 1e-6 * flat.norm(), rest, 0.0)
    return (rest * (flat.norm() / (rest.norm() + 1e-30))).view_as(grad)


def _free(name: str) -> bool:
    return name.split(".")[-1] in GAINS or ".ln" in f".{name}"


def _matrix(name: str, weight: Tensor | None) -> Tensor:
    assert weight is not None
    if weight.ndim == 2:
        return weight.clone()
    # a clone even where one head needs no moving: the copy must not share the weight's memory
    return (weight.flatten(0, 1) if name.endswith("W_O") else weight.transpose(0, 1).flatten(1)).clone().contiguous()


def _unmatrix(name: str, matrix: Tensor, shape: torch.Size) -> Tensor:
    if len(shape) == 2:
        return matrix
    if name.endswith("W_O"):
        return matrix.unflatten(0, shape[:2])
    return matrix.unflatten(1, (shape[0], shape[2])).transpose(0, 1)
