"""A transformer as a graph: which outputs each part reads, and at which position.

The residual stream is a sum, so a reader at a position reads every earlier output there. An edge connects one writer to
one reader at one position. Only attention moves information between positions, inside a head: it reads queries at its
own position, and keys and values at every position it attends to.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True)
class Node:
    """A part of the network at one position: the embedding, a head, an MLP or the logits.

    Attributes:
        layer: index of the block, for heads and MLPs.
        head: index in the block, for heads.

    Source: Conmy et al. 2023 (arXiv 2304.14997), section 2.
    """

    kind: Literal["embed", "head", "mlp", "logits"]
    position: int
    layer: int | None = None
    head: int | None = None

    @property
    def name(self) -> str:
        """The part, and its position after the @: ``embed@0``, ``0.h3@2``, ``0.mlp@2``, ``logits@2``."""
        return self.input("")

    def input(self, which: str) -> str:
        """Return the name of a head's input, such as ``0.h3.q@2``, or the node's name for ""."""
        block = "" if self.layer is None else f"{self.layer}."
        part = self.kind if self.head is None else f"h{self.head}"
        return f"{block}{part}{which and f'.{which}'}@{self.position}"


@dataclass(frozen=True)
class Edge:
    """A connection from one part's output to one input.

    Attributes:
        source: the writer.
        target: the reader, at the same position. A head's key or value there serves the head at every position that
            attends to it; see ``Graph.feeds``.
        which: "q", "k" or "v" for heads, otherwise "".

    Source: Conmy et al. 2023, section 2; three separate inputs per head, as in their code.
    """

    source: Node
    target: Node
    which: Literal["", "q", "k", "v"] = ""

    @property
    def reader(self) -> str:
        """The input's name, such as ``0.h3.k@0``."""
        return self.target.input(self.which)

    @property
    def name(self) -> str:
        """The edge's name, such as ``embed@0 -> 0.h3.k@0``."""
        return f"{self.source.name} -> {self.reader}"

    @property
    def kind(self) -> str:
        """The kind of input: "q", "k", "v", "mlp" or "logits"."""
        return self.which or self.target.kind


