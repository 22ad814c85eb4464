"""Small networks whose circuits can be worked out another way, and that other way."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import miii
from miii.analysis.causal import circuits
from miii.analysis.causal.circuits import Experiment, Node

P = 7
TASK = miii.ModularAddition(p=P, train_fraction=0.5).build()


def random_network(seed: int = 0, **changes) -> miii.Transformer:
    """A random network in float64 with random biases, whose sizes all differ."""
    config = miii.ModelConfig(**{"n_layers": 1, "d_model": 12, "n_heads": 2, "d_mlp": 10, "act": "gelu"} | changes)
    model = miii.Transformer(config, d_vocab=P + 1, d_vocab_out=P, n_ctx=3, seed=seed).double()
    generator = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "b_" in name:
                weight.copy_(torch.randn(weight.shape, generator=generator))
            if "W_Q" in name or "W_K" in name:
                weight.mul_(3)  # attention that is far from uniform
    return model


SHAPES = {
    "two layers": {"n_layers": 2, "biases": "all"},
    "three layers": {"n_layers": 3, "n_heads": 1, "causal": False, "biases": "none", "act": "relu"},
}


@pytest.fixture(scope="session")
def task() -> miii.Task:
    """Addition modulo 7."""
    return TASK


@pytest.fixture(scope="session")
def network() -> Callable[..., miii.Transformer]:
    """See ``random_network``."""
    return random_network


@pytest.fixture(params=SHAPES)
def drawn(request) -> Experiment:
    """Experiments on a causal network with biases and on one without either."""
    return circuits.draw_experiment(random_network(**SHAPES[request.param]), TASK, examples=11)


@pytest.fixture
def dead_head(adder) -> Callable[[str], miii.Transformer]:
    """The adding network with one head doing all the work, and one whose queries, keys and more are noise."""

    def build(weight: str) -> miii.Transformer:
        model = adder(P, (1, 2), n_heads=2).double()
        block, generator = model.blocks[0], torch.Generator().manual_seed(0)
        with torch.no_grad():
            block.W_O[0] *= 2
            for name in ("W_Q", "W_K", "W_V", "W_O"):
                noise = getattr(block, name)[1]
                noise.copy_(torch.randn(noise.shape, generator=generator))
            getattr(block, weight)[1] = 0
        return model

    return build


@pytest.fixture(scope="session")
def live() -> set[str]:
    """The edges of ``dead_head`` that do something."""
    return {"embed@0 -> 0.h0.v@0", "embed@1 -> 0.h0.v@1", "0.h0@2 -> 0.mlp@2", "0.mlp@2 -> logits@2"}


class Slow:
    """The masked run by recursion from the logits, one part at a time, from the definition alone.

    ``met`` is the name of every edge that was asked about.
    """

    def __init__(self, drawn: Experiment, mask: set[str]) -> None:
        self.model, self.n_ctx, self.mask = drawn.model, drawn.graph.n_ctx, mask
        self.tokens, self.corrupted = drawn.tokens, drawn.corrupted
        self.met: set[str] = set()

    def logits(self) -> Tensor:
        last = self.n_ctx - 1
        resid = self.hear(f"logits@{last}", last, self.model.config.n_layers, heads=False, clean=True)
        bias = self.model.b_U
        return resid @ self.model.W_U + (0 if bias is None else bias)

    def hear(self, reader: str, position: int, layer: int, heads: bool, clean: bool) -> Tensor:
        """What a reader hears: all that was written before it; with ``heads`` those of its own layer too."""
        writers = [Node("embed", position)]
        for before in range(layer + heads):
            writers += [Node("head", position, before, head) for head in range(self.model.config.n_heads)]
            if before < layer:
                writers.append(Node("mlp", position, before))
        total = torch.zeros(len(self.tokens), self.model.config.d_model, dtype=torch.float64)
        for writer in writers:
            edge = f"{writer.name} -> {reader}"
            self.met.add(edge)
            total = total + self.write(writer, clean and edge in self.mask)
        for before in range(layer + heads):
            bias = self.model.blocks[before].b_O
            total = total + (0 if bias is None else bias)
        return total

    def write(self, node: Node, clean: bool) -> Tensor:
        position, layer = node.position, node.layer
        if node.kind == "embed":
            return self.model.W_E[(self.tokens if clean else self.corrupted)[:, position]] + self.model.W_pos[position]
        block = self.model.blocks[layer]
        if node.kind == "mlp":
            return block.mlp(self.hear(node.name, position, layer, True, clean))
        head = node.head
        keys = range(position + 1 if block.causal else self.n_ctx)

        def project(which: str, at: int) -> Tensor:
            heard = self.hear(f"{layer}.h{head}.{which}@{at}", at, layer, False, clean)
            bias = getattr(block, f"b_{which.upper()}")
            return heard @ getattr(block, f"W_{which.upper()}")[head] + (0 if bias is None else bias[head])

        query = project("q", position)
        scores = [(query * project("k", at)).sum(-1) / block.W_Q.shape[-1] ** 0.5 for at in keys]
        weights = torch.softmax(torch.stack(scores), dim=0)
        z = sum(weight[:, None] * project("v", at) for weight, at in zip(weights, keys, strict=True))
        return z @ block.W_O[head]


@pytest.fixture
def slow() -> Callable[[Experiment, set[str]], Slow]:
    """See ``Slow``."""
    return Slow
