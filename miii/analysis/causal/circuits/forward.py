"""Run a network with only some edges intact; the others carry the corrupted run's values."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from miii.analysis.causal.circuits.experiment import Experiment
from miii.model.block import Block
from miii.model.mixers import causal_mask

ALL, LAST = slice(None), slice(-1, None)


def run(
    experiment: Experiment, mask: Bool[Tensor, " edges"], start: int | None = None
) -> Float[Tensor, "batch d_model"]:
    """Return the residual stream before the logits at the last position, with all edges corrupted except the kept ones.

    A reader's input sums its writers' outputs: from this run along kept edges, from the corrupted run along the others.
    Keeping all edges gives the run on the examples, keeping none the run on their corruptions.

    Args:
        start: first stage (attention 0, MLP 0, attention 1, ...) to recompute; if None, the first that reads along
            an edge that is not kept. Earlier stages are taken from the run on the examples.

    Source: Conmy et al. 2023 (arXiv 2304.14997), algorithm 1; Hanna et al. 2024 (arXiv 2403.17806).
    """
    graph, written = experiment.graph, experiment.corrupt.writes
    heads, last_layer = graph.n_heads, graph.n_layers - 1
    reads = graph.matrix(mask).transpose(0, 1).double()
    differs = experiment.differs.flatten(2).clone()
    start = graph.first_stage(mask) if start is None else start
    for layer, block in enumerate(experiment.model.blocks):
        stage, reader, writer = 2 * layer, layer * (3 * heads + 1), 1 + layer * (heads + 1)
        end = LAST if layer == last_layer else ALL  # nothing reads the last block's other outputs
        if start <= stage:
            q = _inputs(experiment, stage, reads[end, reader : reader + heads, :writer], differs[end])
            both = _inputs(experiment, stage, reads[:, reader + heads : reader + 3 * heads, :writer], differs)
            new = slice(writer, writer + heads)
            differs[end, new] = (attend(block, q, *both.split(heads, dim=1)) - written[end, new]).flatten(2)
        writer += heads
        if start <= stage + 1:
            mlp = _inputs(experiment, stage + 1, reads[end, reader + 3 * heads, None, :writer], differs[end])
            differs[end, writer, None] = (block.mlp(mlp) - written[end, writer, None]).flatten(2)
    return _inputs(experiment, 2 * graph.n_layers, reads[LAST, -1, None], differs[LAST])[0, 0]


def _inputs(
    experiment: Experiment,
    stage: int,
    reads: Float[Tensor, "pos reader writer"],
    differs: Float[Tensor, "pos all_writers batch_d_model"],
) -> Float[Tensor, "pos reader batch d_model"]:
    """Return readers' inputs at the last positions: the corrupted residual stream plus the differences they read."""
    n, _, writers = reads.shape
    difference = (reads @ differs[:, :writers]).unflatten(-1, (len(experiment.labels), -1))
    return experiment.corrupt.resid[stage, -n:, None] + difference


def attend(
    block: Block,
    q: Float[Tensor, "query head batch d_model"],
    k: Float[Tensor, "key head batch d_model"],
    v: Float[Tensor, "key head batch d_model"],
) -> Float[Tensor, "query head batch d_model"]:
    """Return each head's output, without b_O, if its three inputs read separate residual streams.

    Queries are given for the last positions.

    Source: Vaswani et al. 2017 (arXiv 1706.03762), equation 1, with three inputs per head as in Conmy et al. 2023.
    """
    q, k, v = _project(q, block.W_Q, block.b_Q), _project(k, block.W_K, block.b_K), _project(v, block.W_V, block.b_V)
    scores = torch.einsum("qhbd,khbd->hbqk", q, k) / math.sqrt(q.shape[-1])
    if block.causal:
        scores = scores.masked_fill(causal_mask(len(k), k.device)[-len(q) :], -torch.inf)
    z = torch.einsum("hbqk,khbd->qhbd", torch.softmax(scores, dim=-1), v)
    return z @ block.W_O


def _project(
    x: Float[Tensor, "pos head batch d_model"], W: Float[Tensor, "head d_model d_head"], b: Tensor | None
) -> Float[Tensor, "pos head batch d_head"]:
    return x @ W if b is None else x @ W + b[:, None]