@dataclass(frozen=True)
class Graph:
    """All edges with a path to the logits at the last position, where the answer is read out.

    Writers are the embedding, then the heads and the MLP of each block. Readers are the queries, keys and values of
    the heads and the MLP of each block, then the logits. Edges are ordered by reader, position, writer: none depends
    on a later one.

    Source: Conmy et al. 2023, section 2; edges with positions as in Haklay et al. 2025 (arXiv 2502.04577).
    """

    n_layers: int
    n_heads: int
    n_ctx: int
    causal: bool

    @property
    def n_writers(self) -> int:
        """The embedding, and each block's heads and MLP."""
        return 1 + self.n_layers * (self.n_heads + 1)

    @property
    def n_readers(self) -> int:
        """The three inputs of each head, the MLPs, and the logits."""
        return self.n_layers * (3 * self.n_heads + 1) + 1

    @cached_property
    def index(self) -> Int[Tensor, "edges 3"]:
        """The reader, position and writer of each edge."""
        rows: list[tuple[int, int, int]] = []
        for reader in range(self.n_readers):
            layer, place = divmod(reader, 3 * self.n_heads + 1)
            mlp, logits = place == 3 * self.n_heads, layer == self.n_layers
            # later heads read a block's output at every position; after the last block only the end is read
            end_only = logits or (layer == self.n_layers - 1 and (mlp or place < self.n_heads))
            writers = self.n_writers if logits else 1 + layer * (self.n_heads + 1) + mlp * self.n_heads
            positions = range(self.n_ctx - 1 if end_only else 0, self.n_ctx)
            rows += [(reader, position, writer) for position in positions for writer in range(writers)]
        return torch.tensor(rows)

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in order."""
        return tuple(self._edge(*row) for row in self.index.tolist())

    @cached_property
    def feeds(self) -> tuple[tuple[Node, ...], ...]:
        """The nodes that each edge feeds directly: one, or a head at every position that attends to it."""
        return tuple(
            tuple(Node("head", query, edge.target.layer, edge.target.head) for query in self._attending(edge.target))
            if edge.which in ("k", "v")
            else (edge.target,)
            for edge in self.edges
        )

    def live(self, mask: Bool[Tensor, " edges"]) -> Bool[Tensor, " edges"]:
        """Return the kept edges that lead to the logits along kept edges."""
        live, read = torch.zeros_like(mask), {Node("logits", self.n_ctx - 1)}
        for i in reversed(mask.nonzero().flatten().tolist()):
            if not read.isdisjoint(self.feeds[i]):
                live[i] = True
                read.add(self.edges[i].source)
        return live

    def paths(self, edges: Iterable[int]) -> dict[str, frozenset[int]]:
        """Return, for each edge and node by name, which of ``edges`` lie on a common path with it."""
        order = sorted(edges)
        before: dict[Node, frozenset[int]] = {}
        after: dict[Node, frozenset[int]] = {}
        upto: dict[int, frozenset[int]] = {}
        onward: dict[int, frozenset[int]] = {}
        empty: frozenset[int] = frozenset()
        for i in order:
            upto[i] = before.get(self.edges[i].source, empty) | {i}
            before |= {node: before.get(node, empty) | upto[i] for node in self.feeds[i]}
        for i in reversed(order):
            onward[i] = empty.union(*(after.get(node, empty) for node in self.feeds[i])) | {i}
            after[self.edges[i].source] = after.get(self.edges[i].source, empty) | onward[i]
        nodes = {node.name: before.get(node, empty) | after.get(node, empty) for node in before | after}
        return nodes | {self.edges[i].name: upto[i] | onward[i] for i in order}

    def first_stage(self, mask: Bool[Tensor, " edges"]) -> int:
        """Return the first stage (attention 0, MLP 0, attention 1, ..., logits) that reads an edge that is not kept."""
        missing = self.index[~mask, 0]
        if not len(missing):
            return 2 * self.n_layers
        layer, place = divmod(int(missing.min()), 3 * self.n_heads + 1)
        return 2 * layer + (place == 3 * self.n_heads)

    def matrix(self, mask: Bool[Tensor, " edges"]) -> Bool[Tensor, "reader pos writer"]:
        """Return which writers each reader reads at each position, along kept edges of the graph."""
        matrix = torch.zeros(self.n_readers, self.n_ctx, self.n_writers, dtype=torch.bool)
        matrix[tuple(self.index.T)] = mask
        return matrix

    def of_edges(self, matrix: Float[Tensor, "reader pos writer"]) -> Float[Tensor, " edges"]:
        """Return the entries of a matrix that are edges, in the order of ``edges``."""
        return matrix[tuple(self.index.T)]

    def _edge(self, reader: int, position: int, writer: int) -> Edge:
        layer, place = divmod(reader, 3 * self.n_heads + 1)
        source = self._writer(writer, position)
        if layer == self.n_layers:
            return Edge(source, Node("logits", position))
        if place == 3 * self.n_heads:
            return Edge(source, Node("mlp", position, layer))
        which: Literal["q", "k", "v"] = ("q", "k", "v")[place // self.n_heads]
        return Edge(source, Node("head", position, layer, place % self.n_heads), which)

    def _writer(self, writer: int, position: int) -> Node:
        if not writer:
            return Node("embed", position)
        layer, place = divmod(writer - 1, self.n_heads + 1)
        return Node("mlp", position, layer) if place == self.n_heads else Node("head", position, layer, place)

    def _attending(self, head: Node) -> range:
        """Return the positions from which the head attends to ``head.position``, if a reader uses its output there."""
        first = head.position if self.causal else 0
        return range(self.n_ctx - 1 if head.layer == self.n_layers - 1 else first, self.n_ctx)
