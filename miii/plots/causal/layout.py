"""Layout of a circuit: positions of nodes and routes of edges."""

from collections.abc import Callable, Mapping, Sequence

from miii.analysis.causal.circuits import Edge, Graph, Node

WIDTH, HEIGHT = 0.84, 0.3  #: size of a node; heads and depths are 1 apart
PORTS = {"q": -0.26, "k": 0.0, "v": 0.26}  #: positions of a head's inputs, from its center
SPREAD = 0.3  #: largest distance from a node's center at which lines start or end
GAP = 0.65  #: between a column's nodes and its border

Point = tuple[float, float]
Line = tuple[Edge, Node]


class Layout:
    """A column for each position and a row for each depth, from the embedding at the bottom to the logits.

    A line rises in its reader's column, next to the nodes in between.

    Args:
        lines: the edges to draw, each with its readers.

    Source: after Conmy et al. 2023 (arXiv 2304.14997), figure 1.
    """

    def __init__(self, graph: Graph, lines: Mapping[Edge, Sequence[Node]]) -> None:
        self.graph = graph
        self.nodes = sorted({edge.source for edge in lines}.union(*lines.values()), key=lambda node: node.name)
        with_heads = {node.position for node in self.nodes if node.kind == "head"}
        self.half = [graph.n_heads / 2 if p in with_heads else 0.5 for p in range(graph.n_ctx)]
        self.middle: list[float] = []
        self.width = 0.0
        for half in self.half:
            self.middle.append(self.width + half + GAP)
            self.width += 2 * (half + GAP)
        self.depths = ["embedding"]
        for layer in range(graph.n_layers):
            self.depths += [f"heads {layer}", f"MLP {layer}"]
        self.depths.append("logits")
        self.at = {node: (self._x(node), self._row(node)) for node in self.nodes}
        self._between = {(edge, to): self._beside(edge, to) for edge in lines for to in lines[edge]}
        self._leave = self._ends(lambda edge, to: edge.source, 0)
        self._arrive = self._ends(lambda edge, to: to, -1)

    def box(self, node: Node) -> dict[str, float]:
        """Return the corners of a node and the position of its name."""
        x, y = self.at[node]
        lifted = 0.06 if node.kind == "head" else 0.0
        corners = {"x": x - WIDTH / 2, "x2": x + WIDTH / 2, "y": y - HEIGHT / 2, "y2": y + HEIGHT / 2}
        return corners | {"middle": x, "text": y + lifted}

    def ports(self, node: Node) -> list[tuple[str, float, float]]:
        """Return the letters of a head's inputs and their positions; other nodes have none."""
        x, y = self.at[node]
        return [(which, x + dx, y - 0.08) for which, dx in PORTS.items()] if node.kind == "head" else []

    def line(self, edge: Edge, to: Node) -> list[Point]:
        """Return the points of a line, from bottom to top."""
        (x0, y0), (x1, y1) = self.at[edge.source], self.at[to]
        dx = PORTS[edge.which] if edge.which else self._arrive[edge, to]
        start = (x0 + self._leave[edge, to], y0 + HEIGHT / 2)
        return [start, *self._between[edge, to], (x1 + dx, y1 - HEIGHT / 2)]

    def _beside(self, edge: Edge, to: Node) -> list[Point]:
        """Return the points of a line at the depths in between, routed around nodes."""
        x, y = self.at[edge.source]
        column, half = self.middle[edge.source.position], self.half[edge.source.position]
        side = -1 if x < column or (x == column and to.kind == "logits") else 1
        rows = range(round(y) + 1, round(self.at[to][1]))
        # longer lines run further out; all stay in the gap
        lane = 0.2 + 0.1 * abs(x - column) / half + 0.3 * len(rows) / len(self.depths)
        points = []
        for row in rows:
            empty = not any(node.position == edge.source.position and self.at[node][1] == row for node in self.nodes)
            at = x if empty else column + side * ((half if row % 2 else 0.5) + lane)
            points += [(at, row - 0.2), (at, row + 0.2)]
        return points

    def _ends(self, node_of: Callable[[Edge, Node], Node], end: int) -> dict[Line, float]:
        """Return the offset of each line's end from its node's center, ordered so that lines do not cross there."""
        lines_at: dict[Node, list[tuple[float, str, Line]]] = {}
        for (edge, to), points in self._between.items():
            other = self.at[edge.source if end else to][0]
            x = points[end][0] if points else other
            lines_at.setdefault(node_of(edge, to), []).append((x, edge.name, (edge, to)))
        offsets = {}
        for lines in lines_at.values():
            middle = (len(lines) - 1) / 2
            for n, (*_, line) in enumerate(sorted(lines, key=lambda line: line[:2])):
                offsets[line] = SPREAD * (n - middle) / middle if middle else 0.0
        return offsets

    def _row(self, node: Node) -> int:
        if node.layer is None:
            return 0 if node.kind == "embed" else len(self.depths) - 1
        return 1 + 2 * node.layer + (node.kind == "mlp")

    def _x(self, node: Node) -> float:
        middle = self.middle[node.position]
        return middle if node.head is None else middle + node.head - (self.graph.n_heads - 1) / 2
