"""Apply a config's optimizer to a model's weights."""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from miii import platform
from miii.model.weights import declared
from miii.training.muon import Orthogonal
from miii.training.optim import SGD, AdamW, AnyOptimizer, Muon, OrthogonalGradient, SlowGradient


class Stepper:
    """An optimizer for a model's declared weights, with its state as plain tensors."""

    def __init__(self, model: nn.Module, config: AnyOptimizer) -> None:
        self.weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
        self.config = config
        declarations = declared(model)
        self.gains = {name for name in self.weights if declarations[name].kind == "gain"}
        self.slow: dict[str, Tensor] = {}  # moving averages of the gradients, from the first step on
        self.layouts: dict[str, str] = {}  # of Muon's matrices
        if isinstance(config, Muon):
            layouts = {name: declarations[name].muon for name in sorted(self.weights)}
            without = () if config.embedding else ("embedding",)
            self.layouts = {name: layout for name, layout in layouts.items() if layout and layout not in without}
        self.matrices = {
            name: nn.Parameter(_matrix(self.weights[name].detach(), layout)) for name, layout in self.layouts.items()
        }
        self.optimizers = self._optimizers()
        self.base_lr = [group["lr"] for optimizer in self.optimizers for group in optimizer.param_groups]

    def _optimizers(self) -> list[torch.optim.Optimizer]:
        decayed = [w for name, w in self.weights.items() if name not in self.gains and name not in self.matrices]
        groups: list[dict[str, Any]] = [{"params": decayed}]
        if self.gains:
            spared = [weight for name, weight in self.weights.items() if name in self.gains]
            groups.append({"params": spared, "weight_decay": 0.0})
        fused = all(weight.device.type in ("cpu", "cuda") for weight in self.weights.values())
        decay = self.config.weight_decay
        match self.config:
            case AdamW(lr=lr, beta1=beta1, beta2=beta2):
                return [torch.optim.AdamW(groups, lr, (beta1, beta2), weight_decay=decay, fused=fused)]
            case SGD(lr=lr, momentum=momentum):
                return [torch.optim.SGD(groups, lr, momentum, weight_decay=decay)]
            case Muon(lr=lr, momentum=momentum, adamw_lr=other_lr, beta1=beta1, beta2=beta2, adamw_weight_decay=other):
                muon = Orthogonal(self.matrices.values(), lr, weight_decay=decay, momentum=momentum)
                decay = decay if other is None else other
                return [muon, torch.optim.AdamW(groups, other_lr, (beta1, beta2), weight_decay=decay, fused=fused)]

    @torch.no_grad()
    def step(self, factor: float) -> None:
        """Update the weights from their gradients at ``factor`` times the learning rate, then clear the gradients."""
        self._change_gradients()
        for name, matrix in self.matrices.items():
            gradient = self.weights[name].grad
            assert gradient is not None
            matrix.grad = _matrix(gradient, self.layouts[name])
        groups = [group for optimizer in self.optimizers for group in optimizer.param_groups]
        for group, lr in zip(groups, self.base_lr, strict=True):
            group["lr"] = lr * factor
        for optimizer in self.optimizers:
            platform.update(optimizer)
            optimizer.zero_grad()
        for name, matrix in self.matrices.items():
            weight = self.weights[name]
            weight.copy_(_unmatrix(matrix, self.layouts[name], weight.shape))
            weight.grad = None

    def _change_gradients(self) -> None:
        match self.config:
            case SlowGradient(slow_alpha=alpha, slow_lambda=amount):
                for name, weight in self.weights.items():
                    assert weight.grad is not None
                    average = self.slow.setdefault(name, weight.grad.clone())
                    average.lerp_(weight.grad, 1 - alpha)
                    weight.grad.add_(average, alpha=amount)
            case OrthogonalGradient():
                for name, weight in self.weights.items():
                    assert weight.grad is not None
                    if name not in self.gains:
                        weight.grad.copy_(across(weight.grad, weight))

    def state(self) -> dict[str, Tensor]:
        """Return the optimizer state by name."""
        state = {f"slow.{name}": average for name, average in self.slow.items()}
        for i, optimizer in enumerate(self.optimizers):
            for j, memory in optimizer.state_dict()["state"].items():
                state |= {f"optimizer.{i}.{j}.{key}": torch.as_tensor(value) for key, value in memory.items()}
        return state

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Load a result of :meth:`state`; load the weights first."""
        self.slow = {
            name: state[f"slow.{name}"].to(weight.device, copy=True)
            for name, weight in self.weights.items()
            if f"slow.{name}" in state
        }
        for i, optimizer in enumerate(self.optimizers):
            memory: dict[int, dict[str, Tensor]] = {}
            for name, value in state.items():
                if name.startswith(f"optimizer.{i}."):
                    _, _, j, key = name.split(".")
                    memory.setdefault(int(j), {})[key] = value.clone()
            optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})


def across(grad: Float[Tensor, "*shape"], weight: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Project the gradient orthogonal to the weight, keeping its norm; 0 if only rounding error remains.

    Source: Prieto et al. 2025 (arXiv 2501.04697), section 5.
    """
    flat, along = grad.flatten(), weight.flatten()
    rest = flat - (along @ flat) / (along @ along + 1e-30) * along
    rest = torch.where(rest.norm() > 1e-6 * flat.norm(), rest, 0.0)
    return (rest * (flat.norm() / (rest.norm() + 1e-30))).view_as(grad)


def _matrix(weight: Tensor, layout: str) -> Tensor:
    """Return a copy of a weight as a matrix, in the layout of ``Weight.muon``."""
    if layout == "rows":
        weight = weight.flatten(0, 1)
    if layout == "columns":
        weight = weight.transpose(0, 1).flatten(1)
    return weight.clone(memory_format=torch.contiguous_format)


def _unmatrix(matrix: Tensor, layout: str, shape: torch.Size) -> Tensor:
    if layout == "rows":
        return matrix.unflatten(0, shape[:2])
    if layout == "columns":
        return matrix.unflatten(1, (shape[0], shape[2])).transpose(0, 1)
    return matrix
