"""The project's own map: at which learning rates and weight decays does a small network grok modular addition?

The network is the smallest that groks within a few hundred steps: addition modulo 7, one block that averages the
embeddings, then square neurons. Its gradient is written by hand, which takes a quarter of the time of ``ensemble``.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.landscape.view import Points, View
from miii.model.config import ModelConfig
from miii.tasks import ModularAddition
from miii.tasks.task import GROKKED
from miii.training.config import RunConfig
from miii.training.optim import AdamW, lr_factor
from miii.training.stacked import Networks

if TYPE_CHECKING:
    import pandas as pd

P: Final = 7  #: the modulus
SHARE: Final = 0.8  #: of the pairs, for training
CHUNK: Final = 128  #: networks trained together
EVERY: Final = 5  #: steps between evaluations
FLOATS: Final = ("weights", "mean", "square", "lr", "decay")


def config(view: View, x: float = -1.5, y: float = 0.0) -> RunConfig:
    """Return the run of a point: by default one that groks."""
    return RunConfig(
        task=ModularAddition(p=P, train_fraction=SHARE, seed=view.seed),
        model=ModelConfig(
            d_model=view.width, d_mlp=2 * view.width, act="square", biases="none", block="feed-forward", mixer="mean"
        ),
        optimizer=AdamW(lr=10.0**x, weight_decay=10.0**y),
        steps=view.steps,
        steps_after_grok=0,
        schedule="constant",
        eval_every=EVERY,
        snapshots=2,
        precision="float32",
        threads=1,
    )


class Group:
    """The networks of points: equal but for learning rate and weight decay.

    The logits of a pair are linear in the squares of ``mixed @ embeddings @ W_in``, so both maps are applied to the few
    distinct embeddings first.
    """

    def __init__(self, view: View, points: Points) -> None:
        self.config = config(view)
        found = Networks.begin([self.config], [None]).only(torch.zeros(len(points.x), dtype=torch.long))
        self.dtype = getattr(torch, view.precision)
        lr, decay = (torch.from_numpy(10.0**values)[:, None] for values in points)
        tensors = {name: getattr(found, name) for name in FLOATS} | {"lr": lr, "decay": decay}
        share = found.examples.share.to(self.dtype)
        self.networks = replace(
            found,
            **{name: tensor.to(self.dtype) for name, tensor in tensors.items()},
            examples=replace(found.examples, share=share),
        )
        task = self.config.task.build()
        positions = torch.eye(task.tokens.shape[1]).expand(len(task.tokens), -1, -1)
        mixed = torch.cat([torch.nn.functional.one_hot(task.tokens, P + 1), positions], 2).to(self.dtype).mean(1)
        self.train, self.test = mixed[task.train_mask], mixed[~task.train_mask]
        self.targets = torch.nn.functional.one_hot(task.labels[task.train_mask], P).to(self.dtype)
        self.labels = task.labels[~task.train_mask]

    def gradient(self) -> tuple[Float[Tensor, "networks columns"], Bool[Tensor, " networks"]]:
        """Return the gradients of the mean cross-entropy, and which of them are finite."""
        embeddings, W_in, W_out, W_U = self._weights()
        read, write = embeddings @ W_in, W_out @ W_U
        before = self.train @ read
        neurons = before.square()
        logits = (torch.bmm(neurons, write).softmax(-1) - self.targets) / len(self.targets)
        by_write = torch.bmm(neurons.mT, logits)
        by_read = self.train.T @ (2 * before * torch.bmm(logits, write.mT))
        by_embeddings = torch.bmm(by_read, W_in.mT)
        parts = {
            "W_E": by_embeddings[:, : P + 1],
            "W_pos": by_embeddings[:, P + 1 :],
            "W_U": torch.bmm(W_out.mT, by_write),
            "blocks.0.W_in": torch.bmm(embeddings.mT, by_read),
            "blocks.0.W_out": torch.bmm(by_write, W_U.mT),
        }
        found = torch.cat([parts[name].flatten(1) for name in self.networks.order], 1)
        return found, found.isfinite().all(1)

    def update(self, step: int) -> Bool[Tensor, " networks"]:
        """Update all weights; return which gradients were finite."""
        gradient, finite = self.gradient()
        shared = self.config
        self.networks.adamw(gradient, step, lr_factor(step, shared.steps, shared.warmup_steps, shared.schedule))
        return finite

    def accuracy(self) -> Float[np.ndarray, " networks"]:
        """Return the share of test pairs that each network answers correctly."""
        embeddings, W_in, W_out, W_U = self._weights()
        logits = (self.test @ (embeddings @ W_in)).square() @ (W_out @ W_U)
        return (logits.argmax(-1) == self.labels).double().mean(1).numpy()

    def keep(self, which: Bool[np.ndarray, " networks"]) -> None:
        """Drop the other networks."""
        self.networks = self.networks.only(torch.from_numpy(np.flatnonzero(which)))

    def _weights(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the embeddings of tokens and positions, W_in, W_out and W_U."""
        networks = self.networks
        parts = networks.weights.split([shape.numel() for shape in networks.shapes.values()], dim=1)
        named = {
            name: part.view(len(part), *shape)
            for (name, shape), part in zip(networks.shapes.items(), parts, strict=True)
        }
        embeddings = torch.cat([named["W_E"], named["W_pos"]], 1)
        return embeddings, named["blocks.0.W_in"], named["blocks.0.W_out"], named["W_U"]


def measure(view: View, points: Points) -> Float[np.ndarray, " point"]:
    """Train networks and return when each groks: minus the step, or otherwise its best test accuracy.

    A network groks at the first evaluation with 99% test accuracy, and then stops.
    """
    group = Group(view, points)
    found, where = np.zeros(len(points.x)), np.arange(len(points.x))
    for step in range(1, view.steps + 1):
        kept = group.update(step).numpy()
        if step % EVERY == 0 or step == view.steps:
            accuracy = group.accuracy()
            learned = accuracy >= GROKKED
            found[where] = np.where(learned, -step, np.maximum(found[where], accuracy))
            kept &= ~learned
        if not kept.all():
            where = where[kept]
            group.keep(kept)
            if not len(where):
                break
    return found


def curves(view: View, x: float, y: float) -> "pd.DataFrame":
    """Return the accuracy of one network on both splits at each evaluation, as ``Run.metrics`` does."""
    import pandas as pd

    group, rows = Group(view, Points(np.array([x]), np.array([y]))), []
    for step in range(view.steps + 1):
        if step and not group.update(step).all():
            break
        if step % EVERY == 0 or step == view.steps:
            rows.append({"step": step} | group.networks.evaluate()[0].row())
    return pd.DataFrame(rows)
