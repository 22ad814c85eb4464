"""Circuits as graphs, their faithfulness, and the agreement of methods."""

import math
from collections.abc import Sequence
from typing import Any

import altair as alt
import pandas as pd

from miii.analysis.causal.circuits import Circuit, Edge, Graph, Node
from miii.errors import InputError
from miii.plots.causal.layout import Layout
from miii.plots.style import ACCENT, CATEGORY, FIXED, FLUID, HEIGHT, MAIN, MUTED, WRONG, Chart, top_legend

METHODS = {"exact": MUTED, "acdc": ACCENT, "eap": WRONG, "eap-ig": MAIN}
READERS = {"query": WRONG, "key": ACCENT, "value": MAIN, "MLP": CATEGORY[3], "logits": MUTED}
SIGNS = {"helps the answer": MAIN, "works against it": ACCENT}
UNIT, DEPTH = 64, 116  #: pixels between heads, and between depths


def circuit(found: Circuit, n_edges: int, names: Sequence[str] | None = None) -> Chart:
    """Draw the most important edges as a graph, with |score| as their width: inputs at the bottom, logits at the top.

    Every position has a column. A line enters a head as query, key or value. A click, or the pointer, highlights the
    paths through an edge or node.

    Args:
        n_edges: number of edges.
        names: names of the positions; if None, their numbers.

    Raises:
        InputError: ``n_edges`` is not between 1 and the number of edges, or there is not one name for each position.

    Source: Conmy et al. 2023 (arXiv 2304.14997), figure 1.
    """
    graph = found.graph
    if not 1 <= n_edges <= len(found.edges):
        raise InputError(f"n_edges must be in 1 .. {len(found.edges)} (got {n_edges}).")
    if names is not None and len(names) != graph.n_ctx:
        raise InputError(f"names must be one for each of {graph.n_ctx} positions (got {len(names)}).")
    drawn = found.edges[:n_edges]
    readers = _readers(graph, drawn)
    layout = Layout(graph, readers)
    through = _through(graph, readers)
    nodes = {node: {"item": node.name, "through": through[node.name]} for node in layout.nodes}
    lines = [
        {
            "item": edge.name,
            "through": through[edge.name],
            "rank": rank,
            "score": score,
            "sign": list(SIGNS)[score < 0],
            "to": node.name,
            "xs": " ".join(f"{x:.3f}" for x, _ in layout.line(edge, node)),
            "ys": " ".join(f"{y:.3f}" for _, y in layout.line(edge, node)),
        }
        for rank, (edge, score) in enumerate(zip(drawn, found.scores, strict=False), 1)
        for node in readers[edge]
    ]
    boxes = [fields | layout.box(node) | {"label": _label(node)} for node, fields in nodes.items()]
    ports = [
        fields | {"x": x, "y": y, "label": which}
        for node, fields in nodes.items()
        for which, x, y in layout.ports(node)
    ]
    chart = _draw(lines, boxes, ports, layout, names, signed=found.unit == "logits")
    return chart.properties(title=_title(found, n_edges))


def _readers(graph: Graph, drawn: Sequence[Edge]) -> dict[Edge, list[Node]]:
    """Return the nodes to draw each edge to: readers that have edges themselves, otherwise its last reader."""
    feeds = dict(zip(graph.edges, graph.feeds, strict=True))
    sources = {edge.source for edge in drawn}
    return {edge: [node for node in feeds[edge] if node in sources] or [feeds[edge][-1]] for edge in drawn}


def _through(graph: Graph, readers: dict[Edge, list[Node]]) -> dict[str, str]:
    """Return, for each edge and node by name, all items on a path through it: ``|a|b|``, for lookup in a browser."""
    number = {edge: i for i, edge in enumerate(graph.edges)}
    paths = graph.paths(number[edge] for edge in readers)
    lies = {name: {name} for name in paths}
    for name, edges in paths.items():
        for edge in (graph.edges[i] for i in edges):
            for item in (edge.name, edge.source.name, *(node.name for node in readers[edge])):
                lies[item].add(name)
    return {name: f"|{'|'.join(sorted(names))}|" for name, names in lies.items()}


