"""Compute the same logits with less work, for training; tests check equality in float64.

1. An embedding depends only on (token, position), so the first block's queries, keys and values are computed once per
distinct pair: 2 p + 1 rows instead of 3 p^2.
2. Predictions are made at the last position, so the last block computes queries and neurons only there.
3. Without a norm, W_in and W_U read attention's output linearly, so W_O W_in and W_O W_U are multiplied first, and the
   residual stream is never computed.

Plain blocks with attention use all three, other networks the first two.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.model.block import Block, add_bias
from miii.model.mixers import causal_mask
from miii.model.tap import Tap, identity
from miii.model.transformer import Transformer
from miii.model.where import Where, gather
from miii.model.wiring import ALL, LAST
from miii.tasks.task import Task


@dataclass(frozen=True)
class Plan:
    """The distinct (token, position) pairs of a batch, and each example's indices into them.

    Tokens of several parts are kept as they are, since few of them occur twice: ``parts``.
    """

    token: Int[Tensor, " distinct"]
    position: Int[Tensor, " distinct"]
    index: Int[Tensor, "batch pos"]
    readers: Int[Tensor, " readers"]  # the distinct pairs at the last position
    reader: Int[Tensor, " batch"]  # each example's index into ``readers``
    parts: Int[Tensor, "examples place part"] | None = None

    def rows(self, rows: Int[Tensor, " rows"]) -> "Plan":
        """Return the plan for a subset of the examples."""
        if self.parts is not None:
            return replace(self, parts=self.parts[rows])
        return replace(self, index=self.index[rows], reader=self.reader[rows])


def plan(tokens: Int[Tensor, "batch pos *part"]) -> Plan:
    """Find the distinct (token, position) pairs; keep tokens of several parts."""
    if tokens.ndim == 3:
        none = tokens.new_empty(0, dtype=torch.int64)
        return Plan(none, none, none[:, None], none, none, tokens)
    n_ctx = tokens.shape[1]
    pairs = tokens * n_ctx + torch.arange(n_ctx, device=tokens.device)
    distinct, index = torch.unique(pairs, return_inverse=True)
    readers, reader = torch.unique(index[:, -1], return_inverse=True)
    return Plan(distinct // n_ctx, distinct % n_ctx, index, readers, reader)


#: Dropout masks by site, such as "0.resid_mid": [batch, width], or [1, width] for all examples.
Masks = Mapping[str, Float[Tensor, "examples width"]]
NO_MASKS: Masks = MappingProxyType({})


def answer_logits(model: Transformer, plan: Plan, masks: Masks = NO_MASKS) -> Float[Tensor, "batch d_vocab_out"]:
    """Return the logits at the last position, equal to ``model(tokens)[:, -1]`` in value and gradient.

    Args:
        masks: multiply the activations of their sites, at every computed position.
    """
    neurons = f"{len(model.blocks) - 1}.mlp_post"
    if not model.config.plain or masks.keys() - {neurons} or plan.parts is not None:
        return _forward(model, plan, masks)[:, -1]
    z, resid = _at_answer(model, plan)
    # under autocast, products are bfloat16 and sums with float32 stay float32; large matrices stay bfloat16
    post = model.blocks[-1].act(_neurons(model.blocks[-1], z, resid))
    if neurons in masks:
        post = post * masks[neurons].to(post.dtype)
    return _read_out(model, z, resid, post)


def _read_out(model: Transformer, z: Tensor, resid: Tensor, post: Tensor) -> Float[Tensor, "batch d_vocab_out"]:
    block, W_U = model.blocks[-1], model.W_U
    if W_U.shape[1] > W_U.shape[0]:  # more classes than dimensions: multiplying by W_U last is cheaper
        written = post @ block.W_out + z @ block.W_O.flatten(0, 1)
        return add_bias((written + add_bias(add_bias(resid, block.b_O), block.b_out)) @ W_U, model.b_U)
    constant = add_bias(add_bias(add_bias(resid, block.b_O), block.b_out) @ W_U, model.b_U)
    return post @ (block.W_out @ W_U) + z @ (block.W_O.flatten(0, 1) @ W_U) + constant


def all_logits(model: Transformer, plan: Plan, masks: Masks = NO_MASKS) -> Float[Tensor, "batch pos d_vocab_out"]:
    """Return the logits at every position; masks as in ``answer_logits``."""
    return _forward(model, plan, masks, at=ALL)


def can_stack(model: Transformer, plan: Plan) -> bool:
    """Return whether ``stacked_logits`` fits: one plain block, and examples that all end in the same token."""
    return model.config.plain and len(model.blocks) == 1 and plan.parts is None and len(plan.readers) == 1


def stacked_logits(
    model: Transformer, weights: Mapping[str, Tensor], plan: Plan, index: Int[Tensor, "networks batch pos"]
) -> Float[Tensor, "networks batch d_vocab_out"]:
    """Return ``answer_logits`` of many networks, a tenth faster than by mapping it over their weights.

    Args:
        model: a network of their shape that ``can_stack``; its weights are not used.
        weights: by name, with a first axis of networks.
        index: ``plan.index`` of each network's examples.
    """
    count, batch, pos = index.shape
    own = {name.removeprefix("blocks.0."): weight for name, weight in weights.items()}
    h, dh = model.blocks[0].head_shape

    def plus(value: Tensor, bias: str) -> Tensor:
        return value + own[bias].flatten(1)[:, None] if bias in own else value

    def heads(stream: Tensor, which: str) -> Tensor:
        return plus(stream @ own[f"W_{which}"].transpose(1, 2).flatten(2), f"b_{which}")

    distinct = own["W_E"].index_select(1, plan.token)
    if "W_pos" in own:
        distinct = distinct + own["W_pos"].index_select(1, plan.position)
    resid = distinct.index_select(1, plan.readers)
    scores = (heads(distinct, "K") * heads(resid, "Q")).unflatten(-1, (h, dh)).sum(-1) / math.sqrt(dh)
    # rows of all networks in one table: copying them is several times as fast as a gather
    rows = (index + len(plan.token) * torch.arange(count, device=index.device)[:, None, None]).flatten()
    pattern = torch.softmax(gather(scores.flatten(0, 1), rows).view(-1, pos, h, 1), dim=1)
    values = gather(heads(distinct, "V").flatten(0, 1), rows).view(-1, pos, h, dh)
    z = (pattern * values).sum(1).view(count, batch, h * dh)
    W_O, W_U, W_in, W_out = own["W_O"].flatten(1, 2), own["W_U"], own["W_in"], own["W_out"]
    resid = plus(resid, "b_O")
    post = model.blocks[0].act(torch.baddbmm(plus(resid @ W_in, "b_in"), z, W_O @ W_in))
    resid = plus(resid, "b_out")
    if W_U.shape[2] > W_U.shape[1]:
        return plus(torch.baddbmm(torch.baddbmm(resid, z, W_O), post, W_out) @ W_U, "b_U")
    return torch.baddbmm(torch.baddbmm(plus(resid @ W_U, "b_U"), z, W_O @ W_U), post, W_out @ W_U)


def logits_for(task: Task) -> Callable[[Transformer, Plan, Masks], Tensor]:
    """Return ``answer_logits``, or ``all_logits`` for a task with a target at every position."""
    return answer_logits if task.next_tokens is None else all_logits


def answer_neurons(model: Transformer, plan: Plan) -> Float[Tensor, "batch d_mlp"]:
    """Return ``mlp_pre`` of the last block at the last position."""
    if not model.config.plain or plan.parts is not None:
        return answer_both(model, plan)[1]
    return _neurons(model.blocks[-1], *_at_answer(model, plan))


def answer_both(
    model: Transformer, plan: Plan
) -> tuple[Float[Tensor, "batch d_vocab_out"], Float[Tensor, "batch d_mlp"]]:
    """Return ``answer_logits`` and ``answer_neurons`` of one pass."""
    if not model.config.plain or plan.parts is not None:
        found: dict[str, Tensor] = {}
        site = f"{len(model.blocks) - 1}.mlp_pre"
        logits = _forward(
            model, plan, tap=lambda name, value: found.setdefault(name, value) if name == site else value
        )  # fmt: skip
        return logits[:, -1], found[site][:, -1]
    z, resid = _at_answer(model, plan)
    pre = _neurons(model.blocks[-1], z, resid)
    return _read_out(model, z, resid, model.blocks[-1].act(pre)), pre


def _forward(
    model: Transformer,
    plan: Plan,
    masks: Masks = NO_MASKS,
    tap: Tap = identity,
    at: slice = LAST,
) -> Float[Tensor, "batch query d_vocab_out"]:
    """Return any network's logits, using the first two shortcuts."""

    def dropped(name: str, value: Tensor) -> Tensor:
        return value * masks[name][:, None].to(value.dtype) if name in masks else tap(name, value)

    if plan.parts is None:
        resid, rows = model.W_E[plan.token] + model.places()[plan.position], plan.index
    else:
        resid, rows = model.embed(plan.parts), None
    last = len(model.blocks) - 1
    for layer, block in enumerate(model.blocks):
        where = Where(at if layer == last else ALL, rows)
        resid = block(resid, lambda name, value, layer=layer: dropped(f"{layer}.{name}", value), where)
        rows = None
    return model.unembed(resid)


