"""The experiment behind a circuit: examples, a corrupted partner for each, and a metric."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from miii.analysis.causal.circuits.graph import Graph
from miii.analysis.causal.counterfactuals import draw_pairs
from miii.errors import InputError
from miii.model.block import add_bias
from miii.model.tap import capture
from miii.model.transformer import Transformer
from miii.tasks import Task

Progress = Callable[[int, int], None]  #: called with the number of steps done and to do

EXAMPLES = 512  #: an edge's score then varies by about 7% between draws
METRIC = "logit of an example's answer minus logit of its corruption's answer, mean over the examples"
CORRUPTION = "another example of the task with another answer, drawn at random for each example"


@dataclass(frozen=True)
class Trace:
    """What each part wrote into the residual stream in one run, and the stream before each reader.

    Attributes:
        writes: the output of each writer of ``Graph``, heads without b_O.
        resid: the residual stream before attention 0, MLP 0, attention 1, ..., and before the logits.

    Source: the residual stream as a sum: Elhage et al. 2021, "A mathematical framework for transformer circuits".
    """

    writes: Float[Tensor, "pos writer batch d_model"]
    resid: Float[Tensor, "stage pos batch d_model"]


@dataclass(frozen=True)
class Experiment:
    """A network, examples, and for each example a corruption with a different answer.

    Attributes:
        model: in float64, so that edges without effect score 0 and ranks do not depend on rounding.

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
        """The run on the examples."""
        return trace(self.model, self.tokens)

    @cached_property
    def corrupt(self) -> Trace:
        """The run on their corruptions."""
        return trace(self.model, self.corrupted)

    @cached_property
    def differs(self) -> Float[Tensor, "pos writer batch d_model"]:
        """Outputs on the examples minus outputs on their corruptions."""
        return self.clean.writes - self.corrupt.writes

    @cached_property
    def inactive(self) -> Bool[Tensor, " edges"]:
        """The edges that carry the same value in both runs, such as those from the embedding of "="."""
        _, position, writer = self.graph.index.T
        return (self.differs == 0).all(-1).all(-1)[position, writer]

    @cached_property
    def direction(self) -> Float[Tensor, "batch d_model"]:
        """The gradient of each example's metric with respect to the residual stream before the logits."""
        return (self.model.W_U[:, self.labels] - self.model.W_U[:, self.corrupted_labels]).T

    def logits(self, resid: Float[Tensor, "batch d_model"]) -> Float[Tensor, "batch d_vocab_out"]:
        """Return the logits, given the residual stream before them at the last position."""
        return add_bias(resid @ self.model.W_U, self.model.b_U)

    def differences(self, resid: Float[Tensor, "batch d_model"]) -> Float[Tensor, " batch"]:
        """Return each example's metric, given the residual stream before the logits at the last position."""
        values, bias = (resid * self.direction).sum(-1), self.model.b_U
        return values if bias is None else values + bias[self.labels] - bias[self.corrupted_labels]

    def metric(self, resid: Float[Tensor, "batch d_model"]) -> float:
        """Return ``METRIC``, given the residual stream before the logits at the last position."""
        return self.differences(resid).mean().item()


def draw_experiment(
    model: Transformer,
    task: Task,
    examples: int = EXAMPLES,
    seed: int = 0,
    rows: Int[Tensor, " rows"] | None = None,
) -> Experiment:
    """Draw examples of a task without replacement, and for each a corrupted partner with a different answer.

    Args:
        examples: number to draw; all of them if there are fewer.
        seed: seed of the draw.
        rows: draw examples and partners from these; None takes all.

    Raises:
        InputError: the blocks are not plain, ``examples`` is below 1, the task does not fit the model, or there is only
            one answer to draw.

    Source: Conmy et al. 2023, section 3.
    """
    model.config.must_be_plain("circuits")
    if examples < 1:
        raise InputError(f"examples must be at least 1 (got {examples}).")
    if task.tokens.ndim > 2:
        raise InputError(f"task must have tokens of one part for circuits (got {task.tokens.shape[2]} parts).")
    has = (model.W_E.shape[0], model.W_U.shape[1], model.n_ctx)
    if (task.d_vocab, task.d_vocab_out, task.n_ctx) != has:
        raise InputError(
            f"task must have the model's {has[0]} tokens, {has[1]} answers and {has[2]} positions "
            f"(got {task.d_vocab}, {task.d_vocab_out} and {task.n_ctx})."
        )
    tokens, labels = (task.tokens, task.labels) if rows is None else (task.tokens[rows], task.labels[rows])
    pairs, config = draw_pairs(labels, examples, seed), model.config
    return Experiment(
        model=copy.deepcopy(model).double().requires_grad_(False),
        graph=Graph(config.n_layers, config.n_heads, task.n_ctx, config.causal),
        tokens=tokens[pairs.clean],
        labels=labels[pairs.clean],
        corrupted=tokens[pairs.corrupt],
        corrupted_labels=labels[pairs.corrupt],
        seed=seed,
    )


def draw_experiments(
    model: Transformer, task: Task, examples: int = EXAMPLES, seed: int = 0
) -> tuple[Experiment, Experiment]:
    """Draw two experiments from disjoint halves of a task: one to rank and cut edges, one to score what is left.

    Args:
        examples: number in each; half of the task's if there are fewer.

    Raises:
        InputError: as ``draw_experiment``, for either half.
    """
    order = torch.randperm(len(task.labels), generator=torch.Generator().manual_seed(seed))
    ranked, fresh = (draw_experiment(model, task, examples, seed, rows) for rows in order.tensor_split(2))
    return ranked, fresh


def trace(model: Transformer, tokens: Int[Tensor, "batch pos"]) -> Trace:
    """Run a model and record its ``Trace``."""
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