def _label(node: Node) -> str:
    return f"h{node.head}" if node.kind == "head" else "MLP" if node.kind == "mlp" else node.kind


def _title(found: Circuit, n_edges: int) -> str:
    f = dict(zip(found.faithfulness.n_edges, found.faithfulness.f or (), strict=False)).get(n_edges)
    text = f"The {n_edges} most important of {len(found.edges)} edges ({found.method})"
    return text if f is None else f"{text}: f = {f:.2f}"


def _draw(
    lines: list[dict], boxes: list[dict], ports: list[dict], layout: Layout, names: Sequence[str] | None, signed: bool
) -> Chart:
    pick = alt.selection_point(name="pick", fields=["item"], on="click")
    hover = alt.selection_point(name="hover", fields=["item"], on="pointerover", clear="pointerout")
    focus = "(pick.item || hover.item || [''])[0]"
    lit = f"{focus} === '' || indexof(datum.through, '|' + {focus} + '|') >= 0"

    def axis(values: list[float], labels: list[str]) -> alt.Axis:
        text = f"{labels}[indexof({values}, datum.value)]"
        return alt.Axis(values=values, labelExpr=text, grid=False, ticks=False, domain=False, labelAngle=0)

    positions = list(names) if names else [str(p) for p in range(len(layout.middle))]
    rows = [float(row) for row in range(len(layout.depths))]
    x_scale = alt.Scale(domain=[0, layout.width], nice=False)
    y_scale = alt.Scale(domain=[-0.4, len(rows) - 0.6], nice=False)
    x = alt.X("x:Q", title="position", scale=x_scale, axis=axis(layout.middle, positions))
    y = alt.Y("y:Q", title="depth", scale=y_scale, axis=axis(rows, layout.depths))

    frame = pd.DataFrame(lines)
    base = (
        alt.Chart(frame)
        .transform_calculate(x="split(datum.xs, ' ')", y="split(datum.ys, ' ')", size="abs(datum.score)")
        .transform_flatten(["x", "y"])
        .transform_calculate(x="toNumber(datum.x)", y="toNumber(datum.y)")
        .encode(x=x, y=y, detail=["item:N", "to:N"], order="y:Q")
        .encode(tooltip=[alt.Tooltip("item:N", title="edge"), alt.Tooltip("score:Q", format=".4g"), "rank:Q"])
    )
    largest = max(float(frame["score"].abs().max()), 1e-12)  # all scores may be 0
    colors = alt.Scale(domain=list(SIGNS), range=list(SIGNS.values()))
    strokes = base.mark_line(interpolate="basis", strokeCap="round").encode(
        color=alt.Color("sign:N", scale=colors, legend=top_legend() if signed else None),
        strokeWidth=alt.StrokeWidth("size:Q", legend=None, scale=alt.Scale(domain=[0, largest], range=[0.8, 9])),
        opacity=alt.condition(lit, alt.value(0.9), alt.value(0.07)),
    )
    # thin lines are hard to hit with the pointer
    wide = base.mark_line(interpolate="basis", strokeWidth=12, opacity=0.001).add_params(pick, hover)
    fade = alt.condition(lit, alt.value(1.0), alt.value(0.25))
    node = alt.Chart(pd.DataFrame(boxes)).encode(opacity=fade, tooltip=[alt.Tooltip("item:N", title="node")])
    rects = node.mark_rect(fill=MUTED, cornerRadius=5).encode(x=x, x2="x2:Q", y=y, y2="y2:Q")
    labels = node.mark_text(color="black", fontWeight="bold").encode(x="middle:Q", y="text:Q", text="label:N")
    inputs = (
        alt.Chart(pd.DataFrame(ports, columns=["item", "through", "x", "y", "label"]))
        .mark_text(color="black", fontSize=10)
        .encode(x="x:Q", y="y:Q", text="label:N", opacity=fade, tooltip=[alt.Tooltip("item:N", title="node")])
    )
    size = {"width": round(UNIT * layout.width), "height": DEPTH * len(rows) - 20}
    return alt.layer(strokes, wide, rects, labels, inputs).properties(**size, autosize=FIXED)