def _at_answer(model: Transformer, plan: Plan) -> tuple[Float[Tensor, "batch heads"], Float[Tensor, "rows d_model"]]:
    """Return the last block's z (heads concatenated) and its input (one row if shared), at the last position."""
    distinct = model.W_E[plan.token] + model.places()[plan.position]
    *before, last = model.blocks
    if not before:
        z, resid = _first_and_last(last, distinct, plan)
        return z.flatten(1), resid
    resid = _first(before[0], distinct, plan)
    for block in before[1:]:
        resid = block(resid)
    q = last.heads(resid[:, -1], "Q")
    return _attend_last(q, last.heads(resid, "K"), last.heads(resid, "V")).flatten(1), resid[:, -1]


def _neurons(block: Block, z: Tensor, resid: Tensor) -> Float[Tensor, "batch d_mlp"]:
    pre = z @ (block.W_O.flatten(0, 1) @ block.W_in)
    return pre + add_bias(add_bias(resid, block.b_O) @ block.W_in, block.b_in).to(pre.dtype)


def _first_and_last(block: Block, distinct: Tensor, plan: Plan) -> tuple[Tensor, Tensor]:
    """Return z [batch, head, d_head] and the residual stream at the last position, for a one-block model."""
    q, k, v = block.heads(distinct[plan.readers], "Q"), block.heads(distinct, "K"), block.heads(distinct, "V")
    if len(plan.readers) == 1:  # every example ends in the same token: scores depend only on the key
        scores = gather((k * q).sum(-1), plan.index)
        pattern = torch.softmax(scores / math.sqrt(q.shape[-1]), dim=1)
        # full precision: the gradients of many rows sum into one value
        z = (pattern.unsqueeze(-1) * gather(v.to(distinct.dtype), plan.index)).sum(1)
        return z, distinct[plan.readers]
    z = _attend_last(gather(q, plan.reader), gather(k, plan.index), gather(v, plan.index))
    return z, gather(distinct[plan.readers], plan.reader)


def _first(block: Block, distinct: Tensor, plan: Plan) -> Float[Tensor, "batch pos d_model"]:
    q, k, v = (gather(block.heads(distinct, which), plan.index).transpose(1, 2) for which in ("Q", "K", "V"))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if block.causal:
        scores = scores.masked_fill(causal_mask(scores.shape[-1], scores.device), -torch.inf)
    z = (torch.softmax(scores, dim=-1) @ v).transpose(1, 2)
    resid = gather(distinct, plan.index) + add_bias(z.flatten(-2) @ block.W_O.flatten(0, 1), block.b_O)
    return resid + block.mlp(resid)


def _attend_last(
    q: Float[Tensor, "batch head d_head"], k: Float[Tensor, "batch pos head d_head"], v: Tensor
) -> Float[Tensor, "batch head d_head"]:
    scores = torch.einsum("bhd,bphd->bhp", q, k) / math.sqrt(q.shape[-1])
    return torch.einsum("bhp,bphd->bhd", torch.softmax(scores, dim=-1), v)
