"""Path patching: how much of the answer goes from one sender straight to some receivers.

A sender's activation is taken from one run and put into the other, the base; every other head is frozen at its value in
the base, and so is every MLP (or the MLPs are recomputed, see ``path``). What the receivers then read is written down,
and put into a second run of the base in which everything else is recomputed. So the sender's change reaches the answer
through these receivers' inputs alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from miii.analysis.causal.patching import HEAD_AXIS, Couples, Patch, Runs, Sweep, both_runs, corruption, put, rows
from miii.errors import InputError
from miii.model.tap import intervene
from miii.model.transformer import Transformer
from miii.tasks import Task

SENDERS = ("embed", "z", "mlp_out")
RECEIVERS = ("q", "k", "v", "mlp_pre", "logits")

Base = Literal["corrupt", "clean"]
Mlps = Literal["frozen", "recomputed"]


@dataclass(frozen=True)
class Node:
    """What sends or receives: a head's output ``z`` or input ``q``, ``k``, ``v``, an MLP's ``mlp_out`` or ``mlp_pre``,
    ``embed``, or ``logits``.

    Attributes:
        layer: None for embed and logits.
        head: None for all heads of the layer, and where there are none.
        pos: None for all positions.
    """

    site: str
    layer: int | None = None
    head: int | None = None
    pos: int | None = None

    @property
    def name(self) -> str:
        """The activation's name, such as "0.z"."""
        return self.site if self.layer is None else f"{self.layer}.{self.site}"

    @property
    def where(self) -> tuple[slice | int, ...]:
        """The node's index within that activation."""
        return rows(self.site, self.pos, self.head)


def path(
    model: Transformer,
    task: Task,
    sender: Node,
    receivers: Sequence[Node],
    *,
    couples: Couples | None = None,
    base: Base = "corrupt",
    mlps: Mlps = "frozen",
) -> float:
    """The normalised logit difference (0 the corrupted run's, 1 the clean one's) once a sender's path is patched.

    Args:
        sender: an ``embed``, ``z`` or ``mlp_out``.
        receivers: some ``q``, ``k``, ``v`` and ``mlp_pre``, or ``logits`` alone.
        couples: ``corruption(task.labels)`` unless given.
        base: the run that is patched; the sender's value comes from the other one.
        mlps: "frozen": only the edge through the residual stream is patched (Goldowsky-Dill et al.); "recomputed":
            MLPs on the way answer to the sender's change and count as a part of its path (Wang et al.).

    Raises:
        InputError: a node does not exist in this model, or cannot send or receive, or logits is not the only receiver.

    Source: Wang et al. 2022 (arXiv 2211.00593), appendix B; Goldowsky-Dill et al. 2023 (arXiv 2304.05969).
    """
    _check(model, task, [sender], SENDERS, "sender")
    _check(model, task, receivers, RECEIVERS, "receivers")
    return _value(model, both_runs(model, task, couples or corruption(task.labels)), sender, receivers, base, mlps)


def sweep(
    model: Transformer,
    task: Task,
    receivers: Sequence[Node],
    *,
    couples: Couples | None = None,
    base: Base = "corrupt",
    mlps: Mlps = "frozen",
) -> Sweep:
    """``path`` from every sender before the receivers, position by position: embeddings, heads and MLPs.

    Raises:
        InputError: as ``path``.

    Source: as ``path``; the sweep over heads is Wang et al.'s figure 3.
    """
    _check(model, task, receivers, RECEIVERS, "receivers")
    runs = both_runs(model, task, couples or corruption(task.labels))
    patches = []
    for site, layer, head in _senders(model, receivers):
        for pos in range(task.n_ctx):
            value = _value(model, runs, Node(site, layer, head, pos), receivers, base, mlps)
            patches.append(Patch(site, layer, pos, head, value))
    return Sweep(tuple(patches), runs.metric.clean, runs.metric.corrupt)


def _senders(model: Transformer, receivers: Sequence[Node]) -> list[tuple[str, int | None, int | None]]:
    """What comes before the last of the receivers: every embedding, head and MLP, without positions."""
    n_layers = model.config.n_layers
    mlps = max(n_layers if node.layer is None else node.layer for node in receivers)
    # an MLP reads what the heads of its own layer wrote
    heads = max(n_layers if node.layer is None else node.layer + (node.site == "mlp_pre") for node in receivers)
    found: list[tuple[str, int | None, int | None]] = [("embed", None, None)]
    for layer in range(n_layers):
        found += [("z", layer, head) for head in range(model.config.n_heads) if layer < heads]
        found += [("mlp_out", layer, None)] if layer < mlps else []
    return found


def _value(model: Transformer, runs: Runs, sender: Node, receivers: Sequence[Node], base: Base, mlps: Mlps) -> float:
    tokens, here = runs.tokens[base], runs.acts[base]
    there = runs.acts["clean" if base == "corrupt" else "corrupt"]
    frozen = ("z", "mlp_out") if mlps == "frozen" else ("z",)
    read: dict[str, Tensor] = {}

    def first(name: str, value: Tensor) -> Tensor:
        read[name] = value
        value = here[name] if name.rpartition(".")[2] in frozen else value
        return put(there[name], sender.where)(value) if name == sender.name else value

    with torch.no_grad():
        logits: Float[Tensor, "couples pos d_vocab_out"] = model(tokens, tap=first)
        if receivers[0].site != "logits":
            logits = intervene(model, tokens, _changes(receivers, read))
    return runs.metric(logits)


def _changes(receivers: Sequence[Node], read: dict[str, Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    """For each activation that some receivers are a part of, the change that puts in what they read."""
    names = dict.fromkeys(node.name for node in receivers)
    nodes = {name: [node for node in receivers if node.name == name] for name in names}

    def change(name: str) -> Callable[[Tensor], Tensor]:
        def all_of_them(met: Tensor) -> Tensor:
            for node in nodes[name]:
                met = put(read[name], node.where)(met)
            return met

        return all_of_them

    return {name: change(name) for name in names}


def _check(model: Transformer, task: Task, nodes: Sequence[Node], sites: Sequence[str], field: str) -> None:
    n_layers, n_heads = model.config.n_layers, model.config.n_heads
    for node in nodes:
        if node.site not in sites:
            raise InputError(f"{field} must be at one of {', '.join(sites)} (got {node.site!r}).")
        if node.site in ("embed", "logits"):
            if node.layer is not None:
                raise InputError(f"{field} at {node.site} must have no layer (got {node.layer}).")
        elif node.layer is None or not 0 <= node.layer < n_layers:
            raise InputError(f"{field}: layer must be in 0 .. {n_layers - 1} (got {node.layer}).")
        if node.head is not None and (node.site not in HEAD_AXIS or not 0 <= node.head < n_heads):
            allowed = f"in 0 .. {n_heads - 1} or none" if node.site in HEAD_AXIS else f"none at {node.site}"
            raise InputError(f"{field}: head must be {allowed} (got {node.head}).")
        if node.pos is not None and not 0 <= node.pos < task.n_ctx:
            raise InputError(f"{field}: pos must be in 0 .. {task.n_ctx - 1} or none (got {node.pos}).")
    if not nodes or (len(nodes) > 1 and any(node.site == "logits" for node in nodes)):
        raise InputError(f"{field} must be logits alone, or one or more of the others (got {len(nodes)}).")