def faithfulness(circuits: Sequence[Circuit]) -> Chart:
    """Draw faithfulness over the number of edges, one curve per method; circuits without f have no curve.

    Source: f as in Mueller et al. 2025 (arXiv 2504.13151); the curve as in Hanna et al. 2024 (arXiv 2403.17806).
    """
    rows = [
        {"edges": n, "f": f, "method": found.method}
        for found in circuits
        for n, f in zip(found.faithfulness.n_edges, found.faithfulness.f or (), strict=False)
    ]
    curves = (
        alt.Chart(pd.DataFrame(rows, columns=["edges", "f", "method"]))
        .mark_line()
        .encode(
            x=alt.X("edges:Q", title="edges in the circuit"),
            y=alt.Y("f:Q", title="faithfulness f"),
            color=alt.Color(
                "method:N", scale=alt.Scale(domain=list(METHODS), range=list(METHODS.values())), legend=top_legend()
            ),
            # draw the ground truth as a wide band under the others
            strokeWidth=alt.condition("datum.method === 'exact'", alt.value(6), alt.value(2)),
            strokeDash=alt.StrokeDash("method:N", sort=list(METHODS), legend=None),
            tooltip=["method:N", "edges:Q", alt.Tooltip("f:Q", format=".3f")],
        )
    )
    whole = alt.Chart(pd.DataFrame({"f": [1.0]})).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y="f:Q")
    return alt.layer(curves, whole).properties(title="Faithfulness of circuits", height=HEIGHT, autosize=FLUID)


def edge_agreement(found: Circuit, truth: Circuit) -> Chart:
    """Draw every edge's score by one method over its exact score, with the diagonal.

    Axes are linear up to a thousandth of the largest score, and logarithmic beyond.
    """
    kinds = dict(zip(("q", "k", "v", "mlp", "logits"), READERS, strict=True))
    score = dict(zip(found.edges, found.scores, strict=True))
    frame = pd.DataFrame(
        [
            {"edge": edge.name, "true": true, "found": score[edge], "read as": kinds[edge.kind]}
            for edge, true in zip(truth.edges, truth.scores, strict=True)
        ]
    )
    comparable = found.unit == truth.unit
    both = (*found.scores, *truth.scores)
    colors = alt.Scale(domain=list(READERS), range=list(READERS.values()))
    points = (
        alt.Chart(frame)
        .mark_point(size=70, filled=True, opacity=0.85)
        .encode(
            x=alt.X("true:Q", title=f"{truth.method}, {truth.unit}", **_symlog(both if comparable else truth.scores)),
            y=alt.Y("found:Q", title=f"{found.method}, {found.unit}", **_symlog(both if comparable else found.scores)),
            color=alt.Color("read as:N", scale=colors, legend=top_legend()),
            shape=alt.Shape("read as:N", scale=alt.Scale(domain=list(READERS)), legend=top_legend()),
            tooltip=["edge:N", alt.Tooltip("true:Q", format=".4g"), alt.Tooltip("found:Q", format=".4g")],
        )
    )
    ends = [min(both), max(both)]
    equal = pd.DataFrame({"true": ends, "found": ends})
    line = alt.Chart(equal).mark_line(color=MUTED, strokeWidth=1, clip=True).encode(x="true:Q", y="found:Q")
    layers = [points, line] if comparable else [points]
    title = f"Score of each edge, {found.method} over {truth.method}"
    return alt.layer(*layers).properties(title=title, width=360, height=360, autosize=FIXED)


def _symlog(values: Sequence[float]) -> dict[str, Any]:
    """Return scale and axis for values of many magnitudes and both signs, with ticks at powers of ten."""
    largest = max(map(abs, values)) or 1.0  # all may be 0
    small = largest / 1000
    decades = [10.0**k for k in range(math.floor(math.log10(small)) + 1, math.floor(math.log10(largest)) + 1)]
    low, high = min(0.0, *values), max(0.0, *values)
    ticks = [-x for x in decades if -x >= low] + [0.0] + [x for x in decades if x <= high]
    # leave room for points at the ends
    scale = alt.Scale(type="symlog", constant=small, domain=[1.5 * low - small / 2, 1.5 * high + small / 2], nice=False)
    return {"scale": scale, "axis": alt.Axis(values=ticks, format="~r")}
