"""Activation and path patching: which activations, and which paths between parts, carry the answer.

Pairs of examples with different answers give a clean and a corrupted run. The metric is the logit of the clean answer
minus that of the corrupted answer, averaged over pairs and normalized: 0 for the corrupted run, 1 for the clean run.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from miii.analysis.causal.counterfactuals import Pairs, draw_pairs
from miii.errors import InputError
from miii.model.tap import SITES, capture, intervene
from miii.model.transformer import Transformer
from miii.tasks import Task

#: Sites with a head axis, and its index. "pos" of scores and pattern is the query's.
HEAD_AXIS = {"q": 2, "k": 2, "v": 2, "z": 2, "scores": 1, "pattern": 1}
SENDERS = ("embed", "z", "mlp_out")
RECEIVERS = ("q", "k", "v", "mlp_pre", "logits")

Base = Literal["corrupt", "clean"]
Mlps = Literal["frozen", "recomputed"]


@dataclass(frozen=True)
class Metric:
    """The normalized logit difference over pairs of examples: 0 for the corrupted run, 1 for the clean run.

    Attributes:
        clean, corrupt: mean logit difference of each run, in logits (nats).

    Source: Wang et al. 2022, section 3; Heimersheim and Nanda 2024 (arXiv 2404.15255).
    """

    clean_answers: Int[Tensor, " pairs"]
    corrupt_answers: Int[Tensor, " pairs"]
    clean: float
    corrupt: float

    def difference(self, logits: Float[Tensor, "pairs pos d_vocab_out"]) -> float:
        """Return the mean of the clean answer's logit minus the corrupted answer's, at the last position."""
        last, each = logits[:, -1].double(), torch.arange(len(logits))
        return (last[each, self.clean_answers] - last[each, self.corrupt_answers]).mean().item()

    def __call__(self, logits: Float[Tensor, "pairs pos d_vocab_out"]) -> float:
        """Return the normalized difference; NaN if it is equal in both runs."""
        scale = self.clean - self.corrupt
        return (self.difference(logits) - self.corrupt) / scale if scale else math.nan


@dataclass(frozen=True)
class Runs:
    """The clean and the corrupted run of pairs of examples: tokens, and every activation by name."""

    tokens: Mapping[str, Int[Tensor, "pairs pos"]]
    acts: Mapping[str, Mapping[str, Tensor]]
    metric: Metric


def run_clean_and_corrupt(model: Transformer, task: Task, pairs: Pairs) -> Runs:
    """Run the network on both examples of every pair and keep all activations."""
    tokens = {"clean": task.tokens[pairs.clean], "corrupt": task.tokens[pairs.corrupt]}
    with torch.no_grad():
        acts = {name: capture(model, some) for name, some in tokens.items()}
    raw = Metric(task.labels[pairs.clean], task.labels[pairs.corrupt], 1.0, 0.0)
    ends = {name: raw.difference(some["logits"]) for name, some in acts.items()}
    return Runs(tokens, acts, Metric(raw.clean_answers, raw.corrupt_answers, **ends))


@dataclass(frozen=True)
class Patch:
    """One patched activation and the resulting normalized logit difference.

    Attributes:
        layer: None for sites outside the blocks.
        pos: the position; for scores and pattern, the query's.
        head: None if all heads were patched at once, or the site has none.
    """

    site: str
    layer: int | None
    pos: int
    head: int | None
    value: float


@dataclass(frozen=True)
class Sweep:
    """All patches, and the mean logit difference of the unpatched runs, in logits (nats)."""

    patches: tuple[Patch, ...]
    clean: float
    corrupt: float


def sweep(model: Transformer, task: Task, pairs: Pairs | None = None) -> Sweep:
    """Patch the clean run's activations into the corrupted run: each site at each position, and head by head.

    Patches every site of ``SITES`` except pos_embed, which is the same in both runs. 1 means that the activation alone
    carries the whole answer, 0 that it carries none of it.

    Args:
        pairs: ``draw_pairs(task.labels)`` if None.

    Source: Meng et al. 2022 (arXiv 2202.05262), section 2; Heimersheim and Nanda 2024 (arXiv 2404.15255);
    TransformerLens' ``generic_activation_patch``.
    """
    runs = run_clean_and_corrupt(model, task, pairs or draw_pairs(task.labels))
    clean = runs.acts["clean"]
    patches = []
    for name in (name for name in clean if name != "pos_embed"):
        layer, _, site = name.rpartition(".")
        heads = [None, *range(model.config.n_heads)] if site in HEAD_AXIS else [None]
        for pos in range(task.n_ctx):
            for head in heads:
                where = index(site, pos, head)
                with torch.no_grad():
                    logits = intervene(model, runs.tokens["corrupt"], {name: put(clean[name], where)})
                patches.append(Patch(site, int(layer) if layer else None, pos, head, runs.metric(logits)))
    return Sweep(tuple(patches), runs.metric.clean, runs.metric.corrupt)


def index(site: str, pos: int | None, head: int | None) -> tuple[slice | int, ...]:
    """Return the index of a position and a head in an activation; None selects all of them."""
    where: list[slice | int] = [slice(None)] * 3
    where[SITES[site].index("query" if "query" in SITES[site] else "pos")] = slice(None) if pos is None else pos
    if head is not None:
        where[HEAD_AXIS[site]] = head
    return tuple(where)


def put(values: Tensor, where: tuple[slice | int, ...]) -> Callable[[Tensor], Tensor]:
    """Return a change for ``intervene`` that copies ``values`` at one index and keeps the rest."""

    def change(old: Tensor) -> Tensor:
        new = old.clone()
        new[where] = values[where]
        return new

    return change


@dataclass(frozen=True)
class Node:
    """A sender or receiver: a head's output ``z`` or input ``q``, ``k``, ``v``; an MLP's ``mlp_out`` or ``mlp_pre``;
    ``embed``; or ``logits``.

    Attributes:
        layer: None for embed and logits.
        head: None for all heads of the layer, and for sites without heads.
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
        """The node's index in that activation."""
        return index(self.site, self.pos, self.head)


