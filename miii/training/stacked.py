"""The arrays of an ensemble: the weights, optimizer state and examples of many networks, one row each."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.nn.functional import pad

from miii import hardware, metrics
from miii.model import fast
from miii.model.transformer import Transformer
from miii.model.weights import declared
from miii.tasks import Task
from miii.training.batches import batches
from miii.training.config import RunConfig
from miii.training.evaluation import Evaluation
from miii.training.loop import build_model

EVALUATED = 4096  #: examples evaluated at a time, over all networks
EPSILON = 1e-8  #: of AdamW
READ_OUT, ALIGNED = ("W_U", "b_U"), 8  #: weights with a column per class; products of odd widths take twice the time

State = Mapping[str, Tensor]


class _Answer(nn.Module):
    """``fast.answer_logits`` as a module, whose weights can be replaced."""

    def __init__(self, model: Transformer, plan: fast.Plan) -> None:
        super().__init__()
        self.model, self.plan = model, plan

    def forward(self, index: Tensor, reader: Tensor) -> Tensor:
        return fast.answer_logits(self.model, replace(self.plan, index=index, reader=reader))


@dataclass(frozen=True)
class Examples:
    """Which of the tasks' common pairs each network trains on.

    Attributes:
        rows: each network's batch; with ``draw``, that of the first step.
        share: weight of each row in the mean loss; 0 for rows that only fill the array.
        draw: each network's function from a step to its rows; empty if every step takes all.
    """

    labels: Int[Tensor, "networks examples"]
    train: Bool[Tensor, "networks examples"]
    rows: Int[Tensor, "networks batch"]
    share: Float[Tensor, "networks batch"]
    draw: tuple[Callable[[int], Tensor], ...]

    @classmethod
    def of(cls, configs: Sequence[RunConfig], tasks: Sequence[Task], device: torch.device) -> "Examples":
        """Draw the examples of each network."""
        draw = tuple(batches(config, task) for config, task in zip(configs, tasks, strict=True))
        rows = [each(1) for each in draw]
        most = max(map(len, rows))
        filled = [torch.cat([each, each[:1].expand(most - len(each))]) for each in rows]
        share = [(torch.arange(most) < len(each)).to(torch.get_default_dtype()) / len(each) for each in rows]
        return cls(
            labels=torch.stack([task.labels for task in tasks]).to(device),
            train=torch.stack([task.train_mask for task in tasks]).to(device),
            rows=torch.stack(filled).to(device),
            share=torch.stack(share).to(device),
            draw=() if configs[0].batch_size is None else draw,
        )

    def at(self, step: int) -> Int[Tensor, "networks batch"]:
        """Return the batches of a step."""
        return torch.stack([each(step) for each in self.draw]).to(self.rows.device) if self.draw else self.rows

    def only(self, kept: Int[Tensor, " kept"]) -> "Examples":
        """Return the examples of some networks."""
        tensors = {name: value[kept] for name, value in vars(self).items() if name != "draw"}
        return Examples(**tensors, draw=tuple(self.draw[i] for i in kept.tolist()) if self.draw else ())


@dataclass(frozen=True)
class Networks:
    """Networks of one shape with AdamW's state.

    Attributes:
        answer: a network of the shape, to be called with other weights.
        shapes: the weights in the order of their columns; those exempt from weight decay come last.
        order: the weights in the order of the optimizer's state.
        decayed: number of columns before the exempt ones.
        mean, square: averages of the gradients and of their squares.
        lr, decay: learning rates and weight decays.
        betas: AdamW's, common to all.
    """

    answer: _Answer
    shapes: Mapping[str, torch.Size]
    order: Sequence[str]
    decayed: int
    weights: Float[Tensor, "networks columns"]
    mean: Float[Tensor, "networks columns"]
    square: Float[Tensor, "networks columns"]
    lr: Float[Tensor, "networks 1"]
    decay: Float[Tensor, "networks 1"]
    betas: tuple[float, float]
    examples: Examples
    config: RunConfig  # for what all share

    @classmethod
    def begin(cls, configs: Sequence[RunConfig], states: Sequence[State | None]) -> "Networks":
        """Build the networks with their initial weights, or from training states."""
        device = hardware.device(configs[0].device)
        tasks = [config.task.build() for config in configs]
        models = [build_model(config, task) for config, task in zip(configs, tasks, strict=True)]
        exempt = {name for name, weight in declared(models[0]).items() if weight.kind == "gain"}
        order = [name for name, _ in models[0].named_parameters()]
        order = [name for name in order if name not in exempt] + [name for name in order if name in exempt]
        shapes = {name: models[0].get_parameter(name).shape for name in order}

        def row(i: int, prefix: str, suffixes: Sequence[str]) -> Tensor:
            state = states[i]
            if state is None or f"{prefix}{suffixes[0]}" not in state:  # before the first step
                return torch.zeros(sum(shape.numel() for shape in shapes.values()))
            return torch.cat([state[f"{prefix}{suffix}"].flatten() for suffix in suffixes])

        def initial(i: int) -> Tensor:
            if states[i] is not None:
                return row(i, "weights.", order)
            return torch.cat([models[i].get_parameter(name).detach().flatten() for name in order])

        def averages(name: str) -> Tensor:
            suffixes = [f"{j}.{name}" for j in range(len(order))]
            return torch.stack([row(i, "stepper.optimizer.0.", suffixes) for i in range(len(configs))]).to(device)

        optimizers = [config.optimizer for config in configs]
        return cls(
            answer=_Answer(models[0].to(device), fast.plan(tasks[0].tokens.to(device))),
            shapes=shapes,
            order=order,
            decayed=sum(shape.numel() for name, shape in shapes.items() if name not in exempt),
            weights=torch.stack([initial(i) for i in range(len(configs))]).to(device),
            mean=averages("exp_avg"),
            square=averages("exp_avg_sq"),
            lr=torch.tensor([[each.lr] for each in optimizers], device=device),
            decay=torch.tensor([[each.weight_decay] for each in optimizers], device=device),
            betas=(optimizers[0].beta1, optimizers[0].beta2),  # type: ignore[union-attr]
            examples=Examples.of(configs, tasks, device),
            config=configs[0],
        )

    def update(self, step: int, factor: float) -> Bool[Tensor, " networks"]:
        """Update all weights in place; return which losses are finite."""
        rows = self.examples.at(step)
        plan, loss = self.answer.plan, metrics.LOSSES[self.config.loss]
        labels = self.examples.labels.gather(1, rows).flatten()
        weights = self.weights.detach().requires_grad_()
        precise = hardware.precision(self.config.precision, self.config.device) is not torch.bfloat16
        with torch.autocast(weights.device.type, torch.bfloat16, enabled=not precise):
            logits = self._logits(weights, plan.index[rows], plan.reader[rows]).flatten(0, 1)
            each = loss(logits if precise else logits.float(), labels).view(rows.shape)
        losses = (each * self.examples.share).sum(1)
        losses.sum().backward()
        assert weights.grad is not None
        self.adamw(weights.grad, step, factor)
        return losses.detach().isfinite().cpu()

    @torch.no_grad()
    def adamw(self, gradient: Float[Tensor, "networks columns"], step: int, factor: float) -> None:
        """Update all weights in place by AdamW. Source: Loshchilov and Hutter (arXiv 1711.05101), algorithm 2."""
        (beta1, beta2), lr = self.betas, self.lr * factor
        self.weights[:, : self.decayed].mul_(1 - lr * self.decay)
        self.mean.lerp_(gradient, 1 - beta1)
        self.square.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
        scale = self.square.sqrt().div_(math.sqrt(1 - beta2**step)).add_(EPSILON)
        self.weights.sub_(torch.div(self.mean, scale, out=scale).mul_(lr / (1 - beta1**step)))

    @torch.no_grad()
    def evaluate(self) -> list[Evaluation]:
        """Evaluate every network on all examples, in float64: see ``evaluation.evaluator``."""
        device = self.weights.device if self.weights.device.type != "mps" else torch.device("cpu")
        plan, loss = self.answer.plan, metrics.LOSSES[self.config.loss]
        double = self.weights.to(device).double()
        labels, train = self.examples.labels.to(device), self.examples.train.to(device)
        parts = double.split(max(1, EVALUATED // labels.shape[1]))
        logits = torch.cat([self._logits(part, plan.index.to(device), plan.reader.to(device), None) for part in parts])
        each = loss(logits.flatten(0, 1), labels.flatten()).view(labels.shape)
        right = logits.argmax(-1) == labels
        columns = [_means(each, train), _means(each, ~train), _means(right, train), _means(right, ~train)]
        numbers = torch.stack([*columns, double.square().sum(1).sqrt()], dim=1).tolist()
        rows, right = torch.arange(labels.shape[1]), right.cpu()
        return [
            Evaluation(
                train_loss=row[0],
                test_loss=row[1],
                train_accuracy=row[2],
                test_accuracy=row[3],
                weight_norm=row[4],
                correct=right[i],
                rows=rows,
                scores={},
            )
            for i, row in enumerate(numbers)
        ]

    def _logits(
        self, weights: Float[Tensor, "networks columns"], index: Tensor, reader: Tensor, mapped: int | None = 0
    ) -> Float[Tensor, "networks batch d_vocab_out"]:
        """Return the logits of each network; ``mapped`` is None if all take the same examples."""
        parts = weights.split([shape.numel() for shape in self.shapes.values()], dim=1)
        classes = self.shapes["W_U"][-1]
        named = {
            name: pad(part.view(len(weights), *shape), (0, -classes % ALIGNED if name in READ_OUT else 0))
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }
        model, plan = self.answer.model, self.answer.plan
        if fast.can_stack(model, plan) and not torch.is_autocast_enabled(weights.device.type):
            return fast.stacked_logits(model, named, plan, index.expand(len(weights), -1, -1))[..., :classes]

        def one(weights: dict[str, Tensor], index: Tensor, reader: Tensor) -> Tensor:
            return functional_call(self.answer, weights, (index, reader))

        named = {f"model.{name}": part for name, part in named.items()}
        return vmap(one, in_dims=(0, mapped, mapped))(named, index, reader)[..., :classes]

    def only(self, kept: Int[Tensor, " kept"]) -> "Networks":
        """Return some of the networks."""
        kept = kept.to(self.weights.device)
        tensors = {name: getattr(self, name)[kept] for name in ("weights", "mean", "square", "lr", "decay")}
        return replace(self, **tensors, examples=self.examples.only(kept))

    def state_dict(self, i: int) -> dict[str, Tensor]:
        """Return copies of a network's weights on the CPU, as ``nn.Module.state_dict``."""
        named = self._named(self.weights[i])
        model = self.answer.model.state_dict()  # with the buffers, which all share
        return {name: named.get(name, value).detach().cpu().clone() for name, value in model.items()}

    def state(self, i: int, step: int) -> dict[str, Tensor]:
        """Return a network's training state without the clock, as ``state.save_state``."""
        state = {f"weights.{name}": value for name, value in self.state_dict(i).items()}
        mean, square = self._named(self.mean[i]), self._named(self.square[i])
        for j, name in enumerate(self.order if step else ()):
            state[f"stepper.optimizer.0.{j}.step"] = torch.tensor(float(step))
            state[f"stepper.optimizer.0.{j}.exp_avg"] = mean[name].cpu().clone()
            state[f"stepper.optimizer.0.{j}.exp_avg_sq"] = square[name].cpu().clone()
        return state

    def _named(self, row: Float[Tensor, " columns"]) -> dict[str, Tensor]:
        parts = row.split([shape.numel() for shape in self.shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(self.shapes.items(), parts, strict=True)}


def _means(values: Tensor, mask: Bool[Tensor, "networks examples"]) -> Float[Tensor, " networks"]:
    """Return the mean of each network's values where the mask holds; NaN if it never does."""
    return torch.where(mask, values.double(), 0.0).sum(1) / mask.sum(1)
