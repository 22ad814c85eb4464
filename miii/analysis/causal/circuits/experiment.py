"""What a circuit is measured on: examples, a corruption of each with another answer, and one number for a run."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.causal.circuits.graph import Graph
from miii.errors import InputError
from miii.model.block import add_bias
from miii.model.tap import capture
from miii.model.transformer import Transformer
from miii.tasks import Task

Progress = Callable[[int, int], None]  #: told how much is done, and of how much

EXAMPLES = 512  #: scores of one edge then vary by some 7 % from draw to draw
METRIC = "logit of an example's answer minus logit of its corruption's answer, mean over the examples"
CORRUPTION = "another example of the task with another answer, drawn at random for each example"


@dataclass(frozen=True)
class Trace:
    """What was written into the residual stream in one run, and what stood there before each reading.

    Attributes:
        writes: what each writer of ``Graph`` wrote, heads without b_O.
        resid: the residual stream before attention 0, MLP 0, attention 1, ..., and before the logits.

    Source: the residual stream as a sum: Elhage et al. 2021, "A mathematical framework for transformer circuits".
    """

    writes: Float[Tensor, "pos writer batch d_model"]
    resid: Float[Tensor, "stage pos batch d_model"]


@dataclass(frozen=True)
class Experiment:
    """A network, examples, and for each of them a corruption with another answer.

    Attributes:
        model: in float64, so that what has no effect scores 0 and ranks do not hang on rounding.

    Source: interchange with corrupted examples as in Conmy et al. 2023 (arXiv 2304.14997), section 3; the metric is
    the logit difference of Wang et al. 2022 (arXiv 2211.00593).
    """

    model: Transformer
    graph: Graph
    tokens: Int[Tensor, "batch pos"]
    labels: Int[Tensor, " batch"]
    corrupted: Int[Tensor, "batch pos"]
    corrupted_labels: Int[Tensor, " batch"]
    seed: int

    @cached_property
    def clean(self) -> Trace:
        """The run on the examples themselves."""
        return trace(self.model, self.tokens)

    @cached_property
    def corrupt(self) -> Trace:
        """The run on their corruptions."""
        return trace(self.model, self.corrupted)

    @cached_property
    def differs(self) -> Float[Tensor, "pos writer batch d_model"]:
        """What was written on the examples minus what was written on their corruptions."""
        return self.clean.writes - self.corrupt.writes

    @cached_property
    def silent(self) -> Bool[Tensor, " edges"]:
        """The edges that carry the same in both runs, such as all from the embedding of "=": nothing to remove."""
        _, position, writer = self.graph.index.T
        return (self.differs == 0).all(-1).all(-1)[position, writer]

    @cached_property
    def direction(self) -> Float[Tensor, "batch d_model"]:
        """Gradient of each example's metric by the residual stream before the logits."""
        return (self.model.W_U[:, self.labels] - self.model.W_U[:, self.corrupted_labels]).T

    def logits(self, resid: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch d_vocab_out"]:
        """The logits, from the residual stream before them at the last position."""
        return add_bias(resid @ self.model.W_U, self.model.b_U)

    def differences(self, resid: Float[Tensor, "batch d_model"]) -> Float[Tensor, " batch"]:
        """Each example's metric, from the residual stream before the logits at the last position."""
        values, bias = (resid * self.direction).sum(-1), self.model.b_U
        return values if bias is None else values + bias[self.labels] - bias[self.corrupted_labels]

    def metric(self, resid: Float[Tensor, "batch d_model"]) -> float:
        """``METRIC``, from the residual stream before the logits at the last position."""
        return self.differences(resid).mean().item()


def experiment(model: Transformer, task: Task, examples: int = EXAMPLES, seed: int = 0) -> Experiment:
    """Draw examples of a task without replacement, and for each a corruption with another answer.

    Args:
        examples: how many; all that the task has, if it has fewer.
        seed: fixes the draw.

    Raises:
        InputError: the blocks are not plain, ``examples`` is below 1, the task has one answer only, or it does not fit
            the model.

    Source: own design, after Conmy et al. 2023, section 3.
    """
    model.config.must_be_plain("circuits")
    if examples < 1:
        raise InputError(f"examples must be at least 1 (got {examples}).")
    if len(task.labels.unique()) < 2:
        raise InputError("task must have examples with different answers (got one answer for all).")
    has = (model.W_E.shape[0], model.W_U.shape[1], model.n_ctx)
    if (task.d_vocab, task.d_vocab_out, task.n_ctx) != has:
        raise InputError(
            f"task must have the model's {has[0]} tokens, {has[1]} answers and {has[2]} positions "
            f"(got {task.d_vocab}, {task.d_vocab_out} and {task.n_ctx})."
        )
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(task.labels), generator=generator)[:examples]
    other = chosen.clone()
    while len(again := (task.labels[other] == task.labels[chosen]).nonzero().flatten()):
        other[again] = torch.randint(len(task.labels), (len(again),), generator=generator)
    config = model.config
    return Experiment(
        model=copy.deepcopy(model).double().requires_grad_(False),
        graph=Graph(config.n_layers, config.n_heads, task.n_ctx, config.causal),
        tokens=task.tokens[chosen],
        labels=task.labels[chosen],
        corrupted=task.tokens[other],
        corrupted_labels=task.labels[other],
        seed=seed,
    )


def trace(model: Transformer, tokens: Int[Tensor, "batch pos"]) -> Trace:
    """Run a model and take its residual stream apart. Source: as ``Trace``."""
    kept = capture(model, tokens)
    writes, resid = [(kept["embed"] + kept["pos_embed"])[:, :, None]], []
    for layer, block in enumerate(model.blocks):
        heads = torch.einsum("bphd,hdm->bphm", kept[f"{layer}.z"], block.W_O)
        writes += [heads, kept[f"{layer}.mlp_out"][:, :, None]]
        resid += [kept[f"{layer}.resid_pre"], kept[f"{layer}.resid_mid"]]
    resid.append(kept[f"{len(model.blocks) - 1}.resid_post"])
    return Trace(
        torch.cat(writes, dim=2).permute(1, 2, 0, 3).contiguous(), torch.stack(resid).transpose(1, 2).contiguous()
    )