def path(
    model: Transformer,
    task: Task,
    sender: Node,
    receivers: Sequence[Node],
    *,
    pairs: Pairs | None = None,
    base: Base = "corrupt",
    mlps: Mlps = "frozen",
) -> float:
    """Return the normalized logit difference after patching the paths from a sender to some receivers.

    Take the sender from the other run, freeze every other head (and MLP) at its value in the base, and record the
    receivers' inputs. Patch these into a second run of the base and recompute everything else.

    Args:
        sender: an ``embed``, ``z`` or ``mlp_out``.
        receivers: some ``q``, ``k``, ``v`` and ``mlp_pre``, or ``logits`` alone.
        pairs: ``draw_pairs(task.labels)`` if None.
        base: the run that is patched; the sender's value comes from the other run.
        mlps: "frozen" patches the direct edge only (Goldowsky-Dill et al.); "recomputed" counts MLPs on the way as part
            of the path (Wang et al.).

    Raises:
        InputError: a node does not exist in this model or cannot send or receive, or logits is not the only receiver.

    Source: Wang et al. 2022 (arXiv 2211.00593), appendix B; Goldowsky-Dill et al. 2023 (arXiv 2304.05969).
    """
    _check(model, task, [sender], SENDERS, "sender")
    _check(model, task, receivers, RECEIVERS, "receivers")
    runs = run_clean_and_corrupt(model, task, pairs or draw_pairs(task.labels))
    return _patch_path(model, runs, sender, receivers, base, mlps)


def sweep_paths(
    model: Transformer,
    task: Task,
    receivers: Sequence[Node],
    *,
    pairs: Pairs | None = None,
    base: Base = "corrupt",
    mlps: Mlps = "frozen",
) -> Sweep:
    """Patch the ``path`` from every sender before the receivers, position by position: embeddings, heads and MLPs.

    Raises:
        InputError: as ``path``.

    Source: as ``path``; the sweep over heads is figure 3 of Wang et al.
    """
    _check(model, task, receivers, RECEIVERS, "receivers")
    runs = run_clean_and_corrupt(model, task, pairs or draw_pairs(task.labels))
    patches = []
    for site, layer, head in _senders(model, receivers):
        for pos in range(task.n_ctx):
            value = _patch_path(model, runs, Node(site, layer, head, pos), receivers, base, mlps)
            patches.append(Patch(site, layer, pos, head, value))
    return Sweep(tuple(patches), runs.metric.clean, runs.metric.corrupt)


def _senders(model: Transformer, receivers: Sequence[Node]) -> list[tuple[str, int | None, int | None]]:
    """Return every embedding, head and MLP before the last receiver, without positions."""
    n_layers = model.config.n_layers
    mlps = max(n_layers if node.layer is None else node.layer for node in receivers)
    # an MLP also reads the heads of its own layer
    heads = max(n_layers if node.layer is None else node.layer + (node.site == "mlp_pre") for node in receivers)
    senders: list[tuple[str, int | None, int | None]] = [("embed", None, None)]
    for layer in range(n_layers):
        senders += [("z", layer, head) for head in range(model.config.n_heads) if layer < heads]
        senders += [("mlp_out", layer, None)] if layer < mlps else []
    return senders


def _patch_path(
    model: Transformer, runs: Runs, sender: Node, receivers: Sequence[Node], base: Base, mlps: Mlps
) -> float:
    tokens, here = runs.tokens[base], runs.acts[base]
    there = runs.acts["clean" if base == "corrupt" else "corrupt"]
    frozen = ("z", "mlp_out") if mlps == "frozen" else ("z",)
    read: dict[str, Tensor] = {}

    def record(name: str, value: Tensor) -> Tensor:
        read[name] = value
        value = here[name] if name.rpartition(".")[2] in frozen else value
        return put(there[name], sender.where)(value) if name == sender.name else value

    with torch.no_grad():
        logits: Float[Tensor, "pairs pos d_vocab_out"] = model(tokens, tap=record)
        if receivers[0].site != "logits":
            logits = intervene(model, tokens, _changes(receivers, read))
    return runs.metric(logits)


def _changes(receivers: Sequence[Node], read: dict[str, Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    """Return the change that patches in the receivers' inputs, for each activation with a receiver."""
    nodes = {name: [node for node in receivers if node.name == name] for name in (node.name for node in receivers)}

    def change(name: str) -> Callable[[Tensor], Tensor]:
        def put_all(old: Tensor) -> Tensor:
            for node in nodes[name]:
                old = put(read[name], node.where)(old)
            return old

        return put_all

    return {name: change(name) for name in nodes}


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
